"""The worked case of docs/planning.md adds up, and its pictures are there and small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def page():
    text = (DOCS / "planning.md").read_text(encoding="utf-8")
    return text.split("<!-- worked case: script/worked_case.py -->")[1].split("<!-- end of worked case")[0]


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "script"))
        import worked_case

        yield worked_case


def numbers(line):
    return [float(cell) for cell in re.findall(r"(?<=[ *])\d+\.\d+", line)]


def test_products_add_up_to_the_score(page, script):
    rows = [numbers(line) for line in page.splitlines() if any(f"| {term} |" in line for term in script.TERMS.values())]
    assert len(rows) == len(script.TERMS)
    for ramp, weight, product in rows:
        assert product == pytest.approx(ramp * weight, abs=6e-4)
    (score,) = [numbers(line)[-1] for line in page.splitlines() if "**score**" in line]
    assert score == pytest.approx(sum(row[2] for row in rows), abs=3e-4)
    assert f"score {score:.3f}" in page


def test_bounds_are_the_distance_less_their_terms(page, script):
    rows = [numbers(line) for line in page.splitlines() if any(f"| {w} |" in line for w in script.CLEARANCES.values())]
    assert len(rows) == len(script.CLEARANCES)
    for measured, centre, voxel, margin, sampling, proven in rows:
        assert proven == pytest.approx(centre - voxel - margin - sampling, abs=0.025)
        assert proven <= measured


def test_its_pictures_are_there_and_small(page):
    named = re.findall(r"\]\((images/worked_[a-z_]+\.png)\)", page)
    assert len(named) == 3
    for name in named:
        assert (DOCS / name).stat().st_size < MOST_BYTES
        with Image.open(DOCS / name) as picture:
            assert picture.width >= 900


def test_its_colours_hold_those_of_the_figures(script):
    held = script._colours().getpalette()
    colours = {tuple(held[k : k + 3]) for k in range(0, len(held), 3)}
    assert {(0, 0, 0), (255, 255, 255), (0xE6, 0x9F, 0x00), (0x56, 0xB4, 0xE9), (0xD5, 0x5E, 0x00)} <= colours
