"""Values of a voxel field at points between the voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid

__all__ = ["sample_at"]


def sample_at(field: NDArray[Any], grid: Grid, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Trilinear values at LPS points ``(..., 3)``; the nearest border value outside the grid."""
    index = np.moveaxis(grid.to_index(points_lps), -1, 0).reshape(3, -1)
    values = np.empty(index.shape[1])
    ndi.map_coordinates(field, index, output=values, order=1, mode="nearest")
    return values.reshape(points_lps.shape[:-1])
