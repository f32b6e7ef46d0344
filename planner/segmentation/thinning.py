"""A scan in cells of a few millimetres: where bone is, and where there is data at all."""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from planner.grid import Grid
from planner.volume import Volume

__all__ = ["CELL_MM", "REACH_MM", "Thinned", "coarsen", "thin"]

CELL_MM = 4.0
"""Cell of the thinned scan [P]."""

BONE_HU = 180
"""Bone for the purpose of finding the pelvis; cortex is above, soft tissue and most marrow below [P]."""

BONE_SHARE = 0.2
"""A cell is bone if this share of its voxels is [P]."""

PADDING_HU = -1000
"""A cell whose voxels are all one value, and that at or below this, holds no data: padding."""

REACH_MM = 20.0
"""Distances to bone are cut off here [P]."""


@dataclass(frozen=True, eq=False)
class Thinned:
    """The scan in cells.

    Attributes
    ----------
    nearness : (z, y, x) float32 array
        1 on the bone surface, falling to 0 at `REACH_MM`; 0 where there is no data.
    known : (z, y, x) float32 array
        1 where the scan has data.
    grid : Grid
        Cells' centres.
    """

    nearness: NDArray[np.float32]
    known: NDArray[np.float32]
    grid: Grid


def thin(volume: Volume) -> Thinned:
    """Reduce a scan to cells of about `CELL_MM` and measure the distance to bone."""
    spacing = volume.grid.spacing_zyx_mm
    steps = np.maximum(np.round(CELL_MM / spacing), 1).astype(np.int64)
    bone, data = cell_shares(volume.hu, steps, BONE_HU, PADDING_HU)
    matrix = volume.grid.lps_from_zyx.copy()
    matrix[:3, 3] = volume.grid.to_lps((steps - 1) / 2)
    matrix[:3, :3] = matrix[:3, :3] * steps
    mask = bone >= BONE_SHARE
    surface = mask & ~ndimage.binary_erosion(mask, border_value=1)
    away = edt.edt(np.ascontiguousarray(~surface), anisotropy=tuple(spacing * steps), black_border=False, parallel=1)
    known = data > 0
    nearness = np.where(known & surface.any(), 1.0 - np.minimum(away, REACH_MM) / REACH_MM, 0.0)
    return Thinned(nearness.astype(np.float32), known.astype(np.float32), Grid(mask.shape, matrix))


@njit(cache=True)
def cell_shares(hu, steps, bone_hu, padding_hu):  # type: ignore[no-untyped-def]
    """Share of bone in each cell, and whether the cell holds data (is not one constant at or below the padding)."""
    nz, ny, nx = hu.shape
    shape = ((nz + steps[0] - 1) // steps[0], (ny + steps[1] - 1) // steps[1], (nx + steps[2] - 1) // steps[2])
    bone = np.zeros(shape, np.float32)
    data = np.zeros(shape, np.uint8)
    for k in range(shape[0]):
        for j in range(shape[1]):
            for i in range(shape[2]):
                z1 = min((k + 1) * steps[0], nz)
                y1 = min((j + 1) * steps[1], ny)
                x1 = min((i + 1) * steps[2], nx)
                first = hu[k * steps[0], j * steps[1], i * steps[2]]
                count = 0
                varied = first > padding_hu
                for z in range(k * steps[0], z1):
                    for y in range(j * steps[1], y1):
                        for x in range(i * steps[2], x1):
                            value = hu[z, y, x]
                            if value > bone_hu:
                                count += 1
                            if value != first:
                                varied = True
                bone[k, j, i] = count / ((z1 - k * steps[0]) * (y1 - j * steps[1]) * (x1 - i * steps[2]))
                data[k, j, i] = 1 if varied else 0
    return bone, data


def coarsen(fine: Thinned) -> Thinned:
    """Halve the resolution of the thinned scan, cut to where bone is."""
    pad = [(0, n % 2) for n in fine.nearness.shape]
    blocks = [
        np.pad(a, pad).reshape(*(m for n in a.shape for m in ((n + 1) // 2, 2))).mean(axis=(1, 3, 5))
        for a in (fine.nearness, fine.known)
    ]
    matrix = fine.grid.lps_from_zyx.copy()
    matrix[:3, 3] = fine.grid.to_lps((0.5, 0.5, 0.5))
    matrix[:3, :3] = 2.0 * matrix[:3, :3]
    grid = Grid(blocks[0].shape, matrix)
    box = ndimage.find_objects((blocks[0] > 0).astype(np.int32))[0]
    return Thinned(np.ascontiguousarray(blocks[0][box]), np.ascontiguousarray(blocks[1][box]), grid.crop(box))
