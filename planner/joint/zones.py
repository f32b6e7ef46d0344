"""Which part of the sheet is articular, and its thirds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.joint.config import JointConfig
from planner.joint.model import Thirds
from planner.joint.sheet import Measured

__all__ = ["articular_zone", "brandt_thirds"]

GAP_MM, ANGLE_MM = 1.5, 4.0
"""Radii over which gap and angle are averaged before the zone is cut: a label's bumps turn the normals of its face by
tens of degrees and move the face by tenths of a millimetre `[P]`."""

END_PERCENTILES = (1.0, 99.0)
"""Robust ends of the zone: a single stray vertex does not move the thirds `[P]`."""


def articular_zone(measured: Measured, config: JointConfig) -> NDArray[np.bool_]:
    """Vertices with a narrow gap and near-parallel faces, as one patch without holes or thin necks."""
    sheet = measured.sheet
    narrow = sheet.smooth(measured.gap_mm, sheet.rings(GAP_MM)) <= config.articular_gap_mm
    parallel = sheet.smooth(measured.opening_deg, sheet.rings(ANGLE_MM)) <= config.articular_angle_deg
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
