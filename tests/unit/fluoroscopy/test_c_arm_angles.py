"""Angles and directions: round trips, and what each sign means for a patient who lies prone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from planner.fluoroscopy.angles import Angles, angles_of, detector_axes
from planner.segmentation.model import PelvicFrame
from planner.trajectory.approach import c_arm_down

UPRIGHT = PelvicFrame(np.eye(4))
LEFT, POSTERIOR, CRANIAL = np.eye(3)


def turned(x_deg: float, y_deg: float, z_deg: float) -> PelvicFrame:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [x_deg, y_deg, z_deg], degrees=True).as_matrix()
    matrix[:3, 3] = 10.0, -20.0, 30.0
    return PelvicFrame(matrix)


@given(orbital=st.floats(-179, 179), tilt=st.floats(-85, 85), turn=st.tuples(*[st.floats(-60, 60)] * 3))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_angles_survive_the_way_to_a_direction_and_back(
    orbital: float, tilt: float, turn: tuple[float, float, float]
) -> None:
    frame = turned(*turn)
    assert angles_of(detector_axes(Angles(orbital, tilt), frame)[2], frame) == pytest.approx((orbital, tilt), abs=1e-6)


@given(orbital=st.floats(-179, 179), tilt=st.floats(-89, 89))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_a_pictures_axes_are_right_handed_and_its_up_points_to_the_head(orbital: float, tilt: float) -> None:
    right, up, ray = detector_axes(Angles(orbital, tilt), UPRIGHT)
    np.testing.assert_allclose(np.stack([right, up, ray]) @ np.stack([right, up, ray]).T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(right, up), ray, atol=1e-12)
    assert up[2] > 0
    assert right[2] == pytest.approx(0.0, abs=1e-12)  # the horizon stays level


@pytest.mark.parametrize(
    ("angles", "detector", "right"),
    [
        ((0, 0), POSTERIOR, -LEFT),
        ((90, 0), LEFT, POSTERIOR),
        ((-90, 0), -LEFT, -POSTERIOR),
        ((0, 45), (POSTERIOR + CRANIAL) / np.sqrt(2), -LEFT),
        ((0, -45), (POSTERIOR - CRANIAL) / np.sqrt(2), -LEFT),
        ((45, 0), (POSTERIOR + LEFT) / np.sqrt(2), (POSTERIOR - LEFT) / np.sqrt(2)),
    ],
)
def test_the_detector_goes_where_the_convention_says(
    angles: tuple[float, float], detector: np.ndarray, right: np.ndarray
) -> None:
    axes = detector_axes(Angles(*angles), UPRIGHT)
    np.testing.assert_allclose(axes[2], detector, atol=1e-12)
    np.testing.assert_allclose(axes[0], right, atol=1e-12)


def test_the_planners_own_view_down_the_implant_follows_the_same_convention() -> None:
    frame = turned(10, -5, 20)
    direction = np.array([0.4, -0.8, 0.3]) / np.linalg.norm([0.4, -0.8, 0.3])
    assert angles_of(-direction, frame) == pytest.approx(c_arm_down(direction, frame), abs=1e-9)
