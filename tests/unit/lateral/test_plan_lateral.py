"""Lateral rods on slabs: where they lie, what they keep, what is said where they do not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.errors import ImplantError
from planner.implants import load_catalogue
from planner.labels import Side
from planner.lateral import LateralConfig, LateralPlan, lateral_implant, plan_lateral
from planner.lateral.plan import _solid_of
from planner.plan import describe_lateral
from planner.trajectory import TrajectoryConfig

from support.beside_slabs import Beside, anatomy_of
from support.slab_pelvis import BONE_MM, DEPTH_MM, GAP_MM, HALF_HEIGHT_MM, SlabPelvis

IFUSE = load_catalogue().find("IFUSE")
COARSE = (2.0, 1.5, 1.5)


def ends(beside: Beside, side: Side) -> np.ndarray:
    """Depth, out and up of each rod's near end, crossing and tip: ``(rods, 3, 3)``."""
    rods = beside.rods[side].rods
    points = np.array([[rod.entry_lps, rod.crossing_lps, rod.tip_lps] for rod in rods])
    local: np.ndarray = beside.planned.phantom.local(points, side)
    return local


@pytest.mark.parametrize("side", list(Side))
def test_three_rods_run_from_the_side_through_the_ilium_into_the_sacrum(beside: Beside, side: Side) -> None:
    plan = beside.rods[side]
    assert plan.status == "planned", plan.reason
    assert len(plan.rods) == 3
    near, crossing, tip = ends(beside, side).swapaxes(0, 1)
    assert (near[:, 1] > BONE_MM).all()  # outside the ilium's outer wall
    assert (near[:, 1] < BONE_MM + 8).all()
    assert np.abs(crossing[:, 1]).max() < 1.5
    assert (tip[:, 1] < -GAP_MM / 2 - LateralConfig().least_in_sacrum_mm + 1).all()
    assert (tip[:, 1] > -BONE_MM).all()


@pytest.mark.parametrize("side", list(Side))
def test_rods_are_parallel_apart_and_cranial_first(beside: Beside, side: Side) -> None:
    plan = beside.rods[side]
    ways = np.array([(rod.tip_lps - rod.entry_lps) / rod.length_mm for rod in plan.rods])
    assert np.allclose(ways, ways[0], atol=1e-9)
    height = [rod.crossing_lps[2] for rod in plan.rods]
    assert height == sorted(height, reverse=True)
    assert len(plan.spacing_mm) == 2
    assert min(plan.spacing_mm) >= LateralConfig().least_spacing_mm


@pytest.mark.parametrize("side", list(Side))
def test_every_limit_is_kept_by_the_exact_clearances(beside: Beside, side: Side) -> None:
    config, shared = LateralConfig(), TrajectoryConfig().constraints
    local = ends(beside, side)
    for rod, (_, crossing, _) in zip(beside.rods[side].rods, local, strict=True):
        assert rod.clearances["neural"].mm >= shared.neural_mm + shared.segmentation_margin_mm
        assert rod.clearances["ventral_cortex"].mm >= config.cortex_mm
        assert all(
            clearance.proven_mm < clearance.mm for clearance in rod.clearances.values() if clearance.terms["voxel_mm"]
        )
        assert rod.in_sacrum_mm >= config.least_in_sacrum_mm
        assert rod.joint_angle_deg <= config.joint_angle_deg
        assert config.proud_mm[0] - 0.5 <= rod.proud_mm <= config.proud_mm[1] + 0.5
        assert 0 < crossing[0] < DEPTH_MM
        assert abs(crossing[2]) < HALF_HEIGHT_MM


@pytest.mark.parametrize("side", list(Side))
def test_the_corners_of_the_rods_stay_in_the_sacrum_and_off_the_foramina(beside: Beside, side: Side) -> None:
    phantom = beside.planned.phantom
    for rod in beside.rods[side].rods:
        assert rod.section_mm is not None
        tips = phantom.local(rod.tip_lps + rod.section_mm @ rod.across_lps, side)
        assert (tips[:, 0] > 0).all()
        assert (tips[:, 0] < DEPTH_MM).all()
        assert (np.abs(tips[:, 2]) < HALF_HEIGHT_MM).all()
        assert (tips[:, 1] > phantom.foramen_out_mm + 3.0 - 1.5).all() or np.isin(rod.level, ["above S1", "below S3"])


def test_bone_removed_is_the_prisms_volume_in_each_bone(beside: Beside) -> None:
    for rod in beside.rods[Side.LEFT].rods:
        area = 3 * np.sqrt(3) * (rod.diameter_mm / 2) ** 2  # of the triangle round the circle
        assert rod.removed.sacrum_mm3 == pytest.approx(area * rod.in_sacrum_mm, rel=0.06)
        assert rod.removed.hip_mm3 == pytest.approx(area * rod.in_ilium_mm, rel=0.06)
    document = describe_lateral(beside.rods[Side.LEFT])
    assert document.bone_removed_mm3 is not None
    assert document.bone_removed_mm3.sacrum == pytest.approx(
        sum(r.bone_removed_mm3.sacrum for r in document.rods), abs=1
    )


def test_the_posterior_dowel_takes_less_bone_and_is_counted_alike(beside: Beside) -> None:
    plan = beside.rods[Side.LEFT]
    best = beside.planned.plans[Side.LEFT].candidates[0]
    assert plan.posterior_removed is not None
    whole = plan.posterior_removed.sacrum_mm3 + plan.posterior_removed.hip_mm3
    assert whole == pytest.approx(best.bone_removed_mm3, rel=1e-6)
    assert whole < sum(rod.removed.sacrum_mm3 + rod.removed.hip_mm3 for rod in plan.rods)


def test_a_posterior_box_is_counted_as_a_box(beside: Beside) -> None:
    best = beside.planned.plans[Side.LEFT].candidates[0]
    assert best.across_lps is not None
    corners = best.diameter_mm / 2 * np.array([[1.0, 0.5], [-1, 0.5], [-1, -0.5], [1, -0.5]])
    box, rod = _solid_of(replace(best, section_mm=corners)), _solid_of(best)
    middle = 0.5 * (best.implant_entry_lps + best.implant_tip_lps)
    for share, within_box in ((0.2, True), (0.4, False)):
        beyond = (middle + share * best.diameter_mm * best.across_lps[1])[None]
        assert rod.distance(beyond)[0] == 0
        assert (box.distance(beyond)[0] == 0) == within_box
    assert box.distance((middle + 0.49 * best.diameter_mm * best.across_lps[0])[None])[0] == 0


def test_the_view_down_the_rods_comes_from_the_side_that_they_do(beside: Beside) -> None:
    for side, plan in beside.rods.items():
        orbital, tilt = plan.c_arm
        assert side.lateral_x * orbital == pytest.approx(90.0 - plan.to_anterior_deg, abs=1e-6)
        assert tilt == pytest.approx(-plan.cranial_tilt_deg, abs=1e-6)


def refused(phantom: SlabPelvis, config: LateralConfig | None = None) -> LateralPlan:
    return plan_lateral(anatomy_of(phantom, Side.LEFT), IFUSE, config or LateralConfig(), TrajectoryConfig())


def test_foramina_too_near_leave_no_rod_and_name_what_binds() -> None:
    plan = refused(SlabPelvis(foramen_out_mm=-10.0, spacing_mm=COARSE))
    assert plan.status == "no-safe-path"
    assert not plan.rods
    assert plan.binding
    assert plan.binding in plan.reason
    assert plan.fitting < 3


def test_a_spacing_that_no_joint_has_leaves_fewer_rods_and_says_how_many_fit() -> None:
    plan = refused(
        SlabPelvis(foramen_out_mm=-22.0, spacing_mm=COARSE), LateralConfig(least_spacing_mm=50.0, spacing_mm=60.0)
    )
    assert plan.status == "no-safe-path"
    assert 1 <= plan.fitting < 3
    assert f"At most {plan.fitting}" in plan.reason


def test_a_joint_cut_off_by_the_scan_is_not_planned() -> None:
    plan = refused(SlabPelvis(known_thirds=False, spacing_mm=COARSE))
    assert (plan.status, plan.rods) == ("not-planned", ())
    assert "cuts the joint off" in plan.reason


def test_missing_foramina_make_the_rods_unverified() -> None:
    plan = refused(SlabPelvis(foramen_out_mm=-20.0, missing=("S3",), spacing_mm=COARSE))
    assert plan.status == "unverified"
    assert "S3 ventral" in plan.reason


@pytest.mark.parametrize("name", ["LINQ", "GENERIC-DOWEL", "SI-DESIS", "NO-SUCH"])
def test_implants_that_are_no_lateral_ones_with_sizes_are_refused(name: str) -> None:
    with pytest.raises(ImplantError):
        lateral_implant(None, LateralConfig(implant=name))


def test_weights_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="sum to"):
        LateralConfig.model_validate({"score": {"in_sacrum": 0.9}})
