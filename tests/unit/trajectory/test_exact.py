"""Closed-form distances to a cylinder against dense samples of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.trajectory.exact import Cylinder, clearance_to, clearance_to_point
from planner.trajectory.region import Structure
from planner.verify.image import surface_of_cylinder

UPRIGHT = Cylinder(np.zeros(3), np.array([0.0, 0.0, 20.0]), 4.0)

coordinate = st.floats(-30, 30, allow_nan=False).map(lambda value: round(value, 3))
points = st.tuples(coordinate, coordinate, coordinate).map(np.array)


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((0, 0, 10), 0.0),
        ((4, 0, 10), 0.0),
        ((7, 0, 10), 3.0),
        ((0, 0, 25), 5.0),
        ((3, 0, -2), 2.0),
        ((7, 0, 24), 5.0),
        ((0, -8, -3), 5.0),
    ],
)
def test_distance_beside_beyond_and_off_the_rim(point: tuple[float, ...], distance: float) -> None:
    assert UPRIGHT.distance(np.array([point], float))[0] == pytest.approx(distance)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(entry=points, tip=points, point=points, radius=st.floats(2, 8))
def test_distance_is_that_to_the_nearest_dense_sample(
    entry: np.ndarray, tip: np.ndarray, point: np.ndarray, radius: float
) -> None:
    if np.linalg.norm(tip - entry) < 5:
        tip = entry + np.array([0.0, 8.0, 6.0])
    cylinder = Cylinder(entry, tip, radius)
    distance = cylinder.distance(point[None])[0]
    if distance == 0:
        return
    sampled = np.linalg.norm(surface_of_cylinder(entry, tip, radius, step_mm=0.5) - point, axis=1).min()
    assert distance - 1e-9 <= sampled <= distance + 0.35  # half the diagonal of the samples' cells


def test_clearance_names_its_terms_and_its_witness() -> None:
    structure = Structure(np.array([[9.0, 0, 10], [50, 0, 0]]), half_voxel_mm=0.5, half_diagonal_mm=0.9)
    clearance = clearance_to(UPRIGHT, structure, margin_mm=1.0)
    assert clearance is not None
    assert clearance.mm == pytest.approx(5 - 0.5)
    assert clearance.proven_mm == pytest.approx(5 - 0.9 - 1.0)
    assert clearance.at_lps == pytest.approx([9, 0, 10])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cloud=st.lists(points, min_size=1, max_size=30), entry=points, radius=st.floats(2, 8))
def test_the_nearest_of_many_points_is_never_passed_over(
    cloud: list[np.ndarray], entry: np.ndarray, radius: float
) -> None:
    cylinder = Cylinder(entry, entry + np.array([6.0, 8.0, 0.0]), radius)
    places = np.array(cloud)
    clearance = clearance_to(cylinder, Structure(places, half_voxel_mm=0.0, half_diagonal_mm=0.0))
    assert clearance is not None
    assert clearance.mm == pytest.approx(cylinder.distance(places).min(), abs=1e-12)  # sums differ in their last bit


def test_a_structure_without_voxels_has_no_clearance() -> None:
    assert clearance_to(UPRIGHT, Structure(np.zeros((0, 3)), 0.5, 0.9)) is None


def test_a_landmark_has_no_voxels_to_take_off() -> None:
    clearance = clearance_to_point(UPRIGHT, np.array([0.0, 0, 32]))
    assert clearance.mm == clearance.proven_mm == pytest.approx(12)
