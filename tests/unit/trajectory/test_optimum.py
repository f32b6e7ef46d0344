"""The search against brute force on slabs, by the script that compares them on whole cases."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from planner.implants import Implant
from planner.labels import Side
from planner.trajectory.task import Anatomy

from support.slab_pelvis import SlabPelvis

SCRIPTS = Path(__file__).resolve().parents[3] / "script"
COARSE = SlabPelvis(spacing_mm=(1.5, 1.25, 1.25))


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(SCRIPTS))
    try:
        import check_optimum

        yield check_optimum
    finally:
        sys.path.remove(str(SCRIPTS))


def one_side(phantom: SlabPelvis) -> Anatomy:
    volume, bones, joints, keepouts = phantom.build()
    return Anatomy(volume, bones, joints[Side.LEFT], keepouts, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "phantom",
    [
        COARSE,
        replace(COARSE, axial_deg=8.0),
        replace(COARSE, axial_deg=33.0),
        replace(COARSE, foramen_out_mm=-9.0),
        replace(COARSE, foramen_out_mm=-7.5),
        replace(COARSE, bone_hu=120),
    ],
    ids=["plain", "steep", "oblique", "foramina near", "foramina nearer", "poor bone"],
)
def test_the_search_reaches_99_percent_of_brute_force(
    script: ModuleType, phantom: SlabPelvis, small_dowel: Implant
) -> None:
    found = script.compare(one_side(phantom), small_dowel)
    assert found.brute > 0.5
    assert found.ratio >= script.ENOUGH
    assert found.has_plan


def test_where_nothing_fits_neither_finds_anything(script: ModuleType, small_dowel: Implant) -> None:
    found = script.compare(one_side(replace(COARSE, foramen_out_mm=-2.0)), small_dowel)
    assert (found.searched, found.brute, found.ratio) == (0.0, 0.0, 1.0)
    assert not found.has_plan


def test_the_page_gets_a_row_a_scan_and_names_who_stays_behind(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near, far = script.Comparison(0.895, 0.9, 0.5, 60.0), script.Comparison(0.8, 0.9, 0.7, 80.0)
    nothing = script.Comparison(0.0, 0.0, 0.1, 20.0, "no-safe-path")
    made = {"a": [(Side.LEFT, near), (Side.RIGHT, far)], "b": [(Side.RIGHT, nothing)]}
    page = tmp_path / "planning.md"
    page.write_text(f"before\n<!-- {script.MARK} -->\n<!-- end of {script.MARK} -->\nafter\n")
    monkeypatch.setattr(script, "PAGE", page)
    monkeypatch.setattr(script, "compare_scan", lambda scan, sides, implant: iter(made[scan.parent.name]))
    assert script.main(["--page", "a/ct.nii.gz", "b/ct.nii.gz"]) == 1
    text = page.read_text()
    assert "| a | 0.8950, 0.9000, 0.9944 | 0.8000, 0.9000, 0.8889 |" in text
    assert "| b | - | 0.0000, 0.0000, 1.0000 |" in text
    assert "3 sides of 2 scans: the least ratio is 0.8889, 1 below 99%: a right." in text
    assert "Brute force finds a path on 2; on 2 of these the planner proposes one (100.0%)" in text
    assert "It proposes 0 where brute force finds none." in text
    assert "1 of 3 sides below 99% of brute force" in capsys.readouterr().out


def test_sides_that_brute_force_alone_can_plan_are_named(script: ModuleType) -> None:
    refused, lucky = (
        script.Comparison(0.9, 0.9, 0.5, 60.0, "no-safe-path"),
        script.Comparison(0.0, 0.0, 0.5, 60.0, "unverified"),
    )
    text = script.written({"a": {Side.LEFT: refused, Side.RIGHT: lucky}})
    assert "on 0 of these the planner proposes one (0.0%: a left (no-safe-path))" in text
    assert "It proposes 1 where brute force finds none." in text


def test_what_was_compared_before_is_not_compared_again(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[list[Side]] = []

    def compare(scan: Path, sides: list[Side], implant: Implant) -> Iterator[tuple[Side, object]]:
        asked.append(sides)
        yield sides[0], script.Comparison(0.9, 0.9, 0.5, 60.0, "planned")

    monkeypatch.setattr(script, "compare_scan", compare)
    given = ["--rows", str(tmp_path / "rows.jsonl"), "a/ct.nii.gz"]
    for _ in range(3):  # one side each time, then none is left
        assert script.main(given) == 0
    assert asked == [[Side.LEFT, Side.RIGHT], [Side.RIGHT]]
    assert set(script.read_rows(tmp_path / "rows.jsonl")["a"]) == {Side.LEFT, Side.RIGHT}


def test_a_scan_that_is_refused_is_told_and_passed_over(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([str(tmp_path / "no.nii.gz")]) == 0
    out = capsys.readouterr().out
    assert "no.nii.gz  refused: " in out
    assert "0 of 0 sides below 99% of brute force" in out


def test_one_side_is_compared_where_one_is_asked_for(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[Side]] = []
    monkeypatch.setattr(script, "compare_scan", lambda scan, sides, implant: asked.append(sides) or iter(()))
    assert script.main(["--side", "right", "ct.nii.gz"]) == 0
    assert asked == [[Side.RIGHT]]
