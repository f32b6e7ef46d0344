"""Where a finding is looked at."""

from __future__ import annotations

import numpy as np

from planner.findings import Finding, Level, witness_of
from planner.plan import finding_document


def test_the_witness_lies_on_a_bent_patch_where_its_middle_does_not():
    turn = np.linspace(0, np.pi, 9)
    arc = np.stack([10 * np.cos(turn), 10 * np.sin(turn), np.full(9, 5.0)], axis=1)
    at = np.array(witness_of(arc))
    assert (np.abs(arc - at).sum(axis=1) == 0).any()
    assert np.allclose(at, (0, 10, 5))
    assert np.linalg.norm(arc.mean(axis=0) - arc, axis=1).min() > 3


def test_the_document_says_where_to_look_or_that_it_is_nowhere_in_particular():
    somewhere = Finding("vacuum", Level.NOTE, "left", "Gas.", (1.0, 2.00000049, -3.0))
    assert finding_document(somewhere).at_lps_mm == (1.0, 2.0, -3.0)
    assert finding_document(Finding("no-air", Level.WARN, "both", "No air.")).at_lps_mm is None
