"""Pieces of a grid with their points in the drawing frame, so that no stage holds coordinates of a whole scan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.segmentation.model import PelvicFrame
from sample_data.closed_forms import Points

__all__ = ["Box", "BoxMm", "box_slabs", "drawing_from_zyx", "grid_points", "whole_slabs"]

SLAB = 16
"""Slices that are drawn at a time."""

Box = tuple[slice, slice, slice]
BoxMm = tuple[tuple[float, float, float], tuple[float, float, float]]
F64 = NDArray[np.float64]


def drawing_from_zyx(grid: Grid, drawing: PelvicFrame) -> F64:
    """Matrix from array indices to the drawing frame."""
    matrix: F64 = np.linalg.inv(drawing.lps_from_pelvic) @ grid.lps_from_zyx
    return matrix


def grid_points(grid: Grid, drawing: PelvicFrame) -> Points:
    """Voxel centres of a grid in the drawing frame."""
    return Points.of_grid(drawing_from_zyx(grid, drawing), grid.shape_zyx)


def whole_slabs(grid: Grid) -> Iterator[Box]:
    """Boxes of a few whole slices that together make up the grid."""
    nz, ny, nx = grid.shape_zyx
    for k in range(0, nz, SLAB):
        yield slice(k, min(k + SLAB, nz)), slice(0, ny), slice(0, nx)


def box_slabs(box_mm: BoxMm, grid: Grid, drawing: PelvicFrame) -> Iterator[tuple[Box, Points]]:
    """Boxes a few slices thick that together hold a box of the drawing frame, with their points."""
    corners = np.array([[box_mm[(n >> axis) & 1][axis] for axis in range(3)] for n in range(8)])
    try:
        z, y, x = grid.box_around(drawing.to_lps(corners), 1.0)
    except ValueError:  # the scan does not show this part
        return
    for k in range(z.start, z.stop, SLAB):
        box = slice(k, min(k + SLAB, z.stop)), y, x
        yield box, grid_points(grid.crop(box), drawing)
