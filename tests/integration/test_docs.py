"""The documentation builds, strictly and offline, and says what it must on every page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from planner import NOTICE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built where every warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages(site):
    return [path for path in site.rglob("*.html") if path.name != "404.html"]


def test_every_page_is_there_and_carries_the_notice(site):
    written = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    built = {path.parent.name for path in pages(site)}
    assert written <= built
    assert all(NOTICE in path.read_text("utf-8") for path in pages(site))


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("case", ["planner.case.plan_case", "planner.case.CaseSettings"]),
        ("scans", ["planner.reading.read_scan", "planner.grid.Grid"]),
        ("plan", ["planner.schema.read_plan", "planner.plan.PlanDocument"]),
        ("exports", ["planner.exports.write_exports"]),
        ("errors", ["planner.errors.InputRefusedError"]),
    ],
)
def test_the_interface_is_described(site, page, names):
    text = (site / "api" / page / "index.html").read_text("utf-8")
    assert all(f'id="{name}"' in text for name in names)


def test_nothing_is_asked_of_other_machines(site):
    """No script, style, font or picture from elsewhere."""
    for path in pages(site):
        text = path.read_text("utf-8")
        assert not re.findall(r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//", text), path
        assert not re.findall(r"<link[^>]+rel=\"(?:stylesheet|preconnect)\"[^>]+href=\"(?:https?:)?//", text), path


def test_the_examples_are_those_of_the_readme():
    """The ten lines stand in both places."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "api" / "case.md").read_text("utf-8"), re.DOTALL)
    assert example
    assert example[1] in (ROOT / "README.md").read_text("utf-8")
    compile(example[1], "README.md", "exec")
