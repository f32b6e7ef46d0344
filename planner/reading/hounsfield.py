"""Whether numbers can be Hounsfield units: air at -1000, bone above 300, neither labels nor grey levels.

HU is 0 for water and -1000 for air by definition; the limits here are our own [P], wide enough for every CT seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.errors import NotHounsfieldError
from planner.findings import Finding, Level

__all__ = ["check_hounsfield"]

LOWEST_HU = -32768
"""Value of the histogram's first place."""
BONE_HU = 300
"""Some voxel of a CT with bone exceeds this [P]."""
GREY_MAX = 255
"""Largest value of an 8-bit image."""
AIR_HU = -900
"""Air, and what fills the corners, lies below this [P]."""
AIR_SHARE = 1e-4
"""Least share of voxels that are air or fill, where the body's outside or bowel gas is seen [P]."""
OFFSET_TISSUE = (900, 1200)
"""Where soft tissue lies in stored values that lack the usual intercept of -1024, HU."""
OFFSET_SHARE = 0.3
"""Share of non-zero voxels in that range that gives such values away [P]."""

REMEDY = "Give the original CT; for NIfTI or NRRD convert it again with Hounsfield units kept."


def check_hounsfield(histogram: NDArray[np.int64], file: str) -> list[Finding]:
    """Refuse values that cannot be Hounsfield units; say where air is missing.

    Parameters
    ----------
    histogram : (65536,) int64 array
        How often each value from -32768 on was met, as in `planner.cells.Cells`.
    file : str
        Name for messages.

    Raises
    ------
    NotHounsfieldError
        If the image is constant, binary, a label map, 8-bit, windowed, or shifted.
    """
    met = np.flatnonzero(histogram) + LOWEST_HU
    low, high = int(met[0]), int(met[-1])
    found = _not_hounsfield(histogram, low, high)
    if found is not None:
        expected = f"Hounsfield units (air -1000, bone above {BONE_HU})"
        raise NotHounsfieldError(f"{file}: found {found}, expected {expected}.", REMEDY)
    if histogram[: AIR_HU - LOWEST_HU].sum() >= AIR_SHARE * histogram.sum():
        return []
    message = f"No air in the scan: the lowest value is {low} HU, expected about -1000; it may be cut away."
    return [Finding("no-air", Level.WARN, "both", message)]


def _not_hounsfield(histogram: NDArray[np.int64], low: int, high: int) -> str | None:
    if low == high:
        return f"one value everywhere ({low})"
    if low >= 0 and high <= GREY_MAX:
        return f"values of {low} to {high}, as in labels or an 8-bit image"
    if high < BONE_HU:
        return f"values of {low} to {high}, nothing as dense as bone"
    if low > AIR_HU and _is_offset(histogram):
        return f"values of {low} to {high} with soft tissue near +1024, as before the rescale intercept"
    return None


def _is_offset(histogram: NDArray[np.int64]) -> bool:
    inside = histogram[OFFSET_TISSUE[0] - LOWEST_HU : OFFSET_TISSUE[1] + 1 - LOWEST_HU].sum()
    return bool(inside > OFFSET_SHARE * (histogram.sum() - histogram[-LOWEST_HU]))
