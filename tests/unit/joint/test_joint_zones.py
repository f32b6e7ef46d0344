"""The articular zone of flat joints whose gap is known everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from planner.joint.config import JointConfig
from planner.joint.mesh import Sheet
from planner.joint.sheet import Measured
from planner.joint.zones import articular_zone, brandt_thirds

RADIUS_MM = 30.0


def flat(gap_of, opening_of=None, *, half_mm=45.0, step_mm=0.8):
    """A flat square sheet with a gap, and an opening of its faces, by distance from its middle."""
    u, v = np.meshgrid(np.arange(-half_mm, half_mm, step_mm), np.arange(-half_mm, half_mm, step_mm))
    rows, columns = u.shape
    cell = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    faces = np.vstack(
        [np.stack([cell, cell + 1, cell + columns], 1), np.stack([cell + 1, cell + columns + 1, cell + columns], 1)]
    )
    points = np.stack([np.zeros(u.size), u.ravel(), v.ravel()], axis=1)
    away = np.hypot(u, v).ravel()
    half = gap_of(away) / 2
    opening = np.zeros(len(points)) if opening_of is None else opening_of(away)
    across = np.tile([1.0, 0.0, 0.0], (len(points), 1))
    return Measured(Sheet(points, faces.astype(np.int32)), half, half, across, opening)


def reach_mm(measured, zone):
    """Radius of a disc of the zone's area."""
    return float(np.sqrt(measured.sheet.vertex_areas_mm2[zone].sum() / np.pi))


@pytest.mark.parametrize("slope", [0.6, 1.0])
@pytest.mark.parametrize("gap_mm", [1.7, 2.4, 3.0])
def test_the_zone_ends_near_the_rim_whatever_the_gap(gap_mm, slope):
    noise = np.random.default_rng(1).normal(0, 0.1, 113 * 113)
    measured = flat(lambda away: gap_mm + slope * np.maximum(away - RADIUS_MM, 0.0) + noise)
    assert reach_mm(measured, articular_zone(measured, JointConfig())) == pytest.approx(RADIUS_MM + 0.6 / slope, abs=1)


def test_no_gap_above_the_limit_is_articular():
    measured = flat(lambda away: 4.6 + 0.25 * np.maximum(away - RADIUS_MM, 0.0))
    zone = articular_zone(measured, JointConfig())
    assert measured.gap_mm[zone].max() < 5.2  # averaged over its neighbours before the cut
    assert not articular_zone(flat(lambda away: 9.0 + 0 * away), JointConfig()).any()


def test_a_joint_torn_open_still_has_a_zone():
    measured = flat(lambda away: 5.6 + 0.6 * np.maximum(away - RADIUS_MM, 0.0))
    assert reach_mm(measured, articular_zone(measured, JointConfig())) == pytest.approx(RADIUS_MM, abs=2)


def test_an_uneven_joint_is_not_cut_at_its_narrow_part():
    measured = flat(lambda away: np.where(away < 22.0, 1.5, 3.6) + np.maximum(away - RADIUS_MM, 0.0))
    assert reach_mm(measured, articular_zone(measured, JointConfig())) == pytest.approx(RADIUS_MM, abs=1)


def test_faces_that_diverge_are_not_articular():
    measured = flat(lambda away: 2.0 + 0 * away, lambda away: np.where(away < RADIUS_MM, 5.0, 80.0))
    assert reach_mm(measured, articular_zone(measured, JointConfig())) == pytest.approx(RADIUS_MM, abs=2)


def test_thirds_reach_the_ends_of_a_round_zone():
    measured = flat(lambda away: 1.7 + np.maximum(away - RADIUS_MM, 0.0))
    points = measured.sheet.vertices_lps[articular_zone(measured, JointConfig())]
    bounds = brandt_thirds(points, np.array([0.0, 0.0, 1.0]), known=True).bounds_mm
    np.testing.assert_allclose(bounds, np.linspace(-RADIUS_MM, RADIUS_MM, 4), atol=1.2)
