"""The whole of the stage on slabs, where the best path is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from planner.errors import ImplantError
from planner.implants import Implant, load_catalogue
from planner.keepout.model import Keepouts
from planner.labels import Side
from planner.trajectory import Candidate, SidePlan, TrajectoryConfig, plan_side
from planner.trajectory.kernel import CONSTRAINTS
from planner.volume import LabelMap

from support.planned_slabs import Planned, make_planned
from support.slab_pelvis import SlabPelvis

COARSE = SlabPelvis(spacing_mm=(1.5, 1.25, 1.25))
VOXEL_MM = 1.5


def best(plan: SidePlan) -> Candidate:
    assert plan.status == "planned", plan.reason
    return plan.candidates[0]


def local_ends(planned: Planned, side: Side) -> np.ndarray:
    """Entry and tip of the best candidate in the joint's frame: depth, out, up."""
    candidate = best(planned.plans[side])
    return planned.phantom.local(np.stack([candidate.implant_entry_lps, candidate.implant_tip_lps]), side)


def least_clearance(candidate: Candidate) -> float:
    return min(candidate.clearances[k].mm for k in ("neural", "ventral_cortex", "outer_iliac_cortex"))


def angle_between(one: Candidate, other: Candidate) -> float:
    a, b = (c.implant_tip_lps - c.implant_entry_lps for c in (one, other))
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


@pytest.mark.parametrize("side", list(Side))
def test_the_dowel_lies_in_the_joint_plane_in_the_middle_third_between_the_foramina(
    planned: Planned, side: Side
) -> None:
    entry, tip = local_ends(planned, side)
    assert entry[0] >= 0  # below the dorsal mouth
    assert tip[0] <= 40 - 5  # short of the anterior margin
    assert abs(entry[1] + tip[1]) / 2 <= 1.0
    assert abs(tip[1] - entry[1]) <= 20 * np.sin(np.radians(5))
    assert abs(entry[2] + tip[2]) / 2 <= 2.0


@pytest.mark.parametrize("side", list(Side))
def test_clearances_are_those_of_the_slabs(planned: Planned, side: Side) -> None:
    candidate, (entry, tip) = best(planned.plans[side]), local_ends(planned, side)
    nearest_out = min(entry[1], tip[1])
    assert candidate.clearances["neural"].mm == pytest.approx(nearest_out - 4 + 14, abs=VOXEL_MM)
    farthest_out = max(entry[1], tip[1])
    assert candidate.clearances["outer_iliac_cortex"].mm == pytest.approx(24 - farthest_out - 4, abs=VOXEL_MM)
    assert candidate.clearances["anterior_margin"].mm == pytest.approx(40 - tip[0], abs=VOXEL_MM)
    assert candidate.depth_from_bone_mm == pytest.approx(tip[0], abs=VOXEL_MM)


@pytest.mark.parametrize("side", list(Side))
def test_every_proven_clearance_holds_in_the_continuous_world(planned: Planned, side: Side) -> None:
    for candidate in planned.plans[side].candidates:
        ends = planned.phantom.local(np.stack([candidate.implant_entry_lps, candidate.implant_tip_lps]), side)
        true_neural = ends[:, 1].min() - 4 - planned.phantom.foramen_out_mm  # at most: the rim is not tilted out
        assert candidate.clearances["neural"].proven_mm <= true_neural
        for clearance in candidate.clearances.values():
            assert clearance.proven_mm <= clearance.mm


def test_the_best_of_the_score_is_reached(planned: Planned) -> None:
    terms = best(planned.plans[Side.LEFT]).terms
    assert {name for name, value in terms.items() if value > 0.95} >= {
        "clearance",
        "coplanar",
        "articular",
        "middle_third",
        "bite",
        "bone_quality",
    }


def test_score_is_the_weighted_sum_of_its_terms(planned: Planned) -> None:
    weights = TrajectoryConfig().score.weights
    for candidate in planned.plans[Side.RIGHT].candidates:
        assert candidate.score == pytest.approx(sum(weights[k] * v for k, v in candidate.terms.items()))


def test_candidates_are_three_distinct_and_best_first(planned: Planned) -> None:
    for plan in planned.plans.values():
        assert len(plan.candidates) == 3
        tolerance = TrajectoryConfig().score.size_tolerance
        for one, worse in pairwise(plan.candidates):
            assert one.score >= worse.score - tolerance
            if one.score < worse.score:  # equal within the tolerance: of one size, the clearance decides
                assert least_clearance(one) >= least_clearance(worse)
        for i, one in enumerate(plan.candidates):
            for other in plan.candidates[:i]:
                centres = [(c.implant_entry_lps + c.implant_tip_lps) / 2 for c in (one, other)]
                assert np.linalg.norm(centres[0] - centres[1]) >= 5 - 1e-6 or angle_between(one, other) >= 5 - 1e-6


def test_angles_and_c_arm_are_those_of_the_path(planned: Planned) -> None:
    for side, plan in planned.plans.items():
        candidate = best(plan)
        assert candidate.axial_to_sagittal_deg == pytest.approx(20, abs=5)
        orbital, tilt = candidate.c_arm["down_the_implant"]
        assert orbital == pytest.approx(-side.lateral_x * candidate.axial_to_sagittal_deg)
        assert tilt == pytest.approx(-candidate.cranial_tilt_deg)


def test_the_skin_is_where_the_body_ends(planned: Planned) -> None:
    candidate = best(planned.plans[Side.LEFT])
    assert candidate.skin_entry_lps[1] == pytest.approx(30, abs=1.5)
    assert candidate.depth_from_skin_mm == pytest.approx(
        np.linalg.norm(candidate.implant_tip_lps - candidate.skin_entry_lps)
    )


def test_mirrored_anatomy_gives_the_mirrored_plan(planned: Planned) -> None:
    left, right = (best(planned.plans[side]) for side in Side)
    assert left.implant_entry_lps * (-1, 1, 1) == pytest.approx(right.implant_entry_lps, abs=0.5)
    assert left.implant_tip_lps * (-1, 1, 1) == pytest.approx(right.implant_tip_lps, abs=0.5)
    assert left.score == pytest.approx(right.score, abs=0.01)


@pytest.mark.parametrize("turn_grid", [False, True], ids=["patient and grid turned", "grid turned"])
def test_turning_the_world_moves_the_plan_along(small_dowel: Implant, turn_grid: bool) -> None:
    turn = Rotation.from_euler("xyz", [8, -6, 10], degrees=True).as_matrix()
    phantom = replace(COARSE, grid_rotation=turn) if turn_grid else replace(COARSE, rotation=turn)
    config = TrajectoryConfig.model_validate({"search": {"candidates": 1}})
    upright, turned = (make_planned(p, small_dowel, config) for p in (COARSE, phantom))
    a, b = (local_ends(p, Side.LEFT) for p in (upright, turned))
    tolerance = 2 * VOXEL_MM if turn_grid else 0.5  # another grid cuts the slabs into other voxels
    assert a == pytest.approx(b, abs=tolerance)


def test_the_same_input_gives_the_same_plan(planned: Planned, small_dowel: Implant) -> None:
    again = plan_side(
        planned.volume,
        planned.bones,
        planned.joints[Side.LEFT],
        planned.keepouts,
        small_dowel,
        TrajectoryConfig.model_validate({"search": {"candidates": 1}}),
    )
    one, other = best(planned.plans[Side.LEFT]), best(again)
    pool = [c.score for c in planned.plans[Side.LEFT].candidates]
    assert other.score in pool
    if other.score == one.score:
        assert (one.implant_tip_lps == other.implant_tip_lps).all()


def test_trials_are_counted_by_every_constraint(planned: Planned) -> None:
    rejected = planned.plans[Side.LEFT].rejected
    assert tuple(rejected) == CONSTRAINTS
    assert rejected["inferior-third"] > 0
    assert rejected["sciatic-notch"] == 0  # 60 mm away


def test_foramina_too_near_leave_no_safe_path_and_say_what_binds(small_dowel: Implant) -> None:
    planned = make_planned(replace(COARSE, foramen_out_mm=-2.0), small_dowel)
    plan = planned.plans[Side.LEFT]
    assert plan.status == "no-safe-path"
    assert not plan.candidates
    assert "neural-clearance binds" in plan.reason
    assert plan.rejected["neural-clearance"] > 0


def test_foramina_near_the_joint_push_the_dowel_to_the_ilium(small_dowel: Implant) -> None:
    config = TrajectoryConfig.model_validate({"search": {"candidates": 1}})
    planned = make_planned(replace(COARSE, foramen_out_mm=-7.5), small_dowel, config)
    candidate, ends = best(planned.plans[Side.LEFT]), local_ends(planned, Side.LEFT)
    assert candidate.clearances["neural"].mm >= 4.0  # the limit and the segmentation margin
    assert ends[:, 1].mean() > 0
    assert candidate.grade == ("green" if candidate.clearances["neural"].mm >= 5 else "amber")


def test_a_truncated_joint_is_not_planned(dowel: Implant) -> None:
    volume, bones, joints, keepouts = replace(COARSE, known_thirds=False).build()
    plan = plan_side(volume, bones, joints[Side.LEFT], keepouts, dowel, TrajectoryConfig())
    assert plan.status == "not-planned"
    assert "cuts the joint off" in plan.reason


def test_missing_foramina_make_the_plan_unverified(small_dowel: Implant) -> None:
    plan = make_planned(replace(COARSE, missing=("S2",)), small_dowel).plans[Side.LEFT]
    assert plan.status == "unverified"
    assert "S2 ventral, S2 dorsal" in plan.reason
    assert plan.candidates


def test_without_any_keepout_nothing_is_planned(planned: Planned, small_dowel: Implant) -> None:
    empty = LabelMap(np.zeros_like(planned.keepouts.mask.values), planned.keepouts.mask.grid)
    keepouts = Keepouts(empty, (), np.zeros((0, 3)))
    joint = planned.joints[Side.LEFT]
    plan = plan_side(planned.volume, planned.bones, joint, keepouts, small_dowel, TrajectoryConfig())
    assert plan.status == "not-planned"
    assert "no path can be checked" in plan.reason


def test_a_breach_that_is_too_likely_warns_or_rejects(planned: Planned, small_dowel: Implant) -> None:
    loose = {"fluoroscopic": {"mean_mm": 12.0, "mean_deg": 10.0}, "log2_samples": 6}
    joint = planned.joints[Side.LEFT]

    def plan(rejects: str) -> SidePlan:
        config = TrajectoryConfig.model_validate(
            {"placement": loose, "constraints": {"breach_rejects": rejects}, "search": {"candidates": 1}}
        )
        return plan_side(planned.volume, planned.bones, joint, planned.keepouts, small_dowel, config)

    warned = plan("none")
    assert [finding.code for finding in warned.findings] == ["breach-probability"]
    assert best(warned).breach.fluoroscopic > 0.05 >= best(warned).breach.navigated
    assert plan("fluoroscopic").status == "no-safe-path"
    assert plan("navigated").status == "planned"


def test_other_grids_and_other_implants_are_refused(planned: Planned, dowel: Implant) -> None:
    small = LabelMap(
        planned.bones.labels.values[:-1],
        planned.bones.labels.grid.crop(
            (slice(0, planned.volume.grid.shape_zyx[0] - 1), *(slice(0, n) for n in planned.volume.grid.shape_zyx[1:]))
        ),
    )
    joint, config = planned.joints[Side.LEFT], TrajectoryConfig()
    with pytest.raises(ValueError, match="different grids"):
        plan_side(planned.volume, replace(planned.bones, labels=small), joint, planned.keepouts, dowel, config)
    with pytest.raises(ImplantError, match="LINQ"):
        plan_side(planned.volume, planned.bones, joint, planned.keepouts, load_catalogue().find("LINQ"), config)


def test_instruments_stop_ten_millimetres_short_of_the_margin_or_at_the_implants_tip(planned: Planned) -> None:
    for candidate in planned.plans[Side.LEFT].candidates:
        ahead, stop = candidate.clearances["anterior_margin"].mm, candidate.clearances["instrument_stop"]
        assert ahead >= 5
        assert stop.mm == pytest.approx(max(ahead, 10))
        assert np.linalg.norm(stop.at_lps - candidate.implant_tip_lps) == pytest.approx(stop.mm - ahead, abs=1e-9)
