"""A scan's name by content: the same voxels in the same place hash alike, whatever file they came from."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid, Orientation
from planner.volume import Volume

__all__ = ["scan_sha256"]

GEOMETRY_STEP_MM = 0.01
"""Step to which corner points are rounded: far above what NIfTI's float32 loses (5e-5 mm), far below a voxel."""
STEP_OFFSET = 0.1380306
"""Shift of the rounding's ties, in steps: where no decimal or binary fraction of a millimetre lies."""


def scan_sha256(volume: Volume) -> str:
    """Hash the Hounsfield units in canonical orientation and the rounded geometry.

    Independent of file format, file order, axis order and flips.
    """
    orientation = Orientation.to_canonical(volume.grid)
    digest = hashlib.sha256(_geometry(orientation.apply_grid(volume.grid)).tobytes())
    for plane in orientation.apply(volume.hu):
        digest.update(np.ascontiguousarray(plane, dtype="<i2").data)
    return digest.hexdigest()


def _geometry(grid: Grid) -> NDArray[np.int64]:
    """Shape, and the corner points of the first voxel and the far end of each axis in whole steps."""
    shape = np.array(grid.shape_zyx)
    corners = grid.to_lps(np.vstack([np.zeros(3), np.diag(shape - 1)]))
    steps = np.floor(corners / GEOMETRY_STEP_MM + 0.5 + STEP_OFFSET)
    return np.concatenate([shape, steps.ravel()]).astype("<i8")
