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
SOFT_HU, SOFT_EXPECTED_HU = (-650, 1500), (-160, 160)
"""Where the most usual soft tissue is looked for, and where it lies: fat at -100, muscle at 50, with contrast medium up
to 100; the bounds are ours [P]."""
GAS_HU, GAS_EXPECTED_HU = (-4000, -450), (-1100, -650)
"""The same for air and lung; padding, one value that is met far more often than its neighbours, is not counted."""
SMOOTH_HU = 25
"""Width over which values are counted together [P]."""
SPIKE = 8.0
"""A value met so many times as often as its neighbours on average is padding or clipped [P]."""
MASKED_SHARE = 0.5
"""Where one value fills more of the scan, tissue was cut away (bones alone, say), and peaks tell nothing [P]."""
CLEAR = 1.5
"""A peak is elsewhere if it is so many times as high as any value where it is expected [P]."""
LEAST_SHARE = 0.02
"""Share of the voxels that must lie in a range for its peak to be judged [P]."""

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
    off = _calibration_findings(histogram)
    if histogram[: AIR_HU - LOWEST_HU].sum() >= AIR_SHARE * histogram.sum():
        return off
    message = f"No air in the scan: the lowest value is {low} HU, expected about -1000; it may be cut away."
    return [*off, Finding("no-air", Level.WARN, "both", message)]


def _calibration_findings(histogram: NDArray[np.int64]) -> list[Finding]:
    """Say where soft tissue or air has other numbers than CT gives it: CBCT, MR, another slope or offset."""
    findings: list[Finding] = []
    if histogram.max() > MASKED_SHARE * histogram.sum():
        return findings
    for tissue, within, (low, high) in (
        ("soft tissue", SOFT_HU, SOFT_EXPECTED_HU),
        ("air or lung", GAS_HU, GAS_EXPECTED_HU),
    ):
        peak = _peak_hu(histogram, within, (low, high))
        if peak is not None:
            message = (
                f"The most usual value of {tissue} is {peak} HU, expected {low} to {high}: cone-beam CT, MR, or "
                "another offset or slope; what rests on HU does not hold."
            )
            findings.append(Finding("hu-calibration", Level.REVIEW_ONLY, "both", message))
    return findings


def _peak_hu(histogram: NDArray[np.int64], within: tuple[int, int], expected: tuple[int, int]) -> int | None:
    """Most usual value of a range that lies clearly elsewhere than expected; None where there is none."""
    counts = histogram[within[0] - LOWEST_HU : within[1] - LOWEST_HU].astype(np.float64)
    box = np.ones(SMOOTH_HU)
    around = (np.convolve(counts, box, "same") - counts) / (SMOOTH_HU - 1)
    counts = np.where(counts > SPIKE * np.maximum(around, 1.0), around, counts)
    if counts.sum() < LEAST_SHARE * histogram.sum():
        return None
    usual = np.convolve(counts, box, "same")
    inside = usual[expected[0] - within[0] : expected[1] + 1 - within[0]]
    return within[0] + int(usual.argmax()) if usual.max() > CLEAR * inside.max() else None


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
