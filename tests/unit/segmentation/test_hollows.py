"""Hollows of the hip bones that leak are filled; channels and nooks are not, and nothing in the sacrum."""

from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid
from planner.labels import Label
from planner.segmentation.shapes import enclosing_planes
from planner.segmentation.voxels import fill_hollows

GRID = Grid.from_spacing((30, 30, 30), 1.0)
HOLLOW = np.s_[10:20, 10:20, 10:20]
LEAK = np.s_[14:16, 2:10, 14:16]
CHANNEL = np.s_[13:17, :, 13:17]


def block(*taken):
    bone = np.zeros(GRID.shape_zyx, np.uint8)
    bone[4:26, 4:26, 4:26] = Label.LEFT_HIP
    for part in taken:
        bone[part] = 0
    return bone


def drawn_nowhere():
    return np.zeros(GRID.shape_zyx, np.uint8)


def test_a_hollow_with_a_leak_is_filled_but_for_the_planes_of_the_leak():
    filled = fill_hollows(block(HOLLOW, LEAK), drawn_nowhere(), GRID)
    expected = block(LEAK)
    expected[HOLLOW] = Label.LEFT_HIP
    expected[14:16, 10:20, 10:20] = 0
    expected[10:20, 10:20, 14:16] = 0
    np.testing.assert_array_equal(filled, expected)


def test_within_the_drawn_surface_two_planes_are_enough():
    filled = fill_hollows(block(HOLLOW, LEAK), block(), GRID)
    assert (filled[HOLLOW] == 0).sum() == 2 * 2 * 10  # the leak's own line, open in two planes
    assert not filled[14, 5, 14]


@pytest.mark.parametrize("axis", range(3))
def test_a_channel_stays_open_whichever_way_it_runs(axis):
    through = np.moveaxis(block(CHANNEL), 1, axis)
    np.testing.assert_array_equal(fill_hollows(through, drawn_nowhere(), GRID), through)


def test_the_sacrum_is_left_alone_for_its_channels_may_be_askew_to_all_planes():
    sacrum = np.where(block(HOLLOW) > 0, np.uint8(Label.SACRUM), np.uint8(0))
    np.testing.assert_array_equal(fill_hollows(sacrum, sacrum, GRID), sacrum)


def test_a_small_nook_stays_open():
    nook = block(np.s_[14:17, 10:13, 14:17], np.s_[15, 2:10, 15])
    np.testing.assert_array_equal(fill_hollows(nook, drawn_nowhere(), GRID), nook)


def test_another_label_in_the_hollow_stays():
    bone = block(HOLLOW)
    bone[12:18, 12:18, 12:18] = Label.LUMBAR
    filled = fill_hollows(bone, drawn_nowhere(), GRID)
    assert (filled[12:18, 12:18, 12:18] == Label.LUMBAR).all()
    assert (filled[HOLLOW] > 0).all()


def test_planes_are_counted():
    planes = enclosing_planes(block(HOLLOW, CHANNEL) > 0)
    assert planes[15, 15, 15] == 1  # the slice square to the channel alone
    assert planes[11, 15, 11] == 3
    assert planes[0, 0, 0] == 0
    assert (planes[block() == 0] == 0).all()
