"""Peaks of soft tissue and air tell CT from cone beam, MR and other slopes; padding and bones alone tell nothing."""

from __future__ import annotations

import numpy as np
import pytest

from planner.findings import Level
from planner.reading.hounsfield import check_hounsfield

RNG = np.random.default_rng(2)
BODY = np.concatenate(
    [
        RNG.normal(-1000, 15, 60_000),
        RNG.normal(-100, 20, 30_000),
        RNG.normal(50, 20, 40_000),
        RNG.uniform(150, 1400, 12_000),
    ]
)
"""Air, fat, muscle and bone of a CT."""


def codes(values):
    stored = np.clip(np.rint(values), -32768, 32767).astype(np.int64)
    return {finding.code for finding in check_hounsfield(np.bincount(stored + 32768, minlength=65536), "ct")}


@pytest.mark.parametrize("padding", [None, -1024, -2048, -3024])
def test_ct_is_ct(padding):
    values = BODY if padding is None else np.append(BODY, np.full(50_000, padding))
    assert codes(values) == set()


def test_air_clipped_at_the_lower_end_is_ct():
    assert codes(np.maximum(BODY, -1000)) == set()


def test_lungs_are_no_wrong_air():
    lungs = RNG.normal(-850, 60, 60_000)
    assert codes(np.append(BODY[60_000:], np.append(lungs, np.full(40_000, -1024)))) == set()


def test_contrast_medium_and_noise_are_ct():
    assert codes(BODY + RNG.normal(0, 60, BODY.size)) == set()
    assert codes(np.append(BODY, RNG.normal(220, 30, 15_000))) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda v: v + 300,
        lambda v: v - 300,
        lambda v: v * 0.75 + 250,
        lambda v: v * 2,
        lambda v: v * 0.5,
        lambda v: v + 700,
    ],
    ids=["300 too high", "300 too low", "cone beam", "doubled", "halved", "700 too high"],
)
def test_other_offsets_and_slopes_are_told(wrong):
    assert "hu-calibration" in codes(wrong(BODY))


def test_the_finding_holds_a_plan_back_for_review():
    stored = np.rint(BODY + 300).astype(np.int64)
    finding = check_hounsfield(np.bincount(stored + 32768, minlength=65536), "ct")[0]
    assert finding.level is Level.REVIEW_ONLY
    assert "expected -160 to 160" in finding.message


def test_bones_alone_tell_nothing():
    assert codes(np.append(np.zeros(400_000), BODY[-12_000:])) == {"no-air"}
