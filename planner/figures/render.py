"""Shaded pictures of the labels by marching rays through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.figures.model import Cylinder
from planner.figures.planes import Plane
from planner.volume import LabelMap

__all__ = ["Relief", "cast_bones", "cast_implant", "shade"]

STEP_MM = 1.0
"""March of a ray between looks [P]."""

SMOOTH_PIXELS = 1.2
"""Of the depth before its slope is taken, so that voxel steps do not show [P]."""

AMBIENT = 0.25
"""Share of light from everywhere [P]."""

LIGHT = np.array([-0.2, 0.45, 1.0])
"""Towards the light: right, up, to the viewer."""

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Relief:
    """What rays meet first.

    Attributes
    ----------
    depth_mm : (rows, columns) float32 array
        From the plane, away from the viewer; NaN where nothing is met. Lowest row first.
    label : (rows, columns) uint8 array
        `planner.labels.Label` met.
    """

    depth_mm: F32
    label: NDArray[np.uint8]


def cast_bones(labels: LabelMap, plane: Plane, depth_mm: float) -> Relief:
    """March rays from `plane`, away from the viewer, to the first bone."""
    rows, columns = (len(axis) for axis in reversed(plane.axes_mm()))
    depth = np.full((rows, columns), np.nan, np.float32)
    label = np.zeros((rows, columns), np.uint8)
    inverse = np.linalg.inv(labels.grid.lps_from_zyx[:3, :3])
    start = labels.grid.to_index(plane.points_lps()).astype(np.float32)
    away = -np.cross(plane.right_lps, plane.up_lps)
    step = (inverse @ away * STEP_MM).astype(np.float32)
    _march(labels.values, start, step, int(depth_mm / STEP_MM), depth, label)
    return Relief(depth * np.float32(STEP_MM), label)


@njit(cache=True)
def _march(labels, start, step, steps, depth, label):  # type: ignore[no-untyped-def]
    rows, columns = depth.shape
    for r in range(rows):
        for c in range(columns):
            before = 0.0
            for n in range(steps):
                z = start[r, c, 0] + n * step[0]
                y = start[r, c, 1] + n * step[1]
                x = start[r, c, 2] + n * step[2]
                share, value = _share(labels, z, y, x)
                if share >= 0.5:
                    depth[r, c] = n - (share - 0.5) / max(share - before, 1e-6) if n > 0 else 0.0
                    label[r, c] = value
                    break
                before = share


@njit(cache=True)
def _share(labels, z, y, x):  # type: ignore[no-untyped-def]
    """Share of bone round a point, and the bone of its nearest bony corner."""
    nz, ny, nx = labels.shape
    if z < 0 or y < 0 or x < 0 or z > nz - 1.001 or y > ny - 1.001 or x > nx - 1.001:
        return 0.0, 0
    k, j, i = int(z), int(y), int(x)
    w, v, u = z - k, y - j, x - i
    share, best, value = 0.0, 0.0, 0
    for dk in range(2):
        for dj in range(2):
            for di in range(2):
                found = labels[k + dk, j + dj, i + di]
                if found > 0:
                    weight = (w if dk else 1 - w) * (v if dj else 1 - v) * (u if di else 1 - u)
                    share += weight
                    if weight > best:
                        best, value = weight, found
    return share, value


def cast_implant(implant: Cylinder, plane: Plane) -> F32:
    """Depth at which rays meet an implant, mm; NaN where they miss."""
    depth: F32 = implant.met_mm(plane.points_lps(), -np.cross(plane.right_lps, plane.up_lps)).astype(np.float32)
    return depth


def shade(depth_mm: F32, pixel_mm: float, *, smooth: bool = True) -> F32:
    """Brightness 0-1 of a relief, lit from the upper left, darker in the depth."""
    seen = np.isfinite(depth_mm)
    far = float(np.nanmax(depth_mm)) if seen.any() else 0.0
    filled = np.where(seen, depth_mm, far)
    weight = ndi.gaussian_filter(seen.astype(np.float32), SMOOTH_PIXELS)
    blurred = (
        ndi.gaussian_filter(np.where(seen, filled, 0), SMOOTH_PIXELS) / np.maximum(weight, 1e-3) if smooth else filled
    )
    slope_up, slope_right = np.gradient(blurred, pixel_mm)
    normal = np.stack([slope_right, slope_up, np.ones_like(slope_up)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    lit = np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    near = float(np.nanmin(depth_mm)) if seen.any() else 0.0
    fog = 1 - 0.45 * np.clip((filled - near) / max(far - near, 1.0), 0, 1)
    brightness: F32 = ((AMBIENT + (1 - AMBIENT) * lit) * fog).astype(np.float32)
    return brightness
