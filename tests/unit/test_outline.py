"""The outline that an implant is drawn with: round, or as its section lies."""

from __future__ import annotations

import numpy as np
import pytest

from planner.outline import ROUND_SIDES, implant_rim

WAY = np.array([2.0, -6.0, 3.0]) / 7
ALONG = np.array([3.0, 2.0, 2.0]) / np.sqrt(17)
OUT = np.cross(WAY, ALONG) / np.linalg.norm(np.cross(WAY, ALONG))


def turns(rim: np.ndarray) -> np.ndarray:
    """Each corner's turn to the next about the way of insertion."""
    return np.cross(rim, np.roll(rim, -1, axis=0)) @ WAY


def test_a_round_implant_has_a_circle_across_its_axis():
    rim = implant_rim(WAY, 9.0)
    assert rim.shape == (ROUND_SIDES, 3)
    assert np.linalg.norm(rim, axis=1) == pytest.approx(4.5)
    assert rim @ WAY == pytest.approx(0, abs=1e-12)
    assert (turns(rim) > 0).all()


@pytest.mark.parametrize("order", [1, -1])
def test_corners_run_counter_clockwise_whichever_way_they_are_given(order):
    away = ALONG - (ALONG @ WAY) * WAY
    corners = np.array([[4.0, 2], [-4, 2], [-4, -2], [4, -2]])[::order] @ np.stack([away, OUT])
    rim = implant_rim(WAY, 8.0, corners)
    assert (turns(rim) > 0).all()
    assert {tuple(corner) for corner in rim} == {tuple(corner) for corner in corners}
