"""Distances within a reach against those of edt, which knows no reach."""

from __future__ import annotations

import edt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.distance import distance_within


def true_distance(mask: np.ndarray, spacing: np.ndarray, reach: float) -> np.ndarray:
    if not mask.any():
        return np.full(mask.shape, reach)
    return np.minimum(edt.edt(np.ascontiguousarray(~mask), anisotropy=tuple(spacing), black_border=False), reach)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12)),
    spacing=st.tuples(st.floats(0.4, 3), st.floats(0.4, 3), st.floats(0.4, 3)),
    share=st.sampled_from([0.0, 0.01, 0.2, 0.9, 1.0]),
    reach=st.floats(0.3, 9),
)
def test_distances_are_those_of_edt_cut_off_at_the_reach(
    seed: int, shape: tuple[int, int, int], spacing: tuple[float, float, float], share: float, reach: float
) -> None:
    mask = np.random.default_rng(seed).random(shape) < share
    found = distance_within(mask, np.array(spacing), reach)
    assert found.dtype == np.float32
    assert found == pytest.approx(true_distance(mask, np.array(spacing), reach), abs=1e-4)


def test_a_view_of_a_larger_array_is_measured_as_its_copy() -> None:
    mask = np.random.default_rng(1).random((9, 12, 15)) < 0.05
    view = mask[1:8, ::2, ::-1]
    spacing = np.array([1.0, 0.8, 0.9])
    assert (distance_within(view, spacing, 6.0) == distance_within(view.copy(), spacing, 6.0)).all()
