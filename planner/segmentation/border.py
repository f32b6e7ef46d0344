"""Settle the border of each bone voxel by voxel: what is too dark for the cortex beside it is not bone."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.grid import Grid
from planner.labels import Label
from planner.segmentation.config import SegmentationConfig

__all__ = ["settle_border"]

SOFT_HU = 40.0
"""Muscle, the usual neighbour of bone."""

BRIGHTEST_HU = 1200.0
"""Brightness is not told apart above this: dense cortex, metal."""

WINDOW_MM = 1.6
"""The cortex that a voxel is measured by lies within this (a box) [P]."""

PEEL_MM = 1.2
"""How far inside the drawn surfaces the border may be set back: a pinhole of the cortex does no harm [P]."""


def settle_border(
    hu: NDArray[np.int16],
    labels: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    hold: NDArray[np.bool_],
    grid: Grid,
    config: SegmentationConfig,
) -> NDArray[np.uint8]:
    """Peel voxels off the three bones of the pelvis that are darker than a share of the cortex beside them.

    Parameters
    ----------
    hu : (z, y, x) int16 array
        The image.
    labels : (z, y, x) uint8 array
        `planner.labels.Label` values.
    inside : (z, y, x) bool array
        What the drawn surfaces enclose: there no more than `PEEL_MM` is taken.
    hold : (z, y, x) bool array
        Never changed: the joint spaces, whose faces are drawn between the voxels.
    grid : Grid
        Of the arrays.
    config : SegmentationConfig
        Thresholds.
    """
    settled = labels.copy()
    spacing = grid.spacing_zyx_mm
    window = np.maximum(np.round(WINDOW_MM / spacing), 1).astype(np.int64)
    shallow = max(round(PEEL_MM / float(np.mean(spacing))), 0)
    deep = max(int(np.ceil(config.add_mm / float(spacing.min()))), shallow)
    share = float(np.interp(spacing.max(), config.border_mm, config.border_share))
    limits = np.array([SOFT_HU, BRIGHTEST_HU, share])
    for step in range(deep):
        kept = hold if step < shallow else hold | inside
        if _peel(hu, settled, kept, window, limits) == 0:
            break
    return settled


@njit(cache=True)
def _peel(hu, labels, hold, window, limits):  # type: ignore[no-untyped-def]  # noqa: C901
    """One layer; returns how many voxels were taken."""
    nz, ny, nx = hu.shape
    taken = [(0, 0, 0)]
    for z in range(1, nz - 1):
        for y in range(1, ny - 1):
            for x in range(1, nx - 1):
                label = labels[z, y, x]
                if label == 0 or label > Label.RIGHT_HIP or hold[z, y, x]:
                    continue
                if (
                    labels[z - 1, y, x]
                    and labels[z + 1, y, x]
                    and labels[z, y - 1, x]
                    and labels[z, y + 1, x]
                    and labels[z, y, x - 1]
                    and labels[z, y, x + 1]
                ):
                    continue
                peak = limits[0]
                for k in range(max(z - window[0], 0), min(z + window[0] + 1, nz)):
                    for j in range(max(y - window[1], 0), min(y + window[1] + 1, ny)):
                        for i in range(max(x - window[2], 0), min(x + window[2] + 1, nx)):
                            if labels[k, j, i] == label and hu[k, j, i] > peak:
                                peak = hu[k, j, i]
                if hu[z, y, x] < limits[0] + limits[2] * (min(peak, limits[1]) - limits[0]):
                    taken.append((z, y, x))
    for item in taken[1:]:
        labels[item[0], item[1], item[2]] = 0
    return len(taken) - 1
