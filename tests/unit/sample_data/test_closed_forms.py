from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.grid import Grid
from sample_data.closed_forms import Points, Sweep, capsules, coverage, ellipsoid, smooth_union

CHEAP = settings(deadline=None, max_examples=25, derandomize=True)
coordinate = st.floats(-50, 50, width=32)
point = st.tuples(coordinate, coordinate, coordinate)


def one(place: tuple[float, float, float]) -> Points:
    return Points.of([place])


@CHEAP
@given(point, st.floats(0.5, 20))
def test_a_capsule_of_no_length_is_a_ball(place: tuple[float, float, float], radius: float) -> None:
    row = (1.0, -2.0, 3.0, 1.0, -2.0, 3.0, radius, radius)
    expected = np.linalg.norm(np.subtract(place, (1.0, -2.0, 3.0))) - radius
    assert capsules(one(place), row)[0] == pytest.approx(expected, abs=1e-4)


@CHEAP
@given(point)
def test_a_capsule_is_the_union_of_balls_along_its_axis(place: tuple[float, float, float]) -> None:
    row = np.array([-20.0, 5.0, 0.0, 25.0, -10.0, 30.0, 3.0, 3.0])
    share = np.linspace(0, 1, 4001)[:, None]
    balls = np.linalg.norm(row[:3] + share * (row[3:6] - row[:3]) - np.array(place), axis=1) - 3.0
    assert capsules(one(place), row)[0] == pytest.approx(balls.min(), abs=0.02)


@CHEAP
@given(point)
def test_several_capsules_are_their_union(place: tuple[float, float, float]) -> None:
    rows = [(0, 0, 0, 10, 0, 0, 2, 4), (5, 5, 5, 5, 5, -9, 3, 1)]
    each = min(capsules(one(place), row)[0] for row in rows)
    assert capsules(one(place), rows)[0] == each


def test_a_tapered_capsule_has_its_radii_at_its_ends() -> None:
    row = (0, 0, 0, 10, 0, 0, 2, 4)
    assert capsules(Points.of([(0, 2, 0), (10, 0, 4), (5, 3, 0)]), row) == pytest.approx(0, abs=1e-6)


def test_an_ellipsoid_is_zero_on_its_surface_and_close_to_the_distance_near_it() -> None:
    angles = np.random.default_rng(0).normal(size=(50, 3))
    unit = angles / np.linalg.norm(angles, axis=1, keepdims=True)
    centre, radii = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 15.0])
    surface = centre + unit * radii
    normal = unit / radii
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    assert np.abs(ellipsoid(Points.of(surface), centre, radii)).max() < 1e-4
    assert ellipsoid(Points.of(surface + 0.5 * normal), centre, radii) == pytest.approx(0.5, abs=0.05)
    assert ellipsoid(Points.of(surface - 0.5 * normal), centre, radii) == pytest.approx(-0.5, abs=0.05)


def test_a_straight_sweep_is_a_stadium() -> None:
    sweep = Sweep(np.array([(0, 50), (0, -50)], float), np.array([10.0, 10.0]), np.array([4.0, 4.0]))
    on_it = Points.of([(10, 0, 0), (0, 4, 7), (6, -4, 3), (-10, 0, 20)])
    assert sweep.distance(on_it) == pytest.approx(0, abs=1e-5)
    assert sweep.distance(one((13, 0, 0)))[0] == pytest.approx(3)
    assert sweep.distance(one((0, 1, 0)))[0] == pytest.approx(-3)


@CHEAP
@given(st.floats(-20, 20, width=32), st.floats(-20, 20, width=32))
def test_a_smooth_union_only_adds_and_only_near_the_seam(a: float, b: float) -> None:
    joined = smooth_union(np.float32([a]), np.float32([b]), 4.0)[0]
    assert min(a, b) - 1.0 - 1e-5 <= joined <= min(a, b)
    if abs(a - b) > 4.0:
        assert joined == np.float32(min(a, b))


def test_coverage_is_the_filled_share_of_a_voxel_cut_by_a_plane() -> None:
    distance = np.float32([-2, -0.5, -0.25, 0, 0.25, 0.5, 2])
    assert coverage(distance, 1.0) == pytest.approx([1, 1, 0.75, 0.5, 0.25, 0, 0])
    assert coverage(distance * 3, 3.0) == pytest.approx(coverage(distance, 1.0))


def test_points_of_a_grid_are_the_grids_own() -> None:
    matrix = np.array([[0.1, 0.2, 0.9, 5], [0.1, 1.1, -0.2, -7], [1.5, 0.1, 0.3, 11], [0, 0, 0, 1.0]])
    grid = Grid((3, 4, 5), matrix)
    points = Points.of_grid(matrix, grid.shape_zyx)
    index = np.moveaxis(np.indices(grid.shape_zyx), 0, -1)
    found = np.stack([points.x, points.y, points.z], axis=-1)
    assert found == pytest.approx(grid.to_lps(index), abs=1e-4)


def test_mirroring_turns_the_right_side_into_the_left() -> None:
    p = Points.of([(-3, 1, 2)])
    assert p.mirrored(-1).x[0] == 3
    assert p.mirrored(1) is p
