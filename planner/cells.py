"""A scan in cells of a few millimetres, counted plane by plane while it is read, so that it need not fit into memory.

Only a lattice of voxels is looked at, and only the planes that hold some of it are read. Lattice and cells are anchored
in the canonical frame: the counts are the same to the bit for any order of axes, any flip and any file format.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.grid import Grid, Orientation
from planner.source import VoxelSource

__all__ = ["BONE_HU", "CELL_MM", "LATTICE_ZYX_MM", "Cells", "count_cells"]

LATTICE_ZYX_MM = (2.0, 1.0, 1.0)
"""Widest distance between the voxels that are looked at, cranial, posterior and left [P].

Of slices closer than 1 mm every second (or rarer) one need not be decoded; about 30 voxels are left to a cell, enough
for a share of bone that noise of 60 HU does not move.
"""
CELL_MM = 4.0
"""Cell of the thinned scan [P]."""
BONE_HU = 180
"""Bone for the purpose of finding the pelvis; cortex is above, soft tissue and most marrow below [P]."""
PADDING_HU = -1000
"""A cell whose voxels are all one value, and that at or below this, holds no data: padding."""
ROUNDING = 1e-3
"""What the lattice may be wider by, and ties are moved by, so that rounded spacings count alike."""
LOWEST, VALUES = -32768, 65536
"""Range of int16."""


@dataclass(frozen=True, eq=False)
class Cells:
    """A scan in cells, axes cranial, posterior, left.

    Attributes
    ----------
    bone : (z, y, x) int32 array
        Looked-at voxels above `BONE_HU`.
    looked_at : (z, y, x) int32 array
        Voxels looked at.
    known : (z, y, x) bool array
        Whether the cell holds data.
    histogram : (65536,) int64 array
        How often each value from -32768 HU on was met.
    grid : Grid
        Centres of the looked-at voxels of each cell.
    """

    bone: NDArray[np.int32]
    looked_at: NDArray[np.int32]
    known: NDArray[np.bool_]
    histogram: NDArray[np.int64]
    grid: Grid

    def __post_init__(self) -> None:
        for array in (self.bone, self.looked_at, self.known, self.histogram):
            array.setflags(write=False)


@dataclass(frozen=True, eq=False)
class _Axis:
    """The lattice along one stored axis: indices of its voxels, ascending, and the cell of each."""

    indices: NDArray[np.int64]
    cells: NDArray[np.int64]

    @property
    def count(self) -> int:
        return int(self.cells.max()) + 1

    @property
    def sizes(self) -> NDArray[np.int32]:
        return np.bincount(self.cells).astype(np.int32)


def count_cells(source: VoxelSource) -> Cells:
    """Read a scan's lattice and count it into cells.

    Raises
    ------
    InputRefusedError
        If a plane cannot be read.
    """
    orientation = Orientation.to_canonical(source.grid)
    canonical = orientation.apply_grid(source.grid)
    strides, sizes = _lattice(canonical)
    axes = _stored_axes(source.grid, orientation, strides, sizes)
    shape = [axis.count for axis in axes]
    bone = np.zeros(shape, np.int32)
    low, high = np.full(shape, 32767, np.int16), np.full(shape, LOWEST, np.int16)
    histogram = np.zeros(VALUES, np.int64)
    for plane, k in zip(source.planes(axes[0].indices.tolist()), axes[0].cells, strict=True):
        places = (axes[1].indices, axes[1].cells, axes[2].indices, axes[2].cells)
        _add_plane(np.ascontiguousarray(plane), places, BONE_HU, (bone[k], low[k], high[k], histogram))
    looked_at = axes[0].sizes[:, None, None] * axes[1].sizes[:, None] * axes[2].sizes
    known = (high > PADDING_HU) | (low != high)
    bone, looked_at, known = (np.ascontiguousarray(a.transpose(orientation.order)) for a in (bone, looked_at, known))
    return Cells(bone, looked_at, known, histogram, _cell_grid(canonical, bone.shape, strides, sizes))


def _lattice(grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voxels from one looked at to the next, and looked-at voxels to a cell, along each canonical axis."""
    spacing = grid.spacing_zyx_mm
    strides = np.maximum(np.floor(LATTICE_ZYX_MM / spacing + ROUNDING), 1).astype(np.int64)
    sizes = np.maximum(np.floor(CELL_MM / (strides * spacing) + 0.5 - ROUNDING), 1).astype(np.int64)
    return strides, sizes


def _stored_axes(
    grid: Grid, orientation: Orientation, strides: NDArray[np.int64], sizes: NDArray[np.int64]
) -> list[_Axis]:
    """Lay the lattice along each stored axis, with the indices of canonical cells."""
    axes = []
    for axis, count in enumerate(grid.shape_zyx):
        place = orientation.order.index(axis)
        indices = np.arange(0, count, strides[place])
        cells = np.arange(len(indices)) // sizes[place]
        if orientation.flipped[place]:
            indices, cells = (count - 1 - indices)[::-1], cells[::-1]
        axes.append(_Axis(np.ascontiguousarray(indices), np.ascontiguousarray(cells)))
    return axes


def _cell_grid(grid: Grid, shape: tuple[int, ...], strides: NDArray[np.int64], sizes: NDArray[np.int64]) -> Grid:
    matrix = grid.lps_from_zyx.copy()
    matrix[:3, 3] = grid.to_lps(strides * (sizes - 1) / 2)
    matrix[:3, :3] = matrix[:3, :3] * (strides * sizes)
    return Grid((shape[0], shape[1], shape[2]), matrix)


@njit(cache=True)
def _add_plane(plane, places, bone_hu, counts):  # type: ignore[no-untyped-def]
    """Count one plane's lattice voxels into a layer of cells: bone, lowest, highest; and all into the histogram."""
    rows, row_cells, columns, column_cells = places
    bone, low, high, histogram = counts
    for r in range(rows.size):
        y, j = rows[r], row_cells[r]
        c = 0
        while c < columns.size:
            i = column_cells[c]
            dense, least, most = 0, low[j, i], high[j, i]
            while c < columns.size and column_cells[c] == i:
                value = plane[y, columns[c]]
                dense += value > bone_hu
                least = min(least, value)
                most = max(most, value)
                histogram[np.int64(value) + 32768] += 1
                c += 1
            bone[j, i] += dense
            low[j, i], high[j, i] = least, most
