"""A scan in cells (`planner.cells`): how near bone is, and where there is data at all."""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from planner.cells import CELL_MM, Cells, count_cells
from planner.grid import Grid
from planner.source import ArraySource
from planner.volume import Volume

__all__ = ["CELL_MM", "REACH_MM", "Thinned", "coarsen", "thin", "thin_cells"]

BONE_SHARE = 0.2
"""A cell is bone if this share of its voxels is [P]."""

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
    """Thin a canonical volume that is in memory; the same as reading it in any other way."""
    return thin_cells(count_cells(ArraySource(volume)))


def thin_cells(cells: Cells) -> Thinned:
    """Measure the distance to bone on a scan's cells."""
    mask = cells.bone / cells.looked_at >= BONE_SHARE
    surface = mask & ~ndimage.binary_erosion(mask, border_value=1)
    spacing = tuple(cells.grid.spacing_zyx_mm)
    away = edt.edt(np.ascontiguousarray(~surface), anisotropy=spacing, black_border=False, parallel=1)
    nearness = np.where(cells.known & surface.any(), 1.0 - np.minimum(away, REACH_MM) / REACH_MM, 0.0)
    return Thinned(nearness.astype(np.float32), cells.known.astype(np.float32), cells.grid)


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
