"""Soft keep-outs of a made sacrum between two made hip bones: plates and rods in closed form."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from planner.grid import Grid
from planner.keepout.config import KeepoutConfig
from planner.keepout.model import Keepouts
from planner.keepout.soft import find_soft_tissue
from planner.labels import Keepout, Label, Side
from planner.segmentation.model import Bones, PelvicFrame, ShapeFit
from planner.volume import LabelMap, Volume

CONFIG = KeepoutConfig()
NOTCH = np.array([48.0, 4.0, -34.0])


@cache
def scene(tilt_deg: float = 0.0, spacing: float = 1.5, vessel_hu: int = 40) -> tuple[Volume, Bones, np.ndarray]:
    """A sacrum 60 mm wide and 24 mm deep, hip bones 2 mm beside it, a vessel 8 mm wide before the left ala."""
    turn = Rotation.from_euler("x", tilt_deg, degrees=True).as_matrix()
    shape = np.array([100, 110, 150]) / spacing
    count = tuple(int(n) for n in shape)
    grid = Grid.from_spacing(count, np.full(3, spacing), -(shape[::-1] - 1) * spacing / 2)
    own = grid.to_lps(np.indices(count).reshape(3, -1).T) @ turn
    x, y, z = own.T
    low = (np.abs(y) < 12) & (np.abs(z) < 34)
    values = np.where((np.abs(x) < 30) & low, Label.SACRUM, Label.BACKGROUND)
    for side in Side:
        values[(x * side.lateral_x > 32) & (x * side.lateral_x < 60) & low] = side.hip
    hu = np.where(values > 0, 500, 40)
    hu[np.hypot(x - 20, y + 30) < 4] = vessel_hu
    frame = np.eye(4)
    frame[:3, :3] = turn
    fit = ShapeFit({}, {}, np.eye(4), np.zeros(0), 0.0, {})
    labels = LabelMap(values.astype(np.uint8).reshape(count), grid)
    return Volume(hu.astype(np.int16).reshape(count), grid), Bones(labels, fit, PelvicFrame(frame), {}), turn


def found_at(points: np.ndarray, **settings) -> np.ndarray:
    """Whether points of the scene's own frame are soft keep-outs."""
    volume, bones, turn = scene(**settings)
    soft = find_soft_tissue(volume, bones, {Side.LEFT: turn @ NOTCH}, CONFIG)
    assert soft is not None
    whole = np.zeros(volume.grid.shape_zyx, bool)
    whole[soft.box] = soft.mask
    return whole[tuple(np.round(volume.grid.to_index(points @ turn.T)).astype(int).T)]


@pytest.mark.parametrize("tilt_deg", [0.0, 25.0])
def test_the_layer_lies_before_the_joint_and_not_behind_it(tilt_deg):
    across = np.array([[x, 0.0, 0.0] for x in (-45.0, -31.0, -20.0, 20.0, 31.0, 45.0)])
    for depth, expected in ((-15.0, True), (-18.0, True), (-26.0, False), (16.0, False)):
        assert (found_at(across + np.array([0.0, depth, 0.0]), tilt_deg=tilt_deg) == expected).all(), depth


def test_bone_is_never_soft():
    volume, bones, turn = scene()
    soft = find_soft_tissue(volume, bones, {Side.LEFT: turn @ NOTCH}, CONFIG)
    assert soft is not None
    assert not (soft.mask & (bones.labels.values[soft.box] > 0)).any()


def test_the_joint_space_is_not_before_the_joint():
    assert not found_at(np.array([[31.0, y, 0.0] for y in (-6.0, 0.0, 8.0)])).any()


def test_a_vessel_is_seen_by_its_contrast_alone():
    centre = np.array([[20.0, -30.0, z] for z in (-20.0, 0.0, 20.0)])
    assert found_at(centre, vessel_hu=250).all()
    assert not found_at(centre, vessel_hu=60).any()


def test_what_there_is_is_told_by_kind():
    volume, bones, turn = scene(vessel_hu=250)
    soft = find_soft_tissue(volume, bones, {Side.LEFT: turn @ NOTCH}, CONFIG)
    assert soft is not None
    assert set(soft.volumes_ml) == {"ventral-layer", "contrast-vessel", "gluteal-bundle"}
    length_mm, width_mm = 68.0 + 2 * 16.0, 8.0
    assert soft.volumes_ml["contrast-vessel"] == pytest.approx(np.pi / 4 * width_mm**2 * length_mm / 1000, rel=0.5)


def test_a_bladder_is_no_vessel():
    volume, bones, _ = scene()
    hu = volume.hu.copy()
    away = volume.grid.to_lps(np.moveaxis(np.indices(hu.shape), 0, -1)) - [0.0, -38.0, 0.0]
    hu[np.linalg.norm(away, axis=-1) < 15.0] = 250
    soft = find_soft_tissue(Volume(hu, volume.grid), bones, {}, CONFIG)
    assert soft is not None
    assert set(soft.volumes_ml) == {"ventral-layer"}


def test_the_notch_is_ringed_by_soft_tissue_that_is_not_bone():
    beside = NOTCH + np.array([[0.0, 0.0, -7.0], [0.0, 0.0, -14.0]])
    np.testing.assert_array_equal(found_at(beside), [True, False])


def test_without_a_sacrum_there_is_nothing():
    volume, bones, _ = scene()
    empty = LabelMap(np.zeros(volume.grid.shape_zyx, np.uint8), volume.grid)
    assert find_soft_tissue(volume, Bones(empty, bones.fit, bones.frame, {}), {}, CONFIG) is None


def test_neural_and_soft_values_are_told_apart():
    grid = Grid.from_spacing((1, 1, 5), np.ones(3), np.zeros(3))
    values = np.array([[[0, Keepout.CANAL, 12, 24, Keepout.SOFT]]], np.uint8)
    keepouts = Keepouts(LabelMap(values, grid), (), np.zeros((0, 3)))
    everything = (slice(0, 1), slice(0, 1), slice(0, 5))
    np.testing.assert_array_equal(keepouts.neural(everything)[0, 0], [False, True, True, True, False])
    np.testing.assert_array_equal(keepouts.soft(everything)[0, 0], [False, False, False, False, True])


def reordered(volume, bones, axes, flips):
    """Give the same scan with its array's axes in another order, and some of them run the other way."""
    turned = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    order = np.zeros((4, 4))
    order[range(3), axes], order[3, 3] = 1.0, 1.0
    shape = np.array(volume.grid.shape_zyx)[list(axes)]
    back = np.eye(4)
    for axis in np.flatnonzero(flips):
        back[axis, axis], back[axis, 3] = -1.0, shape[axis] - 1
    grid = Grid(tuple(shape.tolist()), volume.grid.lps_from_zyx @ order.T @ back)
    hu, values = (np.ascontiguousarray(a.transpose(axes)[turned]) for a in (volume.hu, bones.labels.values))
    return Volume(hu, grid), Bones(LabelMap(values, grid), bones.fit, bones.frame, {})


@pytest.mark.parametrize("tilt_deg", [0.0, 180.0])
@pytest.mark.parametrize(
    ("axes", "flips"), [((0, 1, 2), (0, 0, 0)), ((0, 1, 2), (0, 1, 0)), ((1, 2, 0), (1, 0, 1)), ((2, 0, 1), (0, 1, 1))]
)
def test_what_is_bright_behind_the_spine_is_no_vessel_however_the_scan_lies(tilt_deg, axes, flips):
    """An arch without a label is as bright as a vessel; patients lie prone, and headers do not always say so."""
    volume, bones, turn = scene(tilt_deg=tilt_deg, vessel_hu=250)
    own = volume.grid.to_lps(np.moveaxis(np.indices(volume.hu.shape), 0, -1)) @ turn
    hu = np.where(np.hypot(own[..., 0] - 20, own[..., 1] - 28) < 4, np.int16(250), volume.hu)
    volume, bones = reordered(Volume(hu, volume.grid), bones, axes, flips)
    soft = find_soft_tissue(volume, bones, {}, CONFIG)
    assert soft is not None
    whole = np.zeros(volume.grid.shape_zyx, bool)
    whole[soft.box] = soft.mask
    before, behind = np.array([[20.0, -30.0, 0.0], [20.0, 28.0, 0.0]]) @ turn.T
    seen = [bool(whole[tuple(np.round(volume.grid.to_index(place)).astype(int))]) for place in (before, behind)]
    assert seen == [True, False]
