"""Joint and recess told apart by the fitted shape."""

from __future__ import annotations

import numpy as np
import pytest

from planner.joint.recess import usually_apart_mm
from planner.labels import Side
from planner.segmentation.model import ShapeFit
from planner.segmentation.shape_model import load_shape_model


def fitted(shift_mm=(0.0, 0.0, 0.0)):
    model = load_shape_model()
    vertices = model.split(model.mean + np.array(shift_mm))
    return ShapeFit(vertices, {}, np.eye(4), np.zeros(0), 0.0, {})


def between(side):
    """Points midway between the auricular faces of the mean, and at the iliac spine behind them."""
    model = load_shape_model()
    joint = model.mean[model.regions[f"{side}_auricular_sacrum"]]
    return joint, model.landmarks_on(model.mean)[f"{side}_psis"][None]


@pytest.mark.parametrize("side", list(Side))
def test_bones_are_near_in_the_joint_and_apart_behind_it(side):
    joint, spine = between(side)
    assert np.percentile(usually_apart_mm(joint, fitted(), side), 90) < 5.0
    assert usually_apart_mm(spine, fitted(), side)[0] > 8.0


def test_place_is_that_of_the_patient_not_of_the_mean():
    joint, _ = between(Side.LEFT)
    shift = np.array([12.0, -30.0, 7.0])
    moved = usually_apart_mm(joint + shift, fitted(shift), Side.LEFT)
    np.testing.assert_allclose(moved, usually_apart_mm(joint, fitted(), Side.LEFT))


def test_without_a_fitted_shape_nothing_is_known():
    assert usually_apart_mm(np.zeros((3, 3)), ShapeFit({}, {}, np.eye(4), np.zeros(0), 0.0, {}), Side.LEFT) is None
    other = ShapeFit({"sacrum": np.zeros((5, 3)), "left_hip": np.zeros((5, 3))}, {}, np.eye(4), np.zeros(0), 0.0, {})
    assert usually_apart_mm(np.zeros((3, 3)), other, Side.LEFT) is None
