"""Curves on the mid-surface: its cut by a plane, its ventral margin and its dorsal mouth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.joint.model import Joint, Zone

__all__ = ["anterior_margin_lps", "dorsal_mouth_at", "dorsal_mouth_lps", "joint_line", "joint_line_by_zone"]

SLAB_MM = 1.0
"""Step of the margin curves along the cranial axis."""

Points = NDArray[np.float64]


def joint_line(joint: Joint, point_lps: ArrayLike, normal_lps: ArrayLike) -> list[Points]:
    """Cut the mid-surface by a plane.

    Parameters
    ----------
    joint : Joint
        The joint.
    point_lps, normal_lps : (3,) array-like
        A point of the plane, mm, and its normal, of any length.

    Returns
    -------
    list of (n, 3) float64 arrays
        Polylines in LPS mm, longest first; empty where the plane misses the joint.
    """
    pairs, crossing, _ = _cut(joint, point_lps, normal_lps)
    lines = [crossing[chain] for chain in _chains(pairs)]
    return sorted(lines, key=lambda line: -float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()))


def joint_line_by_zone(joint: Joint, point_lps: ArrayLike, normal_lps: ArrayLike) -> dict[Zone, Points]:
    """Cut the mid-surface by a plane, as `joint_line`: straight pieces ``(n, 2, 3)`` in LPS mm by zone."""
    pairs, crossing, triangles = _cut(joint, point_lps, normal_lps)
    articular = (joint.zone[joint.faces[triangles]] == Zone.ARTICULAR).sum(axis=1) >= 2
    pieces = crossing[pairs]
    return {Zone.ARTICULAR: pieces[articular], Zone.LIGAMENTOUS: pieces[~articular]}


def _cut(
    joint: Joint, point_lps: ArrayLike, normal_lps: ArrayLike
) -> tuple[NDArray[np.int64], Points, NDArray[np.int64]]:
    """Pairs of crossing numbers, one a cut triangle, the crossings, and the numbers of the cut triangles."""
    height = (joint.vertices_lps - np.asarray(point_lps, float)) @ np.asarray(normal_lps, float)
    height = np.where(height == 0.0, 1e-12, height)  # a vertex in the plane belongs to one side of it
    above = height[joint.faces] > 0
    triangles = np.flatnonzero(above.any(axis=1) & ~above.all(axis=1))
    cut = joint.faces[triangles].astype(np.int64)
    sides = np.stack([cut, np.roll(cut, -1, axis=1)], axis=2).reshape(-1, 2)
    sides = np.sort(sides[(height[sides[:, 0]] > 0) != (height[sides[:, 1]] > 0)], axis=1)
    ends, number = np.unique(sides, axis=0, return_inverse=True)
    share = height[ends[:, 0]] / (height[ends[:, 0]] - height[ends[:, 1]])
    start, end = joint.vertices_lps[ends[:, 0]], joint.vertices_lps[ends[:, 1]]
    return number.reshape(-1, 2), start + share[:, None] * (end - start), triangles


def _chains(pairs: NDArray[np.int64]) -> list[list[int]]:
    """Join pairs into chains, open ones from an end."""
    neighbours: dict[int, list[int]] = {}
    for a, b in pairs.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    starts = [k for k in sorted(neighbours) if len(neighbours[k]) == 1] + sorted(neighbours)
    chains, seen = [], set[int]()
    for start in starts:
        if start in seen:
            continue
        chain = [start]
        seen.add(start)
        while onward := [k for k in neighbours[chain[-1]] if k not in seen]:
            chain.append(onward[0])
            seen.add(onward[0])
        if len(chain) == len(neighbours) and len(chain) > 2 and start in neighbours[chain[-1]]:
            chain.append(start)
        chains.append(chain)
    return [chain for chain in chains if len(chain) > 1]


def anterior_margin_lps(joint: Joint) -> Points:
    """Most ventral points of the articular zone, slab by slab, cranial first: ``(n, 3)`` in LPS mm."""
    return _extreme(joint, joint.zone == Zone.ARTICULAR, dorsal=False)


def dorsal_mouth_lps(joint: Joint) -> Points:
    """Most dorsal points of the whole sheet, slab by slab, cranial first: ``(n, 3)`` in LPS mm."""
    return _extreme(joint, np.ones(len(joint.zone), bool), dorsal=True)


def dorsal_mouth_at(joint: Joint, place_lps: ArrayLike) -> Points | None:
    """Point of the dorsal mouth at the height of a place; None where the joint does not reach it."""
    mouth = dorsal_mouth_lps(joint)
    if not len(mouth):
        return None
    off = np.abs((mouth - np.asarray(place_lps, float)) @ joint.thirds.axis_lps)
    return mouth[off.argmin()] if off.min() <= SLAB_MM else None


def _extreme(joint: Joint, chosen: NDArray[np.bool_], *, dorsal: bool) -> Points:
    points = joint.vertices_lps[chosen]
    cranial = joint.thirds.axis_lps
    posterior = joint.posterior_lps - (joint.posterior_lps @ cranial) * cranial
    height, depth = points @ cranial, points @ posterior * (1.0 if dorsal else -1.0)
    slab = np.floor(height / SLAB_MM).astype(np.int64)
    order = np.lexsort((depth, slab))  # the last of each slab is its extreme
    last = np.flatnonzero(np.diff(slab[order], append=np.iinfo(np.int64).max))
    return points[order[last]][::-1]
