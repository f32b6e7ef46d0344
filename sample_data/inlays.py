"""Capsules laid into a made CT: vessels, organs, metal, arms, all that is not the pelvis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.grid import Grid

__all__ = ["Inlay", "InlayKind", "inlay_mask", "paint_inlays"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Row = tuple[float, float, float, float, float, float, float, float]


class InlayKind(IntEnum):
    """What an inlay is: the values of `inlay_mask`."""

    TISSUE = 1
    CONTRAST = 2
    CALCIFICATION = 3
    METAL = 4
    OTHER_BONE = 5
    CUSHION = 6


@dataclass(frozen=True)
class Inlay:
    """Tapered capsules of one stuff.

    Attributes
    ----------
    kind : InlayKind
        What it is.
    rows : tuple of (ax, ay, az, bx, by, bz, radius_a, radius_b)
        Millimetres, in the frame in which the bones are given.
    hu : float
        CT number; of the shell, where there is one.
    shell_mm, core_hu : float
        Thickness of the shell (0: solid) and the CT number in it.
    over_bone : bool
        Painted after the bones (metal) or before them (all that gives way to bone).
    """

    kind: InlayKind
    rows: tuple[Row, ...]
    hu: float
    shell_mm: float = 0.0
    core_hu: float = 0.0
    over_bone: bool = False


def paint_inlays(hu: F32, grid: Grid, inlays: Sequence[Inlay], *, over_bone: bool) -> None:
    """Blend the inlays into `hu`, a voxel's share by its distance to the capsule's wall."""
    edge = np.float32(grid.spacing_zyx_mm[1:].mean())
    for inlay in inlays:
        if inlay.over_bone is over_bone:
            stuff = (np.float32(inlay.hu), np.float32(inlay.shell_mm), np.float32(inlay.core_hu))
            _paint(hu, *_lattice(grid), np.asarray(inlay.rows, np.float64), stuff, edge)


def inlay_mask(grid: Grid, inlays: Sequence[Inlay]) -> NDArray[np.uint8]:
    """`InlayKind` of every voxel whose centre lies in an inlay, the last one's; 0 elsewhere."""
    mask = np.zeros(grid.shape_zyx, np.uint8)
    for inlay in inlays:
        depth = np.zeros(grid.shape_zyx, np.float32)
        stuff = (np.float32(1.0), np.float32(0.0), np.float32(0.0))
        _paint(depth, *_lattice(grid), np.asarray(inlay.rows, np.float64), stuff, np.float32(1e-3))
        mask[depth > 0.5] = inlay.kind
    return mask


def _lattice(grid: Grid) -> tuple[F64, F64]:
    return np.ascontiguousarray(grid.lps_from_zyx), np.ascontiguousarray(np.linalg.inv(grid.lps_from_zyx))


@njit(cache=True)
def _span(inverse: F64, row: F64, margin: float, axis: int, size: int) -> tuple[int, int]:
    """First and last index along one axis that a capsule with a margin may reach."""
    reach = np.sqrt(inverse[axis, 0] ** 2 + inverse[axis, 1] ** 2 + inverse[axis, 2] ** 2)
    a = inverse[axis, 0] * row[0] + inverse[axis, 1] * row[1] + inverse[axis, 2] * row[2] + inverse[axis, 3]
    b = inverse[axis, 0] * row[3] + inverse[axis, 1] * row[4] + inverse[axis, 2] * row[5] + inverse[axis, 3]
    low = min(a - (row[6] + margin) * reach, b - (row[7] + margin) * reach)
    high = max(a + (row[6] + margin) * reach, b + (row[7] + margin) * reach)
    return max(0, int(np.ceil(low))), min(size - 1, int(np.floor(high)))


@njit(cache=True)
def _depth(row: F64, x: float, y: float, z: float) -> float:
    """Signed distance of a point to a capsule, negative inside."""
    ux, uy, uz = row[3] - row[0], row[4] - row[1], row[5] - row[2]
    px, py, pz = x - row[0], y - row[1], z - row[2]
    t = (px * ux + py * uy + pz * uz) / max(ux * ux + uy * uy + uz * uz, 1e-9)
    t = min(max(t, 0.0), 1.0)
    away = np.sqrt((px - t * ux) ** 2 + (py - t * uy) ** 2 + (pz - t * uz) ** 2)
    return float(away - (row[6] + t * (row[7] - row[6])))


@njit(cache=True)
def _paint(hu, lps_from_zyx, zyx_from_lps, rows, stuff, edge):  # type: ignore[no-untyped-def]
    value, shell, core = stuff
    m = lps_from_zyx
    for r in range(len(rows)):
        k0, k1 = _span(zyx_from_lps, rows[r], edge, 0, hu.shape[0])
        j0, j1 = _span(zyx_from_lps, rows[r], edge, 1, hu.shape[1])
        i0, i1 = _span(zyx_from_lps, rows[r], edge, 2, hu.shape[2])
        for k in range(k0, k1 + 1):
            for j in range(j0, j1 + 1):
                for i in range(i0, i1 + 1):
                    x = m[0, 0] * k + m[0, 1] * j + m[0, 2] * i + m[0, 3]
                    y = m[1, 0] * k + m[1, 1] * j + m[1, 2] * i + m[1, 3]
                    z = m[2, 0] * k + m[2, 1] * j + m[2, 2] * i + m[2, 3]
                    depth = _depth(rows[r], x, y, z)
                    share = min(max(0.5 - depth / edge, 0.0), 1.0)
                    if share > 0.0:
                        inner = min(max(0.5 - (depth + shell) / edge, 0.0), 1.0) if shell > 0.0 else 0.0
                        hu[k, j, i] += share * (value + inner * (core - value) - hu[k, j, i])
