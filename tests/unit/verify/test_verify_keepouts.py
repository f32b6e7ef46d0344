"""Neural and soft keep-outs, as verification tells them apart."""

from __future__ import annotations

import numpy as np
import pytest

from planner.verify.candidate import check_candidate
from planner.verify.case import SOFT, Case, Dowel, is_neural
from planner.verify.image import Image

CLAIMS = {
    "rank": 1,
    "implant": {"diameter_mm": 8, "length_mm": 20},
    "implant_entry_lps_mm": [40.0, 60.0, 40.0],
    "implant_tip_lps_mm": [40.0, 40.0, 40.0],
    "clearance": {"neural": {"mm": 15.5, "proven_mm": 14.0, "at_lps_mm": [60, 50, 40]}},
}


def dowel(soft_mm: float | None = None) -> Dowel:
    """A dowel of radius 4 along y at x = 40; a nerve 20 mm to its left, soft tissue 10 mm to its right."""
    keepout = np.zeros((80, 80, 80), np.uint8)
    keepout[40, 50, 60] = 12
    keepout[40, 50, 30] = SOFT
    clearance = {**CLAIMS["clearance"]}
    if soft_mm is not None:
        clearance["soft"] = {"mm": soft_mm, "proven_mm": soft_mm - 1, "at_lps_mm": [30, 50, 40]}
    image = Image(keepout, np.eye(3), np.zeros(3))
    return Dowel(Case({}, image, image), "left", {**CLAIMS, "clearance": clearance})


def test_soft_tissue_is_not_neural():
    np.testing.assert_array_equal(is_neural(np.array([0, 1, 11, 24, SOFT], np.uint8)), [False, True, True, True, False])
    assert dowel().neural_centre_distance == pytest.approx(16.0, abs=0.02)
    assert dowel().soft_centre_distance == pytest.approx(6.0, abs=0.02)


@pytest.mark.parametrize(("claimed", "passed"), [(5.5, True), (7.0, False)])
def test_a_claimed_soft_clearance_is_measured(claimed, passed):
    from planner.verify.candidate import _soft

    checks = {check.name: check for check in _soft(dowel(claimed))}
    assert checks["soft-clearance"].passed is passed
    assert checks["soft-limit"].passed


def test_without_a_claim_only_the_limit_is_checked():
    from planner.verify.candidate import _soft

    assert [check.name for check in _soft(dowel())] == ["soft-limit"]


def test_every_candidate_is_checked_against_soft_tissue():
    checks = check_candidate(dowel(5.5))
    names = [next(checks).name for _ in range(8)]
    assert {"neural-limit", "soft-clearance", "soft-limit"} <= set(names)
