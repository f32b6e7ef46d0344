"""Cross-sections: what an implant's outline is across its axis, and the circles and the prism that hold it.

An implant is planned as a straight prism. Its cross-section is a convex outline round the axis, laid with its width
along the joint, or across it, as the catalogue says. A tapered implant is planned as if it had its widest
section from end to end, and two barrels as their convex hull: what is kept clear of those is kept clear of the implant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from planner.implants import Implant
from planner.trajectory.kernel import CANNULA_RING, CANNULA_TURNS, RING, RING_TURNS

__all__ = ["ROUND", "Section", "section_of"]

Points = NDArray[np.float64]
Shape = Literal["round", "box", "triangle", "stadium"]

CORNERS: dict[Shape, Points] = {
    "box": np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]),
    "triangle": np.array([[np.cos(a), np.sin(a)] for a in np.radians([90.0, 210.0, 330.0])]),
}
"""Corners of a box of two units, and of the triangle round a circle of one: its sizes are read as those of the circle
within, the larger of two readings `[P]`."""

SECTION_OF: dict[str, Shape] = {
    "cylinder": "round",
    "screw": "round",
    "tapered": "round",
    "box": "box",
    "wedge": "box",
    "triangular rod": "triangle",
    "twin barrel": "stadium",
}
"""Cross-section of each shape in the catalogue."""

HULL_POINTS = 24
"""Corners of the polygon that holds two barrels."""


@dataclass(frozen=True, eq=False)
class Section:
    """A cross-section of unit diameter.

    Attributes
    ----------
    corners : (k, 2) float64 array or None
        Convex polygon, counter-clockwise, along the joint and out of it; None for a circle.
    """

    corners: Points | None = None

    @property
    def extent(self) -> Points:
        """Largest extent along the joint and out of it, taken even about the axis."""
        return np.ones(2) if self.corners is None else 2 * np.abs(self.corners).max(axis=0)

    @property
    def numbers(self) -> Points:
        """What the search knows: both extents, and the diameters of the circles within and round it."""
        if self.corners is None:
            return np.ones(4)
        x, y = self.corners.T
        along, up = (np.roll(self.corners, -1, axis=0) - self.corners).T
        inside = np.abs(x * up - y * along) / np.hypot(along, up)
        beyond = np.linalg.norm(self.corners, axis=1)
        return np.array([*self.extent, 2 * inside.min(), 2 * beyond.max()])

    @property
    def turns(self) -> Points:
        """Rings of the search, see `planner.trajectory.kernel.Scene`."""
        whole, tube = RING_TURNS, CANNULA_TURNS
        if self.corners is not None:
            whole, tube = (self._outline(count) / (self.extent / 2) for count in (RING, CANNULA_RING))
        return np.vstack([whole, whole[::2], whole[1::2], tube, np.zeros((1, 2))])

    def _outline(self, count: int) -> Points:
        """Points of the polygon: its corners first, then evenly along its edges."""
        assert self.corners is not None  # narrowed for the type checker
        spread = np.linspace(0, len(self.corners), count, endpoint=False)
        first = spread.astype(int)
        share = (spread - first)[:, None]
        following = np.roll(self.corners, -1, axis=0)
        points: Points = (1 - share) * self.corners[first] + share * following[first]
        return points

    def scaled(self, diameter_mm: float) -> Points | None:
        """Polygon of one size, mm; None for a circle."""
        return None if self.corners is None else self.corners * diameter_mm


ROUND = Section()
"""Of a cylinder."""


def section_of(implant: Implant) -> Section:
    """Cross-section of a catalogue entry, unit diameter; its width lies as the entry says."""
    shape = SECTION_OF[implant.shape or "cylinder"]
    if shape == "round":
        return ROUND
    if shape == "stadium":
        corners = _hull()
    else:
        corners = CORNERS[shape] * (np.array([0.5, 0.5 * implant.height_share]) if shape == "box" else 1.0)
    return Section(corners[::-1, ::-1] if implant.across_joint else corners)


def _hull() -> Points:
    """Polygon round two touching barrels, each of unit diameter, side by side."""
    angle = 2 * np.pi * (np.arange(HULL_POINTS) + 0.5) / HULL_POINTS
    circle = 0.5 / np.cos(np.pi / HULL_POINTS) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(circle + np.where(circle[:, :1] > 0, 0.5, -0.5) * [1.0, 0.0])
