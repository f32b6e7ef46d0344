"""Findings on slice distance and thickness (clinical limits: navigation protocols ask for 0.75-1.25 mm)."""

from __future__ import annotations

from planner.findings import Finding, Level
from planner.grid import Grid

__all__ = ["PASS_MM", "PLAN_MM", "REVIEW_MM", "spacing_findings"]

PASS_MM = 1.25
"""Slices this close pass without a word: navigation protocols 0.75-1.25 mm."""
PLAN_MM = 2.0
"""To here a note [P]."""
REVIEW_MM = 3.0
"""To here "review only" on every page; beyond it, no plan [P]."""
TOLERANCE_MM = 1e-3
"""What a spacing may exceed a limit by rounding."""
OVERLAP_RATIO = 1.5
"""Slices thicker than this many distances blur more than their distance tells [P]."""


def spacing_findings(grid: Grid, widest_gap_mm: float = 0.0, thickness_mm: float | None = None) -> list[Finding]:
    """Judge the coarsest distance between voxels, and slices much thicker than that.

    Parameters
    ----------
    grid : Grid
        The scan's grid; any axis may be the slice axis.
    widest_gap_mm : float
        Widest gap between the slices before any resampling.
    thickness_mm : float or None
        Nominal slice thickness.
    """
    coarsest = max(float(grid.spacing_zyx_mm.max()), widest_gap_mm)
    findings = []
    level = _level(coarsest)
    if level is not None:
        message = (
            f"Slice spacing {coarsest:.2f} mm; at most {PASS_MM} mm asked for, {REVIEW_MM:g} mm the limit to plan."
        )
        findings.append(Finding("slice-spacing", level, "both", message))
    if thickness_mm is not None and thickness_mm > max(PASS_MM, OVERLAP_RATIO * coarsest):
        message = f"Slices are {thickness_mm:.2f} mm thick but {coarsest:.2f} mm apart: they blur more than that."
        findings.append(Finding("slice-thickness", Level.WARN, "both", message))
    return findings


def _level(spacing_mm: float) -> Level | None:
    limits = ((PASS_MM, None), (PLAN_MM, Level.NOTE), (REVIEW_MM, Level.REVIEW_ONLY))
    return next((level for limit, level in limits if spacing_mm <= limit + TOLERANCE_MM), Level.REFUSE)
