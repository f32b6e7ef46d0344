"""What is shown of rods and needle: tables of the report, markups, and figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from planner.config import PlanConfig
from planner.exports.markups import plan_markups
from planner.figures import FigureCase
from planner.figures.compare import draw_compare, draw_injection
from planner.labels import Side
from planner.plan import PlanDocument
from planner.report.compare import beside_pictures, beside_tables

from support.beside_slabs import Beside, write_beside


@pytest.fixture(scope="module")
def document(beside: Beside, tmp_path_factory: pytest.TempPathFactory) -> PlanDocument:
    folder = tmp_path_factory.mktemp("shown") / "result"
    write_beside(folder, beside)
    return PlanDocument.model_validate_json((folder / "plan.json").read_text())


def test_the_table_puts_the_dowel_beside_all_rods_and_each(document: PlanDocument) -> None:
    entry = document.sides["left"]
    lateral, needle = beside_tables(entry)
    assert entry.lateral is not None
    assert list(lateral.rows[0]) == ["", "posterior implant", "3 lateral rods", "rod 1", "rod 2", "rod 3"]
    assert {len(row) for row in lateral.rows} == {6}
    rows = {row[0]: row[1:] for row in lateral.rows}
    removed = entry.lateral.bone_removed_mm3
    assert removed is not None
    assert rows["bone removed, sacrum / ilium"][1] == f"{removed.sacrum:.0f} / {removed.hip:.0f} mm³"
    assert rows["CPT class"][:2] == ["27278", "27279"]
    least = min(rod.clearance["neural"].mm for rod in entry.lateral.rods)
    assert rows["canal and foramina (proven)"][1].startswith(f"{least:.1f} (")
    assert dict(needle.rows)["needle"] == "22 G, 0.72 mm"
    assert beside_pictures(entry) == ["compare", "injection"]


def test_what_was_not_asked_for_has_no_table(document: PlanDocument) -> None:
    entry = document.sides["left"].model_copy(update={"lateral": None, "injection": None})
    assert beside_tables(entry) == []
    assert beside_pictures(entry) == []


def test_rods_that_do_not_fit_have_their_reason_in_the_table(document: PlanDocument) -> None:
    entry = document.sides["left"]
    assert entry.lateral is not None
    none = entry.lateral.model_copy(update={"rods": [], "status": "no-safe-path", "reason": "No 3 rods fit."})
    table = beside_tables(entry.model_copy(update={"lateral": none, "injection": None}))[0]
    assert table.rows[1][2] == "No 3 rods fit."
    assert len(table.rows[0]) == len(table.rows[1])


def test_markups_have_a_line_for_each_rod_and_the_needle(document: PlanDocument) -> None:
    markups = plan_markups(document)
    for side, entry in document.sides.items():
        assert entry.lateral is not None
        assert entry.injection is not None
        for rod in entry.lateral.rods:
            points = [p["position"] for p in markups[f"{side}_lateral_rod_{rod.number}"]["controlPoints"]]
            assert points == [list(rod.implant_entry_lps_mm), list(rod.implant_tip_lps_mm)]
        tip = markups[f"{side}_needle"]["controlPoints"][-1]["position"]
        assert tip == list(entry.injection.tip_lps_mm or ())


def test_figures_are_drawn(beside: Beside, tmp_path: Path) -> None:
    planned = beside.planned
    case = FigureCase(planned.volume, planned.bones, planned.joints, planned.keepouts, planned.plans)
    rods, needle = beside.rods[Side.RIGHT], beside.needles[Side.RIGHT]
    drawn = [draw_compare(case, Side.RIGHT, rods, tmp_path), draw_injection(case, Side.RIGHT, needle, tmp_path)]
    assert [path.name for path in drawn] == ["right_compare.png", "right_injection.png"]
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.width > 800


def test_neither_is_planned_unless_asked_for() -> None:
    config = PlanConfig()
    assert (config.lateral.compare, config.injection.plan) == (False, False)
