from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from sample_data.closed_forms import Points
from sample_data.signed_distance import DistanceField, sample_affine, surface_distance


@pytest.fixture(scope="module")
def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=4, radius=12.0)


@pytest.fixture(scope="module")
def field(ball: trimesh.Trimesh) -> DistanceField:
    return surface_distance(np.asarray(ball.vertices), np.asarray(ball.faces, np.int32), 1.0, 10.0)


def nodes(field: DistanceField) -> np.ndarray:
    index = np.moveaxis(np.indices(field.values_mm.shape), 0, -1)[..., ::-1]
    return index * field.spacing_mm + field.origin_mm


def test_the_distance_to_a_ball_is_exact_near_it_and_close_beyond(field: DistanceField) -> None:
    truth = np.linalg.norm(nodes(field), axis=-1) - 12.0
    error = np.abs(field.values_mm - truth)
    assert error[np.abs(truth) < 4.4].max() < 0.05
    assert error.max() < 1.1


def test_inside_is_negative(field: DistanceField) -> None:
    inside = np.linalg.norm(nodes(field), axis=-1) < 11.9
    assert (field.values_mm[inside] < 0).all()
    assert (field.values_mm[np.linalg.norm(nodes(field), axis=-1) > 12.1] > 0).all()


@settings(deadline=None, max_examples=8, derandomize=True)
@given(st.integers(0, 2**16))
def test_it_agrees_with_the_closest_point_on_any_tetrahedron(seed: int) -> None:
    vertices = np.random.default_rng(seed).uniform(-8, 8, (4, 3))
    solid = trimesh.Trimesh(vertices, [[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    field = surface_distance(vertices, np.asarray(solid.faces, np.int32), 2.0, 4.0)
    places = nodes(field).reshape(-1, 3)
    _, distance, _ = trimesh.proximity.closest_point_naive(solid, places)
    near = distance < 4.4
    assert np.abs(np.abs(field.values_mm.ravel()) - distance)[near].max() < 1e-3
    # inside: on the same side of every face as the opposite vertex
    weights = np.linalg.solve(np.vstack([vertices.T, np.ones(4)]), np.vstack([places.T, np.ones(len(places))]))
    sure = near & (distance > 1e-3)
    assert ((field.values_mm.ravel() < 0) == (weights.min(axis=0) > 0))[sure].all()


def test_two_shells_one_in_the_other_count_as_solid(ball: trimesh.Trimesh) -> None:
    inner = ball.copy()
    inner.apply_scale(0.5)
    both = trimesh.util.concatenate([ball, inner])
    field = surface_distance(np.asarray(both.vertices), np.asarray(both.faces, np.int32), 2.0, 4.0)
    middle = np.linalg.norm(nodes(field), axis=-1) < 11
    assert (field.values_mm[middle] <= 0).all()


def test_reading_between_nodes_is_trilinear_and_clamped_outside() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    field = DistanceField(values, np.array([10.0, 20.0, 30.0]), 2.0)
    places = [(10, 20, 30), (11, 20, 30), (10, 21, 30), (10, 20, 31), (-99, 20, 30)]
    assert field.at_points(Points.of(places)) == pytest.approx([0, 0.5, 2, 6, 0], abs=0.02)


def test_a_whole_grid_reads_like_its_points(field: DistanceField) -> None:
    matrix = np.array([[0.3, 0.1, 1.1, -9], [0.2, 1.3, 0.0, -8], [1.7, -0.2, 0.1, -7], [0, 0, 0, 1.0]])
    shape = (7, 9, 11)
    grid = sample_affine(field, matrix, shape)
    assert grid == pytest.approx(field.at_points(Points.of_grid(matrix, shape)), abs=1e-3)


def test_nodes_that_are_not_asked_for_stay_zero(field: DistanceField) -> None:
    matrix = np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]]
    where = np.zeros((3, 3, 3), bool)
    where[1, 1, 1] = True
    part = sample_affine(field, matrix, (3, 3, 3), where)
    assert np.count_nonzero(part) == 1
    assert part[1, 1, 1] == sample_affine(field, matrix, (3, 3, 3))[1, 1, 1]
