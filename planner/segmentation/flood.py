"""Share out bone voxels among bones: brightest paths first, so that borders run along the dark joint spaces."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["flood"]

LEVELS = 256
"""Steps of brightness in which voxels are taken."""


def flood(
    hu: NDArray[np.int16], labels: NDArray[np.uint8], mask: NDArray[np.bool_], range_hu: tuple[float, float]
) -> NDArray[np.uint8]:
    """Grow labels into a mask in order of falling brightness (a watershed of the inverted image).

    Parameters
    ----------
    hu : (z, y, x) int16 array
        The image.
    labels : (z, y, x) uint8 array
        Seeds; 0 where undecided.
    mask : (z, y, x) bool array
        Where labels may grow.
    range_hu : tuple of float
        Brightness is told apart between these.

    Returns
    -------
    (z, y, x) uint8 array
        Seeds and what grew from them; among equals the first in memory order wins, so the result is deterministic.
    """
    grown = labels.copy()
    room = int(np.count_nonzero(labels)) + int(np.count_nonzero(mask))
    _flood(hu, grown, mask, np.array(range_hu, np.float64), room)
    return grown


@njit(cache=True)
def _flood(hu, labels, mask, span, room):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0915
    nz, ny, nx = hu.shape
    voxel = np.empty(room, np.int64)
    after = np.full(room, -1, np.int64)
    head = np.full(LEVELS, -1, np.int64)
    tail = np.full(LEVELS, -1, np.int64)
    count = 0
    scale = (LEVELS - 1) / (span[1] - span[0])
    dz = np.array([-1, 1, 0, 0, 0, 0])
    dy = np.array([0, 0, -1, 1, 0, 0])
    dx = np.array([0, 0, 0, 0, -1, 1])
    level = LEVELS - 1
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                if labels[z, y, x] == 0:
                    continue
                open_side = False
                for d in range(6):
                    k, j, i = z + dz[d], y + dy[d], x + dx[d]
                    if k < 0 or j < 0 or i < 0 or k >= nz or j >= ny or i >= nx:
                        continue
                    if labels[k, j, i] == 0 and mask[k, j, i]:
                        open_side = True
                if open_side:
                    voxel[count] = (z * ny + y) * nx + x
                    if tail[level] >= 0:
                        after[tail[level]] = count
                    else:
                        head[level] = count
                    tail[level] = count
                    count += 1
    while level >= 0:
        item = head[level]
        if item < 0:
            level -= 1
            continue
        head[level] = after[item]
        if head[level] < 0:
            tail[level] = -1
        x = voxel[item] % nx
        y = voxel[item] // nx % ny
        z = voxel[item] // (nx * ny)
        for d in range(6):
            k, j, i = z + dz[d], y + dy[d], x + dx[d]
            if k < 0 or j < 0 or i < 0 or k >= nz or j >= ny or i >= nx:
                continue
            if labels[k, j, i] != 0 or not mask[k, j, i]:
                continue
            labels[k, j, i] = labels[z, y, x]
            bright = min(max(int((hu[k, j, i] - span[0]) * scale), 0), LEVELS - 1)
            at = min(bright, level)
            voxel[count] = (k * ny + j) * nx + i
            if tail[at] >= 0:
                after[tail[at]] = count
            else:
                head[at] = count
            tail[at] = count
            count += 1
