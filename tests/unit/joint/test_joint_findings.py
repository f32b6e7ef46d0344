"""Findings, each on a case with it and one without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.findings import anterior_gap_mm, side_difference_findings
from planner.labels import Side
from planner.segmentation.model import ShapeFit
from planner.volume import Volume

CONFIG = JointConfig()


def codes(joint):
    return [f.code for f in joint.findings]


def test_plain_joint_has_no_findings(make_plates, joint_of):
    assert codes(joint_of(*make_plates(2.0), Side.LEFT, CONFIG)) == []


@pytest.mark.parametrize(("gap_mm", "wide"), [(3.2, False), (4.6, True)])
def test_widening(make_plates, gap_mm, wide):
    joint = extract_joint(*make_plates(gap_mm), Side.LEFT, CONFIG)
    assert ("widening" in codes(joint)) == wide
    assert abs(anterior_gap_mm(joint) - gap_mm) < 0.5


def test_sides_that_differ(make_plates):
    joints = {
        side: extract_joint(*make_plates(gap, side=side), side, CONFIG)
        for side, gap in zip(Side, (1.2, 3.8), strict=True)
    }
    (finding,) = side_difference_findings(joints)
    assert (finding.code, finding.side) == ("widening", "right")
    assert side_difference_findings({Side.LEFT: joints[Side.LEFT]}) == ()
    assert side_difference_findings(joints, JointConfig(asymmetry_mm=3.0)) == ()


def test_bridge_of_bone_is_ankylosis(make_plates):
    volume, bones = make_plates(2.0, 0.0)
    points = volume.grid.to_lps(np.indices(volume.hu.shape).reshape(3, -1).T)
    bridge = (np.abs(points[:, 0]) < 2) & (np.hypot(points[:, 1], points[:, 2]) < 7)
    hu = np.where(bridge.reshape(volume.hu.shape), np.int16(800), volume.hu)
    joint = extract_joint(Volume(hu, volume.grid), bones, Side.LEFT, CONFIG)
    (finding,) = [f for f in joint.findings if f.code == "ankylosis"]
    assert "middle third" in finding.message


def test_scan_that_ends_in_the_joint(make_plates):
    volume, bones = make_plates(2.0)
    part = (slice(30, 70), slice(0, 60), slice(0, 50))
    cut = replace(bones, labels=bones.labels.crop(part))
    joint = extract_joint(volume.crop(part), cut, Side.LEFT, CONFIG)
    assert joint.truncated
    assert codes(joint) == ["joint-truncated"]
    assert not joint.thirds.known
    assert not joint.third.any()


def test_padding_counts_as_the_end_of_the_scan(make_plates):
    volume, bones = make_plates(2.0)
    hu = volume.hu.copy()
    hu[:28] = -1024
    values = bones.labels.values.copy()
    values[:28] = 0
    padded = replace(bones, labels=replace(bones.labels, values=values))
    assert extract_joint(Volume(hu, volume.grid), padded, Side.LEFT, CONFIG).truncated


@pytest.mark.parametrize(("seen_share", "truncated"), [(1.0, False), (0.8, True)])
def test_fitted_shape_outside_the_scan(make_plates, seen_share, truncated):
    volume, bones = make_plates(2.0)
    sacrum = np.stack([np.full(50, -1.0), np.zeros(50), np.linspace(-24, 24, 50)], axis=1)
    seen = np.arange(50) < 50 * seen_share
    fit = ShapeFit(
        {"sacrum": sacrum, "left_hip": sacrum + np.array([2.0, 0, 0])},
        {"sacrum": seen},
        np.eye(4),
        np.zeros(0),
        0.0,
        {},
    )
    assert extract_joint(volume, replace(bones, fit=fit), Side.LEFT, CONFIG).truncated == truncated
