"""The part of a structure that can be nearest to an implant, so that the exact distance is taken to few points.

Points are put into cells once. The distance to an implant is 1-Lipschitz, so with d to the middle of a cell of radius
r, the cell's nearest point lies between d - r and d + r: a cell whose first exceeds the least of the second of all
cells holds no nearest point. What is left gives the same distance and the same witness point as the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.trajectory.exact import Cylinder
from planner.trajectory.region import Structure

__all__ = ["Nearby"]

CELL_MM = 6.0
"""Side of a cell: a few hundred points of a fine scan [P]."""

ROUNDING_MM = 1e-6
"""Of the sums that are compared."""


@dataclass(frozen=True, eq=False)
class Nearby:
    """A structure in cells.

    Attributes
    ----------
    structure : Structure
        The whole.
    middles_lps : (k, 3) float64 array
        Middle of each cell's points.
    radii_mm : (k,) float64 array
        Farthest of them from it.
    order, starts : int arrays
        Points sorted by cell, and where each cell begins in that order.
    """

    structure: Structure
    middles_lps: NDArray[np.float64]
    radii_mm: NDArray[np.float64]
    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, structure: Structure) -> Nearby:
        """Sort the points of a structure into cells."""
        points = structure.points_lps
        if not len(points):
            return cls(structure, np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.intp), np.zeros(1, np.intp))
        keys = np.unique(np.floor(points / CELL_MM).astype(np.int64), axis=0, return_inverse=True)[1].reshape(-1)
        order = np.argsort(keys, kind="stable")
        starts = np.concatenate([[0], np.flatnonzero(np.diff(keys[order])) + 1, [len(points)]])
        counts = np.diff(starts)
        middles = np.add.reduceat(points[order], starts[:-1]) / counts[:, None]
        away = np.linalg.norm(points[order] - np.repeat(middles, counts, axis=0), axis=1)
        return cls(structure, middles, np.maximum.reduceat(away, starts[:-1]), order, starts)

    def to(self, implant: Cylinder) -> Structure:
        """Give the points that can be nearest to an implant, in their first order."""
        if not len(self.order):
            return self.structure
        away = implant.distance(self.middles_lps)
        kept = np.flatnonzero(away - self.radii_mm <= (away + self.radii_mm).min() + ROUNDING_MM)
        index = np.sort(np.concatenate([self.order[self.starts[k] : self.starts[k + 1]] for k in kept]))
        whole = self.structure
        return Structure(whole.points_lps[index], whole.half_voxel_mm, whole.half_diagonal_mm)
