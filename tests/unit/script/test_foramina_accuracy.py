"""How mouths are scored: found, invented, off; and how far a channel's axis lies from a true hole's middle."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from planner import NOTICE
from planner.grid import Grid
from planner.keepout import Foramen, Keepouts
from planner.labels import Side, foramen_value
from planner.volume import LabelMap

SCRIPTS = Path(__file__).resolve().parents[3] / "script"
MODULES = (
    "foramina_accuracy", "joint_accuracy", "accuracy_page", "calibrate_confidence", "conditions", "made_cases",
    "sources",
)  # fmt: skip


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield SimpleNamespace(**{name: __import__(name) for name in MODULES})
    for name in MODULES:
        sys.modules.pop(name, None)


def foramen(level: str, centre: tuple[float, float, float], axis: np.ndarray | None = None) -> Foramen:
    kept = np.zeros((0, 3)) if axis is None else axis
    return Foramen(Side.LEFT, level, "ventral", np.array(centre), 8.0, 1.0, kept)


def keepouts(*foramina: Foramen) -> Keepouts:
    empty = LabelMap(np.zeros((1, 1, 1), np.uint8), Grid.from_spacing((1, 1, 1), np.ones(3), np.zeros(3)))
    return Keepouts(empty, foramina, np.zeros((0, 3)))


def test_found_missed_and_invented_mouths_are_counted(script):
    truth = {(Side.LEFT, level, "ventral"): (np.array([0.0, 0.0, z]), 9.0) for level, z in (("S1", 0), ("S2", 30))}
    found = keepouts(foramen("S1", (1.0, 0.0, 0.0)), foramen("S3", (0.0, 0.0, 60.0)))
    scored = script.foramina_accuracy.score(found, truth)
    assert scored["wanted"] == 2
    assert scored["errors_mm"] == {"left/S1/ventral": 1.0}
    assert scored["width_errors_mm"] == {"left/S1/ventral": -1.0}
    assert scored["invented"] == ["left/S3/ventral"]


def test_a_mouth_far_from_its_own_name_is_invented(script):
    truth = {(Side.LEFT, "S1", "ventral"): (np.zeros(3), 9.0)}
    scored = script.foramina_accuracy.score(keepouts(foramen("S1", (0.0, 0.0, 13.0))), truth)
    assert scored["errors_mm"] == {}
    assert scored["invented"] == ["left/S1/ventral"]


@pytest.mark.parametrize("aside", [0.0, 1.5])
def test_an_axis_beside_the_true_hole_is_off_by_as_much(script, aside):
    grid = Grid.from_spacing((40, 40, 40), np.ones(3), np.zeros(3))
    x, y, _ = np.moveaxis(grid.to_lps(np.indices(grid.shape_zyx).reshape(3, -1).T), 1, 0)
    hole = (np.hypot(x - 20, y - 20) < 4.5).reshape(grid.shape_zyx)
    true = LabelMap(np.where(hole, foramen_value(Side.LEFT, "S1"), 0).astype(np.uint8), grid)
    axis = np.array([[20.0 + aside, 20.0, z] for z in range(30, 15, -2)])
    found = foramen("S1", (20.0 + aside, 20.0, 30.0), axis)
    assert script.foramina_accuracy.across_mm(found, true) == pytest.approx(aside, abs=0.05)
    scored = script.foramina_accuracy.score_mesh(keepouts(found), true)
    assert scored["missing"] == ["left/S1/dorsal"]
    assert not scored["misnamed"]
    wrong = script.foramina_accuracy.score_mesh(keepouts(foramen("S2", (20.0, 20.0, 30.0), axis)), true)
    assert wrong["found"] == 0


def test_without_an_axis_nothing_is_measured_across(script):
    grid = Grid.from_spacing((4, 4, 4), np.ones(3), np.zeros(3))
    true = LabelMap(np.full(grid.shape_zyx, foramen_value(Side.LEFT, "S1"), np.uint8), grid)
    assert script.foramina_accuracy.across_mm(foramen("S1", (1.0, 1.0, 1.0)), true) is None


def test_the_page_tells_what_was_measured(script, tmp_path):
    row = script.foramina_accuracy.ROWS[0]
    result = {"wanted": 2, "errors_mm": {"a": 1.0, "b": 3.0}, "width_errors_mm": {"a": -0.5, "b": -1.5}, "invented": []}
    (tmp_path / "phantoms").mkdir()
    (tmp_path / "phantoms" / f"{row.name}.json").write_text(json.dumps(result))
    page = script.foramina_accuracy.foramina_page(tmp_path)
    assert NOTICE in page
    assert "| 0.6 | straight | 14 | 2 of 2 | 0 | 2.00 / 3.00 | 1 of 2 | -1.00 / 1.50 |" in page


def test_the_noisy_rows_have_a_closed_foramen_each(script):
    rows = script.foramina_accuracy.ROWS
    assert len(rows) == 20
    assert all((row.noise_hu > 20.0) == bool(row.closed) for row in rows)
    assert all(row.spec.filled_foramina == frozenset(row.closed) for row in rows)


MESH = {"wanted": 100, "found": 100, "misnamed": [], "in_no_hole": [], "across_mm": {}, "spacing": [1.0, 1.0, 1.0],
        "deeper_levels": []}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "cells"),
    [
        ({}, "100 of 100 | 0 | not known | yes"),
        ({"found": 98}, "98 of 100 | 0 | not known | **no**"),
        ({"misnamed": ["left/S2/ventral"]}, "99 of 100 | 1 | not known | **no**"),
        ({"in_no_hole": ["left/S2/ventral"]}, "100 of 100 | 1 | not known | **no**"),
    ],
)
def test_meshes_are_held_against_what_is_asked_for(script, tmp_path, change, cells):
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "thin_A.json").write_text(json.dumps(MESH | change))
    assert f"| made CT of meshes | {cells} |" in script.foramina_accuracy.foramina_page(tmp_path)


@pytest.mark.parametrize(("error_mm", "holds"), [(1.9, "2 of 2 | yes"), (2.1, "1 of 2 | **no**")])
def test_centres_are_held_against_2_mm(script, tmp_path, error_mm, holds):
    result = {"wanted": 2, "errors_mm": {"a": 1.0, "b": error_mm}, "width_errors_mm": {"a": 0.5, "b": 0.5}}
    (tmp_path / "phantoms").mkdir()
    path = tmp_path / "phantoms" / f"{script.foramina_accuracy.ROWS[0].name}.json"
    path.write_text(json.dumps(result | {"invented": []}))
    assert f"| phantoms | 2 of 2 | 0 | {holds} |" in script.foramina_accuracy.foramina_page(tmp_path)
