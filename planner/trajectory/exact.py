"""Distances to a cylinder or prism in closed form: no samples, so nothing lies between them.

A point at axial coordinate t (from the near end face) and distance rho from the axis is
``hypot(max(0, -t, t - length), max(0, rho - radius))`` from the solid cylinder; from a prism, rho - radius is the
distance to its convex cross-section.

The measured distance is to the nearest voxel's face, half the mean spacing from its centre. The proven one is::

    proven = distance to the voxel's centre - half the voxel's diagonal - segmentation margin - sampling

Distance is 1-Lipschitz, so the second term holds for every point of the voxel; the third is for neural structures,
whose outline may be drawn too small; the fourth is for what is found by steps along the axis, and 0 in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.trajectory.model import Clearance
from planner.trajectory.region import Structure

__all__ = ["Cylinder", "Prism", "clearance_to", "clearance_to_point"]

ROUNDING_MM = 1e-6
"""Room for the last bits of a sum."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cylinder:
    """A flat-ended cylinder.

    Attributes
    ----------
    entry_lps, tip_lps : (3,) float64 arrays
        Centres of the near and the far end face.
    radius_mm : float
        Half the diameter.
    """

    entry_lps: Points
    tip_lps: Points
    radius_mm: float

    @property
    def length_mm(self) -> float:
        """Length along the axis."""
        return float(np.linalg.norm(self.tip_lps - self.entry_lps))

    @property
    def direction_lps(self) -> Points:
        """Unit vector from the near to the far end."""
        direction: Points = (self.tip_lps - self.entry_lps) / self.length_mm
        return direction

    def distance(self, points_lps: Points) -> Points:
        """Distance of ``(n, 3)`` points to the cylinder, mm; 0 inside."""
        away = points_lps - self.entry_lps
        t = away @ self.direction_lps
        rho = np.linalg.norm(away - t[:, None] * self.direction_lps, axis=1)
        beyond = np.maximum(np.maximum(-t, t - self.length_mm), 0)
        distance: Points = np.hypot(beyond, np.maximum(rho - self.radius_mm, 0))
        return distance


@dataclass(frozen=True, eq=False)
class Prism(Cylinder):
    """A flat-ended prism; its radius is that of the circle round its cross-section.

    Attributes
    ----------
    corners_mm : (k, 2) float64 array
        Convex cross-section, counter-clockwise.
    across_lps : (2, 3) float64 array
        Unit vectors across the axis in which the corners are given.
    """

    corners_mm: Points
    across_lps: Points

    def distance(self, points_lps: Points) -> Points:
        """Distance of ``(n, 3)`` points to the prism, mm; 0 inside."""
        away = points_lps - self.entry_lps
        t = away @ self.direction_lps
        beyond = np.maximum(np.maximum(-t, t - self.length_mm), 0)
        distance: Points = np.hypot(beyond, _from_polygon(away @ self.across_lps.T, self.corners_mm))
        return distance


def _from_polygon(points: Points, corners: Points) -> Points:
    """Distance of ``(n, 2)`` points to a convex polygon; 0 inside."""
    nearest, outside = np.full(len(points), np.inf), np.zeros(len(points), bool)
    for corner, following in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge, away = following - corner, points - corner
        outside |= edge[0] * away[:, 1] < edge[1] * away[:, 0]
        share = np.clip(away @ edge / (edge @ edge), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(away - share[:, None] * edge, axis=1))
    return np.where(outside, nearest, 0.0)


def _candidates(cylinder: Cylinder, points_lps: Points) -> NDArray[np.intp]:
    """Points that can be the nearest to a solid: those whose least distance to it is below the least of the largest.

    A point `r` from the middle of the axis is at most `r` from the solid, and at least `r` less the solid's half
    diagonal.
    """
    middle = (cylinder.entry_lps + cylinder.tip_lps) / 2
    away = points_lps - middle
    square = np.einsum("ij,ij->i", away, away)
    reach = math.hypot(cylinder.length_mm / 2, cylinder.radius_mm) + ROUNDING_MM
    return np.flatnonzero(square <= (math.sqrt(float(square.min())) + reach) ** 2)


def clearance_to(cylinder: Cylinder, structure: Structure, margin_mm: float = 0.0) -> Clearance | None:
    """Clearance to the voxels of a structure; None if it has none. `margin_mm` is taken off what is proven."""
    if not len(structure.points_lps):
        return None
    near = _candidates(cylinder, structure.points_lps)
    distance = cylinder.distance(structure.points_lps[near])
    nearest = int(near[distance.argmin()])
    least = float(distance.min())
    terms = {"voxel_mm": structure.half_diagonal_mm, "segmentation_margin_mm": margin_mm, "sampling_mm": 0.0}
    return Clearance(
        mm=least - structure.half_voxel_mm,
        proven_mm=least - sum(terms.values()),
        at_lps=structure.points_lps[nearest],
        centre_mm=least,
        terms=terms,
    )


def clearance_to_point(cylinder: Cylinder, point_lps: Points) -> Clearance:
    """Clearance to a landmark, which has no size."""
    distance = float(cylinder.distance(point_lps[None])[0])
    return Clearance(distance, distance, point_lps, distance, {"voxel_mm": 0.0, "sampling_mm": 0.0})
