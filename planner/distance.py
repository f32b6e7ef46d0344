"""Distances within a short reach, exact and fast: what the stages ask for ends at a few millimetres.

The squared distance is the lower envelope, axis by axis, of ``value + (steps * spacing)**2`` (Felzenszwalb and
Huttenlocher, 10.4086/toc.2012.v008a019). As far as a short reach it is taken by trying every step of it: the innermost
loop then runs along the last axis of the array, which the compiler makes into vector instructions. It holds no lock,
so that both sides' distances are measured at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["distance_within"]

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
PRIVATE = {**OPTIONS, "no_cpython_wrapper": True}
"""What only compiled functions call needs no wrapper, which would take as long to compile as the function."""

THREADS, THREADED_VOXELS = 2, 2_000_000
"""Threads, from this many voxels on; each voxel is the same for any number."""

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
    steps_mm = tuple(float(step) for step in spacing_zyx_mm)
    mask = np.ascontiguousarray(mask)
    distance = np.empty(mask.shape, np.float32)
    jobs = THREADS if mask.size >= THREADED_VOXELS else 1
    for part_of, length in ((_planes, mask.shape[0]), (_columns, mask.shape[1])):
        parts = [(k * length // jobs, (k + 1) * length // jobs) for k in range(jobs)]
        if jobs == 1:
            part_of(mask, steps_mm, reach_mm, distance, *parts[0])
            continue
        with ThreadPoolExecutor(jobs) as pool:
            for job in [pool.submit(part_of, mask, steps_mm, reach_mm, distance, *part) for part in parts]:
                job.result()
    return distance


@njit(cache=True, **OPTIONS)
def _planes(mask, steps_mm, reach_mm, out, first, last):  # type: ignore[no-untyped-def]
    """Squared distance within each plane of voxels from first to last."""
    along = np.empty(mask.shape[1:], np.float32)
    for z in range(first, last):
        _rows(mask[z], steps_mm[2], reach_mm, along)
        _envelope(along, steps_mm[1], reach_mm, out[z])


@njit(cache=True, **OPTIONS)
def _columns(mask, steps_mm, reach_mm, across, first, last):  # type: ignore[no-untyped-def]
    """Distance, in place of the squared one within planes, for the rows of every plane from first to last."""
    depth, _, width = mask.shape
    before, after = np.empty((depth, width), np.float32), np.empty((depth, width), np.float32)
    for y in range(first, last):  # copied to and fro: rows that lie together are worth it
        for z in range(depth):
            for x in range(width):
                before[z, x] = across[z, y, x]
        _envelope(before, steps_mm[0], reach_mm, after)
        for z in range(depth):
            for x in range(width):
                across[z, y, x] = np.sqrt(after[z, x])


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
def _envelope(rows, step_mm, reach_mm, out):  # type: ignore[no-untyped-def]
    """Lower envelope across the rows of a plane.

    Rows that can change nothing are passed over. A row is a view of its own, and the least of two is an expression:
    the compiler makes vectors of no other form of this.
    """
    limit = np.float32(reach_mm * reach_mm)
    count, width, steps = rows.shape[0], rows.shape[1], int(reach_mm / step_mm)
    least, most = np.empty(count, np.float32), np.empty(count, np.float32)
    for row in range(count):
        here, low, high = rows[row], limit, np.float32(0)
        for x in range(width):
            low = here[x] if here[x] < low else low
            high = here[x] if here[x] > high else high
        least[row], most[row] = low, high
    for row in range(count):
        here, best = rows[row], out[row]
        for x in range(width):
            best[x] = here[x]
        for step in range(1, steps + 1):
            add = np.float32((step * step_mm) ** 2)
            if add >= most[row]:
                break
            for other in (row - step, row + step):
                if 0 <= other < count and least[other] + add < most[row]:
                    there = rows[other]
                    for x in range(width):
                        value = there[x] + add
                        best[x] = value if value < best[x] else best[x]
