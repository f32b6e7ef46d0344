"""The joint of two plates, whose mid-surface and gap are known."""

from __future__ import annotations

import numpy as np
import pytest

from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.model import Third, Zone
from planner.labels import Label, Side

LABELS_ONLY = JointConfig(use_profiles=False)


def across(points, side, tilt_deg):
    angle = np.radians(tilt_deg)
    return points @ np.array([np.cos(angle) * side.lateral_x, np.sin(angle), 0.0])


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(("gap_mm", "tilt_deg"), [(1.5, 0.0), (2.0, 20.0), (3.0, 37.0)])
def test_mid_surface_lies_between_the_plates(make_plates, joint_of, side, gap_mm, tilt_deg):
    volume, bones = make_plates(gap_mm, tilt_deg, side)
    joint = joint_of(volume, bones, side, LABELS_ONLY)
    articular = joint.zone == Zone.ARTICULAR
    inner = articular & (np.abs(joint.vertices_lps[:, 2]) < 20) & (np.abs(joint.vertices_lps[:, 1]) < 15)
    off = np.abs(across(joint.vertices_lps[inner], side, tilt_deg))
    assert off.mean() < 0.25
    assert np.percentile(off, 95) < 0.5
    assert abs(joint.gap_mm[inner].mean() - gap_mm) <= 0.5
    assert 0.8 * 40 * 50 < joint.articular_area_mm2 < 1.35 * 40 * 50


def test_sheet_covers_the_plates(make_plates, joint_of):
    volume, bones = make_plates()
    joint = joint_of(volume, bones, Side.LEFT, LABELS_ONLY)
    assert joint.vertices_lps[:, 2].min() < -24
    assert joint.vertices_lps[:, 2].max() > 24


def test_normals_point_to_the_hip(make_plates, joint_of):
    for side in Side:
        volume, bones = make_plates(side=side)
        joint = joint_of(volume, bones, side, LABELS_ONLY)
        a, b, c = (joint.vertices_lps[joint.faces[:, i]] for i in range(3))
        assert (np.cross(b - a, c - a)[:, 0].sum()) * side.lateral_x > 0


def test_thirds_are_equal_slabs_superior_on_top(make_plates, joint_of):
    volume, bones = make_plates()
    joint = joint_of(volume, bones, Side.LEFT, LABELS_ONLY)
    assert joint.thirds.known
    assert np.ptp(np.diff(joint.thirds.bounds_mm)) < 1e-9
    height = joint.vertices_lps[:, 2]
    assert height[joint.third == Third.SUPERIOR].min() > height[joint.third == Third.INFERIOR].max()


def test_wide_gap_is_not_articular(make_plates, joint_of):
    volume, bones = make_plates(gap_mm=7.0)
    joint = joint_of(volume, bones, Side.LEFT, LABELS_ONLY)
    assert len(joint.vertices_lps) > 1000
    assert not (joint.zone == Zone.ARTICULAR).any()
    assert not joint.thirds.known
    assert np.isnan(joint.gap_median_mm)


def test_without_a_hip_bone_the_joint_is_empty_and_says_so(make_plates, make_bones):
    volume, bones = make_plates()
    joint = extract_joint(volume, bones, Side.RIGHT, LABELS_ONLY)
    assert len(joint.vertices_lps) == 0
    assert [f.code for f in joint.findings] == ["joint-not-found"]
    only = np.where(bones.labels.values == Label.SACRUM, Label.SACRUM, 0).astype(np.uint8)
    assert len(extract_joint(volume, make_bones(only, volume.grid), Side.LEFT, LABELS_ONLY).faces) == 0


def test_same_input_same_bytes(make_plates, joint_of):
    case = (*make_plates(), Side.LEFT, JointConfig())
    first, second = joint_of(*case), extract_joint(*case)
    assert first.vertices_lps.tobytes() == second.vertices_lps.tobytes()
    assert first.gap_mm.tobytes() == second.gap_mm.tobytes()
