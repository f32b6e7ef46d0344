"""Whether numbers can be Hounsfield units: air at -1000, bone above 300, neither labels nor grey levels.

HU is 0 for water and -1000 for air by definition; the limits here are our own [P], wide enough for every CT seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.errors import NotHounsfieldError
from planner.findings import Finding, Level

__all__ = ["check_hounsfield"]

MAX_SAMPLES = 4_000_000
"""Voxels looked at: every n-th of a larger volume, always the same ones."""
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


def check_hounsfield(hu: NDArray[np.int16], file: str) -> list[Finding]:
    """Refuse values that cannot be Hounsfield units; say where air is missing.

    Raises
    ------
    NotHounsfieldError
        If the image is constant, binary, a label map, 8-bit, windowed, or shifted.
    """
    sample = _sample(hu)
    found = _not_hounsfield(sample)
    if found is not None:
        expected = f"Hounsfield units (air -1000, bone above {BONE_HU})"
        raise NotHounsfieldError(f"{file}: found {found}, expected {expected}.", REMEDY)
    if np.mean(sample < AIR_HU) >= AIR_SHARE:
        return []
    message = f"No air in the scan: the lowest value is {sample.min()} HU, expected about -1000; it may be cut away."
    return [Finding("no-air", Level.WARN, "both", message)]


def _sample(hu: NDArray[np.int16]) -> NDArray[np.int16]:
    """Take voxels on an even lattice, so that no axis order or flip changes the verdict much."""
    step = max(1, int(np.ceil((hu.size / MAX_SAMPLES) ** (1 / 3))))
    return hu[::step, ::step, ::step]


def _not_hounsfield(sample: NDArray[np.int16]) -> str | None:
    low, high = int(sample.min()), int(sample.max())
    if low == high:
        return f"one value everywhere ({low})"
    if low >= 0 and high <= GREY_MAX:
        return f"values of {low} to {high}, as in labels or an 8-bit image"
    if high < BONE_HU:
        return f"values of {low} to {high}, nothing as dense as bone"
    if low > AIR_HU and _is_offset(sample):
        return f"values of {low} to {high} with soft tissue near +1024, as before the rescale intercept"
    return None


def _is_offset(sample: NDArray[np.int16]) -> bool:
    inside = (sample >= OFFSET_TISSUE[0]) & (sample <= OFFSET_TISSUE[1])
    return bool(inside.sum() > OFFSET_SHARE * np.count_nonzero(sample))
