"""Faces by intensity, where labels are wrong or the gap is thinner than a voxel."""

from __future__ import annotations

import numpy as np
import pytest

from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.faces import facing_bones
from planner.joint.model import Zone
from planner.joint.profiles import fit_gaps, sample_profiles
from planner.joint.sheet import mid_surface
from planner.labels import Side


def inner(joint):
    x = joint.vertices_lps
    return (joint.zone == Zone.ARTICULAR) & (np.abs(x[:, 2]) < 18) & (np.abs(x[:, 1]) < 13)


@pytest.mark.parametrize("gap_mm", [0.8, 1.7, 3.0])
def test_gap_is_read_below_the_voxel(make_plates, gap_mm):
    volume, bones = make_plates(gap_mm, 20.0)
    joint = extract_joint(volume, bones, Side.LEFT, JointConfig())
    error = joint.gap_mm[inner(joint)] - gap_mm
    assert np.abs(error).mean() < 0.3


@pytest.mark.parametrize(("grow_mm", "shift_mm"), [(0.8, 0.0), (-0.8, 0.0), (0.0, 0.8)])
def test_wrong_labels_are_corrected(make_plates, grow_mm, shift_mm):
    truth_mm = 2.0
    volume, _ = make_plates(truth_mm, 20.0)
    _, bones = make_plates(truth_mm + grow_mm, 20.0, offset_mm=shift_mm)
    by_label, by_image = (
        extract_joint(volume, bones, Side.LEFT, JointConfig(use_profiles=use)) for use in (False, True)
    )
    angle = np.radians(20.0)
    normal = np.array([np.cos(angle), np.sin(angle), 0.0])
    off = [np.abs(j.vertices_lps[inner(j)] @ normal).mean() for j in (by_label, by_image)]
    wrong = [np.abs(j.gap_mm[inner(j)] - truth_mm).mean() for j in (by_label, by_image)]
    assert off[1] < 0.2
    assert wrong[1] < 0.35
    assert off[1] + wrong[1] < 0.6 * (off[0] + wrong[0])


def test_featureless_image_leaves_the_labels(make_plates):
    volume, bones = make_plates(2.0)
    flat = type(volume)(np.full_like(volume.hu, 300), volume.grid)
    by_label = extract_joint(flat, bones, Side.LEFT, JointConfig(use_profiles=False))
    by_image = extract_joint(flat, bones, Side.LEFT, JointConfig())
    np.testing.assert_array_equal(by_label.vertices_lps, by_image.vertices_lps)
    np.testing.assert_array_equal(by_label.gap_mm, by_image.gap_mm)


def test_fit_knows_open_from_bridged(make_plates):
    volume, bones = make_plates(2.0)
    config = JointConfig()
    facing = facing_bones(bones.labels, Side.LEFT.hip, config.spacing_mm, config.recess_gap_mm)
    sheet = mid_surface(facing, config)
    middle = (np.abs(sheet.sheet.vertices_lps[:, 2]) < 15) & (np.abs(sheet.sheet.vertices_lps[:, 1]) < 12)
    fit = fit_gaps(sample_profiles(volume, sheet.sheet, sheet.across_lps), sheet, config)
    assert fit.good[middle].mean() > 0.95
    assert fit.dip[middle].min() > 0.5
    solid = type(volume)(np.where(volume.hu > 0, 700, 40).astype(np.int16), volume.grid)
    assert fit_gaps(sample_profiles(solid, sheet.sheet, sheet.across_lps), sheet, config).dip[middle].max() < 0.1
