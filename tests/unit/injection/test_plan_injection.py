"""The needle on slabs: between the bones, from behind, clear of all else."""

from __future__ import annotations

import numpy as np
import pytest

from planner.injection import InjectionConfig, InjectionPlan, plan_injection
from planner.labels import Side
from planner.plan import describe_injection
from planner.trajectory.config import Constraints

from support.beside_slabs import anatomy_of
from support.slab_pelvis import DEPTH_MM, SKIN_MM, SlabPelvis

SPACING = (1.5, 1.25, 1.25)
SIDES = list(Side)


def needle(phantom: SlabPelvis, side: Side = Side.LEFT, config: InjectionConfig | None = None) -> InjectionPlan:
    return plan_injection(anatomy_of(phantom, side), config or InjectionConfig(), Constraints())


@pytest.fixture(scope="module", params=SIDES)
def planned(request: pytest.FixtureRequest) -> tuple[SlabPelvis, Side, InjectionPlan]:
    phantom = SlabPelvis(spacing_mm=SPACING)
    return phantom, request.param, needle(phantom, request.param)


Planned = tuple[SlabPelvis, Side, InjectionPlan]


def test_the_tip_lies_in_the_joint_behind_its_ventral_edge(planned: Planned) -> None:
    phantom, side, plan = planned
    assert plan.status == "planned", plan.reason
    depth, out, _ = phantom.local(plan.tip_lps, side)
    low, high = InjectionConfig().depth_mm
    assert low <= plan.in_joint_mm <= high
    assert abs(out) <= 0.7  # half of a gap of 2 mm, less the needle
    assert 0 < depth < DEPTH_MM


def test_the_needle_lies_between_the_slabs_all_the_way(planned: Planned) -> None:
    phantom, side, plan = planned
    line = plan.tip_lps + np.linspace(0, 1, 200)[:, None] * (plan.skin_lps - plan.tip_lps)
    depth, out, _ = phantom.local(line, side).T
    assert np.abs(out[depth > 0]).max() <= 0.75


def test_the_needle_comes_from_the_skin_behind(planned: Planned) -> None:
    _, _, plan = planned
    assert plan.skin_lps[1] == pytest.approx(SKIN_MM, abs=1.5)
    assert plan.skin_lps[1] > plan.edge_lps[1] > plan.tip_lps[1]
    assert plan.depth_from_skin_mm == pytest.approx(np.linalg.norm(plan.skin_lps - plan.tip_lps))


def test_angles_are_the_joints_own_and_the_c_arm_looks_down_the_needle(planned: Planned) -> None:
    phantom, side, plan = planned
    assert plan.axial_to_sagittal_deg == pytest.approx(phantom.axial_deg, abs=7)
    assert plan.c_arm[0] == pytest.approx(-side.lateral_x * plan.axial_to_sagittal_deg)
    assert plan.c_arm[1] == pytest.approx(-plan.cranial_tilt_deg)


def test_clearances_keep_their_limits_and_are_proven(planned: Planned) -> None:
    _, _, plan = planned
    limits = Constraints()
    assert plan.clearances["neural"].mm >= limits.neural_mm + limits.segmentation_margin_mm
    assert plan.clearances["sciatic_notch"].mm >= limits.sciatic_notch_mm
    assert plan.clearances["bone"].proven_mm > 0
    for name in ("neural", "bone"):
        claim = plan.clearances[name]
        assert claim.proven_mm == pytest.approx(claim.centre_mm - sum(claim.terms.values()))
        assert claim.proven_mm < claim.mm


def test_the_usual_entry_comes_first() -> None:
    assert needle(SlabPelvis(spacing_mm=SPACING)).entry == "posterior-inferior"


def test_mirrored_sides_have_mirrored_needles() -> None:
    phantom = SlabPelvis(spacing_mm=(1.5, 1.25, 1.25))
    left, right = (needle(phantom, side) for side in Side)
    assert left.axial_to_sagittal_deg == pytest.approx(right.axial_to_sagittal_deg, abs=6.1)
    assert left.entry == right.entry


def test_a_needle_that_must_stay_far_from_bone_has_no_path_and_says_why() -> None:
    plan = needle(SlabPelvis(spacing_mm=SPACING), config=InjectionConfig(bone_mm=9.5))
    assert plan.status == "no-safe-path"
    assert plan.binding == "no straight way between the bones"  # it is to be free of them 10 mm behind the joint
    assert plan.binding in plan.reason
    assert not np.isfinite(plan.tip_lps).any()
    assert describe_injection(plan).tip_lps_mm is None


def test_directions_that_no_joint_has_leave_no_path() -> None:
    plan = needle(SlabPelvis(spacing_mm=SPACING), config=InjectionConfig(axial_deg=(-20.0, -15.0)))
    assert (plan.status, plan.binding) == ("no-safe-path", "direction")


def test_a_joint_cut_off_is_not_planned() -> None:
    assert needle(SlabPelvis(known_thirds=False, spacing_mm=SPACING)).status == "not-planned"


def test_missing_foramina_make_the_needle_unverified() -> None:
    plan = needle(SlabPelvis(missing=("S2",), spacing_mm=SPACING))
    assert plan.status == "unverified"
    assert "S2 ventral" in plan.reason
