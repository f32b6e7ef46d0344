"""Which part of the sheet is articular, and its thirds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.joint.config import JointConfig
from planner.joint.mesh import Sheet
from planner.joint.model import Thirds
from planner.joint.sheet import Measured

__all__ = ["articular_zone", "brandt_thirds"]

GAP_MM, ANGLE_MM = 1.5, 4.0
"""Radii over which gap and angle are averaged before the zone is cut: a label's bumps turn the normals of its face by
tens of degrees and move the face by tenths of a millimetre `[P]`."""

RIM_MM, RIM_SIGMAS = 0.5, 2.0
"""The zone ends where the gap exceeds the joint's usual gap by the first and so many standard deviations: the faces
part by 0.25 to 0.6 mm a millimetre beyond their cartilage `[P]`."""

SIGMA_SHARE = 0.6745
"""Half the width of the shortest half of normally distributed values, in standard deviations."""

LEAST_SHARE = 0.7
"""At least so much of the near and parallel area is articular: a wider part of more than this is no rim `[P]`."""

WHOLE_SHARE = 0.6
"""Less than this of the near and parallel area is one limb of a C that was cut in two, not the zone `[P]`."""

LEAST_AREA_MM2, WIDER_MM = 750.0, 1.5
"""Half of the published area (15.0 cm2): a joint with less of its face below the widest articular gap is widened and
not small, and its zone ends at a gap wider by the second `[P]`."""

END_PERCENTILES = (0.1, 99.9)
"""Robust ends of the zone: a single stray vertex does not move the thirds. Of a limb that ends in a half circle, 1 %
would cut 2 mm off `[P]`."""


def articular_zone(measured: Measured, config: JointConfig) -> NDArray[np.bool_]:
    """Vertices with a gap that is usual for this joint and near-parallel faces, as one patch without thin necks."""
    sheet = measured.sheet
    gap = sheet.smooth(measured.gap_mm, sheet.rings(GAP_MM))
    parallel = sheet.smooth(measured.opening_deg, sheet.rings(ANGLE_MM)) <= config.articular_angle_deg
    most_mm = config.articular_gap_mm
    near = _patch(sheet, parallel & (gap <= most_mm), config.neck_mm)
    if sheet.vertex_areas_mm2[near].sum() < LEAST_AREA_MM2:
        most_mm += WIDER_MM
        near = _patch(sheet, parallel & (gap <= most_mm), config.neck_mm)
    if not near.any():
        return near
    limit = min(_widest_mm(gap[near], sheet.vertex_areas_mm2[near]), most_mm)
    zone = _patch(sheet, near & (gap <= limit), config.neck_mm)
    area = sheet.vertex_areas_mm2
    return zone if area[zone].sum() >= WHOLE_SHARE * area[near].sum() else near


def _patch(sheet: Sheet, zone: NDArray[np.bool_], neck_mm: float) -> NDArray[np.bool_]:
    """Largest part that hangs together by more than thin necks, without holes."""
    neck = sheet.rings(neck_mm)
    core = sheet.largest(sheet.shrink(zone, neck))
    if not core.any():
        core = sheet.largest(zone)
    return sheet.fill(sheet.grow(core, neck) & zone)


def _widest_mm(gap_mm: NDArray[np.float64], area_mm2: NDArray[np.float64]) -> float:
    """Gap at which the zone ends: above the middle of the shortest interval that holds half of the area."""
    order = np.argsort(gap_mm, kind="stable")
    gap, share = gap_mm[order], np.cumsum(area_mm2[order]) / area_mm2.sum()
    last = np.searchsorted(share, share + 0.5)
    first = np.flatnonzero(last < len(gap))
    if not len(first):  # one vertex has more than half of the area
        return float(gap[-1])
    low = first[(gap[last[first]] - gap[first]).argmin()]
    high = last[low]
    sigma = (gap[high] - gap[low]) / 2 / SIGMA_SHARE
    usual = (gap[high] + gap[low]) / 2 + RIM_SIGMAS * sigma + RIM_MM
    return float(max(usual, gap[np.searchsorted(share, LEAST_SHARE)]))


def brandt_thirds(points_lps: NDArray[np.float64], cranial_lps: NDArray[np.float64], known: bool) -> Thirds:
    """Three equal transverse slabs over the articular zone's points (Brandt, 10.1097/BRS.0000000000005218)."""
    if not len(points_lps):
        return Thirds("brandt-transverse", cranial_lps, np.zeros(4), False)
    low, high = np.percentile(points_lps @ cranial_lps, END_PERCENTILES)
    return Thirds("brandt-transverse", cranial_lps, np.linspace(low, high, 4), known)
