from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.joint.model import Zone
from planner.labels import Side
from sample_data.closed_forms import Points
from sample_data.joint_surface import (
    CORNER_YZ_MM,
    FIT_BOX_YZ_MM,
    FIT_CENTRE_YZ_MM,
    FIT_SCALE_MM,
    JointSurface,
    fit_height,
)
from sample_data.skeleton import JointSpec, build_skeleton


@pytest.fixture(scope="module")
def joint() -> JointSurface:
    return build_skeleton(JointSpec()).joints[Side.LEFT]


def plane(slope_y: float, slope_z: float, gap: float = 2.0) -> JointSurface:
    y, z = (v.ravel() for v in np.meshgrid(np.linspace(0, 50, 12), np.linspace(0, 50, 12)))
    lateral = 45.0 + slope_y * y + slope_z * z
    return JointSurface(Side.LEFT, fit_height(lateral, y, z, np.ones(len(y))), gap)


def test_the_fit_recovers_any_polynomial_of_its_degree() -> None:
    rng = np.random.default_rng(3)
    y, z = rng.uniform(-5, 55, 200), rng.uniform(-10, 50, 200)
    s, t = (y - FIT_CENTRE_YZ_MM[0]) / FIT_SCALE_MM, (z - FIT_CENTRE_YZ_MM[1]) / FIT_SCALE_MM
    lateral = 45 + 3 * s - 5 * t + 2 * s * t - t**3 + 0.5 * s**2 * t**2 + s**4
    joint = JointSurface(Side.LEFT, fit_height(lateral, y, z, np.ones(200)), 1.7)
    assert joint.lateral_mm(y, z) == pytest.approx(lateral, abs=1e-6)


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(-3, 3))
def test_the_offset_from_a_plane_is_the_distance(slope_y: float, slope_z: float, height: float) -> None:
    joint = plane(slope_y, slope_z)
    normal = np.array([1, -slope_y, -slope_z]) / np.sqrt(1 + slope_y**2 + slope_z**2)
    place = np.array([45 + 20 * slope_y + 20 * slope_z, 20, 20]) + height * normal
    assert joint.offset_mm(Points.of([place]))[0] == pytest.approx(height, abs=1e-3)


def test_the_normal_matches_finite_differences(joint: JointSurface) -> None:
    y, z = np.meshgrid(np.arange(0, 50, 7.0), np.arange(0, 45, 7.0))
    step = 1e-4
    by_y = (joint.lateral_mm(y + step, z) - joint.lateral_mm(y - step, z)) / (2 * step)
    by_z = (joint.lateral_mm(y, z + step) - joint.lateral_mm(y, z - step)) / (2 * step)
    high = joint.offset_mm(Points.of(np.stack([joint.lateral_mm(y, z) + 1, y, z], -1)))
    assert high == pytest.approx(1 / np.sqrt(1 + by_y**2 + by_z**2), abs=1e-4)


def test_the_offset_is_the_true_distance_to_first_order(joint: JointSurface) -> None:
    """At half a gap from the sheet, the formula is within 0.03 mm of the distance to the sheet itself."""
    sheet = joint.sheet(0.25, beyond_mm=4.0)
    inner = joint.sheet(6.0)
    inner[:, 0] += 0.85
    claimed = joint.offset_mm(Points.of(inner))
    true = np.array([np.linalg.norm(sheet - p, axis=1).min() for p in inner])
    assert np.abs(claimed - true).max() < 0.03


def test_beyond_the_fitted_box_the_edge_value_counts(joint: JointSurface) -> None:
    (_, y_high), (z_low, _) = FIT_BOX_YZ_MM
    y, z = np.array([y_high + 30]), np.array([z_low - 30])
    assert joint.lateral_mm(y, z) == joint.lateral_mm(np.array([y_high]), np.array([z_low]))


def test_the_limbs_have_the_published_size(joint: JointSurface) -> None:
    superior, inferior = (np.subtract(end, CORNER_YZ_MM) for end in joint.limb_ends_yz_mm())
    assert np.linalg.norm(superior) + 20 == pytest.approx(44)
    assert np.linalg.norm(inferior) + 20 == pytest.approx(56)
    cosine = superior @ inferior / np.linalg.norm(superior) / np.linalg.norm(inferior)
    assert np.rad2deg(np.arccos(cosine)) == pytest.approx(93)


def test_the_c_opens_dorsally_and_cranially(joint: JointSurface) -> None:
    superior, inferior = joint.limb_ends_yz_mm()
    assert superior[1] > CORNER_YZ_MM[1] + 20
    assert inferior[0] > CORNER_YZ_MM[0] + 30
    recess, before = (np.array([30.0]), np.array([35.0])), (np.array([-15.0]), np.array([-5.0]))
    assert joint.into_recess(*recess) == 1
    assert joint.into_recess(*before) == 0


def test_the_articular_area_is_in_the_published_range(joint: JointSurface) -> None:
    assert 1260 < joint.articular_area_mm2() < 1740


def test_the_zone_is_articular_just_inside_the_rim(joint: JointSurface) -> None:
    end = joint.limb_ends_yz_mm()[1]
    y, z = np.array([end[0], end[0]]), np.array([end[1] - 9.9, end[1] - 10.1])
    assert joint.zone(y, z).tolist() == [Zone.ARTICULAR, Zone.LIGAMENTOUS]


def test_the_gap_is_even_in_the_articular_zone_and_opens_into_the_recess(joint: JointSurface) -> None:
    inside = joint.sheet()
    assert joint.gap_mm(inside[:, 1], inside[:, 2]) == pytest.approx(1.7)
    recess = joint.gap_mm(np.array([30.0, 40.0]), np.array([30.0, 40.0]))
    assert 4 < recess[0] < recess[1] < 12


def test_a_ventral_widening_tapers_to_nothing(joint: JointSurface) -> None:
    wide = JointSurface(Side.LEFT, joint.coefficients, 1.7, ventral_extra_mm=3.0)
    edge = joint.ventral_edge_mm()
    gap = wide.gap_mm(np.array([edge, edge + 10, edge + 25]), np.full(3, 14.0))
    assert gap == pytest.approx([4.7, 3.2, 1.7])


def test_the_thirds_are_three_equal_slabs_over_the_articular_zone(joint: JointSurface) -> None:
    bounds = joint.bounds_mm()
    sheet = joint.sheet(0.25)
    assert np.diff(bounds) == pytest.approx(np.full(3, np.ptp(bounds) / 3))
    assert bounds[0] == pytest.approx(sheet[:, 2].min(), abs=0.3)
    assert bounds[3] == pytest.approx(sheet[:, 2].max(), abs=0.3)


def test_the_propeller_turns_from_cranial_to_caudal(joint: JointSurface) -> None:
    """Cranially 20-30 degrees or more posteromedial to anterolateral, caudally near sagittal (Dall, chapter 7)."""
    angle = [
        np.rad2deg(np.arctan2(joint.lateral_mm(y - 6, z) - joint.lateral_mm(y + 6, z), 12.0))
        for y, z in ((np.array([14.0]), np.array([36.0])), (np.array([36.0]), np.array([3.0])))
    ]
    assert 15 < angle[0][0] < 45
    assert -12 < angle[1][0] < 12
