"""Closed-form solids as signed distances in millimetres, negative inside, on arrays of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

__all__ = ["Points", "Sweep", "capsules", "coverage", "ellipsoid", "smooth_union"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Points:
    """Coordinates of many points in one frame, +x left, +y posterior, +z cranial, mm; float32 arrays of one shape."""

    x: F32
    y: F32
    z: F32

    @classmethod
    def of(cls, points: ArrayLike) -> Points:
        """Take points ``(..., 3)`` in order x, y, z."""
        p = np.asarray(points, np.float32)
        return cls(*(np.ascontiguousarray(p[..., k]) for k in range(3)))

    @classmethod
    def of_grid(cls, frame_from_zyx: F64, shape_zyx: tuple[int, int, int]) -> Points:
        """Take every node ``(k, j, i)`` of a grid, at ``frame_from_zyx @ (k, j, i, 1)``."""
        k, j, i = (np.arange(n, dtype=np.float32) for n in shape_zyx)
        m = frame_from_zyx.astype(np.float32)
        return cls(*((m[r, 0] * k + m[r, 3])[:, None, None] + (m[r, 1] * j)[:, None] + m[r, 2] * i for r in range(3)))

    def mirrored(self, sign: int) -> Points:
        """Turn the side whose lateral direction has this sign of x into the left one."""
        return self if sign > 0 else Points(-self.x, self.y, self.z)

    def __getitem__(self, box: tuple[slice, slice, slice]) -> Points:
        return Points(self.x[box], self.y[box], self.z[box])


def smooth_union(a: F32, b: F32, blend_mm: float) -> F32:
    """Join two solids with a fillet: ``min(a, b)`` where they differ by more than `blend_mm`."""
    h = np.maximum(np.float32(blend_mm) - np.abs(a - b), 0) / np.float32(blend_mm)
    result: F32 = np.minimum(a, b) - h * h * np.float32(blend_mm / 4)
    return result


def coverage(distance_mm: F32, width_mm: float) -> F32:
    """Share of a voxel that a solid fills: 1/2 on its surface, linear over one voxel's width across it."""
    result: F32 = np.clip(np.float32(0.5) - distance_mm / np.float32(width_mm), 0, 1)
    return result


def ellipsoid(points: Points, centre_mm: ArrayLike, radii_mm: ArrayLike) -> F32:
    """First-order distance to an ellipsoid: ``k (k - 1) / |grad|``, exact on the surface."""
    c, r = np.asarray(centre_mm, np.float32), np.asarray(radii_mm, np.float32)
    q = [(v - c[n]) / r[n] for n, v in enumerate((points.x, points.y, points.z))]
    value = np.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2)
    slope = np.sqrt((q[0] / r[0]) ** 2 + (q[1] / r[1]) ** 2 + (q[2] / r[2]) ** 2)
    result: F32 = value * (value - 1) / np.maximum(slope, np.float32(1e-6))
    return result


def capsules(points: Points, table: ArrayLike) -> F32:
    """Distance to the union of tapered capsules, rows ``(ax, ay, az, bx, by, bz, radius_a, radius_b)``."""
    rows = np.asarray(table, np.float32).reshape(-1, 8)
    flat = [np.ascontiguousarray(v).ravel() for v in (points.x, points.y, points.z)]
    result: F32 = _capsules(flat[0], flat[1], flat[2], rows).reshape(points.x.shape)
    return result


@njit(cache=True)
def _capsules(x: F32, y: F32, z: F32, rows: F32) -> F32:
    out = np.full(x.shape, np.float32(1e6))
    none, whole = np.float32(0), np.float32(1)  # literals would widen the loop to double precision
    for r in range(len(rows)):
        ax, ay, az = rows[r, 0], rows[r, 1], rows[r, 2]
        ux, uy, uz = rows[r, 3] - ax, rows[r, 4] - ay, rows[r, 5] - az
        scale = whole / max(ux * ux + uy * uy + uz * uz, np.float32(1e-9))
        radius, growth = rows[r, 6], rows[r, 7] - rows[r, 6]
        for n in range(len(x)):
            px, py, pz = x[n] - ax, y[n] - ay, z[n] - az
            t = min(max((px * ux + py * uy + pz * uz) * scale, none), whole)
            dx, dy, dz = px - t * ux, py - t * uy, pz - t * uz
            out[n] = min(out[n], np.sqrt(dx * dx + dy * dy + dz * dz) - (radius + t * growth))
    return out


@dataclass(frozen=True, eq=False)
class Sweep:
    """A stadium section swept along a path in the mid-sagittal plane.

    Attributes
    ----------
    path_yz_mm : (n, 2) array
        Corners of the path, cranial first.
    half_width_mm, half_depth_mm : (n,) arrays
        Of the section at each corner, across the sagittal plane and within it; linear between corners.
    """

    path_yz_mm: F64
    half_width_mm: F64
    half_depth_mm: F64

    def distance(self, points: Points) -> F32:
        """Signed distance to the swept solid, with rounded ends."""
        table = np.column_stack([self.path_yz_mm, self.half_width_mm, self.half_depth_mm]).astype(np.float32)
        flat = [np.ascontiguousarray(v).ravel() for v in (points.x, points.y, points.z)]
        result: F32 = _sweep(flat[0], flat[1], flat[2], table).reshape(points.x.shape)
        return result


@njit(cache=True)
def _sweep(x: F32, y: F32, z: F32, table: F32) -> F32:
    out = np.full(x.shape, np.float32(1e6))
    for s in range(len(table) - 1):
        ay, az = table[s, 0], table[s, 1]
        uy, uz = table[s + 1, 0] - ay, table[s + 1, 1] - az
        scale = 1.0 / (uy * uy + uz * uz)
        for n in range(len(x)):
            t = min(max(((y[n] - ay) * uy + (z[n] - az) * uz) * scale, 0.0), 1.0)
            width = table[s, 2] + t * (table[s + 1, 2] - table[s, 2])
            depth = table[s, 3] + t * (table[s + 1, 3] - table[s, 3])
            across = max(abs(x[n]) - (width - depth), 0.0)
            dy, dz = y[n] - ay - t * uy, z[n] - az - t * uz
            d = np.sqrt(across * across + dy * dy + dz * dz) - depth
            if d < out[n]:
                out[n] = d
    return out
