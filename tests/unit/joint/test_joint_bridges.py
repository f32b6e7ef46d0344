"""Bridges of bone, where an open joint might pass for one and the other way round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage as ndi

from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.model import Third
from planner.labels import Side
from planner.segmentation.model import ShapeFit
from planner.segmentation.shape_model import load_shape_model
from planner.volume import Volume

CONFIG = JointConfig()
CORTEX_MM = 2.0


def made(plates, bridge_mm=0.0, marrow_hu=210.0, bridge_hu=320.0, noise_hu=20.0, cortex_hu=900.0, gap_mm=2.0):
    """Plates with cortex and marrow of their own, and a ball of bone that takes up the joint and its cortices."""
    volume, bones = plates(gap_mm, 0.0)
    at = volume.grid.to_lps(np.moveaxis(np.indices(volume.hu.shape), 0, -1))
    away = np.abs(at[..., 0])
    hu = np.where(away < gap_mm / 2 + CORTEX_MM, cortex_hu, marrow_hu)
    hu = np.where(away < gap_mm / 2, 60.0, hu)
    ball = np.linalg.norm(at, axis=-1) < bridge_mm
    hu = np.where(ball & (away < gap_mm / 2 + CORTEX_MM), bridge_hu, hu)
    inside = (np.abs(at[..., 2]) < 25) & (np.abs(at[..., 1]) < 20) & (away < 12)
    hu = ndi.gaussian_filter(np.where(inside, hu, 40.0), 0.6)
    hu += np.random.default_rng(1).normal(0, noise_hu, hu.shape)
    return Volume(hu.astype(np.int16), volume.grid), bones


def bridge_of(volume, bones):
    found = extract_joint(volume, bones, Side.LEFT, CONFIG).findings
    return [f.message for f in found if f.code == "ankylosis"]


@pytest.mark.parametrize("marrow_hu", [80.0, 210.0, 300.0])
def test_bridge_is_found_whatever_the_marrow(make_plates, marrow_hu):
    (message,) = bridge_of(*made(make_plates, 9.0, marrow_hu))
    assert Third.MIDDLE.name.lower() in message
    area = float(message.split("mm2")[0].split()[-1])
    assert 0.5 < area / (np.pi * 9.0**2) < 1.4


@pytest.mark.parametrize("marrow_hu", [80.0, 210.0, 300.0])
@pytest.mark.parametrize("gap_mm", [1.2, 2.0, 4.0])
def test_open_joint_is_no_bridge(make_plates, marrow_hu, gap_mm):
    assert bridge_of(*made(make_plates, 0.0, marrow_hu, noise_hu=50.0, gap_mm=gap_mm)) == []


def test_soft_bone_is_no_bridge(make_plates):
    assert bridge_of(*made(make_plates, 0.0, 60.0, cortex_hu=500.0)) == []


def test_small_bridge_is_not_told(make_plates):
    assert bridge_of(*made(make_plates, 3.5)) == []


def test_joint_that_is_fused_all_over_is_told(make_plates):
    (message,) = bridge_of(*made(make_plates, 60.0))
    assert float(message.split("mm2")[0].split()[-1]) > 1000


def test_bone_on_one_side_alone_is_no_bridge(make_plates):
    """The sacrum's label runs on where there is no sacrum: the sheet lies on the ilium."""
    volume, bones = made(make_plates)
    at = volume.grid.to_lps(np.moveaxis(np.indices(volume.hu.shape), 0, -1))
    missing = (at[..., 0] < 1.0) & (at[..., 2] < 0)
    assert bridge_of(Volume(np.where(missing, np.int16(40), volume.hu), volume.grid), bones) == []


@pytest.mark.parametrize(("place", "told"), [("joint", 1), ("spine", 0)])
def test_bones_that_meet_where_they_usually_lie_apart_are_no_bridge(make_plates, place, told):
    """The shape is laid so that the ball of bone is in the middle of the joint, or at the iliac spine behind it."""
    volume, bones = made(make_plates, 9.0)
    model = load_shape_model()
    joint = model.mean[model.regions["left_auricular_sacrum"]].mean(axis=0)
    spine = model.landmarks_on(model.mean)["left_psis"]
    vertices = model.split(model.mean - {"joint": joint, "spine": spine}[place])
    fitted = replace(bones, fit=ShapeFit(vertices, {}, np.eye(4), np.zeros(0), 0.0, {}))
    assert len(bridge_of(volume, fitted)) == told
