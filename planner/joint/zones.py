"""Which part of the sheet is articular, and its thirds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.joint.config import JointConfig
from planner.joint.model import Thirds
from planner.joint.sheet import Measured

__all__ = ["articular_zone", "brandt_thirds"]

SMOOTHING_MM = 1.5
"""Radius over which gap and angle are averaged before the zone is cut `[P]`."""

END_PERCENTILES = (1.0, 99.0)
"""Robust ends of the zone: a single stray vertex does not move the thirds `[P]`."""


def articular_zone(measured: Measured, config: JointConfig) -> NDArray[np.bool_]:
    """Vertices with a narrow gap and near-parallel faces, as one patch without holes or thin necks."""
    sheet = measured.sheet
    rings = sheet.rings(SMOOTHING_MM)
    narrow = sheet.smooth(measured.gap_mm, rings) <= config.articular_gap_mm
    parallel = sheet.smooth(measured.opening_deg, rings) <= config.articular_angle_deg
    zone = narrow & parallel
    neck = sheet.rings(config.neck_mm)
    core = sheet.largest(sheet.shrink(zone, neck))
    if not core.any():
        core = sheet.largest(zone)
    return sheet.fill(sheet.grow(core, neck) & zone)


def brandt_thirds(points_lps: NDArray[np.float64], cranial_lps: NDArray[np.float64], known: bool) -> Thirds:
    """Three equal transverse slabs over the articular zone's points (Brandt, 10.1097/BRS.0000000000005218)."""
    if not len(points_lps):
        return Thirds("brandt-transverse", cranial_lps, np.zeros(4), False)
    low, high = np.percentile(points_lps @ cranial_lps, END_PERCENTILES)
    return Thirds("brandt-transverse", cranial_lps, np.linspace(low, high, 4), known)
