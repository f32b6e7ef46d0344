"""Faces where labels are too wrong for the profile to be fitted from them: fitted again from the neighbours' faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.joint.config import JointConfig
from planner.joint.correct import PARALLEL_DEG
from planner.joint.profiles import GapFit, Profiles, fit_slabs
from planner.joint.sheet import Measured

__all__ = ["fit_again"]

REACH_MM = 8.0
"""Faces are carried so far over the sheet: patches in which labels err are some millimetres wide `[P]`."""

WIDEST_MM = 8.0
"""A recess that the labels put wider than this has edges that are found without help `[P]`."""

LIMIT_MM = 1.0
"""A face that ends further from where its neighbours' put it is another edge `[P]`."""


def fit_again(profiles: Profiles, measured: Measured, fit: GapFit, config: JointConfig) -> GapFit:
    """Fit the profiles that failed once more, from faces that continue those of their neighbours.

    Mid-surface and half gap of the believed fits are spread over the sheet, and read along each line across.
    """
    known = fit.good & (measured.opening_deg < PARALLEL_DEG)
    if not known.any():
        return fit
    sheet, across = measured.sheet, measured.across_lps
    middle, half = (fit.sacrum_at_mm + fit.hip_at_mm) / 2, (fit.hip_at_mm - fit.sacrum_at_mm) / 2
    placed = np.column_stack([sheet.vertices_lps + middle[:, None] * across, half])
    carried, reached = sheet.spread(placed, known, sheet.rings(REACH_MM))
    middle = np.einsum("ij,ij->i", carried[:, :3] - sheet.vertices_lps, across)
    start = np.stack([middle - carried[:, 3], middle + carried[:, 3]], axis=1)
    near = (np.abs(start).max(axis=1) < config.articular_gap_mm) & (measured.gap_mm < WIDEST_MM)
    todo = np.flatnonzero(~fit.good & reached & near)
    few = Profiles(profiles.hu[todo], profiles.at_mm)
    fitted, believed = fit_slabs(few, start[todo], fit.gap_hu[todo], (fit.sigma_mm, fit.cortex_mm), LIMIT_MM)
    sacrum_at, hip_at, good = fit.sacrum_at_mm.copy(), fit.hip_at_mm.copy(), fit.good.copy()
    right = todo[believed]
    sacrum_at[right], hip_at[right], good[right] = fitted[believed, 0], fitted[believed, 1], True
    return replace(fit, sacrum_at_mm=sacrum_at, hip_at_mm=hip_at, good=good)
