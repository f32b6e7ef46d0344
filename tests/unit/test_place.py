"""Labels get back to where they were found, and fine voxels are averaged only where there are too many."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from planner import place as place_module
from planner.grid import Grid, Orientation
from planner.place import COARSEST_MM, MOST_VOXELS, Place, choose_blocks, working_place
from planner.volume import LabelMap

SHAPE = (12, 10, 14)
BOX = (slice(2, 10), slice(1, 7), slice(4, 12))


def stored_grid(order, flips) -> Grid:
    return Orientation(order, flips).apply_grid(Grid.from_spacing(SHAPE, (0.8, 0.5, 0.4), (1.0, -2.0, 3.0)))


def working_labels(place: Place) -> LabelMap:
    shape = place.working_grid.shape_zyx
    return LabelMap(np.arange(1, 1 + np.prod(shape)).reshape(shape).astype(np.uint8), place.working_grid)


@pytest.mark.parametrize("blocks", [(1, 1, 1), (2, 3, 4)])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)))
def test_labels_lie_where_their_blocks_are(order, flips, blocks):
    grid = stored_grid(order, flips)
    place = Place(grid, Orientation.to_canonical(grid), BOX, blocks)
    labels = working_labels(place)
    whole = place.to_input(labels).whole()
    assert whole.grid is grid
    assert np.count_nonzero(whole.values) == np.count_nonzero(labels.values) * np.prod(blocks)
    np.testing.assert_array_equal(place.from_input(whole).values, labels.values)
    corners = np.array(list(itertools.product(*[(0, n - 1) for n in labels.values.shape])))
    points = labels.grid.to_lps(corners)
    nearest = np.round(grid.to_index(points) - 1e-9).astype(int)
    np.testing.assert_array_equal(whole.values[tuple(nearest.T)], labels.values[tuple(corners.T)])


@pytest.mark.parametrize(
    ("spacing", "size_mm", "blocks"),
    [
        ((1.0, 0.8, 0.8), (270, 280, 380), (1, 1, 1)),
        ((0.5, 0.75, 0.75), (290, 270, 380), (2, 1, 1)),
        ((0.4, 0.4, 0.4), (290, 270, 320), (2, 2, 2)),
        ((0.2, 0.2, 0.2), (290, 270, 320), (4, 4, 4)),
        ((0.6, 0.6, 0.6), (300, 300, 350), (2, 1, 1)),
        ((0.7, 0.7, 0.7), (300, 300, 350), (1, 1, 1)),
    ],
)
def test_blocks_are_the_smallest_that_are_few_enough(spacing, size_mm, blocks):
    sizes = np.round(np.divide(size_mm, spacing)).astype(int)
    assert choose_blocks(np.array(spacing), sizes) == blocks
    if blocks != (1, 1, 1):
        assert np.prod(sizes // blocks) <= MOST_VOXELS < np.prod(sizes)
        assert np.max(np.multiply(blocks, spacing)) <= COARSEST_MM


def test_a_box_of_too_many_voxels_is_cut_to_whole_blocks_and_said(monkeypatch):
    monkeypatch.setattr(place_module, "MOST_VOXELS", 60)
    grid = stored_grid((0, 1, 2), (False, False, False))
    place = working_place(grid, (slice(2, 11), slice(1, 8), slice(4, 13)))
    assert place.blocks == (1, 2, 2)
    assert place.box == (slice(2, 11), slice(1, 7), slice(4, 12))
    (finding,) = place.findings()
    assert finding.code == "averaged-voxels"
    assert "0.80 x 1.00 x 0.80 mm" in finding.message


def test_a_box_of_few_voxels_is_left_as_it_is():
    grid = stored_grid((2, 1, 0), (True, False, True))
    place = working_place(grid, BOX)
    assert place.blocks == (1, 1, 1)
    assert place.box == BOX
    assert place.findings() == []
