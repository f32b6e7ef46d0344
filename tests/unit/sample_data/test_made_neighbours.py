from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid
from planner.labels import Keepout, Label
from sample_data.made_ct import CtLook, render_ct
from sample_data.made_neighbours import add_neighbours, find_endplate, find_head
from sample_data.signed_distance import DistanceField

SPACING_MM = 1.0


def field_of(shape: tuple[int, int, int], origin: tuple[float, float, float]) -> tuple[Grid, np.ndarray]:
    grid = Grid.from_spacing(shape, SPACING_MM, origin)
    return grid, np.moveaxis(grid.to_lps(np.stack(np.indices(shape), axis=-1)), -1, 0)


def hip(side: int) -> DistanceField:
    """A plate in the sagittal plane with a socket of 26 mm radius in its lateral face, 35 mm below its middle."""
    grid, (x, y, z) = field_of((170, 90, 70), (80.0 * side - 35.0, -45.0, -85.0))
    plate = np.maximum.reduce([np.abs(x - 80 * side) - 22, np.abs(y) - 36, np.abs(z) - 76])
    socket = np.sqrt((x - 90 * side) ** 2 + y**2 + (z + 25) ** 2) - 26
    return DistanceField(np.maximum(plate, -socket).astype(np.float32), grid.origin_lps_mm, SPACING_MM)


def sacrum(tilt_deg: float) -> DistanceField:
    """A slab leaning back, its top at right angles to its axis, with a canal along it; and an arch behind."""
    grid, (x, y, z) = field_of((110, 110, 101), (-50.0, -55.0, -10.0))
    c, s = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    along, depth = z * c - y * s - 40, y * c + z * s - 10
    block = np.maximum.reduce([np.abs(x) - 40, np.abs(depth - 5) - 25, np.abs(along) - 34])
    canal = np.hypot(x / 1.5, depth - 18) - 7
    return DistanceField(np.maximum(block, -canal).astype(np.float32), grid.origin_lps_mm, SPACING_MM)


@pytest.mark.parametrize("side", [1, -1])
def test_the_head_is_the_sphere_in_the_socket(side: int) -> None:
    centre, radius = find_head(hip(side))
    assert centre == pytest.approx([90 * side, 0, -25], abs=1.0)
    assert radius == pytest.approx(26 - 2.5, abs=0.6)


@pytest.mark.parametrize("tilt_deg", [10.0, 30.0])
def test_the_endplate_is_the_top_of_the_body_in_front_of_the_canal(tilt_deg: float) -> None:
    bone = sacrum(tilt_deg)
    grid, (x, y, z) = field_of((110, 110, 101), (-50.0, -55.0, -10.0))
    c, s = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    canal = np.hypot(x / 1.5, y * c + z * s - 28) < 7
    found = find_endplate(bone, np.where(canal, np.uint8(Keepout.CANAL), np.uint8(0)))
    assert found.tilt_deg == pytest.approx(tilt_deg, abs=2.5)
    along = found.centre_lps[2] * c - found.centre_lps[1] * s - 40
    assert along == pytest.approx(34, abs=1.5)
    assert grid.contains(found.centre_lps)


def test_neighbours_touch_nothing_and_lie_where_they_must() -> None:
    pelvis = {Label.SACRUM: sacrum(25.0), Label.LEFT_HIP: hip(1), Label.RIGHT_HIP: hip(-1)}
    bones = add_neighbours(pelvis)
    assert set(bones) == {*pelvis, Label.LUMBAR, Label.LEFT_FEMUR, Label.RIGHT_FEMUR}
    grid = Grid.from_spacing((84, 50, 100), 3.0, (-150.0, -80.0, -105.0))
    labels = render_ct(bones, grid, CtLook()).labels
    bare = render_ct(pelvis, grid, CtLook()).labels
    given = bare.values > 0
    assert np.array_equal(labels.values[given], bare.values[given])
    middles = {label: labels.grid.to_lps(np.argwhere(labels.values == label)).mean(axis=0) for label in bones}
    assert middles[Label.LUMBAR][2] > 75
    assert middles[Label.LEFT_FEMUR][0] > 95 > -95 > middles[Label.RIGHT_FEMUR][0]
    assert middles[Label.LEFT_FEMUR] * [-1, 1, 1] == pytest.approx(middles[Label.RIGHT_FEMUR], abs=2)
