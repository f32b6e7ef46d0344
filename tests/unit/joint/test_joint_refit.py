"""Profiles that fail from wrong labels, fitted again from their neighbours' faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.faces import facing_bones
from planner.joint.mesh import Sheet
from planner.joint.profiles import fit_gaps, sample_profiles
from planner.joint.refit import Seen, fit_again
from planner.joint.sheet import mid_surface
from planner.labels import Label, Side
from planner.volume import LabelMap, Volume

CONFIG = JointConfig()


def sheet_of(n):
    """Square of n x n vertices 1 mm apart in the plane z = 0."""
    y, x = np.divmod(np.arange(n * n), n)
    corner = np.flatnonzero((x < n - 1) & (y < n - 1))
    below = np.stack([corner, corner + 1, corner + n], axis=1)
    above = np.stack([corner + 1, corner + n + 1, corner + n], axis=1)
    return Sheet(np.stack([x, y, 0 * x], axis=1).astype(float), np.vstack([below, above]).astype(np.int32))


def test_values_are_spread_from_where_they_are_known():
    sheet = sheet_of(15)
    x, y = sheet.vertices_lps[:, 0], sheet.vertices_lps[:, 1]
    plane = np.stack([2 * x - y, x + 3.0], axis=1)
    hole = (np.abs(x - 7) < 3) & (np.abs(y - 7) < 3)
    filled, reached = sheet.spread(np.where(hole[:, None], 99.0, plane), ~hole, 40)
    assert reached.all()
    np.testing.assert_array_equal(filled[~hole], plane[~hole])
    assert np.abs(filled - plane)[hole].max() < 0.3


def test_values_reach_so_many_rings_and_no_further():
    sheet = sheet_of(9)
    known = sheet.vertices_lps[:, 0] == 0
    _, reached = sheet.spread(np.ones((81, 1)), known, 3)
    assert sheet.vertices_lps[reached, 0].max() == 3


def test_a_moved_sheet_hangs_together_as_before():
    sheet = sheet_of(7)
    moved = sheet.moved(2.0 * sheet.vertices_lps)
    corner = np.zeros(49, bool)
    corner[0] = True
    np.testing.assert_array_equal(moved.grow(corner, 2), sheet.grow(corner, 2))
    assert moved.edge_mm == 2 * sheet.edge_mm


def seen_first(volume, bones):
    measured = mid_surface(facing_bones(bones.labels, Side.LEFT.hip, CONFIG.spacing_mm, CONFIG.recess_gap_mm), CONFIG)
    profiles = sample_profiles(volume, measured.sheet, measured.across_lps)
    return Seen(measured, profiles, fit_gaps(profiles, measured, CONFIG))


def cortical_plates(make_plates, gap_mm=1.5, cortex_mm=1.8, blur_mm=0.6):
    """Plates either side of the plane x = 0 that are marrow behind a cortex."""
    volume, bones = make_plates(gap_mm, 0.0)
    x = volume.grid.to_lps(np.moveaxis(np.indices(volume.hu.shape), 0, -1))[..., 0]
    deep = ndtr((np.abs(x) - gap_mm / 2 - cortex_mm) / blur_mm)
    hu = np.where(np.abs(x) < 11, volume.hu - 500 * deep, volume.hu)
    return Volume(hu.astype(np.int16), volume.grid), bones


def middles(seen):
    """Middle of the fitted faces, LPS mm; the plane between the plates is x = 0."""
    middle = (seen.fit.sacrum_at_mm + seen.fit.hip_at_mm) / 2
    return seen.measured.sheet.vertices_lps + middle[:, None] * seen.measured.across_lps


def leaked(bones, centre_yz, radius_mm, shift_mm=3.0, gap_mm=1.5):
    """Bones whose labels put the joint too far into the ilium within a circle: further than a face may move."""
    values = bones.labels.values.copy()
    at = bones.labels.grid.to_lps(np.moveaxis(np.indices(values.shape), 0, -1))
    within = np.hypot(at[..., 1] - centre_yz[0], at[..., 2] - centre_yz[1]) < radius_mm
    patch = within & ((values > 0) | (np.abs(at[..., 0]) < 6)) & (np.abs(at[..., 2]) < 25)
    low, high = shift_mm - gap_mm / 2, shift_mm + gap_mm / 2
    moved = np.where(at[..., 0] < low, Label.SACRUM, np.where(at[..., 0] > high, Label.LEFT_HIP, 0))
    values[patch] = moved[patch]
    return replace(bones, labels=LabelMap(values, bones.labels.grid))


@pytest.mark.parametrize("radius_mm", [4.5, 9.0])
def test_patch_of_wrong_labels_is_laid_where_the_joint_is(make_plates, radius_mm):
    volume, bones = cortical_plates(make_plates)
    first = seen_first(volume, leaked(bones, (0.0, 0.0), radius_mm))
    again = fit_again(volume, first)
    here = np.linalg.norm(first.measured.sheet.vertices_lps[:, 1:], axis=1) < radius_mm - 0.5
    by_label = first.measured.sheet.vertices_lps[here, 0]
    assert np.median(by_label) > 2.5
    assert not first.fit.good[here].all()
    assert again.fit.good[here].mean() > 0.95
    laid = middles(again)[here & again.fit.good, 0]
    assert np.percentile(np.abs(laid), 95) < 0.2
    gap = again.fit.hip_at_mm - again.fit.sacrum_at_mm
    assert abs(np.median(gap[here & again.fit.good]) - np.median(gap[first.known])) < 0.1


def test_what_was_believed_stays_as_it_was(make_plates):
    volume, bones = cortical_plates(make_plates)
    first = seen_first(volume, leaked(bones, (0.0, 0.0), 6.0))
    again = fit_again(volume, first)
    kept = first.known
    np.testing.assert_array_equal(first.fit.sacrum_at_mm[kept], again.fit.sacrum_at_mm[kept])
    np.testing.assert_array_equal(first.profiles.hu[kept], again.profiles.hu[kept])
    np.testing.assert_array_equal(first.measured.sheet.vertices_lps[kept], again.measured.sheet.vertices_lps[kept])


def test_vertices_keep_their_distance_at_the_rim(make_plates):
    """A patch at the joint's end is laid on from one side alone: it must not be drawn in."""
    volume, bones = cortical_plates(make_plates)
    first = seen_first(volume, leaked(bones, (0.0, 24.0), 7.0))
    again = fit_again(volume, first)
    before, after = (s.measured.sheet.vertices_lps for s in (first, again))
    assert np.abs(after[:, 0] - before[:, 0]).max() > 2.0
    assert np.abs(after[:, 2].max() - before[:, 2].max()) < 1.0
    edges = after[again.measured.sheet.edges]
    assert np.percentile(np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1), 1) > 0.1


def test_joint_is_not_laid_on_into_bone_without_a_gap(make_plates):
    """Beyond where the dark line ends nothing is believed, however far the sheet is continued."""
    volume, bones = make_plates(2.0, 0.0)
    at = volume.grid.to_lps(np.moveaxis(np.indices(volume.hu.shape), 0, -1))
    solid = Volume(np.where((at[..., 2] > 5) & (np.abs(at[..., 0]) < 10), 800, volume.hu).astype(np.int16), volume.grid)
    again = fit_again(solid, seen_first(solid, bones))
    beyond = again.measured.sheet.vertices_lps[:, 2] > 8
    assert beyond.sum() > 50
    assert not again.fit.good[beyond].any()


def test_nothing_to_go_on_changes_nothing(make_plates):
    volume, bones = make_plates(2.0)
    flat = type(volume)(np.full_like(volume.hu, 300), volume.grid)
    first = seen_first(flat, bones)
    assert not first.fit.good.any()
    assert fit_again(flat, first) is first


def test_labels_alone_leave_the_sheet_where_they_put_it(make_plates):
    volume, bones = cortical_plates(make_plates)
    wrong = leaked(bones, (0.0, 0.0), 6.0)
    by_label, by_image = (
        extract_joint(volume, wrong, Side.LEFT, JointConfig(use_profiles=use)).vertices_lps for use in (False, True)
    )
    assert by_label[:, 0].max() > 2.5
    here = np.linalg.norm(by_image[:, 1:], axis=1) < 5.0
    assert np.abs(by_image[here, 0]).max() < 0.6
