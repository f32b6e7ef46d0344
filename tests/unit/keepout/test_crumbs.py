"""What is told from a foramen: a crumb of the mask that touches nothing and holds no mouth."""

from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid
from planner.keepout.paint import without_crumbs
from planner.labels import Keepout, Side, foramen_value

S1 = foramen_value(Side.RIGHT, "S1")
GRID = Grid.from_spacing((40, 40, 40), 1.0)
MOUTH = np.array([[10.0, 10.0, 10.0]])


def mask(at, size, value=S1):
    values = np.zeros(GRID.shape_zyx, np.uint8)
    values[5:15, 5:15, 5:15] = S1
    z, y, x = at
    values[z : z + size, y : y + size, x : x + size] = value
    return values


@pytest.mark.parametrize(
    ("at", "size", "value", "stays"),
    [
        ((30, 30, 30), 2, S1, False),
        ((30, 30, 30), 5, S1, True),
        ((30, 30, 30), 2, Keepout.CANAL, True),
        ((15, 15, 15), 2, S1, True),
        ((10, 10, 15), 1, S1, True),
    ],
    ids=["crumb", "large", "canal", "touching", "by the mouth"],
)
def test_only_a_small_part_of_a_foramen_far_from_every_mouth_goes(at, size, value, stays):
    before = mask(at, size, value)
    after = without_crumbs(before.copy(), MOUTH, GRID)
    assert np.array_equal(after, before if stays else mask((5, 5, 5), 1))


def test_an_empty_mask_stays_empty():
    empty = np.zeros(GRID.shape_zyx, np.uint8)
    assert not without_crumbs(empty, np.zeros((0, 3)), GRID).any()


def test_without_any_mouth_a_crumb_goes_too():
    assert not without_crumbs(mask((30, 30, 30), 2), np.zeros((0, 3)), GRID)[30:, 30:, 30:].any()
