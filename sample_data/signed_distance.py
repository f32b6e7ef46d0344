"""Signed distance to a closed triangle surface, sampled on a lattice, and read back between the samples."""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from numba import njit
from numpy.typing import NDArray

from sample_data.closed_forms import Points

__all__ = ["DistanceField", "sample_affine", "surface_distance"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DistanceField:
    """A scalar field on an upright lattice, trilinear between its nodes.

    Attributes
    ----------
    values_mm : (z, y, x) float32 array
        Signed distance, negative inside.
    origin_mm : (3,) float64 array
        Point ``(x, y, z)`` of node ``(0, 0, 0)``.
    spacing_mm : float
        Distance between nodes.
    """

    values_mm: F32
    origin_mm: F64
    spacing_mm: float

    def at_points(self, points: Points) -> F32:
        """Sample the field; beyond the lattice the nearest node's value counts."""
        flat = [np.ascontiguousarray(v, np.float32).ravel() for v in (points.x, points.y, points.z)]
        result: F32 = _sample_points(self.values_mm, self.origin_mm, self.spacing_mm, *flat).reshape(points.x.shape)
        return result


def sample_affine(
    field: DistanceField, frame_from_zyx: F64, shape_zyx: tuple[int, int, int], where: NDArray[np.bool_] | None = None
) -> F32:
    """Sample `field` on a whole grid: node ``(k, j, i)`` lies at ``frame_from_zyx @ (k, j, i, 1)``.

    Nodes that are not in `where` are left at 0.
    """
    steps = frame_from_zyx[:3, :3] / field.spacing_mm
    start = (frame_from_zyx[:3, 3] - field.origin_mm) / field.spacing_mm
    out: F32 = np.zeros(shape_zyx, np.float32)
    chosen = np.ones(shape_zyx, np.bool_) if where is None else where
    _sample_grid(field.values_mm, np.ascontiguousarray(steps), np.ascontiguousarray(start), chosen, out)
    return out


def surface_distance(
    vertices: F64, triangles: NDArray[np.int32], spacing_mm: float, margin_mm: float, band_mm: float = 4.5
) -> DistanceField:
    """Signed distance of a closed surface on a lattice round it.

    Exact at the nodes within `band_mm` of the surface; beyond, the distance between nodes (error of about one spacing).
    The sign is that of the winding of crossings along +x, counted per row of nodes.
    """
    low = vertices.min(axis=0) - margin_mm
    shape = np.ceil((vertices.max(axis=0) + margin_mm - low) / spacing_mm).astype(int)[::-1] + 1
    scaled = (np.asarray(vertices, np.float64) - low) / spacing_mm
    triangles = np.ascontiguousarray(triangles, dtype=np.int32)
    near = np.full(shape, band_mm / spacing_mm, np.float32) ** 2
    _near_distance(scaled, triangles, band_mm / spacing_mm, near)
    winding = np.zeros(shape, np.int32)
    _count_crossings(scaled, triangles, winding)
    inside = np.cumsum(winding, axis=2) != 0
    distance = _far_distance(np.sqrt(near), inside, band_mm / spacing_mm)
    return DistanceField(np.where(inside, -distance, distance) * np.float32(spacing_mm), low, spacing_mm)


def _far_distance(near: F32, inside: NDArray[np.bool_], band: float) -> F32:
    """Fill in, beyond the band, the band's width plus the distance to the band."""
    beyond = near >= np.float32(band)
    extra = edt.edt(beyond, parallel=1)
    result: F32 = np.where(beyond, np.float32(band) + extra, near).astype(np.float32)
    return result


@njit(cache=True)
def _closest_weights(d1: float, d2: float, bb: float, bc: float, cc: float) -> tuple[float, float]:
    """Weights of edges ``ab`` and ``ac`` at the point of a triangle closest to ``p``.

    From ``d1 = ab . ap``, ``d2 = ac . ap`` and the edges' own products (Ericson, Real-Time Collision Detection, 5.1.5).
    """
    if d1 <= 0 and d2 <= 0:
        return 0.0, 0.0
    d3, d4 = d1 - bb, d2 - bc
    if d3 >= 0 and d4 <= d3:
        return 1.0, 0.0
    vc = d1 * d4 - d3 * d2
    if vc <= 0 and d1 >= 0 and d3 <= 0:
        return d1 / (d1 - d3), 0.0
    d5, d6 = d1 - bc, d2 - cc
    if d6 >= 0 and d5 <= d6:
        return 0.0, 1.0
    vb = d5 * d2 - d1 * d6
    if vb <= 0 and d2 >= 0 and d6 <= 0:
        return 0.0, d2 / (d2 - d6)
    va = d3 * d6 - d5 * d4
    if va <= 0 and d4 >= d3 and d5 >= d6:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        return 1.0 - w, w
    scale = 1.0 / (va + vb + vc)
    return vb * scale, vc * scale


@njit(cache=True)
def _dot(u: F64, v: F64) -> float:
    return float(u[0] * v[0] + u[1] * v[1] + u[2] * v[2])


@njit(cache=True)
def _near_distance(vertices: F64, triangles: NDArray[np.int32], band: float, square: F32) -> None:
    """Lower `square` to the square distance to each triangle, for the nodes within `band` of its box."""
    nz, ny, nx = square.shape
    for t in range(len(triangles)):
        a, b, c = vertices[triangles[t, 0]], vertices[triangles[t, 1]], vertices[triangles[t, 2]]
        low = np.minimum(np.minimum(a, b), c) - band
        high = np.maximum(np.maximum(a, b), c) + band
        ab, ac = b - a, c - a
        bb, bc, cc = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
        for k in range(max(0, int(np.ceil(low[2]))), min(nz - 1, int(high[2])) + 1):
            for j in range(max(0, int(np.ceil(low[1]))), min(ny - 1, int(high[1])) + 1):
                for i in range(max(0, int(np.ceil(low[0]))), min(nx - 1, int(high[0])) + 1):
                    x, y, z = i - a[0], j - a[1], k - a[2]
                    d1, d2 = ab[0] * x + ab[1] * y + ab[2] * z, ac[0] * x + ac[1] * y + ac[2] * z
                    v, w = _closest_weights(d1, d2, bb, bc, cc)
                    d = x * x + y * y + z * z - 2 * (v * d1 + w * d2) + v * v * bb + 2 * v * w * bc + w * w * cc
                    if d < square[k, j, i]:
                        square[k, j, i] = max(d, 0.0)


@njit(cache=True)
def _count_crossings(vertices: F64, triangles: NDArray[np.int32], winding: NDArray[np.int32]) -> None:
    """Add each triangle's signed crossing of the rows of nodes to the first node beyond it along +x."""
    nz, ny, nx = winding.shape
    shift = np.array([0.0, 1.234567e-5, 2.345678e-5])  # rows off the nodes: no row meets an edge
    for t in range(len(triangles)):
        a = vertices[triangles[t, 0]] + shift
        b = vertices[triangles[t, 1]] + shift
        c = vertices[triangles[t, 2]] + shift
        area = (b[1] - a[1]) * (c[2] - a[2]) - (b[2] - a[2]) * (c[1] - a[1])
        if area == 0.0:
            continue
        sign = 1 if area > 0 else -1
        for k in range(int(np.ceil(min(a[2], b[2], c[2]))), int(max(a[2], b[2], c[2])) + 1):
            for j in range(int(np.ceil(min(a[1], b[1], c[1]))), int(max(a[1], b[1], c[1])) + 1):
                u = ((b[1] - j) * (c[2] - k) - (b[2] - k) * (c[1] - j)) / area
                v = ((c[1] - j) * (a[2] - k) - (c[2] - k) * (a[1] - j)) / area
                w = 1.0 - u - v
                if u < 0 or v < 0 or w < 0:
                    continue
                i = int(np.ceil(u * a[0] + v * b[0] + w * c[0]))
                if 0 <= k < nz and 0 <= j < ny and i < nx:
                    winding[k, j, max(i, 0)] += sign


@njit(cache=True)
def _trilinear(field: F32, z: float, y: float, x: float) -> float:
    nz, ny, nx = field.shape
    z = min(max(z, 0.0), nz - 1.001)
    y = min(max(y, 0.0), ny - 1.001)
    x = min(max(x, 0.0), nx - 1.001)
    k, j, i = int(z), int(y), int(x)
    w, v, u = z - k, y - j, x - i
    low = (field[k, j, i] * (1 - u) + field[k, j, i + 1] * u) * (1 - v)
    low += (field[k, j + 1, i] * (1 - u) + field[k, j + 1, i + 1] * u) * v
    high = (field[k + 1, j, i] * (1 - u) + field[k + 1, j, i + 1] * u) * (1 - v)
    high += (field[k + 1, j + 1, i] * (1 - u) + field[k + 1, j + 1, i + 1] * u) * v
    return float(low * (1 - w) + high * w)


@njit(cache=True)
def _sample_points(field: F32, origin: F64, spacing: float, x: F32, y: F32, z: F32) -> F32:
    out = np.empty(len(x), np.float32)
    for n in range(len(x)):
        u, v, w = (x[n] - origin[0]) / spacing, (y[n] - origin[1]) / spacing, (z[n] - origin[2]) / spacing
        out[n] = _trilinear(field, w, v, u)
    return out


@njit(cache=True)
def _sample_grid(field: F32, steps: F64, start: F64, chosen: NDArray[np.bool_], out: F32) -> None:
    nz, ny, nx = out.shape
    for k in range(nz):
        for j in range(ny):
            row = start + steps[:, 0] * k + steps[:, 1] * j
            for i in range(nx):
                if chosen[k, j, i]:
                    x = row[0] + steps[0, 2] * i
                    y = row[1] + steps[1, 2] * i
                    z = row[2] + steps[2, 2] * i
                    out[k, j, i] = _trilinear(field, z, y, x)
