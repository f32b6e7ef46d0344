"""Distances to a cylinder in closed form: no samples, so nothing lies between them.

A point at axial coordinate t (from the near end face) and distance rho from the axis is
``hypot(max(0, -t, t - length), max(0, rho - radius))`` from the solid cylinder.

The measured distance is to the nearest voxel's face, half the mean spacing from its centre. The proven one takes off
half the voxel's diagonal instead, which holds for every point of the voxel, and for neural structures the segmentation
margin, for an outline that is drawn too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.trajectory.model import Clearance
from planner.trajectory.region import Structure

__all__ = ["Cylinder", "clearance_to", "clearance_to_point"]

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


def clearance_to(cylinder: Cylinder, structure: Structure, margin_mm: float = 0.0) -> Clearance | None:
    """Clearance to the voxels of a structure; None if it has none. `margin_mm` is taken off what is proven."""
    if not len(structure.points_lps):
        return None
    distance = cylinder.distance(structure.points_lps)
    nearest = int(distance.argmin())
    least = float(distance[nearest])
    return Clearance(
        mm=least - structure.half_voxel_mm,
        proven_mm=least - structure.half_diagonal_mm - margin_mm,
        at_lps=structure.points_lps[nearest],
    )


def clearance_to_point(cylinder: Cylinder, point_lps: Points) -> Clearance:
    """Clearance to a landmark, which has no size."""
    distance = float(cylinder.distance(point_lps[None])[0])
    return Clearance(distance, distance, point_lps)
