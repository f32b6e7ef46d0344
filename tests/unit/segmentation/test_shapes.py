"""Masks: boxes, distances, closing and holes, against scipy's plain versions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from planner.grid import Grid
from planner.segmentation.shapes import (
    away_from,
    box_of,
    boxes_of,
    centres_of,
    close_gaps,
    fill_holes,
    fill_holes_by_slice,
    padded,
    touching_parts,
)

SHAPE = (9, 12, 14)
GRID = Grid.from_spacing(SHAPE, (2.0, 1.0, 0.8))

seeds = st.integers(0, 2**32 - 1)


def blobs(seed: int, share: float = 0.5) -> NDArray[np.bool_]:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 1.0)
    return np.asarray(noise > np.quantile(noise, 1.0 - share))


@given(seeds)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_boxes_are_those_of_scipy(seed: int) -> None:
    labels = np.random.default_rng(seed).choice([0, 0, 0, 1, 3, 200], SHAPE).astype(np.uint8)
    labels[:3] = 0
    found = boxes_of(labels)
    expected = ndimage.find_objects(labels.astype(int))
    assert found == {value: box for value, box in enumerate(expected, start=1) if box is not None}


@given(seeds)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_centres_are_those_of_scipy(seed: int) -> None:
    labels = np.random.default_rng(seed).choice([0, 0, 1, 3, 200], SHAPE).astype(np.uint8)
    found = centres_of(labels)
    assert set(found) == {1, 3, 200}
    for value, centre in found.items():
        np.testing.assert_allclose(centre, ndimage.center_of_mass(labels == value))


def test_an_empty_mask_has_no_box() -> None:
    assert box_of(np.zeros(SHAPE, bool)) is None


def test_a_margin_ends_at_the_grid() -> None:
    assert padded((slice(1, 3), slice(4, 6), slice(5, 13)), 4.0, GRID) == (slice(0, 5), slice(0, 10), slice(0, 14))


def test_distance_is_in_millimetres() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[4, 5, 6] = True
    away = away_from(mask, GRID, 5.0)
    assert away[4, 5, 6] == 0
    assert away[5, 5, 6] == 2.0
    assert away[4, 5, 9] == pytest.approx(2.4)
    assert away[4, 5, 13] == 5.0
    assert (away_from(np.zeros(SHAPE, bool), GRID, 5.0) == 5.0).all()


@given(seeds)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_holes_are_those_of_scipy(seed: int) -> None:
    mask = blobs(seed, 0.7)
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
    by_slice = np.stack([ndimage.binary_fill_holes(part) for part in mask])
    np.testing.assert_array_equal(fill_holes_by_slice(mask), by_slice)


def test_a_full_mask_has_no_holes() -> None:
    assert fill_holes(np.ones(SHAPE, bool)).all()


@given(seeds)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_closing_keeps_the_mask_and_is_idempotent(seed: int) -> None:
    mask = blobs(seed, 0.2)
    closed = close_gaps(mask, 2.0, GRID)
    assert not (mask & ~closed).any()
    assert not (closed & (away_from(mask, GRID, 3.0) > 2.0)).any()
    np.testing.assert_array_equal(close_gaps(closed, 2.0, GRID), closed)


@pytest.mark.parametrize(("width", "bridged"), [(3, True), (6, False)])
def test_closing_bridges_gaps_up_to_twice_the_radius(width: int, bridged: bool) -> None:
    grid = Grid.from_spacing((9, 9, 30), 1.0)
    mask = np.zeros(grid.shape_zyx, bool)
    mask[:, :, 5:10] = True
    mask[:, :, 10 + width : 20] = True
    assert close_gaps(mask, 2.0, grid)[4, 4, 11] == bridged


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 5), (1, 3, 3), (4, 5, 6), (20, 20, 20)])
def test_parts_that_touch_by_corners_are_one_in_arrays_of_any_shape(shape: tuple[int, int, int]) -> None:
    mask = np.zeros(shape, bool)
    mask[0, 0, 0] = mask[-1, -1, -1] = True  # two parts, a voxel or more between them
    parts, count = touching_parts(mask)
    assert count == 2
    assert parts[0, 0, 0] != parts[-1, -1, -1]
    assert np.array_equal(parts > 0, mask)


def test_a_corner_joins_large_arrays_too() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[3, 3, 3] = mask[4, 4, 4] = mask[10, 10, 10] = True
    parts, count = touching_parts(mask)
    assert count == 2
    assert parts[3, 3, 3] == parts[4, 4, 4]
