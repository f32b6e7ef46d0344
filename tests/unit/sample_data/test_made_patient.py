from __future__ import annotations

import numpy as np
import pytest

from planner.labels import Label, Side
from sample_data import made_patient as patient
from sample_data.inlays import Inlay, InlayKind


@pytest.fixture
def places() -> patient.Places:
    """A pelvis whose joints are plates at x = +-45 and whose femoral heads are where they are in adults."""
    grid = np.stack(np.meshgrid(np.arange(-20, 21, 2.0), np.arange(-25, 26, 2.0), indexing="ij"), axis=-1).reshape(
        -1, 2
    )
    joints = {side: np.column_stack([np.full(len(grid), 45.0 * side.lateral_x), grid]) for side in Side}
    heads = {side: (np.array([88.0 * side.lateral_x, -45.0, -85.0]), 23.0) for side in Side}
    return patient.Places(joints, heads, np.array([-140.0, -110.0, -130.0]), np.array([140.0, 50.0, 90.0]))


def rows(inlays: Inlay | tuple[Inlay, ...]) -> np.ndarray:
    parts = (inlays,) if isinstance(inlays, Inlay) else inlays
    return np.array([row for part in parts for row in part.rows])


def test_the_middle_and_a_point_of_a_joint(places: patient.Places) -> None:
    assert places.centre == pytest.approx([0, 0, 0], abs=1e-9)
    low, high = places.joint_at(Side.LEFT, 0.1), places.joint_at(Side.LEFT, 0.9)
    assert low[2] < -15 < 15 < high[2]
    assert low[:2] == pytest.approx([45, 0], abs=1.1)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: patient.vessels(p, 180.0),
        patient.calcified_vessels,
        patient.spine_screws,
        patient.transitional_l5,
        patient.arms,
        patient.body_above_and_below,
    ],
)
def test_what_is_on_both_sides_is_on_both_sides(places: patient.Places, make: object) -> None:
    table = rows(make(places))  # type: ignore[operator]
    assert table[:, [0, 3]].min() < -3
    assert table[:, [0, 3]].max() > 3
    assert (table[:, 6:] > 0).all()
    assert np.isfinite(table).all()


def test_vessels_run_before_the_joints_and_bones_win_over_them(places: patient.Places) -> None:
    inlay = patient.vessels(places, 180.0)
    assert not inlay.over_bone
    assert rows(inlay)[:, [1, 4]].max() < places.joints[Side.LEFT][:, 1].max()


def test_metal_is_painted_over_bone_on_its_side(places: patient.Places) -> None:
    prosthesis = patient.hip_prosthesis(places, Side.RIGHT)
    assert prosthesis.over_bone
    assert prosthesis.kind is InlayKind.METAL
    assert rows(prosthesis)[:, [0, 3]].max() < 0
    assert rows(prosthesis)[0, :3] == pytest.approx(places.heads[Side.RIGHT][0])


def test_a_long_body_reaches_from_head_to_knee(places: patient.Places) -> None:
    z = rows(patient.body_above_and_below(places))[:, [2, 5]]
    assert z.max() > places.high[2] + 600
    assert z.min() < places.heads[Side.LEFT][0][2] - 350


def test_growth_plates_pass_through_the_sockets(places: patient.Places) -> None:
    cuts = patient.growth_plates(places)
    assert [sum(cut.label is label for cut in cuts) for label in (Label.LEFT_HIP, Label.RIGHT_HIP)] == [3, 3]
    assert all(
        cut.point == pytest.approx(tuple(places.heads[Side.LEFT if cut.label is Label.LEFT_HIP else Side.RIGHT][0]))
        for cut in cuts
    )
    assert all(np.linalg.norm(cut.normal) == pytest.approx(1.0) for cut in cuts)


def test_contrast_lies_in_the_pelvis(places: patient.Places) -> None:
    for inlay in (patient.bladder(places, 400.0), patient.bowel(places, 320.0)):
        points = rows(inlay)[:, :3]
        assert inlay.kind is InlayKind.CONTRAST
        assert (points > places.low - 10).all()
        assert (points < places.high).all()
