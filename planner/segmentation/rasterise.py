"""Fill closed surfaces on a voxel grid."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.grid import Grid

__all__ = ["fill_surface"]


def fill_surface(
    vertices_lps: NDArray[np.float64], faces: NDArray[np.int32], grid: Grid, margin: int = 2
) -> tuple[NDArray[np.bool_], tuple[slice, slice, slice]]:
    """Voxels whose centre lies inside a closed surface (winding number above 0), in the box around it.

    Returns
    -------
    inside : (z, y, x) bool array
        On ``grid.crop(box)``.
    box : tuple of slice
        The surface's voxels with `margin` more, clipped to the grid.
    """
    index = grid.to_index(vertices_lps)
    shape = np.array(grid.shape_zyx)
    low = np.clip(np.floor(index.min(axis=0)).astype(int) - margin, 0, shape - 1)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + margin + 1, low + 1, shape)
    turns = _crossings(index - low, faces, tuple(int(n) for n in high - low))
    handed = np.int8(np.sign(np.linalg.det(grid.lps_from_zyx[:3, :3])))
    inside = np.cumsum(turns * handed, axis=2, dtype=np.int8) > 0
    return inside, (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))


@njit(cache=True)
def _crossings(points, faces, shape):  # type: ignore[no-untyped-def]  # noqa: C901
    """Signed number of faces that a ray along x passes on its way from one voxel centre to the next.

    A ray through an edge shared by two faces is counted for exactly one of them (half-open rule on y and z).
    """
    turns = np.zeros(shape, np.int8)
    for f in range(faces.shape[0]):
        a, b, c = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
        area = (b[1] - a[1]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[1] - a[1])
        if area == 0.0:
            continue
        sign = 1 if area > 0 else -1
        z0 = max(int(np.ceil(min(a[0], b[0], c[0]))), 0)
        z1 = min(int(np.floor(max(a[0], b[0], c[0]))), shape[0] - 1)
        for z in range(z0, z1 + 1):
            left, right, count = np.inf, -np.inf, 0
            x_left, x_right = 0.0, 0.0
            for p, q in ((a, b), (b, c), (c, a)):
                if (p[0] <= z) == (q[0] <= z):
                    continue
                if p[0] > q[0]:
                    p, q = q, p
                w = (z - p[0]) / (q[0] - p[0])
                y = p[1] + w * (q[1] - p[1])
                x = p[2] + w * (q[2] - p[2])
                count += 1
                if y < left:
                    left, x_left = y, x
                if y > right:
                    right, x_right = y, x
            if count < 2 or right <= left:
                continue
            y0 = max(int(np.ceil(left)), 0)
            y1 = min(int(np.ceil(right)) - 1, shape[1] - 1)
            for y in range(y0, y1 + 1):
                x = x_left + (y - left) / (right - left) * (x_right - x_left)
                i = max(int(np.ceil(x)), 0)
                if i < shape[2]:
                    turns[z, y, i] += sign
    return turns
