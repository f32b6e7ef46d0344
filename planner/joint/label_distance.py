"""Signed distance to a label's surface, and fields brought to a finer grid."""

from __future__ import annotations

from typing import Literal

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid

__all__ = ["label_distance", "resample"]

THICK = 2.0
"""Voxels that are this many times finer than the slices are filled by cubic splines: a straight line between two
slices leaves a crease at each `[P]`."""

Field = NDArray[np.float32]


def label_distance(mask: NDArray[np.bool_], grid: Grid) -> Field:
    """Distance in mm to the label's surface, half a voxel from the outermost centres; positive outside."""
    spacing = tuple(float(s) for s in grid.spacing_zyx_mm)
    inside = edt.edt(np.ascontiguousarray(mask), anisotropy=spacing, black_border=False, parallel=1)
    outside = edt.edt(np.ascontiguousarray(~mask), anisotropy=spacing, black_border=False, parallel=1)
    half = np.float32(0.5 * min(spacing))
    distance: Field = np.where(mask, half - inside, outside - half).astype(np.float32)
    return distance


def resample(field: NDArray[np.generic], grid: Grid, fine: Grid) -> Field:
    """Values of `field` on ``fine = grid.resampled(...)``."""
    scale = fine.spacing_zyx_mm / grid.spacing_zyx_mm
    order: Literal[1, 3] = 3 if scale.min() < 1 / THICK else 1
    out = np.empty(fine.shape_zyx, np.float32)
    ndi.affine_transform(field.astype(np.float32), scale, output=out, order=order, mode="nearest")
    return out
