"""The few points that can be nearest give what all points give, but for the last bits of a sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sacroplan.nearby import Nearby
from planner.trajectory.exact import Cylinder, clearance_to
from planner.trajectory.region import Structure


def structure(seed, count):
    rng = np.random.default_rng(seed)
    return Structure(np.round(rng.normal(0, 25, (count, 3)) / 0.8) * 0.8, 0.4, 0.7)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.sampled_from([1, 2, 50, 4000]))
def test_same_distance_and_witness_as_the_whole(seed, count):
    whole, rng = structure(seed, count), np.random.default_rng(seed + 1)
    entry = rng.normal(0, 30, 3)
    direction = rng.normal(0, 1, 3)
    implant = Cylinder(entry, entry + 20 * direction / np.linalg.norm(direction), 4.0)
    few = Nearby.of(whole).to(implant)
    slow, fast = clearance_to(implant, whole, 1.0), clearance_to(implant, few, 1.0)
    assert (fast.mm, fast.proven_mm) == pytest.approx((slow.mm, slow.proven_mm), abs=1e-9)
    assert implant.distance(fast.at_lps[None])[0] == pytest.approx(implant.distance(slow.at_lps[None])[0], abs=1e-9)


def test_far_points_are_left_out():
    whole = structure(3, 4000)
    implant = Cylinder(np.array([60.0, 0, 0]), np.array([80.0, 0, 0]), 4.0)
    assert len(Nearby.of(whole).to(implant).points_lps) < 400


def test_nothing_is_near_nothing():
    nothing = Structure(np.zeros((0, 3)), 0.5, 0.8)
    implant = Cylinder(np.zeros(3), np.array([0, 0, 20.0]), 4.0)
    assert clearance_to(implant, Nearby.of(nothing).to(implant)) is None
