"""Planes through the patient: where they lie, what they cut, and which way the letters point."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.joint import Joint, Zone, joint_line_by_zone

__all__ = ["Plane", "Samples", "compass", "joint_segments"]

LETTERS = (("L", "R"), ("P", "A"), ("S", "I"))
"""Positive and negative end of LPS x, y and z, as radiology marks them (S superior, I inferior)."""

MINOR_SHARE = 0.4
"""A second letter is given where its component is at least this share of the first [P]."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """A rectangle in the patient.

    Attributes
    ----------
    centre_lps : (3,) float64 array
        Middle of the picture.
    right_lps, up_lps : (3,) float64 array
        Orthogonal unit vectors along the picture's right and up.
    half_mm : (float, float)
        Half width and half height.
    pixel_mm : float
        Sampling distance.
    """

    centre_lps: Vector
    right_lps: Vector
    up_lps: Vector
    half_mm: tuple[float, float]
    pixel_mm: float = 0.4

    def axes_mm(self) -> tuple[Vector, Vector]:
        """Coordinates of the columns (to the right) and rows (upwards) from the centre."""
        steps = (round(half / self.pixel_mm) for half in self.half_mm)
        right, up = (self.pixel_mm * np.arange(-n, n + 1, dtype=np.float64) for n in steps)
        return right, up

    def points_lps(self) -> Vector:
        """LPS points of the samples, (rows, columns, 3), lowest row first."""
        right, up = self.axes_mm()
        points: Vector = self.centre_lps + right[None, :, None] * self.right_lps + up[:, None, None] * self.up_lps
        return points

    def to_plane(self, points_lps: Vector) -> Vector:
        """Coordinates right, up and towards the viewer of LPS points ``(n, 3)``, mm from the centre."""
        frame = np.stack([self.right_lps, self.up_lps, np.cross(self.right_lps, self.up_lps)], axis=1)
        coordinates: Vector = (points_lps - self.centre_lps) @ frame
        return coordinates


def compass(direction_lps: Vector) -> str:
    """Patient letters for a direction, strongest first: ``L``, ``AS``."""
    strength = np.abs(direction_lps)
    strong = [axis for axis in np.argsort(-strength) if strength[axis] >= MINOR_SHARE * strength.max()]
    return "".join(LETTERS[axis][0 if direction_lps[axis] > 0 else 1] for axis in strong[:2])


@dataclass(frozen=True, eq=False)
class Samples:
    """Points of a grid's array, between the voxels' centres: eight neighbours and their weights each.

    Attributes
    ----------
    voxels : list of three index arrays, eight of them
        Neighbours.
    weights : list of arrays, eight of them
        Trilinear weights; they sum to 1.
    inside : bool array
        Whether the point lies in the grid.
    """

    voxels: list[tuple[NDArray[np.intp], ...]]
    weights: list[Vector]
    inside: NDArray[np.bool_]

    @classmethod
    def at(cls, grid: Grid, points_lps: Vector) -> Samples:
        """Place LPS points ``(..., 3)`` in a grid."""
        index = np.moveaxis(grid.to_index(points_lps), -1, 0)
        last = np.array(grid.shape_zyx) - 1
        inside = np.logical_and.reduce([(index[a] >= 0) & (index[a] <= last[a]) for a in range(3)])
        low = [np.clip(np.floor(index[a]), 0, max(last[a] - 1, 0)).astype(np.intp) for a in range(3)]
        part = [np.clip(index[a] - low[a], 0, 1) for a in range(3)]
        near = [(low[a], np.minimum(low[a] + 1, last[a])) for a in range(3)]
        shares = [(1 - part[a], part[a]) for a in range(3)]
        corners = list(product((0, 1), repeat=3))
        voxels = [tuple(near[a][corner[a]] for a in range(3)) for corner in corners]
        weights = [shares[0][k] * shares[1][j] * shares[2][i] for k, j, i in corners]
        return cls(voxels, weights, inside)

    def interpolate(self, values: NDArray[Any], outside: float) -> Vector:
        """Interpolate an array; `outside` where the grid ends."""
        total = sum(weight * values[voxel] for voxel, weight in zip(self.voxels, self.weights, strict=True))
        result: Vector = np.where(self.inside, total, outside)
        return result

    def label_shares(self, values: NDArray[np.uint8]) -> dict[int, Vector]:
        """Share of each label, interpolated: its 0.5 level is the label's outline."""
        found = [values[voxel] for voxel in self.voxels]
        present = np.unique(np.concatenate([np.unique(f) for f in found]))
        return {
            int(label): self.inside * sum(weight * (f == label) for f, weight in zip(found, self.weights, strict=True))
            for label in present
            if label != 0
        }


def joint_segments(joint: Joint, plane: Plane) -> dict[Zone, Vector]:
    """Lines in which a plane cuts the mid-surface: (n, 2, 2) pairs of points (right, up), mm, by zone."""
    pieces = joint_line_by_zone(joint, plane.centre_lps, np.cross(plane.right_lps, plane.up_lps))
    return {zone: plane.to_plane(ends)[..., :2] for zone, ends in pieces.items()}
