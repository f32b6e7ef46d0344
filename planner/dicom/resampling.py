"""Put uneven or tilted slices onto an even, upright grid. Only when asked for, and recorded as a finding."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from planner.dicom.geometry import Stack
from planner.dicom.pixels import PADDING_HU
from planner.grid import Grid

__all__ = ["resample_stack"]


def resample_stack(stack: Stack, hu: NDArray[np.int16]) -> tuple[NDArray[np.int16], Grid]:
    """Interpolate linearly, first within the slices (tilt), then between neighbours (uneven gaps).

    Parameters
    ----------
    stack : Stack
        Without duplicates.
    hu : (n, rows, columns) int16 array
        One plane a slice of `stack`.

    Returns
    -------
    hu : (z, y, x) int16 array
        On the even grid: the usual gap, the slices' own plane, wide enough for every shifted slice; air where none was.
    grid : Grid
    """
    shifts = stack.lateral_mm / np.array(stack.pixel_spacing_mm)  # in pixels, rows then columns
    shifts[np.abs(shifts) < 1e-3] = 0.0
    low = np.floor(shifts.min(axis=0)).astype(int)
    high = np.ceil(shifts.max(axis=0)).astype(int)
    rows, columns = np.array(stack.shape_yx) + high - low
    count = int(np.floor((stack.depths_mm[-1] - stack.depths_mm[0]) / stack.gap_mm + 1e-6)) + 1
    even = np.empty((count, rows, columns), dtype=np.int16)
    # Neighbouring planes share a slice, and moving one is what takes the time.
    moved = lru_cache(maxsize=2)(lambda i: _shifted(hu[i], shifts[i] - low, (rows, columns)))
    for k in range(count):
        even[k] = _plane(stack, moved, k)
    origin = low * np.array(stack.pixel_spacing_mm)
    upright = stack.grid(count, stack.gap_mm, origin)
    return even, Grid(even.shape, upright.lps_from_zyx)


def _plane(stack: Stack, moved: Callable[[int], NDArray[np.float64]], k: int) -> NDArray[np.float64]:
    depth = stack.depths_mm[0] + k * stack.gap_mm
    above = int(np.clip(np.searchsorted(stack.depths_mm, depth), 1, len(stack.slices) - 1))
    below = above - 1
    weight = float(np.clip((depth - stack.depths_mm[below]) / stack.gaps_mm[below], 0.0, 1.0))
    mixed: NDArray[np.float64] = np.rint((1.0 - weight) * moved(below) + weight * moved(above))
    return mixed


def _shifted(plane: NDArray[np.int16], shift: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Move a slice by a fraction of pixels into a larger frame."""
    frame = np.full(shape, float(PADDING_HU))
    frame[: plane.shape[0], : plane.shape[1]] = plane
    if not shift.any():
        return frame
    moved: NDArray[np.float64] = ndimage.shift(frame, shift, order=1, cval=float(PADDING_HU))
    return moved
