"""Voxels that are read where they are asked for: a scan need not fit into memory.

A source gives planes of its first array axis in ascending order, whole or cut to a window. Nothing else is asked of a
file format; cells (`planner.cells`) and boxes (here) are made of planes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.grid import Grid, Orientation
from planner.volume import Box, Volume

__all__ = [
    "ONE",
    "ArraySource",
    "Blocks",
    "VoxelSource",
    "Window",
    "block_grid",
    "read_box",
    "read_whole",
    "stored_box",
]

Window = tuple[slice, slice]
"""Rows and columns, with explicit start and stop."""
Blocks = tuple[int, int, int]
"""Voxels along each axis that are averaged to one."""
ONE: Blocks = (1, 1, 1)
"""Every voxel for itself."""

Plane = NDArray[np.int16]


class VoxelSource(Protocol):
    """Hounsfield units on the input's own grid."""

    @property
    def grid(self) -> Grid:
        """Where the voxels lie, in the order in which they are stored."""
        ...

    def planes(self, indices: Sequence[int], window: Window | None = None) -> Iterator[Plane]:
        """Read planes of the first array axis.

        Parameters
        ----------
        indices : sequence of int
            Ascending; planes come in this order, and each may be overwritten when the next one is asked for.
        window : (rows, columns), optional
            What to cut out of each plane; the whole plane without it.

        Raises
        ------
        InputRefusedError
            If what is read is damaged.
        """
        ...


class ArraySource:
    """A volume in memory as a source."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    @property
    def grid(self) -> Grid:
        """The volume's grid."""
        return self._volume.grid

    def planes(self, indices: Sequence[int], window: Window | None = None) -> Iterator[Plane]:
        """Give views of the volume."""
        for k in indices:
            yield self._volume.hu[k] if window is None else self._volume.hu[k][window]


def read_whole(source: VoxelSource) -> Volume:
    """Read every voxel, on the input's own grid; for small scans, and to look at."""
    hu = np.empty(source.grid.shape_zyx, np.int16)
    for k, plane in enumerate(source.planes(range(len(hu)))):
        hu[k] = plane
    return Volume(hu, source.grid)


def read_box(source: VoxelSource, box: Box, blocks: Blocks = ONE) -> Volume:
    """Read a box in canonical orientation.

    Parameters
    ----------
    source : VoxelSource
        In any orientation.
    box : (z, y, x) slices
        In the canonical grid; each length a multiple of the block's.
    blocks : (z, y, x) int
        Voxels whose mean, rounded half up, becomes one.

    Returns
    -------
    Volume
        Axes cranial, posterior, left; the same whatever the orientation in which the voxels are stored.
    """
    orientation = Orientation.to_canonical(source.grid)
    grid = block_grid(orientation.apply_grid(source.grid).crop(box), blocks)
    stored, steps = stored_box(orientation, source.grid, box), _stored(orientation, blocks)
    hu = np.empty([(s.stop - s.start) // step for s, step in zip(stored, steps, strict=True)], np.int16)
    planes = source.planes(range(stored[0].start, stored[0].stop), stored[1:])
    if steps == ONE:
        for k, plane in enumerate(planes):
            hu[k] = plane
    else:
        _average(planes, steps, hu)
    return Volume(np.ascontiguousarray(orientation.apply(hu)), grid)


def block_grid(grid: Grid, blocks: Blocks) -> Grid:
    """Grid of the centres of blocks of voxels; a block that is not whole is left out."""
    if blocks == ONE:
        return grid
    matrix = grid.lps_from_zyx.copy()
    matrix[:3, 3] = grid.to_lps((np.array(blocks) - 1) / 2)
    matrix[:3, :3] = matrix[:3, :3] * blocks
    nz, ny, nx = (count // step for count, step in zip(grid.shape_zyx, blocks, strict=True))
    return Grid((nz, ny, nx), matrix)


def stored_box(orientation: Orientation, grid: Grid, box: Box) -> Box:
    """Slices of the stored array that hold a box of the canonical one."""
    spans = {}
    for span, axis, flipped in zip(box, orientation.order, orientation.flipped, strict=True):
        count = grid.shape_zyx[axis]
        spans[axis] = slice(count - span.stop, count - span.start) if flipped else slice(span.start, span.stop)
    return spans[0], spans[1], spans[2]


def _stored(orientation: Orientation, canonical: Blocks) -> Blocks:
    first, second, third = (canonical[orientation.order.index(axis)] for axis in range(3))
    return first, second, third


def _average(planes: Iterator[Plane], steps: Blocks, hu: NDArray[np.int16]) -> None:
    """Fill `hu` with the means of blocks, a layer of blocks at a time."""
    sums = np.zeros((hu.shape[1], hu.shape[2] * steps[2]), np.int32)
    for k, plane in enumerate(planes):
        _add_rows(plane, steps[1], sums)
        if (k + 1) % steps[0] == 0:
            _take_means(sums, steps[2], steps[0] * steps[1] * steps[2], hu[k // steps[0]])


@njit(cache=True)
def _add_rows(plane, rows, sums):  # type: ignore[no-untyped-def]
    """Add each row of a plane to the sums of its block."""
    for y in range(sums.shape[0] * rows):
        j = y // rows
        for x in range(sums.shape[1]):
            sums[j, x] += plane[y, x]


@njit(cache=True)
def _take_means(sums, columns, count, out):  # type: ignore[no-untyped-def]
    """Add the columns of each block, divide, round half up, and empty the sums.

    The quotient of two integers below 2^31 and 2^15 is in float64 never nearer to the next whole number than it is.
    """
    half = count // 2
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            total = half
            for x in range(i * columns, (i + 1) * columns):
                total += sums[j, x]
            out[j, i] = np.floor(total / count)
        sums[j] = 0
