"""Volumes and label maps guard their arrays."""

from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid
from planner.volume import LabelMap, Volume

GRID = Grid.from_spacing((3, 4, 5), (2.0, 1.0, 1.0))


def volume() -> Volume:
    return Volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5), GRID)


def test_unsigned_pixels_are_refused_before_air_becomes_metal():
    with pytest.raises(TypeError, match="int16"):
        Volume(np.zeros((3, 4, 5), np.uint16), GRID)


def test_array_and_grid_must_agree():
    with pytest.raises(ValueError, match="shape"):
        LabelMap(np.zeros((3, 4, 4), np.uint8), GRID)


def test_values_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        volume().hu[0, 0, 0] = 1


def test_crop_is_a_copy_that_keeps_its_place():
    whole = volume()
    part = whole.crop((slice(1, 3), slice(1, 4), slice(2, 4)))
    assert part.hu.flags.c_contiguous
    assert not np.shares_memory(part.hu, whole.hu)
    assert part.hu[0, 0, 0] == whole.hu[1, 1, 2]
    assert np.allclose(part.grid.origin_lps_mm, GRID.to_lps((1, 1, 2)))


def test_canonical_turns_a_left_right_flipped_volume():
    matrix = GRID.lps_from_zyx.copy()
    matrix[:3, 2] *= -1
    canonical, orientation = Volume(volume().hu, Grid(GRID.shape_zyx, matrix)).canonical()
    assert orientation.flipped == (False, False, True)
    assert np.array_equal(canonical.hu, volume().hu[:, :, ::-1])
    assert canonical.grid.directions_lps[2].tolist() == [1.0, 0.0, 0.0]
