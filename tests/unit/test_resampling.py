"""Resampling along the grid's own axes, against smooth fields and the general resampler of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from planner.grid import Grid
from planner.resampling import nearest_on, resampled_on


def grid_of(spacing: tuple[float, float, float], extent_mm: float = 36.0) -> Grid:
    shape = tuple(int(extent_mm / s) + 1 for s in spacing)
    return Grid.from_spacing((shape[0], shape[1], shape[2]), np.array(spacing), np.zeros(3))


def wave(grid: Grid) -> np.ndarray:
    x, y, z = np.moveaxis(grid.to_lps(np.indices(grid.shape_zyx).reshape(3, -1).T), 1, 0)
    return (np.sin(z / 7) + np.cos(y / 9) + np.sin(x / 8)).reshape(grid.shape_zyx).astype(np.float32)


@pytest.mark.parametrize(
    ("spacing", "limit"),
    [((1.0, 0.8, 0.8), 0.01), ((3.0, 0.8, 0.8), 0.03), ((0.5, 1.5, 1.0), 0.02), ((5.0, 1.0, 1.0), 0.08)],
)
def test_a_smooth_field_stays_what_it_is(spacing, limit):
    grid = grid_of(spacing)
    fine = grid.resampled(1.0)
    away = np.abs(resampled_on(wave(grid), grid, fine) - wave(fine))
    assert away[6:-6].max() < limit  # a spline ends level, the wave does not
    assert away.max() < 0.25


def test_thick_slices_follow_a_curve_that_straight_lines_cut():
    grid = grid_of((4.0, 1.0, 1.0))
    fine = grid.resampled(1.0)
    field = wave(grid)
    scale = fine.spacing_zyx_mm / grid.spacing_zyx_mm
    straight = ndi.affine_transform(field, scale, output_shape=fine.shape_zyx, order=1, mode="nearest")
    inner = np.s_[12:-12]  # a spline ends level, the wave does not
    ours = np.abs(resampled_on(field, grid, fine) - wave(fine))[inner].max()
    assert ours < 0.3 * np.abs(straight - wave(fine))[inner].max()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    spacing=st.tuples(*[st.floats(0.55, 1.9)] * 3),
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    seed=st.integers(0, 99),
)
def test_straight_lines_agree_with_scipy(spacing, shape, seed):
    grid = Grid.from_spacing(shape, np.array(spacing), np.zeros(3))
    fine = grid.resampled(1.0)
    field = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    scale = fine.spacing_zyx_mm / grid.spacing_zyx_mm
    expected = ndi.affine_transform(field, scale, output_shape=fine.shape_zyx, order=1, mode="nearest")
    np.testing.assert_allclose(resampled_on(field, grid, fine), expected, atol=1e-5)


def test_one_spacing_is_a_copy():
    grid = grid_of((1.0, 1.0, 1.0), 5.0)
    field = wave(grid)
    np.testing.assert_array_equal(resampled_on(field, grid, grid.resampled(1.0)), field)


def test_nearest_takes_the_nearest_voxel_and_nothing_beyond():
    grid, other = grid_of((1.0, 1.0, 1.0), 3.0), Grid.from_spacing((3, 1, 2), np.array([1.4, 1.0, 3.0]), np.zeros(3))
    values = np.arange(1, 65, dtype=np.uint8).reshape(4, 4, 4)
    got = nearest_on(values, grid, other)
    np.testing.assert_array_equal(got[:, 0], values[[0, 1, 3], 0][:, [0, 3]])
    beyond = Grid.from_spacing((6, 1, 1), np.ones(3), np.zeros(3))
    np.testing.assert_array_equal(nearest_on(values, grid, beyond)[:, 0, 0], [1, 17, 33, 49, 0, 0])


def test_nearest_undoes_a_finer_grid():
    grid = grid_of((1.3, 0.9, 0.7), 12.0)
    values = np.random.default_rng(3).integers(0, 9, grid.shape_zyx).astype(np.uint8)
    fine = grid.resampled(0.1)
    np.testing.assert_array_equal(nearest_on(nearest_on(values, grid, fine), fine, grid), values)
