from __future__ import annotations

import numpy as np
import pytest

from planner.figures import FigureCase
from planner.figures.cover import posterior_plane
from planner.figures.model import Cylinder
from planner.figures.planes import Plane
from planner.figures.render import cast_bones, cast_implant, shade
from planner.labels import Label

BEHIND = Plane(np.array([0, 50.0, 0]), np.array([-1.0, 0, 0]), np.array([0, 0, 1.0]), (70.0, 50.0), 1.0)
"""Looks anterior, from 50 mm behind: the patient's left is on the picture's left."""


def test_a_block_is_met_at_its_face(case: FigureCase) -> None:
    relief = cast_bones(case.bones.labels, BEHIND, 100.0)
    met = relief.depth_mm[50 + 20, 70 + 30]  # 20 mm up, 30 mm to the right: x = -30, the sacrum
    assert met == pytest.approx(50 - 29, abs=0.6)  # outermost voxel centre 28, half level 1 mm behind it
    assert np.isnan(relief.depth_mm[0, 0])
    assert relief.label[0, 0] == 0


def test_the_patients_left_is_on_the_left_when_seen_from_behind(case: FigureCase) -> None:
    relief = cast_bones(case.bones.labels, BEHIND, 100.0)
    assert relief.label[70, 70 - 50] == Label.LEFT_HIP
    assert relief.label[70, 70 + 50] == Label.RIGHT_HIP
    assert relief.label[70, 70 + 30] == Label.SACRUM


def test_the_posterior_plane_lies_behind_all_bone_and_sees_it_all(case: FigureCase) -> None:
    plane, depth = posterior_plane(case)
    assert plane.centre_lps[1] > 28
    assert depth > 56
    relief = cast_bones(case.bones.labels, plane, depth)
    edge = np.concatenate([relief.label[0], relief.label[-1], relief.label[:, 0], relief.label[:, -1]])
    assert edge.max() == 0
    assert set(np.unique(relief.label)) == {0, 1, 2, 3}


def test_a_cylinder_seen_from_the_side_is_met_at_its_radius() -> None:
    implant = Cylinder(np.array([-10.0, 0, 0]), np.array([10.0, 0, 0]), 4.0)
    depth = cast_implant(implant, BEHIND)
    assert depth[50, 70] == pytest.approx(46.0)
    assert depth[50 + 2, 70] == pytest.approx(50 - np.sqrt(16 - 4), abs=1e-4)
    assert np.isfinite(depth).sum() == 21 * 9
    assert np.isnan(depth[50, 70 + 12])


def test_a_cylinder_seen_end_on_is_met_at_its_end_face() -> None:
    implant = Cylinder(np.array([0, 10.0, 0]), np.array([0, -10.0, 0]), 4.0)
    depth = cast_implant(implant, BEHIND)
    assert depth[50, 70] == pytest.approx(40.0)
    assert np.isfinite(depth).sum() == pytest.approx(np.pi * 16, rel=0.1)


@pytest.mark.parametrize(
    ("point", "outside"), [((0, 0, 0), -4.0), ((0, 0, 6), 2.0), ((13, 0, 0), 3.0), ((10, 0, 1), 0.0)]
)
def test_how_far_a_point_lies_outside_a_cylinder(point: tuple[float, ...], outside: float) -> None:
    implant = Cylinder(np.array([-10.0, 0, 0]), np.array([10.0, 0, 0]), 4.0)
    assert implant.outside_mm(np.array(point, float)) == pytest.approx(outside)


def test_light_is_between_dark_and_bright_and_shows_a_slope() -> None:
    flat = np.full((40, 40), 10.0, np.float32)
    slope = flat + np.linspace(0, 40, 40, dtype=np.float32)[None, :]
    assert np.ptp(shade(flat, 1.0)) < 1e-6
    assert shade(slope, 1.0)[20, 20] < shade(flat, 1.0)[20, 20]
    for picture in (shade(flat, 1.0), shade(slope, 1.0), shade(np.full((5, 5), np.nan, np.float32), 1.0)):
        assert picture.min() >= 0
        assert picture.max() <= 1
