"""Limbs, thirds and gaps of flat joints whose every figure is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from planner.joint.config import JointConfig
from planner.joint.limbs import fit_limbs, thirds_along_c
from planner.joint.measures import measure_joint, side_difference
from planner.joint.mesh import Sheet
from planner.joint.model import Joint, Third, Thirds, Zone
from planner.labels import Side

SUPERIOR_MM, INFERIOR_MM, WIDTH_MM = 44.0, 56.0, 20.0
"""The C that anatomists draw (J Orthop Trauma 1993;7:510), here square-cornered."""


UPRIGHT = Rotation.identity()


def flat_joint(side=Side.LEFT, rotation=UPRIGHT, step_mm=1.0, gap_mm=2.0, truncated=False):
    """A flat sheet on which an L of the published size is articular: one limb up, one backwards."""
    y, z = np.meshgrid(np.arange(0, 66.0, step_mm), np.arange(0, 54.0, step_mm))
    rows, columns = y.shape
    plane = np.stack([np.zeros(y.size), y.ravel(), z.ravel()], axis=1) - (0.0, 33.0, 27.0)
    cell = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    faces = np.vstack(
        [
            np.stack([cell, cell + 1, cell + columns], 1),
            np.stack([cell + 1, cell + columns + 1, cell + columns], 1),
        ]
    )
    u, v = y.ravel() - 5.0, z.ravel() - 5.0
    articular = (u >= 0) & (v >= 0) & (u <= INFERIOR_MM) & (v <= SUPERIOR_MM) & ((u <= WIDTH_MM) | (v <= WIDTH_MM))
    vertices = rotation.apply(plane)
    cranial = rotation.apply([0.0, 0.0, 1.0])
    faces = faces[:, :: side.lateral_x].astype(np.int32)
    height = vertices[articular] @ cranial
    thirds = Thirds("brandt-transverse", cranial, np.linspace(height.min(), height.max(), 4), not truncated)
    return Joint(
        side=side,
        vertices_lps=vertices,
        faces=faces,
        gap_mm=np.full(len(vertices), gap_mm, np.float32),
        zone=np.where(articular, Zone.ARTICULAR, Zone.LIGAMENTOUS).astype(np.uint8),
        third=thirds.of(vertices),
        thirds=thirds,
        articular_area_mm2=float(Sheet(vertices, faces).vertex_areas_mm2[articular].sum()),
        gap_median_mm=gap_mm,
        gap_p95_mm=gap_mm,
        truncated=truncated,
        posterior_lps=rotation.apply([0.0, 1.0, 0.0]),
    )


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("turn_deg", [(0, 0, 0), (10, -15, 25), (20, 0, 180)])
def test_limbs_of_an_l_have_its_size(side, turn_deg):
    limbs = fit_limbs(flat_joint(side, Rotation.from_euler("xyz", turn_deg, degrees=True)))
    assert limbs.superior_mm == pytest.approx(SUPERIOR_MM, abs=3)
    assert limbs.inferior_mm == pytest.approx(INFERIOR_MM, abs=3)
    assert limbs.width_mm == pytest.approx(WIDTH_MM, abs=2)
    assert limbs.angle_deg == pytest.approx(90, abs=2)


def test_path_runs_from_the_superior_end_round_the_corner_to_the_inferior_end():
    superior, corner, inferior = fit_limbs(flat_joint()).path_lps
    assert superior[2] > corner[2] + 25
    assert inferior[1] > corner[1] + 30
    assert abs(corner[0]) < 1e-6


def test_no_limbs_where_the_scan_cuts_the_joint_off_or_nothing_is_articular():
    assert fit_limbs(flat_joint(truncated=True)) is None
    joint = flat_joint()
    assert fit_limbs(replace(joint, zone=np.full_like(joint.zone, Zone.LIGAMENTOUS))) is None


def test_thirds_along_the_c_are_about_equal_and_in_order():
    joint = flat_joint()
    third = thirds_along_c(joint, fit_limbs(joint))
    articular = joint.zone == Zone.ARTICULAR
    share = np.bincount(third[articular], minlength=4)[1:] / articular.sum()
    np.testing.assert_allclose(share, 1 / 3, atol=0.1)
    height, depth = joint.vertices_lps[articular, 2], joint.vertices_lps[articular, 1]
    assert height[third[articular] == Third.SUPERIOR].min() > height[third[articular] == Third.INFERIOR].max() - 25
    assert depth[third[articular] == Third.INFERIOR].mean() > depth[third[articular] == Third.MIDDLE].mean() + 10


def test_area_and_gap_by_third_add_up_to_the_whole():
    joint = flat_joint()
    gap = np.where(joint.third == Third.SUPERIOR, 3.0, 1.0).astype(np.float32)
    measures = measure_joint(replace(joint, gap_mm=gap))
    assert measures.definition == "brandt-transverse"
    assert sum(g.area_mm2 for g in measures.thirds.values()) == pytest.approx(measures.whole.area_mm2)
    assert measures.whole.area_mm2 == pytest.approx(1600, rel=0.08)  # vertices on the rim count half a cell beyond it
    assert [measures.thirds[t].mean_mm for t in list(Third)[1:]] == [3.0, 1.0, 1.0]
    assert 1.0 < measures.whole.mean_mm < 3.0
    assert (measures.whole.median_mm, measures.whole.p95_mm) == (1.0, 3.0)


def test_the_definition_of_the_thirds_is_a_setting():
    joint = flat_joint()
    brandt = measure_joint(joint)
    along = measure_joint(joint, JointConfig(measured_thirds="c-length"))
    assert along.definition == "c-length"
    assert along.whole == brandt.whole
    assert along.thirds[Third.SUPERIOR].area_mm2 > 1.2 * brandt.thirds[Third.SUPERIOR].area_mm2


def test_unknown_thirds_are_not_measured():
    for config in (JointConfig(), JointConfig(measured_thirds="c-length")):
        measures = measure_joint(flat_joint(truncated=True), config)
        assert measures.thirds == {}
        assert measures.whole.area_mm2 > 0


def test_side_difference_is_left_minus_right():
    both = {side: measure_joint(flat_joint(side, gap_mm=gap)) for side, gap in zip(Side, (1.5, 2.5), strict=True)}
    whole, thirds = side_difference(both)
    assert whole.mean_mm == pytest.approx(-1.0)
    assert whole.area_mm2 == pytest.approx(0.0)
    assert [thirds[t].median_mm for t in list(Third)[1:]] == [-1.0, -1.0, -1.0]
    assert side_difference({Side.LEFT: both[Side.LEFT]}) is None


@pytest.mark.parametrize("angle_deg", [75.0, 93.0, 110.0])
def test_the_angle_of_the_c_is_that_of_its_limbs(angle_deg):
    joint = flat_joint()
    turn = np.radians(90.0 - angle_deg)
    y, z = joint.vertices_lps[:, 1] + 16.0, joint.vertices_lps[:, 2] + 8.0  # corner of the middle line
    limbs = ((0.0, 1.0, 24.0), (np.cos(turn), np.sin(turn), 36.0))
    away = [np.hypot(y - uy * (t := np.clip(y * uy + z * uz, 0.0, n)), z - uz * t) for uy, uz, n in limbs]
    band = np.where(np.minimum(*away) <= WIDTH_MM / 2, Zone.ARTICULAR, Zone.LIGAMENTOUS).astype(np.uint8)
    found = fit_limbs(replace(joint, zone=band))
    assert found.angle_deg == pytest.approx(angle_deg, abs=2)
    assert found.width_mm == pytest.approx(WIDTH_MM, abs=2)
    np.testing.assert_allclose(found.path_lps[1, 1:], (-16.0, -8.0), atol=1.5)
