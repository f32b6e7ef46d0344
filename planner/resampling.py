"""Fields brought to a finer or coarser grid along the same axes, one axis after another, which is fast.

Between voxels a field is taken straight, or by cubic splines where voxels are much finer than they were: a straight
line between two thick slices leaves a crease at each.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid

__all__ = ["nearest_on", "resampled_on"]

THICK = 2.0
"""An axis whose voxels become this many times finer is filled by cubic splines `[P]`."""

SAME = 1e-6
"""Spacings whose ratio differs from 1 by less are the same."""

Field = NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)


def resampled_on(field: NDArray[np.generic], grid: Grid, fine: Grid) -> Field:
    """Values of `field` on ``fine = grid.resampled(...)``; beyond the outermost voxels their values go on."""
    scales = fine.spacing_zyx_mm / grid.spacing_zyx_mm
    values = field.astype(np.float32)
    for axis in np.argsort(-scales, kind="stable"):  # what shrinks comes first
        if abs(scales[axis] - 1) > SAME:
            values = _along(values, int(axis), float(scales[axis]), fine.shape_zyx[axis])
    cut = tuple(slice(0, n) for n in fine.shape_zyx)
    return np.ascontiguousarray(values[cut])


def nearest_on(values: NDArray[Number], grid: Grid, other: Grid) -> NDArray[Number]:
    """Nearest value at each voxel of a grid with the same first voxel and axes; 0 beyond the array."""
    at = [_nearest(n, m, b / a) for n, m, a, b in _axes(grid, other)]
    out = np.zeros(other.shape_zyx, values.dtype)
    kept = tuple(slice(0, len(i)) for i in at)
    out[kept] = values[np.ix_(*at)]
    return out


def _axes(grid: Grid, other: Grid) -> list[tuple[int, int, float, float]]:
    spacings = grid.spacing_zyx_mm.tolist(), other.spacing_zyx_mm.tolist()
    return list(zip(grid.shape_zyx, other.shape_zyx, *spacings, strict=True))


def _nearest(count: int, wanted: int, scale: float) -> NDArray[np.int64]:
    index = np.floor(np.arange(wanted) * scale + 0.5).astype(np.int64)
    kept: NDArray[np.int64] = index[index < count]
    return kept


def _along(values: Field, axis: int, scale: float, count: int) -> Field:
    if scale * THICK < 1:
        return _splined(values, axis, scale, count)
    low, share = _places(values.shape[axis], scale, count)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    weight = np.expand_dims(share, [a for a in range(3) if a != axis])
    lower: Field = values.take(low, axis)
    upper: Field = values.take(high, axis)
    upper -= lower
    upper *= weight
    upper += lower
    return upper


def _splined(values: Field, axis: int, scale: float, count: int) -> Field:
    """Cubic B-splines through the voxels: four coefficients a place."""
    coefficients: Field = ndi.spline_filter1d(values, 3, axis, output=np.float32, mode="mirror")
    last = values.shape[axis] - 1
    low, t = _places(values.shape[axis], scale, count)
    weights = (1 - t) ** 3 / 6, (4 - 6 * t**2 + 3 * t**3) / 6, (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6, t**3 / 6
    out = np.zeros((*values.shape[:axis], count, *values.shape[axis + 1 :]), np.float32)
    for step, weight in enumerate(weights, -1):
        index = np.abs(low + step)
        index = np.where(index > last, np.maximum(2 * last - index, 0), index)
        part = coefficients.take(index, axis)
        part *= np.expand_dims(weight, [a for a in range(3) if a != axis])
        out += part
    return out


def _places(count: int, scale: float, wanted: int) -> tuple[NDArray[np.int64], Field]:
    """Voxel below each place, and how far beyond it the place lies."""
    place = np.minimum(np.arange(wanted) * scale, count - 1)
    low = np.minimum(np.floor(place).astype(np.int64), max(count - 2, 0))
    return low, (place - low).astype(np.float32)
