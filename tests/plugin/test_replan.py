"""Painting plans anew what depends on the paint, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sacroplan.placement import Placement
from napari_sacroplan.reopen import reopen
from napari_sacroplan.replan import PAINTED_FILES, replan_painted
from napari_sacroplan.session import Session
from planner.errors import LabelsError
from planner.images import read_labels
from planner.labels import Keepout, Label, Side


@pytest.fixture
def own(own_folder):
    return reopen(own_folder)


def painted_canal(case, side, radius_mm=6.0):
    """Keep-outs with a ball of canal round the side's first implant."""
    values = case.keepouts.mask.values.copy()
    centre = Placement.of(case.plan.sides[side.value].candidates[0]).centre_lps
    grid = case.keepouts.mask.grid
    box = grid.box_around(centre[None], radius_mm)
    index = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), axis=-1)
    values[box][np.linalg.norm(grid.to_lps(index) - centre, axis=-1) <= radius_mm] = Keepout.CANAL
    return values


def test_a_painted_keepout_plans_its_side_anew_and_the_path_avoids_it(own):
    values = painted_canal(own, Side.LEFT)
    stages = []
    case, painted = replan_painted(own, None, values, stages.append)
    assert painted == ("keep-outs",)
    assert "search the left side" in stages
    before, after = (c.plan.sides["left"] for c in (own, case))
    assert after.candidates != before.candidates
    for candidate in after.candidates:
        assert candidate.clearance["neural"].mm >= own.config.trajectory.constraints.neural_mm
    written = read_labels(case.folder / PAINTED_FILES["keep-outs"])
    assert (written.values == Keepout.CANAL).sum() == (values == Keepout.CANAL).sum()


def test_a_keepout_far_from_both_joints_plans_nothing(own):
    values = own.keepouts.mask.values.copy()
    values[0, 0, 0] = Keepout.CANAL
    case, _ = replan_painted(own, None, values)
    assert case.plan == own.plan


def test_a_painted_hip_bears_on_its_own_side_alone(own):
    values = own.bones.labels.values.copy()
    hip = np.argwhere(values == Label.RIGHT_HIP)
    values[tuple(hip[len(hip) // 2])] = Label.BACKGROUND
    stages = []
    case, painted = replan_painted(own, values, None, stages.append)
    assert painted == ("bones",)
    assert [s for s in stages if "side" in s] == ["search the right side"]
    assert case.plan.sides["left"] is own.plan.sides["left"]
    assert case.plan.sides["right"].candidates


def test_bones_are_not_painted_without_the_scan(own):
    values = own.bones.labels.values.copy()
    values[values == Label.RIGHT_HIP] = 0
    with pytest.raises(LabelsError, match="--ct"):
        replan_painted(replace(own, has_ct=False), values, None)


def test_a_session_goes_on_with_what_was_planned_anew_and_says_so_in_the_record(own):
    session = Session(own, name="A. Tester")
    case, painted = replan_painted(own, None, painted_canal(own, Side.LEFT))
    session.replanned(case, painted)
    assert session.case is case
    if session.candidate is not None:
        assert session.check().broken == ()
    assert session.decide("rejected", "too close").repainted == ("keep-outs",)
