"""Signed distance to a label's surface, and fields brought to a finer grid."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.distance import distance_within
from planner.grid import Grid

__all__ = ["label_distance", "resample"]

THICK = 2.0
"""Voxels that are this many times finer than the slices are filled by cubic splines: a straight line between two
slices leaves a crease at each `[P]`."""

Field = NDArray[np.float32]


def label_distance(mask: NDArray[np.bool_], grid: Grid, reach_mm: float) -> Field:
    """Distance in mm to the label's surface, half a voxel from the outermost centres; positive outside.

    Neither way is it worked out beyond `reach_mm`.
    """
    half = np.float32(0.5 * grid.spacing_zyx_mm.min())
    inside, outside = (distance_within(m, grid.spacing_zyx_mm, reach_mm) for m in (~mask, mask))
    distance: Field = np.where(mask, half - inside, outside - half)
    return distance


def resample(field: NDArray[np.generic], grid: Grid, fine: Grid) -> Field:
    """Values of `field` on ``fine = grid.resampled(...)``."""
    scale = fine.spacing_zyx_mm / grid.spacing_zyx_mm
    order: Literal[1, 3] = 3 if scale.min() < 1 / THICK else 1
    out = np.empty(fine.shape_zyx, np.float32)
    ndi.affine_transform(field.astype(np.float32), scale, output=out, order=order, mode="nearest")
    return out
