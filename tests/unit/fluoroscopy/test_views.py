"""Views of the phantom and of flat joints: known in closed form, mirrored with the patient, and turned with him."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.fluoroscopy import FluoroscopyConfig, find_safe_zone, find_views, make_card, with_views
from planner.fluoroscopy.views import DOWN, INLET_TILT_DEG, OUTLET_TILT_DEG, down_view, joint_view
from planner.labels import Side
from planner.segmentation import Bones, find_bearings, load_shape_model
from planner.segmentation.bearings import Bearings, FlatPlace
from planner.segmentation.model import ShapeFit
from planner.trajectory.model import Candidate, PlacementError, SidePlan
from sample_data.phantom import Phantom

from support.slab_pelvis import GAP_MM, HALF_HEIGHT_MM, SlabPelvis

CONFIG = FluoroscopyConfig()
MODEL = load_shape_model()
NOTHING_SEEN = Bearings({}, None, None)


@pytest.fixture(scope="module")
def bones(phantom: Phantom) -> Bones:
    vertices = MODEL.split(phantom.frame.to_lps(MODEL.mean))
    fit = ShapeFit(vertices, {}, np.eye(4), np.zeros(0), 0.0, phantom.landmarks_lps)
    return Bones(phantom.labels, fit, phantom.frame, {})


def test_the_phantoms_views_are_those_of_the_literature(phantom: Phantom, bones: Bones) -> None:
    bearings = find_bearings(phantom.volume, bones)
    views = find_views(bones, bearings, Side.LEFT, None, CONFIG)
    assert list(views) == ["ap", "inlet", "outlet", "lateral"]
    assert views["ap"].angles == (0.0, 0.0)
    assert views["inlet"].angles.orbital_deg == views["outlet"].angles.orbital_deg == 0.0
    assert -37 < views["inlet"].angles.tilt_deg < -7  # Eastman and Routt: 20.5 (7-37), 42.8 (30-59)
    assert 30 < views["outlet"].angles.tilt_deg < 59
    assert "this patient" in views["inlet"].basis
    assert "this patient" in views["outlet"].basis


def test_the_outlet_looks_along_the_endplate(bones: Bones) -> None:
    slope = np.radians(38.0)
    normal = bones.frame.lps_from_pelvic[:3, :3] @ [0.0, -np.sin(slope), np.cos(slope)]
    seen = Bearings({}, FlatPlace(np.zeros(3), normal), None)
    assert find_views(bones, seen, Side.LEFT, None, CONFIG)["outlet"].angles == pytest.approx((0.0, 38.0))


def test_what_was_not_seen_is_the_published_mean_and_says_so(bones: Bones) -> None:
    views = find_views(bones, NOTHING_SEEN, Side.LEFT, None, CONFIG)
    assert (views["inlet"].angles.tilt_deg, views["outlet"].angles.tilt_deg) == (INLET_TILT_DEG, OUTLET_TILT_DEG)
    assert all("mean of 200 people" in views[name].basis for name in ("inlet", "outlet"))
    outside = Bearings({"promontory": bones.labels.grid.origin_lps_mm - 500.0}, None, None)
    assert find_views(bones, outside, Side.LEFT, None, CONFIG)["inlet"].angles.tilt_deg == INLET_TILT_DEG


@pytest.mark.parametrize("side", list(Side))
def test_lateral_has_the_detector_on_the_side_that_is_planned(bones: Bones, side: Side) -> None:
    assert find_views(bones, NOTHING_SEEN, side, None, CONFIG)["lateral"].angles == (90.0 * side.lateral_x, 0.0)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("axial_deg", [0.0, 20.0, 33.0])
def test_a_flat_joint_is_seen_edge_on(side: Side, axial_deg: float) -> None:
    """Its line is sharp where the ray lies in its plane; the detector is on the other side of the midline."""
    _, made, joints, _ = SlabPelvis(axial_deg=axial_deg, spacing_mm=(4.0, 4.0, 4.0)).build()
    view = joint_view(joints[side], made, CONFIG)
    assert view.angles.orbital_deg == pytest.approx(-side.lateral_x * axial_deg, abs=0.5)
    assert CONFIG.joint_view_tilt_deg[0] <= view.angles.tilt_deg <= CONFIG.joint_view_tilt_deg[1]
    assert "lies 0 degrees off" in view.basis


def upright_candidate(slabs: SlabPelvis, side: Side, up_mm: float = 0.0) -> Candidate:
    entry, tip = slabs.world([[8.0, 0.0, up_mm], [28.0, 0.0, up_mm]], side)
    return Candidate(
        grade="green", score=0.7, terms={}, implant_id="GENERIC-DOWEL", diameter_mm=8.0, length_mm=20.0,
        implant_entry_lps=entry, implant_tip_lps=tip, skin_entry_lps=np.full(3, np.nan), third="middle",
        articular_share=1.0, depth_from_bone_mm=30.0, depth_from_skin_mm=np.nan, axial_to_sagittal_deg=20.0,
        cranial_tilt_deg=0.0, c_arm={}, clearances={}, breach=PlacementError(0.0, 0.0), safe_entry_radius_mm=2.0,
        hu_shell_mean=180.0, binding="neural",
    )  # fmt: skip


@pytest.mark.parametrize("side", list(Side))
def test_a_slabs_safe_zone_ends_a_radius_from_its_ends(side: Side) -> None:
    slabs = SlabPelvis(spacing_mm=(1.5, 1.5, 1.5))
    _, made, joints, _ = slabs.build()
    psis = slabs.world([[-12.0, 10.0, 5.0]], side)[0]
    zone = find_safe_zone(made, joints[side], upright_candidate(slabs, side, 4.0), psis, CONFIG)
    assert zone is not None
    ends = slabs.local(np.stack([zone.cranial_lps, zone.caudal_lps]), side)
    np.testing.assert_allclose(ends[:, :2], [[18.0, 0.0], [18.0, 0.0]], atol=0.6)
    np.testing.assert_allclose(ends[:, 2], [HALF_HEIGHT_MM - 4.0, -HALF_HEIGHT_MM + 4.0], atol=1.6)
    assert zone.height_mm == pytest.approx(ends[0, 2] - ends[1, 2], abs=1e-6)
    margin = slabs.local(joints[side].vertices_lps, side)[:, 0].max()
    assert zone.psis_to_margin_mm == pytest.approx(margin + 12.0, abs=1.0)
    assert zone.safe_depth_mm == pytest.approx(zone.psis_to_margin_mm - 10.0)


def test_a_flat_implant_has_a_safe_zone_as_high_as_its_own_section_leaves() -> None:
    slabs = SlabPelvis(spacing_mm=(1.5, 1.5, 1.5))
    _, made, joints, _ = slabs.build()
    axes = np.diff(slabs.world([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], Side.LEFT), axis=0)
    across = np.stack([axes[0], axes[0] + axes[1]])  # out of the joint, and up
    flat = replace(
        upright_candidate(slabs, Side.LEFT, 4.0),
        section_mm=np.array([[4.0, 1.0], [-4.0, 1.0], [-4.0, -1.0], [4.0, -1.0]]),
        across_lps=across,
    )
    zone = find_safe_zone(made, joints[Side.LEFT], flat, None, CONFIG)
    assert zone is not None
    ends = slabs.local(np.stack([zone.cranial_lps, zone.caudal_lps]), Side.LEFT)
    np.testing.assert_allclose(ends[:, 2], [HALF_HEIGHT_MM - 1.0, -HALF_HEIGHT_MM + 1.0], atol=1.6)


def test_an_implant_that_is_not_contained_has_no_safe_zone() -> None:
    slabs = SlabPelvis(spacing_mm=(2.0, 2.0, 2.0))
    _, made, joints, _ = slabs.build()
    outside = upright_candidate(slabs, Side.LEFT, HALF_HEIGHT_MM)
    assert find_safe_zone(made, joints[Side.LEFT], outside, None, CONFIG) is None
    inside = find_safe_zone(made, joints[Side.LEFT], upright_candidate(slabs, Side.LEFT), None, CONFIG)
    assert inside is not None
    assert inside.psis_to_margin_mm is inside.safe_depth_mm is None


def test_every_candidate_bears_all_views_and_looks_down_its_own_implant() -> None:
    slabs = SlabPelvis(spacing_mm=(2.0, 2.0, 2.0))
    _, made, joints, _ = slabs.build()
    first = upright_candidate(slabs, Side.LEFT)
    raised = slabs.world([[28.0, 0.0, 8.0]], Side.LEFT)[0]
    plan = SidePlan(Side.LEFT, "planned", "", (first, replace(first, implant_tip_lps=raised)), {})
    card = make_card(made, NOTHING_SEEN, plan, joints[Side.LEFT], CONFIG)
    assert set(card.views) == {"ap", "inlet", "outlet", "lateral", "joint", DOWN}
    one, two = with_views(plan, card, made).candidates
    assert set(one.c_arm) == set(two.c_arm) == set(card.views)
    assert one.c_arm[DOWN] == pytest.approx((-20.0, 0.0), abs=1e-6)
    assert two.c_arm[DOWN][1] == pytest.approx(-np.degrees(np.arctan2(8.0, 20.0)))
    assert one.c_arm["inlet"] == two.c_arm["inlet"]


def test_a_side_without_a_joint_still_has_the_pelvis_views(bones: Bones) -> None:
    card = make_card(bones, NOTHING_SEEN, SidePlan(Side.RIGHT, "not-planned", "x", (), {}), None, CONFIG)
    assert list(card.views) == ["ap", "inlet", "outlet", "lateral"]
    assert card.safe_zone is None


def test_views_turn_with_the_patient() -> None:
    """In a turned pelvis the angles, which count from the pelvis, stay what they are."""
    turn = np.linalg.qr(np.array([[1, 0.3, 0.2], [-0.3, 1, 0.1], [0.1, -0.2, 1]]))[0]
    turn = turn * np.sign(np.linalg.det(turn)) * np.sign(turn[0, 0] * np.linalg.det(turn))
    straight, turned = SlabPelvis(spacing_mm=(4.0, 4.0, 4.0)), SlabPelvis(spacing_mm=(4.0, 4.0, 4.0), rotation=turn)
    found = [joint_view(slabs.build()[2][Side.LEFT], slabs.build()[1], CONFIG).angles for slabs in (straight, turned)]
    assert found[0] == pytest.approx(found[1], abs=0.5)
    down = [
        down_view(np.subtract(*slabs.world([[20.0, 0, 3.0], [0, 0, 0]], Side.LEFT)) / np.hypot(20, 3), slabs.build()[1])
        for slabs in (straight, turned)
    ]
    assert down[0].angles == pytest.approx(down[1].angles, abs=1e-6)
    assert GAP_MM == 2.0
