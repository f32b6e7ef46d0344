"""Take soft tissue off labels: what the outside reaches through soft voxels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.grid import Grid
from planner.labels import Label
from planner.segmentation.config import SegmentationConfig

__all__ = ["carve"]

MARROW_QUANTILE, CORTEX_QUANTILE = 0.4, 0.85
"""Of a drawn bone's voxels, this share is marrow, and more than the rest of the second is cortex [P]."""


def carve(
    hu: NDArray[np.int16],
    labels: NDArray[np.uint8],
    joints: NDArray[np.bool_],
    grid: Grid,
    config: SegmentationConfig,
) -> NDArray[np.uint8]:
    """Clear labelled voxels below ``soft_hu`` that the outside reaches through such voxels.

    Within ``carve_mm`` of where the way enters the bone any path will do. In hip bones a path three voxels wide without
    cortex (all below ``cortex_hu``) may go on to ``deep_mm``: marrow behind a thin spot of the cortex stays.
    Never so in the sacrum, whose alae can be as dark as fat; where a voxel is more than ``carve_mm``, the sacrum is not
    carved at all. A porotic bone, whose marrow is as dark as muscle, is carved neither deep nor at its joints' faces.

    Parameters
    ----------
    hu : (z, y, x) int16 array
        The image.
    labels : (z, y, x) uint8 array
        What the drawn surfaces enclose: sacrum and hip bones.
    joints : (z, y, x) bool array
        The joint spaces and the faces beside them.
    grid : Grid
        Of the arrays.
    config : SegmentationConfig
        Thresholds.
    """
    deep, shallow = labels.copy(), labels.copy()
    spacing = grid.spacing_zyx_mm
    lowest = 1 if spacing.max() <= config.carve_mm else 2
    ways = (
        (deep, np.array([config.soft_hu, config.cortex_hu, config.deep_mm]), 2),
        (shallow, np.array([config.soft_hu, np.inf, config.carve_mm]), lowest),
    )
    with ThreadPoolExecutor(len(ways)) as pool:  # the kernel holds no lock
        list(pool.map(lambda way: _carve(hu, way[0], spacing, *way[1:]), ways))
    for bone in (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP):
        inside = labels == bone
        if _is_porotic(hu[inside], config):
            deep[inside] = bone
            shallow[inside & joints] = bone
    carved: NDArray[np.uint8] = np.minimum(deep, shallow)
    return carved


def _is_porotic(hu: NDArray[np.int16], config: SegmentationConfig) -> bool:
    """Whether the voxels of a drawn bone hold cortex, but marrow as dark as muscle; not where there is no bone."""
    if not len(hu):
        return False
    marrow_hu, cortex_hu = np.quantile(hu, (MARROW_QUANTILE, CORTEX_QUANTILE))
    return bool(marrow_hu < config.soft_hu and cortex_hu > config.cortex_hu)


@njit(cache=True)
def _is_open(hu, z, y, x, cortex):  # type: ignore[no-untyped-def]
    """Whether no voxel of the 3 x 3 x 3 round a voxel is as bright as cortex."""
    nz, ny, nx = hu.shape
    for k in range(max(z - 1, 0), min(z + 2, nz)):
        for j in range(max(y - 1, 0), min(y + 2, ny)):
            for i in range(max(x - 1, 0), min(x + 2, nx)):
                if hu[k, j, i] > cortex:
                    return False
    return True


@njit(cache=True)
def _is_soft(hu, z, y, x, limits):  # type: ignore[no-untyped-def]
    return hu[z, y, x] < limits[0] and (limits[1] == np.inf or _is_open(hu, z, y, x, limits[1]))


@njit(cache=True)
def _neighbour(d, z, y, x):  # type: ignore[no-untyped-def]
    """Voxel across face `d`."""
    return z + (d == 1) - (d == 0), y + (d == 3) - (d == 2), x + (d == 5) - (d == 4)


@njit(cache=True)
def _is_way_in(hu, labels, z, y, x, soft):  # type: ignore[no-untyped-def]
    """Whether a face of the voxel leads to soft tissue outside."""
    nz, ny, nx = hu.shape
    for d in range(6):
        k, j, i = _neighbour(d, z, y, x)
        if 0 <= k < nz and 0 <= j < ny and 0 <= i < nx and labels[k, j, i] == 0 and hu[k, j, i] < soft:
            return True
    return False


@njit(cache=True)
def _ways_in(hu, labels, limits, lowest):  # type: ignore[no-untyped-def]
    """Soft labelled voxels that the outside touches; first counted, then listed."""
    nz, ny, nx = hu.shape
    ways = np.empty((0, 3), np.int32)
    for listing in range(2):
        count = 0
        for z in range(nz):
            for y in range(ny):
                for x in range(nx):
                    if labels[z, y, x] < lowest or hu[z, y, x] >= limits[0]:
                        continue
                    if _is_way_in(hu, labels, z, y, x, limits[0]) and _is_soft(hu, z, y, x, limits):
                        if listing:
                            ways[count, 0], ways[count, 1], ways[count, 2] = z, y, x
                        count += 1
        if listing == 0:
            ways = np.empty((count, 3), np.int32)
    return ways


@njit(cache=True, nogil=True)
def _carve(hu, labels, spacing, limits, lowest):  # type: ignore[no-untyped-def]
    nz, ny, nx = hu.shape
    ways = _ways_in(hu, labels, limits, lowest)
    count = len(ways)
    queue = np.empty((max(2 * count, 1024), 6), np.int32)
    for v in range(count):
        z, y, x = ways[v]
        queue[v, 0], queue[v, 1], queue[v, 2] = z, y, x
        queue[v, 3], queue[v, 4], queue[v, 5] = z, y, x
        labels[z, y, x] = 0
    item = 0
    while item < count:
        for d in range(6):
            z, y, x = _neighbour(d, queue[item, 0], queue[item, 1], queue[item, 2])
            if z < 0 or y < 0 or x < 0 or z >= nz or y >= ny or x >= nx or labels[z, y, x] < lowest:
                continue
            far = (
                ((z - queue[item, 3]) * spacing[0]) ** 2
                + ((y - queue[item, 4]) * spacing[1]) ** 2
                + ((x - queue[item, 5]) * spacing[2]) ** 2
            )
            if far > limits[2] ** 2 or not _is_soft(hu, z, y, x, limits):
                continue
            labels[z, y, x] = 0
            if count == len(queue):
                longer = np.empty((2 * count, 6), np.int32)
                longer[:count] = queue
                queue = longer
            queue[count, 0], queue[count, 1], queue[count, 2] = z, y, x
            queue[count, 3:] = queue[item, 3:]
            count += 1
        item += 1
