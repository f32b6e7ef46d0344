"""Grids and orientations: closed-form answers, all 48 orientations, oblique axes."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from planner.grid import Grid, Orientation

SHAPE = (4, 5, 6)
ORIENTATIONS = [Orientation(o, f) for o in permutations(range(3)) for f in product((False, True), repeat=3)]


def rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    axis = axis / np.linalg.norm(axis)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def oblique_grid(degrees: float) -> Grid:
    upright = Grid.from_spacing(SHAPE, (3.0, 1.0, 0.5), (-7.0, 11.0, 130.0))
    matrix = upright.lps_from_zyx.copy()
    matrix[:3, :3] = rotation(np.array([1.0, 2.0, 3.0]), degrees) @ matrix[:3, :3]
    return Grid(SHAPE, matrix)


def source_grid(canonical: Grid, orientation: Orientation) -> Grid:
    """Grid of ``orientation.undo(array)`` for an array on `canonical`, by mapping three voxels one by one."""
    index = np.stack(np.meshgrid(*map(np.arange, canonical.shape_zyx), indexing="ij"), axis=-1)
    source = np.stack([orientation.undo(index[..., i]) for i in range(3)], axis=-1)
    matrix = np.eye(4)
    matrix[:3, 3] = canonical.to_lps(source[0, 0, 0])
    for axis, neighbour in enumerate([(1, 0, 0), (0, 1, 0), (0, 0, 1)]):
        matrix[:3, axis] = canonical.to_lps(source[neighbour]) - matrix[:3, 3]
    return Grid(source.shape[:3], matrix)


def test_from_spacing_puts_left_on_the_last_axis():
    grid = Grid.from_spacing(SHAPE, (3.0, 1.0, 0.5), (10.0, 20.0, 30.0))
    assert grid.to_lps((1, 2, 4)).tolist() == [12.0, 22.0, 33.0]
    assert grid.spacing_zyx_mm.tolist() == [3.0, 1.0, 0.5]


@given(arrays(np.float64, (7, 3), elements=st.floats(-500, 500)), st.floats(-40, 40))
@settings(deadline=None, derandomize=True, max_examples=30)
def test_index_and_lps_are_inverse(points, degrees):
    grid = oblique_grid(degrees)
    assert np.allclose(grid.to_lps(grid.to_index(points)), points, atol=1e-9)


def test_crop_keeps_voxels_where_they_are():
    grid = oblique_grid(25.0)
    box = (slice(1, 3), slice(2, 5), slice(0, 4))
    cropped = grid.crop(box)
    assert cropped.shape_zyx == (2, 3, 4)
    assert np.allclose(cropped.to_lps((1, 2, 3)), grid.to_lps((2, 4, 3)))


def test_box_around_holds_the_points_and_the_margin():
    grid = Grid.from_spacing((50, 60, 70), (2.0, 1.0, 0.5))
    box = grid.box_around([[10.0, 20.0, 30.0], [12.0, 25.0, 40.0]], margin_mm=4.0)
    assert box == (slice(13, 23), slice(16, 30), slice(12, 33))


def test_box_around_is_clipped_to_the_grid():
    grid = Grid.from_spacing((50, 60, 70), 1.0)
    assert grid.box_around([[0.0, 0.0, 0.0]], margin_mm=3.0) == (slice(0, 4),) * 3


def test_box_outside_the_grid_is_an_error():
    with pytest.raises(ValueError, match="outside the grid"):
        Grid.from_spacing((5, 5, 5), 1.0).box_around([[100.0, 0.0, 0.0]], margin_mm=1.0)


def test_contains_counts_from_voxel_centres():
    grid = Grid.from_spacing((3, 3, 3), 2.0)
    points = [[0, 0, 0], [4, 4, 4], [4.1, 0, 0], [-0.1, 0, 0], [2, 2, 2]]
    assert grid.contains(points).tolist() == [True, True, False, False, True]
    assert grid.contains(points, margin_mm=1.0).tolist() == [False, False, False, False, True]


def test_resampled_covers_the_same_centres():
    grid = oblique_grid(10.0)
    fine = grid.resampled(0.5)
    assert fine.shape_zyx == (19, 9, 6)
    assert np.allclose(fine.to_lps((18, 8, 5)), grid.to_lps((3, 4, 5)))


def test_corners_are_the_outermost_voxel_centres():
    corners = Grid.from_spacing((2, 3, 4), 1.0).corners_lps()
    assert corners.min(axis=0).tolist() == [0, 0, 0]
    assert corners.max(axis=0).tolist() == [3, 2, 1]


def test_tilted_axes_are_not_orthogonal():
    matrix = Grid.from_spacing(SHAPE, 1.0).lps_from_zyx.copy()
    matrix[1, 0] = np.tan(np.radians(5.0))
    assert not Grid(SHAPE, matrix).is_orthogonal
    assert oblique_grid(30.0).is_orthogonal


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
@pytest.mark.parametrize("degrees", [0.0, 17.0])
def test_every_orientation_comes_back_to_one_canonical_grid(orientation, degrees):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    canonical = Orientation.to_canonical(oblique_grid(degrees)).apply_grid(oblique_grid(degrees))
    grid = source_grid(canonical, orientation)

    found = Orientation.to_canonical(grid)

    assert found.apply_grid(grid).lps_from_zyx.tobytes() == canonical.lps_from_zyx.tobytes()
    assert np.array_equal(found.apply(orientation.undo(array)), array)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_undo_is_the_inverse_of_apply(orientation):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    assert np.array_equal(orientation.undo(orientation.apply(array)), array)


def test_canonical_voxel_keeps_its_place_in_the_patient():
    grid = Grid.from_spacing(SHAPE, (3.0, 1.0, 0.5), (-7.0, 11.0, 130.0))
    matrix = grid.lps_from_zyx.copy()
    matrix[:3, 2] *= -1  # columns run to the patient's right
    flipped = Grid(SHAPE, matrix)
    orientation = Orientation.to_canonical(flipped)
    assert orientation.flipped == (False, False, True)
    assert np.allclose(orientation.apply_grid(flipped).to_lps((1, 2, 5)), flipped.to_lps((1, 2, 0)))


@pytest.mark.parametrize(
    "matrix",
    [np.eye(3), np.zeros((4, 4)), np.full((4, 4), np.nan)],
    ids=["3 x 3", "singular", "not a number"],
)
def test_impossible_matrices_are_refused(matrix):
    with pytest.raises(ValueError):
        Grid(SHAPE, matrix)


def test_empty_shape_is_refused():
    with pytest.raises(ValueError, match="positive"):
        Grid((0, 5, 5), np.eye(4))


def test_matrix_cannot_be_changed_afterwards():
    matrix = np.eye(4)
    grid = Grid(SHAPE, matrix)
    matrix[0, 3] = 99.0
    assert grid.origin_lps_mm[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        grid.lps_from_zyx[0, 3] = 5.0


def test_same_as_sees_a_shift_and_a_shape():
    grid = Grid.from_spacing(SHAPE, 1.0)
    assert grid.same_as(Grid.from_spacing(SHAPE, 1.0, (1e-5, 0, 0)))
    assert not grid.same_as(Grid.from_spacing(SHAPE, 1.0, (0.1, 0, 0)))
    assert not grid.same_as(Grid.from_spacing((4, 5, 7), 1.0))
