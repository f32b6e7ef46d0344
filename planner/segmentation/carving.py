"""Take soft tissue off labels: what the outside reaches through soft voxels."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.grid import Grid
from planner.segmentation.config import SegmentationConfig

__all__ = ["carve"]


def carve(
    hu: NDArray[np.int16], labels: NDArray[np.uint8], grid: Grid, config: SegmentationConfig
) -> NDArray[np.uint8]:
    """Clear labelled voxels below ``soft_hu`` that the outside reaches through such voxels.

    Within ``carve_mm`` of where the way enters the bone any path will do. In hip bones a path three voxels wide without
    cortex (all below ``cortex_hu``) may go on to ``deep_mm``: marrow behind a thin spot of the cortex stays.
    Never so in the sacrum, whose alae can be as dark as fat; where a voxel is more than ``carve_mm``, it is not carved
    at all.
    """
    deep, shallow = labels.copy(), labels.copy()
    spacing = grid.spacing_zyx_mm
    _carve(hu, deep, spacing, np.array([config.soft_hu, config.cortex_hu, config.deep_mm]), 2)
    lowest = 1 if spacing.max() <= config.carve_mm else 2
    _carve(hu, shallow, spacing, np.array([config.soft_hu, np.inf, config.carve_mm]), lowest)
    carved: NDArray[np.uint8] = np.minimum(deep, shallow)
    return carved


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
def _is_soft(hu, at, limits):  # type: ignore[no-untyped-def]
    if hu[at[0], at[1], at[2]] >= limits[0]:
        return False
    return limits[1] == np.inf or _is_open(hu, at[0], at[1], at[2], limits[1])


@njit(cache=True)
def _carve(hu, labels, spacing, limits, lowest):  # type: ignore[no-untyped-def]  # noqa: C901
    steps = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)])
    shape = np.array(hu.shape)
    bone = np.argwhere(labels >= lowest)
    queue = np.empty((len(bone), 6), np.int32)
    count = 0
    for v in range(len(bone)):
        at = bone[v]
        if not _is_soft(hu, at, limits):
            continue
        for d in range(6):
            n = at + steps[d]
            if (n < 0).any() or (n >= shape).any():
                continue
            if labels[n[0], n[1], n[2]] == 0 and hu[n[0], n[1], n[2]] < limits[0]:
                queue[count, :3] = at
                queue[count, 3:] = at
                count += 1
                break
    for v in range(count):
        labels[queue[v, 0], queue[v, 1], queue[v, 2]] = 0
    item = 0
    while item < count:
        for d in range(6):
            n = queue[item, :3] + steps[d]
            if (n < 0).any() or (n >= shape).any():
                continue
            if labels[n[0], n[1], n[2]] < lowest or not _is_soft(hu, n, limits):
                continue
            if (((n - queue[item, 3:]) * spacing) ** 2).sum() > limits[2] ** 2:
                continue
            labels[n[0], n[1], n[2]] = 0
            queue[count, :3] = n
            queue[count, 3:] = queue[item, 3:]
            count += 1
        item += 1
