"""Which points outside bone are ringed by bone: the test that tells a tunnel from a groove.

A point lies in a tunnel along an axis if rays cast at right angles to the axis, all round it, meet bone within reach. A
groove or a fossa lets the rays on its open side escape. No size, level or symmetry is assumed.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["CANAL_AXES", "FORAMEN_AXES", "ring_steps", "ringed"]

RAYS = 12
"""Rays in a ring: one each 30 degrees `[P]`."""

ESCAPES = 1
"""Rays of a ring that may meet nothing: the wall of a foramen is often notched `[P]`."""


def _axes(pitches_deg: tuple[float, ...], yaws_deg: tuple[float, ...]) -> NDArray[np.float64]:
    """Make unit vectors in the pelvic frame: anterior, turned up by pitch and sideways by yaw."""
    pitch, yaw = np.radians(np.array([(p, y) for p in pitches_deg for y in yaws_deg])).T
    return np.stack([np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)], axis=1)


FORAMEN_AXES = _axes((-20.0, -40.0, 0.0, 20.0, -60.0, 40.0), (0.0, 35.0, -35.0))
"""Tunnel directions of the foramina: at right angles to the ventral face, which slopes 40-60 degrees forward at S1 and
back again at S4, and 35 degrees to either side."""

CANAL_AXES = _axes((90.0, 70.0, 50.0, 30.0, 110.0, 130.0), (0.0,))
"""Tunnel directions of the canal: up, leaning as far forward as 60 degrees at S1 and back 40 at S4."""


def ring_steps(
    axes_pelvic: NDArray[np.float64], lps_from_pelvic: NDArray[np.float64], directions_lps: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Make unit steps ``(z, y, x)``, shape (a, `RAYS`, 3), of the rings square to each axis on an isotropic grid."""
    axes = axes_pelvic @ lps_from_pelvic[:3, :3].T @ directions_lps.T
    helper = np.eye(3)[np.abs(axes).argmin(axis=1)]
    first = np.cross(axes, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(axes, first)
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    steps: NDArray[np.float64] = (
        np.cos(angle)[None, :, None] * first[:, None] + np.sin(angle)[None, :, None] * second[:, None]
    )
    return steps


@njit(cache=True)
def _escapes(bone, point, step, reach):  # type: ignore[no-untyped-def]
    for k in range(1, reach + 1):
        z = int(np.floor(point[0] + k * step[0] + 0.5))
        y = int(np.floor(point[1] + k * step[1] + 0.5))
        x = int(np.floor(point[2] + k * step[2] + 0.5))
        if z < 0 or y < 0 or x < 0 or z >= bone.shape[0] or y >= bone.shape[1] or x >= bone.shape[2]:
            return True
        if bone[z, y, x]:
            return False
    return True


@njit(cache=True)
def ringed(bone, points, rings, reach, escapes):  # type: ignore[no-untyped-def]
    """Whether each point has a ring of rays of which at most `escapes` meet no bone within `reach` steps.

    Parameters
    ----------
    bone : (z, y, x) bool array
        On an isotropic grid.
    points : (n, 3) int array
        Voxels outside bone, z, y, x.
    rings : (a, r, 3) float64 array
        From `ring_steps`.
    reach : int
        Longest ray, voxels.
    escapes : int
        Rays of a ring that may miss.

    Returns
    -------
    (n,) bool array
    """
    out = np.zeros(len(points), np.bool_)
    for i in range(len(points)):
        for a in range(rings.shape[0]):
            missed = 0
            for r in range(rings.shape[1]):
                if _escapes(bone, points[i], rings[a, r], reach):
                    missed += 1
                    if missed > escapes:
                        break
            if missed <= escapes:
                out[i] = True
                break
    return out
