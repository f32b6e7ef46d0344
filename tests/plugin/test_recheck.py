"""A result folder read back measures what the plan says, by the planner's own evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sacroplan.placement import Placement
from napari_sacroplan.recheck import make_checker
from planner.joint.model import Third
from planner.labels import Side
from planner.outline import implant_rim
from planner.trajectory.kernel import CONSTRAINTS
from planner.trajectory.section import Section

MICROMETRES = 0.01
"""`plan.json` rounds to a micrometre; frame and thirds to less."""


@pytest.fixture(scope="module")
def checkers(case):
    return {side: make_checker(case, side) for side in Side}


def candidates(case):
    return [(side, c) for side in Side for c in case.plan.sides[side.value].candidates]


def test_proposals_measure_what_the_plan_says(case, checkers):
    assert len(candidates(case)) >= 2
    for side, candidate in candidates(case):
        checked = checkers[side].check(Placement.of(candidate))
        assert checked.broken == ()
        assert checked.grade == candidate.grade
        assert checked.score == pytest.approx(candidate.score, abs=2e-3)
        for name in ("neural", "ventral_cortex", "outer_iliac_cortex", "sciatic_notch"):
            assert checked.clearances[name].mm == pytest.approx(candidate.clearance[name].mm, abs=MICROMETRES)
            assert np.allclose(checked.clearances[name].at_lps, candidate.clearance[name].at_lps_mm, atol=MICROMETRES)
        assert checked.axial_deg == pytest.approx(candidate.angles_deg.axial_to_sagittal, abs=0.01)
        assert checked.third == candidate.third == "middle"


def test_a_section_is_measured_as_it_lies_not_as_the_mean_joint_lies(case, checkers):
    side, document = candidates(case)[0]
    corners = np.array([[4.0, 1], [-4, 1], [-4, -1], [4, -1]])
    checker = replace(checkers[side], task=replace(checkers[side].task, section=Section(corners / 8)))
    here, out = Placement.of(document), checker.out_of_joint_lps(Placement.of(document))
    along = side.lateral_x * np.cross(here.direction_lps, out)
    for across in (np.stack([along, out]), np.stack([-out * side.lateral_x, along * side.lateral_x])):
        flat = replace(here, diameter_mm=8.0, corners_mm=corners, across_lps=across)
        neural = checker.check(flat).clearances["neural"]
        rim = implant_rim(flat.direction_lps, 8.0, flat.corners_lps)
        steps = np.linspace(0, 1, 200)[:, None, None]
        edges = np.concatenate([rim * (1 - s) + np.roll(rim, -1, axis=0) * s for s in np.linspace(0, 1, 60)])
        surface = flat.entry_lps + steps * (flat.tip_lps - flat.entry_lps) + edges
        assert np.linalg.norm(surface.reshape(-1, 3) - neural.at_lps, axis=1).min() == pytest.approx(
            neural.centre_mm, abs=0.02
        )


def test_all_figures_of_a_proposal_come_from_the_planner(case, checkers):
    side, document = candidates(case)[0]
    found = checkers[side].candidate(Placement.of(document))
    assert found is not None
    assert found.breach.navigated == pytest.approx(document.breach_probability.navigated, abs=0.01)
    assert found.clearances["access_neural"].mm == pytest.approx(document.clearance["access_neural"].mm, abs=0.1)


def test_a_path_into_the_canal_is_red_and_no_candidate(case, checkers):
    side, document = candidates(case)[0]
    here = Placement.of(document)
    towards = checkers[side].check(here).clearances["neural"].at_lps - here.centre_lps
    there = here.moved(towards)
    checked = checkers[side].check(there)
    assert checked.grade == "red"
    assert "neural-clearance" in checked.broken
    assert checked.clearances["neural"].mm <= 0
    assert checkers[side].candidate(there) is None


def test_every_constraint_has_its_slack(case, checkers):
    side, document = candidates(case)[0]
    assert set(checkers[side].check(Placement.of(document)).slack) == set(CONSTRAINTS)


def test_a_wider_margin_is_what_placements_are_held_against(case, checkers):
    side, document = candidates(case)[0]
    here, checker = Placement.of(document), checkers[side]
    before = checker.check(here).slack["ventral-cortex"]
    limits = checker.config.constraints.model_copy(update={"cortex_mm": 6.0})
    after = checker.with_limits(checker.config.model_copy(update={"constraints": limits})).check(here)
    assert after.slack["ventral-cortex"] == pytest.approx(before - 1.0)


def test_another_third_is_another_target(case, checkers):
    side, document = candidates(case)[0]
    checked = checkers[side].with_third(Third.SUPERIOR).check(Placement.of(document))
    assert "inferior-third" in checked.broken
    again = checkers[side].with_third(Third.MIDDLE).check(Placement.of(document))
    assert again.broken == ()


def test_climbing_from_beside_a_proposal_leads_to_a_path_that_is_kept(case, checkers):
    side, document = candidates(case)[0]
    beside = Placement.of(document).moved((1.0, 1.0, -1.0))
    end = checkers[side].climb(beside)
    checked = checkers[side].check(end)
    assert checked.broken == ()
    assert checked.score >= checkers[side].check(beside).score
    assert end.size == pytest.approx(beside.size)


def test_a_side_without_thirds_is_not_checked(case):
    from dataclasses import replace

    joint = case.joints[Side.LEFT]
    unknown = replace(joint, thirds=replace(joint.thirds, known=False))
    assert make_checker(replace(case, joints={Side.LEFT: unknown}), Side.LEFT) is None
    assert make_checker(replace(case, joints={}), Side.RIGHT) is None
