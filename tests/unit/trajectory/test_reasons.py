"""What is said with a plan: why a path wins, what would have to give, how the thirds compare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.implants import Implant
from planner.labels import Side
from planner.trajectory import SidePlan, TrajectoryConfig, plan_side
from planner.trajectory.explain import WORDS, with_reasons

from support.planned_slabs import Planned, make_planned
from support.slab_pelvis import SlabPelvis

COARSE = SlabPelvis(spacing_mm=(1.5, 1.25, 1.25))
ONE = TrajectoryConfig.model_validate({"search": {"candidates": 1}})


def test_every_candidate_says_what_binds_it(planned: Planned) -> None:
    for plan in planned.plans.values():
        for candidate in plan.candidates:
            assert f"Bound by {candidate.binding}, {candidate.binding_slack_mm:.1f} mm to spare" in candidate.why
            assert candidate.binding_slack_mm >= 0


def test_the_first_names_the_term_by_which_it_is_ahead(planned: Planned) -> None:
    one = planned.plans[Side.LEFT].candidates[0]
    terms = {**one.terms, "bite": one.terms["bite"] - 0.5}
    worse = replace(one, terms=terms, score=one.score - 0.05)
    first, second = with_reasons((one, worse), one.weights)
    assert "gains even bite into both bones (+0.050)" in first.why
    assert "gives away even bite into both bones (-0.050)" in second.why


def test_words_are_there_for_every_term(planned: Planned) -> None:
    assert set(WORDS) == set(planned.plans[Side.LEFT].candidates[0].terms)


def test_a_margin_that_is_too_wide_is_what_would_have_to_give(small_dowel: Implant) -> None:
    planned = make_planned(replace(COARSE, foramen_out_mm=-3.5), small_dowel, ONE)
    no_path = planned.plans[Side.LEFT].no_path
    assert no_path is not None
    assert no_path.binding == "neural-clearance"
    gives = {give.constraint: give for give in no_path.gives}
    margin = gives["neural-clearance"].value[0]
    assert 0 < margin < 3
    assert f"a neural margin of {margin:.1f} mm instead of 3" in planned.plans[Side.LEFT].reason


SETTINGS = {
    "neural-clearance": "neural_mm",
    "ventral-cortex": "cortex_mm",
    "access": "nibble_mm",
    "in-joint": "joint_offset_mm",
    "anterior-margin": "implant_to_margin_mm",
    "sciatic-notch": "sciatic_notch_mm",
    "axial-angle": "axial_deg",
    "cranial-tilt": "cranial_tilt_deg",
}


@pytest.mark.parametrize(
    ("phantom", "constraints"),
    [
        (replace(COARSE, foramen_out_mm=-3.5), {}),
        (replace(COARSE, foramen_out_mm=-2.0), {}),
        (COARSE, {"axial_deg": (39.5, 40.0)}),
        (COARSE, {"nibble_mm": 0.0, "implant_to_margin_mm": 10.0}),
        (COARSE, {"sciatic_notch_mm": 75.0, "neural_mm": 5.0}),
    ],
    ids=["foramina near", "foramina nearer", "steep", "shallow", "far from the notch"],
)
def test_what_would_have_to_give_does_yield_a_plan(
    small_dowel: Implant, phantom: SlabPelvis, constraints: dict[str, object]
) -> None:
    volume, bones, joints, keepouts = phantom.build()

    def plan(changes: dict[str, object], implant: Implant) -> SidePlan:
        config = {"search": {"candidates": 1}, "constraints": {"neural_floor_mm": 0.05, **constraints, **changes}}
        settings = TrajectoryConfig.model_validate(config)
        return plan_side(volume, bones, joints[Side.LEFT], keepouts, implant, settings)

    no_path = plan({}, small_dowel).no_path
    assert no_path is not None
    assert no_path.gives
    for give in no_path.gives:
        if give.constraint == "implant-size":
            sizes = {"diameters_mm": give.value[:1], "lengths_mm": give.value[1:]}
            assert plan({}, small_dowel.model_copy(update=sizes)).candidates, give.words
        else:
            value = give.value if len(give.value) == 2 else give.value[0]
            assert plan({SETTINGS[give.constraint]: value}, small_dowel).candidates, give.words


def test_both_thirds_are_compared_where_the_slabs_are_alike(planned: Planned) -> None:
    compared = planned.plans[Side.LEFT].thirds_compared
    assert set(compared) == {"middle", "inferior"}
    assert compared["middle"].score == planned.plans[Side.LEFT].candidates[0].score
    assert compared["inferior"].gap_mm == pytest.approx(2)
    assert compared["inferior"].articular_share == pytest.approx(1, abs=0.1)


def test_a_probability_has_a_standard_error_and_outlines_count(small_dowel: Implant) -> None:
    loose = {"fluoroscopic": {"mean_mm": 9.0, "mean_deg": 8.0}, "log2_samples": 8}
    config = TrajectoryConfig.model_validate({"search": {"candidates": 1}, "placement": loose})
    breach = make_planned(COARSE, small_dowel, config).plans[Side.LEFT].candidates[0].breach
    assert 0 < breach.fluoroscopic < 1
    share = breach.fluoroscopic
    assert 0 < breach.fluoroscopic_se < 2 * np.sqrt(share * (1 - share) / 256)


def test_figures_of_a_candidate_agree_with_each_other(planned: Planned) -> None:
    for side, plan in planned.plans.items():
        one = plan.candidates[0]
        assert one.cpt == "27278"
        assert len(one.hu_path) == int(one.depth_from_bone_mm) + 1
        volume = np.pi * (one.diameter_mm / 2) ** 2 * one.length_mm
        assert 0.5 * volume < one.bone_removed_mm3 < volume
        assert one.scan_axial_to_sagittal_deg == pytest.approx(one.axial_to_sagittal_deg)
        assert one.skin_from_midline_mm == pytest.approx(side.lateral_x * one.skin_entry_lps[0])
        assert min(one.bite_mm) > 1
