"""A scan's name by content: the same voxels in the same place hash alike, whatever file they came from.

Hashed is all that a plan depends on, and nothing else, so that voxels which no plan needs are never read: the geometry,
the whole scan in cells (`planner.cells`: every voxel of its lattice has a part in them), how often each value was met,
and every voxel of the box that is planned on. A voxel outside that box and off the lattice has no part in it.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from planner.cells import Cells
from planner.grid import Grid, Orientation
from planner.volume import Volume

__all__ = ["cells_sha256", "scan_sha256"]

GEOMETRY_STEP_MM = 0.01
"""Step to which corner points are rounded: far above what NIfTI's float32 loses (5e-5 mm), far below a voxel."""
STEP_OFFSET = 0.1380306
"""Shift of the rounding's ties, in steps: where no decimal or binary fraction of a millimetre lies."""


def scan_sha256(grid: Grid, cells: Cells, part: Volume) -> str:
    """Hash geometry, cells and a part of a scan in canonical orientation.

    Independent of file format, file order, axis order and flips.

    Parameters
    ----------
    grid : Grid
        Of the whole scan, in any orientation.
    cells : Cells
        The whole scan.
    part : Volume
        What is planned on; canonical.
    """
    digest = hashlib.sha256(cells_sha256(grid, cells).encode())
    digest.update(_geometry(part.grid).tobytes())
    for plane in part.hu:
        digest.update(np.ascontiguousarray(plane, dtype="<i2").data)
    return digest.hexdigest()


def cells_sha256(grid: Grid, cells: Cells) -> str:
    """Hash geometry and cells: what is known of a scan before its pelvis is found."""
    digest = hashlib.sha256(_geometry(Orientation.to_canonical(grid).apply_grid(grid)).tobytes())
    for array, dtype in ((cells.bone, "<i4"), (cells.known, "u1"), (cells.histogram, "<i8")):
        digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.hexdigest()


def _geometry(grid: Grid) -> NDArray[np.int64]:
    """Shape, and the corner points of the first voxel and the far end of each axis in whole steps."""
    shape = np.array(grid.shape_zyx)
    corners = grid.to_lps(np.vstack([np.zeros(3), np.diag(shape - 1)]))
    steps = np.floor(corners / GEOMETRY_STEP_MM + 0.5 + STEP_OFFSET)
    return np.concatenate([shape, steps.ravel()]).astype("<i8")
