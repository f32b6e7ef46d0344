"""Put uneven or tilted slices onto an even, upright grid. Only when asked for, and recorded as a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from planner.dicom.geometry import Stack
from planner.dicom.pixels import PADDING_HU
from planner.grid import Grid
from planner.source import VoxelSource, Window

__all__ = ["ResampledSource"]


class ResampledSource:
    """Slices interpolated linearly, first within each (tilt), then between neighbours (uneven gaps), as asked for.

    The even grid has the usual gap and the slices' own plane, and is wide enough for every shifted slice; air where
    none was.

    Parameters
    ----------
    stack : Stack
        Without duplicates.
    slices : VoxelSource
        One plane a slice of `stack`.
    """

    def __init__(self, stack: Stack, slices: VoxelSource) -> None:
        shifts = stack.lateral_mm / np.array(stack.pixel_spacing_mm)  # in pixels, rows then columns
        shifts[np.abs(shifts) < 1e-3] = 0.0
        low = np.floor(shifts.min(axis=0)).astype(int)
        high = np.ceil(shifts.max(axis=0)).astype(int)
        rows, columns = np.array(stack.shape_yx) + high - low
        count = int(np.floor((stack.depths_mm[-1] - stack.depths_mm[0]) / stack.gap_mm + 1e-6)) + 1
        upright = stack.grid(count, stack.gap_mm, low * np.array(stack.pixel_spacing_mm))
        self._stack, self._slices = stack, slices
        self._shifts = shifts - low
        self._grid = Grid((count, int(rows), int(columns)), upright.lps_from_zyx)

    @property
    def grid(self) -> Grid:
        """The even grid."""
        return self._grid

    def planes(self, indices: Sequence[int], window: Window | None = None) -> Iterator[NDArray[np.int16]]:
        """Interpolate planes; each slice is read and moved once while it is needed."""
        # Neighbouring planes share a slice, and moving one is what takes the time.
        moved = lru_cache(maxsize=2)(self._moved)
        for k in indices:
            plane = _plane(self._stack, moved, k).astype(np.int16)
            yield plane if window is None else plane[window]

    def _moved(self, index: int) -> NDArray[np.float64]:
        (plane,) = self._slices.planes([index])
        _, rows, columns = self._grid.shape_zyx
        return _shifted(plane, self._shifts[index], (rows, columns))


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
