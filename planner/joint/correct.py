"""Move the mid-surface and widen or narrow its gap by what the profiles say, where they say it plainly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.joint.config import JointConfig
from planner.joint.mesh import Sheet
from planner.joint.profiles import GapFit
from planner.joint.sheet import Measured

__all__ = ["corrected"]

SMOOTHING_MM = 2.5
"""Radius over which the faces' shifts are averaged: labels err in patches, noise from vertex to vertex `[P]`."""

SUPPORT = 0.3
"""Share of believed fits around a vertex at which profile and label count the same `[P]`."""

PARALLEL_DEG = 60.0
"""Where the faces diverge more, a line across is no profile of both `[P]`."""


def corrected(measured: Measured, fit: GapFit, config: JointConfig) -> Measured:
    """Measured sheet with its faces at the profiles' edges; the labels' where the profiles are ambiguous."""
    usable = fit.good & (measured.opening_deg < PARALLEL_DEG)
    if not usable.any():
        return measured
    sacrum_at = -measured.sacrum_mm + _shift(measured.sheet, fit.sacrum_at_mm + measured.sacrum_mm, usable)
    hip_at = measured.hip_mm + _shift(measured.sheet, fit.hip_at_mm - measured.hip_mm, usable)
    hip_at = np.maximum(hip_at, sacrum_at)
    middle, half = (sacrum_at + hip_at) / 2, (hip_at - sacrum_at) / 2
    vertices = measured.sheet.vertices_lps + middle[:, None] * measured.across_lps
    return Measured(measured.sheet.moved(vertices), half, half, measured.across_lps, measured.opening_deg)


def _shift(sheet: Sheet, shift_mm: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shift of one face, averaged over the sheet and faded out where few profiles are believed."""
    rings = sheet.rings(SMOOTHING_MM)
    mean = sheet.smooth(np.where(usable, shift_mm, 0.0), rings, usable.astype(np.float64))
    support = sheet.smooth(usable.astype(np.float64), rings)
    result: NDArray[np.float64] = mean * support / (support + SUPPORT) * (1 + SUPPORT)
    return result
