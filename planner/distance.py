"""Distances within a short reach, exact and fast: what the stages ask for ends at a few millimetres.

The squared distance is the lower envelope, axis by axis, of ``value + (steps * spacing)**2`` (Felzenszwalb and
Huttenlocher, 10.4086/toc.2012.v008a019). As far as a short reach it is taken by trying every step of it: the innermost
loop then runs along the last axis of the array, which the compiler makes into vector instructions. It holds no lock,
so that both sides' distances are measured at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["distance_within"]

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
PRIVATE = {**OPTIONS, "no_cpython_wrapper": True}
"""What only compiled functions call needs no wrapper, which would take as long to compile as the function."""

Mask = NDArray[np.bool_]
Field = NDArray[np.float32]


def distance_within(mask: Mask, spacing_zyx_mm: NDArray[np.float64], reach_mm: float) -> Field:
    """Distance of each voxel's centre to the nearest centre in `mask`, mm; `reach_mm` where it is that far or farther.

    Parameters
    ----------
    mask : (z, y, x) bool array
        What is measured to.
    spacing_zyx_mm : (3,) array
        Voxel spacing.
    reach_mm : float
        No distance is worked out beyond.
    """
    z_mm, y_mm, x_mm = (float(step) for step in spacing_zyx_mm)
    squared = _squared(np.ascontiguousarray(mask), z_mm, y_mm, x_mm, reach_mm)
    distance: Field = np.sqrt(squared, out=squared)
    return distance


@njit(cache=True, **OPTIONS)
def _squared(mask, z_mm, y_mm, x_mm, reach_mm):  # type: ignore[no-untyped-def]
    depth, height, width = mask.shape
    along = np.empty((depth, height, width), np.float32)
    across, out = np.empty_like(along), np.empty((depth, height * width), np.float32)
    for z in range(depth):
        _rows(mask[z], x_mm, reach_mm, along[z])
        _envelope(along[z], np.int64(0), width, y_mm, reach_mm, across[z])
    flat = across.reshape(depth, height * width)
    for y in range(height):
        _envelope(flat, y * width, (y + 1) * width, z_mm, reach_mm, out)
    return out.reshape(depth, height, width)


@njit(**PRIVATE)
def _rows(mask, step_mm, reach_mm, out):  # type: ignore[no-untyped-def]
    """Squared distance along each row of a plane of voxels."""
    limit = np.float32(reach_mm * reach_mm)
    far = int(reach_mm / step_mm) + 1
    for y in range(mask.shape[0]):
        since = far
        for x in range(mask.shape[1]):
            since = 0 if mask[y, x] else since + 1
            out[y, x] = min(limit, np.float32((since * step_mm) ** 2))
        since = far
        for x in range(mask.shape[1] - 1, -1, -1):
            since = 0 if mask[y, x] else since + 1
            out[y, x] = min(out[y, x], np.float32((since * step_mm) ** 2))


@njit(**PRIVATE)
def _envelope(rows, first, last, step_mm, reach_mm, out):  # type: ignore[no-untyped-def]
    """Lower envelope across the rows of a plane, in the columns from first to last.

    Rows that can change nothing are passed over.
    """
    limit = np.float32(reach_mm * reach_mm)
    count, steps = rows.shape[0], int(reach_mm / step_mm)
    least, most = np.full(count, limit, np.float32), np.zeros(count, np.float32)
    for row in range(count):
        for x in range(first, last):
            least[row], most[row] = min(least[row], rows[row, x]), max(most[row], rows[row, x])
    for row in range(count):
        for x in range(first, last):
            out[row, x] = rows[row, x]
        for step in range(-min(steps, row), min(steps, count - 1 - row) + 1):
            add, other = np.float32((step * step_mm) ** 2), row + step
            if step != 0 and least[other] + add < most[row]:
                for x in range(first, last):
                    out[row, x] = min(out[row, x], rows[other, x] + add)
