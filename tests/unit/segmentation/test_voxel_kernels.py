from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from planner.grid import Grid
from planner.segmentation.carving import carve
from planner.segmentation.config import SegmentationConfig
from planner.segmentation.flood import flood
from planner.segmentation.neighbours import robust_sphere, sphere_directions
from planner.segmentation.rasterise import fill_surface

GRID = Grid.from_spacing((30, 30, 30), 1.0)
NOWHERE = np.zeros(GRID.shape_zyx, bool)


def ball_surface(centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    points = centre + radius * sphere_directions(2000)
    faces = ConvexHull(points).simplices
    a, b, c = (points[faces[:, i]] for i in range(3))
    inward = (np.cross(b - a, c - a) * (a - centre)).sum(axis=1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return points, faces.astype(np.int32)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.tuples(*[st.floats(12.0, 17.0)] * 3), st.floats(4.0, 9.0))
def test_fill_matches_the_sphere_it_was_made_from(centre: tuple[float, ...], radius: float) -> None:
    points, faces = ball_surface(np.array(centre), radius)
    inside, box = fill_surface(points, faces, GRID)
    full = np.zeros(GRID.shape_zyx, bool)
    full[box] = inside
    index = np.stack(np.indices(GRID.shape_zyx), axis=-1)
    away = np.linalg.norm(GRID.to_lps(index) - centre, axis=-1)
    assert full[away < radius - 0.1].all()
    assert not full[away > radius].any()


def test_fill_on_a_flipped_grid_is_the_flipped_fill() -> None:
    points, faces = ball_surface(np.array([14.2, 15.1, 13.7]), 7.3)
    matrix = GRID.lps_from_zyx.copy()
    matrix[:3, 2] *= -1
    matrix[0, 3] = 29.0
    one, box = fill_surface(points, faces, GRID)
    other, flipped = fill_surface(points, faces, Grid(GRID.shape_zyx, matrix))
    full, turned = np.zeros(GRID.shape_zyx, bool), np.zeros(GRID.shape_zyx, bool)
    full[box], turned[flipped] = one, other
    np.testing.assert_array_equal(full, turned[..., ::-1])


def test_fill_is_clipped_to_the_grid() -> None:
    inside, box = fill_surface(*ball_surface(np.array([0.0, 15.0, 15.0]), 8.0), GRID)
    assert box[2].start == 0
    assert inside[:, :, 0].any()


def test_flood_meets_in_the_dark_valley() -> None:
    hu = np.full((3, 3, 21), 800, np.int16)
    hu[..., 13] = 300
    labels = np.zeros(hu.shape, np.uint8)
    labels[..., 0], labels[..., 20] = 1, 2
    grown = flood(hu, labels, hu > 200, (200.0, 1200.0))
    assert (grown[..., :13] == 1).all()
    assert (grown[..., 14:] == 2).all()


def test_flood_stays_in_the_mask_and_is_repeatable() -> None:
    rng = np.random.default_rng(3)
    hu = rng.integers(0, 1000, (12, 12, 12)).astype(np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    labels[0, 0, 0], labels[11, 11, 11] = 1, 2
    mask = hu > 250
    first = flood(hu, labels, mask, (250.0, 1000.0))
    assert not first[~mask & (labels == 0)].any()
    np.testing.assert_array_equal(first, flood(hu, labels, mask, (250.0, 1000.0)))


@pytest.mark.parametrize(("label", "depth"), [(1, 2), (2, 9)])
def test_carve_goes_deep_only_in_hip_bones(label: int, depth: int) -> None:
    hu = np.full(GRID.shape_zyx, 250, np.int16)
    hu[:, 5:15, 5:15] = 40
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[10:] = label
    hu[:10] = 40
    carved = carve(hu, labels, NOWHERE, GRID, SegmentationConfig(carve_mm=1.5, deep_mm=8.5))
    middle = carved[10:, 10, 10]
    assert not middle[:depth].any()
    assert (middle[depth:] == label).all()
    assert (carved[10:, 20:, 20:] == label).all()


@pytest.mark.parametrize(("cortex_hu", "depth"), [(300, 2), (40, 9)], ids=["porotic", "no bone there"])
def test_carve_does_not_go_deep_in_a_porotic_hip_bone(cortex_hu: int, depth: int) -> None:
    hu = np.full(GRID.shape_zyx, 40, np.int16)
    hu[:, :, 20:] = cortex_hu
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[10:] = 2
    joints = NOWHERE.copy()
    joints[:, :15] = True
    config = SegmentationConfig(carve_mm=1.5, deep_mm=8.5)
    carved = carve(hu, labels, joints, GRID, config)
    assert not carved[10 : 10 + depth, 20:, :10].any()
    assert (carved[10 + depth :, 20:, :10] == 2).all()
    assert (carved[10:, :13, :10] == 2).all() == (depth == 2)


def test_carve_leaves_marrow_behind_cortex_and_behind_a_pinhole() -> None:
    hu = np.full(GRID.shape_zyx, 40, np.int16)
    hu[10:12] = 700
    hu[10:12, 15, 15] = 40
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[10:] = 2
    carved = carve(hu, labels, NOWHERE, GRID, SegmentationConfig(carve_mm=2.0))
    assert (carved[15:] == 2).all()
    assert (carved[10:12][hu[10:12] > 100] == 2).all()


def test_robust_sphere_ignores_outliers() -> None:
    centre = np.array([5.0, -3.0, 12.0])
    points = centre + 23.0 * sphere_directions(300)
    points[::8] = centre + 1.3 * (points[::8] - centre)
    found, radius = robust_sphere(points)
    np.testing.assert_allclose(found, centre, atol=0.2)
    assert radius == pytest.approx(23.0, abs=0.2)
