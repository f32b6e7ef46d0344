from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from planner import NOTICE
from planner.grid import Grid
from planner.labels import Label
from planner.volume import LabelMap
from sample_data.made_ct import Surface
from sample_data.signed_distance import DistanceField

SCRIPTS = Path(__file__).resolve().parents[3] / "script"


@pytest.fixture(scope="module")
def evaluate() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import evaluate

        yield evaluate
    for name in ("evaluate", "accuracy_page"):
        sys.modules.pop(name, None)


def cloud(centre: tuple[float, float, float]) -> Surface:
    corners = np.array([[x, y, z] for x in (-30, 30) for y in (-30, 30) for z in (-60, 60)], float)
    return Surface(corners + centre, np.zeros((0, 3), np.int32))


@pytest.fixture
def anatomy() -> dict[Label, list[Surface]]:
    return {
        Label.SACRUM: [cloud((0, 60, 40))],
        Label.LEFT_HIP: [cloud((100, 0, 0))],
        Label.RIGHT_HIP: [cloud((-100, 0, 0))],
    }


def moved(anatomy: dict[Label, list[Surface]], matrix: np.ndarray) -> dict[Label, list[Surface]]:
    return {k: [Surface(p.vertices_lps @ matrix.T, p.faces) for p in parts] for k, parts in anatomy.items()}


def test_a_sound_anatomy_passes(evaluate: ModuleType, anatomy: dict[Label, list[Surface]]) -> None:
    assert evaluate.checked(anatomy) is anatomy


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ((-1, 1, 1), "wrong sides"),
        ((1, -1, 1), "not behind"),
        ((1, 1, -1), "not behind"),
        ((1e-3, 1e-3, 1e-3), "mm wide"),
    ],
)
def test_a_mirrored_turned_or_shrunken_anatomy_is_refused(
    evaluate: ModuleType, anatomy: dict[Label, list[Surface]], scale: tuple[float, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate.checked(moved(anatomy, np.diag(scale)))


def test_gltf_axes_become_lps(evaluate: ModuleType) -> None:
    """In glTF the figure's left is +x, its head +y, its front +z, in metres."""
    matrix = evaluate.LPS_FROM_GLTF_MM
    assert (np.eye(3) @ matrix.T).tolist() == [[1000, 0, 0], [0, 0, 1000], [0, -1000, 0]]
    assert np.linalg.det(matrix) > 0


def test_turning_keeps_the_shape_and_the_middle(evaluate: ModuleType, anatomy: dict[Label, list[Surface]]) -> None:
    turned = evaluate.turned(anatomy, (0.0, 0.0, 90.0))
    left = turned[Label.LEFT_HIP][0].vertices_lps.mean(axis=0)
    right = turned[Label.RIGHT_HIP][0].vertices_lps.mean(axis=0)
    np.testing.assert_allclose(left - right, [0, 200, 0], atol=1e-9)
    everything = np.concatenate([p.vertices_lps for parts in turned.values() for p in parts])
    np.testing.assert_allclose(everything.mean(axis=0), 0, atol=1e-9)


def test_the_scan_holds_the_bones_and_some_body(evaluate: ModuleType, anatomy: dict[Label, list[Surface]]) -> None:
    grid = evaluate.scan_grid(anatomy, (3.0, 0.9, 0.9))
    assert grid.spacing_zyx_mm == pytest.approx([3.0, 0.9, 0.9])
    points = np.concatenate([p.vertices_lps for parts in anatomy.values() for p in parts])
    assert grid.contains(points, margin_mm=9.0).all()


def test_keep_outs_come_to_the_scans_grid_and_leave_bone_alone(evaluate: ModuleType) -> None:
    field = np.zeros((20, 20, 20), np.uint8)
    field[5:15, 5:15, 5:15] = 11
    sacrum = DistanceField(np.zeros(field.shape, np.float32), np.array([10.0, 20.0, 30.0]), 1.0)
    grid = Grid.from_spacing((30, 40, 50), 1.5)
    bone = np.zeros(grid.shape_zyx, np.uint8)
    bone[:, :, :13] = 1
    keep = evaluate.keepout_on(field, sacrum, grid, LabelMap(bone, grid)).values
    at = grid.to_lps(np.argwhere(keep == 11))
    assert at.min(axis=0).tolist() == [19.5, 25.5, 36.0]
    assert at.max(axis=0).tolist() == [24.0, 34.5, 43.5]
    assert set(np.unique(keep)) == {0, 11}


def scored(name: str, **score: Any) -> dict[str, Any]:
    facts = {"source": "hubmap", "case": "M", "spacing": [1.0, 0.8, 0.8], "tilt": [0, 0, 0], "look": "soft"}
    cost = {"exit_code": 0, "message": "", "seconds": 12.34, "peak_rss_mb": 900, "load": 0.5}
    return {"name": name, "facts": facts, "cost": cost, "score": score}


def test_the_page_has_every_figure_and_a_dash_for_none(evaluate: ModuleType) -> None:
    bone = {"dice": 0.98765, "assd_mm": 0.4, "hd95_mm": 1.0, "assd_si_zone_mm": 0.35, "hd95_si_zone_mm": float("nan")}
    plan = {
        "status": "planned", "grade": "green", "true_neural_mm": 6.5, "claimed_neural_mm": 6.4, "proven_neural_mm": 5.9,
        "middle_third": True, "claim_broken": False, "outside_solid_mm": -1.0, "mid_offset_mm": 0.2, "reason": "",
    }  # fmt: skip
    rows = [
        scored(
            "one", bones={"sacrum": bone, "sides_swapped": False}, joint={"left": {"found": False}}, plan={"left": plan}
        ),
        scored("two", plan={"right": {"status": "no-safe-path", "reason": "a | b"}}),
    ]
    page = evaluate.accuracy_page(rows)
    assert NOTICE in page
    assert "| one | sacrum | 0.988 | 0.40 | 1.00 | 0.35 | - |" in page
    assert "| one | left | - | - | - | - | - |" in page
    assert "| one | left | planned | green | 6.40 | 5.90 | 6.50 | -1.00 | 0.20 | yes | kept | - |" in page
    assert "| two | right | no-safe-path | - | - | - | - | - | - | - | - | a / b |" in page
    assert "| one | hubmap M | 1 x 0.8 x 0.8 | 0 0 0 | soft | no | 12.3 | 0.5 | 900 | done |" in page


@pytest.mark.shared
def test_the_sources_lie_the_right_way_round(evaluate: ModuleType, shared: Path) -> None:
    assert set(evaluate.read_jhu(shared, "0")) == {Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP}
    pytest.importorskip("trimesh")
    parts = evaluate.read_hubmap(shared, "M")
    assert [len(parts[label]) for label in (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP)] == [2, 3, 3]
