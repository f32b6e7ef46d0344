"""Profiles that fail from wrong labels, fitted again from their neighbours' faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.joint.config import JointConfig
from planner.joint.faces import facing_bones
from planner.joint.mesh import Sheet
from planner.joint.profiles import fit_gaps, sample_profiles
from planner.joint.refit import fit_again
from planner.joint.sheet import mid_surface
from planner.labels import Label, Side
from planner.volume import LabelMap

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


def fits_of(volume, bones):
    measured = mid_surface(facing_bones(bones.labels, Side.LEFT.hip, CONFIG.spacing_mm, CONFIG.recess_gap_mm), CONFIG)
    profiles = sample_profiles(volume, measured)
    first = fit_gaps(profiles, measured, CONFIG)
    return measured, first, fit_again(profiles, measured, first, CONFIG)


def error_mm(measured, fit):
    """Distance of the middle of the fitted faces from the plane between the plates."""
    middle = (fit.sacrum_at_mm + fit.hip_at_mm) / 2
    return np.abs((measured.sheet.vertices_lps + middle[:, None] * measured.across_lps)[:, 0])


def test_patch_of_wrong_labels_is_fitted_from_its_neighbours(make_plates):
    """In the middle the labels put the joint 3 mm too far into the ilium, further than a face may move."""
    volume, bones = make_plates(1.5, 0.0)
    at = volume.grid.to_lps(np.moveaxis(np.indices(volume.hu.shape), 0, -1))
    patch = np.hypot(at[..., 1], at[..., 2]) < 4.5
    values = bones.labels.values.copy()
    shifted = np.where(at[..., 0] < 2.25, Label.SACRUM, np.where(at[..., 0] > 3.75, Label.LEFT_HIP, 0))
    values[patch] = np.where(np.abs(at[..., 0]) < 12, shifted, values)[patch]
    measured, first, again = fits_of(volume, replace(bones, labels=LabelMap(values, bones.labels.grid)))
    here = np.linalg.norm(measured.sheet.vertices_lps[:, 1:], axis=1) < 4.0
    more = again.good & ~first.good & here
    assert more.sum() > 5
    by_label = np.abs(measured.sheet.vertices_lps[more, 0])
    assert np.median(error_mm(measured, again)[more]) < 0.4 * np.median(by_label)
    kept = first.good
    np.testing.assert_array_equal(first.sacrum_at_mm[kept], again.sacrum_at_mm[kept])


def test_nothing_to_go_on_changes_nothing(make_plates):
    volume, bones = make_plates(2.0)
    flat = type(volume)(np.full_like(volume.hu, 300), volume.grid)
    _, first, again = fits_of(flat, bones)
    assert not first.good.any()
    assert again is first
