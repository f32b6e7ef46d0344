"""What the default install brings along: complete, the same each time, and free of licences that bind what uses it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "script" / "supply.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bill() -> dict:
    return json.loads(run().stdout)


def test_every_dependency_that_is_declared_is_listed_with_its_version(bill: dict) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    listed = {part["name"]: part["version"] for part in bill["components"]}
    installed = {canonicalize_name(Requirement(text).name) for text in declared}
    assert installed <= set(listed)  # an environment older than pyproject.toml fails here: install again
    assert all(listed.values())


def test_references_of_the_bill_lead_somewhere(bill: dict) -> None:
    known = {part["bom-ref"] for part in [*bill["components"], bill["metadata"]["component"]]}
    assert {entry["ref"] for entry in bill["dependencies"]} == known
    assert all(set(entry["dependsOn"]) <= known for entry in bill["dependencies"])


def test_same_environment_same_bytes() -> None:
    assert run().stdout == run().stdout


def test_no_licence_binds_what_uses_it() -> None:
    checked = run("--check")
    assert checked.returncode == 0, checked.stdout
    assert "numpy" in checked.stdout


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause", True),
        ("Apache Software License", True),
        ("LGPL-3.0-or-later", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("MPL-2.0", True),
        ("GPL-3.0-only", False),
        ("GNU General Public License v2 (GPLv2)", False),
        ("AGPL-3.0", False),
        ("GPL-2.0-only AND MIT", False),
        ("", False),
        ("Proprietary", False),
    ],
)
def test_licences_are_told_apart(licence: str, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from supply import is_allowed

    assert is_allowed(licence) is allowed


def audited(monkeypatch: pytest.MonkeyPatch, answer: str) -> int:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from supply import judge

    return judge(answer)


def test_a_known_weakness_fails_the_audit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1"}]}, {"name": "b", "version": "2", "vulns": []}]
    assert audited(monkeypatch, json.dumps({"dependencies": parts})) == 1
    assert "! a 1: PYSEC-1" in capsys.readouterr().out


def test_what_was_skipped_is_not_called_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [{"name": "a", "skip_reason": "not found"}, {"name": "b", "version": "2", "vulns": []}]
    assert audited(monkeypatch, json.dumps({"dependencies": parts})) == 0
    assert capsys.readouterr().out == "1 audited, 0 weaknesses known; 1 not audited\n"


def test_without_a_network_nothing_is_audited_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(monkeypatch, "") == 0
    assert capsys.readouterr().out.startswith("not audited")


def test_every_range_has_an_upper_bound_that_was_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    for requirement in map(Requirement, texts):
        if requirement.name != "sacroplan":
            assert any(part.operator == "<" for part in requirement.specifier), requirement.name
            try:
                installed = version(requirement.name)
            except PackageNotFoundError:
                continue
            assert requirement.specifier.contains(installed, prereleases=True), (requirement.name, installed)
