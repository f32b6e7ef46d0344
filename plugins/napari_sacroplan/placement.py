"""Where an implant lies, and the moves that a hand makes with it. Values: every move gives a new placement."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.plan import CandidateDocument

__all__ = ["Placement"]

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placement:
    """An implant in one place.

    Attributes
    ----------
    entry_lps, tip_lps : (3,) float64 arrays
        Centres of the near and the far end face; read-only.
    diameter_mm : float
        Its width.
    corners_mm : (k, 2) float64 array or None
        Cross-section that is not round, in `across_lps`; None for a circle.
    across_lps : (2, 3) float64 array or None
        Unit vectors across the axis: along the joint, and out of it.
    """

    entry_lps: Points
    tip_lps: Points
    diameter_mm: float
    corners_mm: Points | None = None
    across_lps: Points | None = None

    def __post_init__(self) -> None:
        for name in ("entry_lps", "tip_lps"):
            point = np.array(getattr(self, name), np.float64)
            if point.shape != (3,) or not np.isfinite(point).all():
                raise ValueError(f"{name} must be three finite numbers, found {point}")
            point.setflags(write=False)
            object.__setattr__(self, name, point)
        if self.length_mm <= 0 or self.diameter_mm <= 0:
            raise ValueError("an implant has a length and a diameter")

    @classmethod
    def of(cls, candidate: CandidateDocument) -> Placement:
        """Take a candidate of the plan."""
        ends = np.array(candidate.implant_entry_lps_mm), np.array(candidate.implant_tip_lps_mm)
        section = candidate.section
        if section is None:
            return cls(*ends, candidate.implant.diameter_mm)
        corners, across = np.array(section.corners_mm, float), np.array(section.across_lps, float)
        return cls(*ends, candidate.implant.diameter_mm, corners, across)

    def at(self, pose: Points) -> Placement:
        """Lay it in a pose of the search, ``(x, y, z, dx, dy, dz)``."""
        half = 0.5 * self.length_mm * pose[3:]
        return self._between(pose[:3] - half, pose[:3] + half)

    @property
    def length_mm(self) -> float:
        """From end to end, to a hundredth: ends are rounded on disk."""
        return round(float(np.linalg.norm(self.tip_lps - self.entry_lps)), 2)

    @property
    def size(self) -> tuple[float, float]:
        """Diameter and length, mm."""
        return self.diameter_mm, self.length_mm

    @property
    def direction_lps(self) -> Points:
        """Unit vector from entry to tip."""
        away = self.tip_lps - self.entry_lps
        unit: Points = away / np.linalg.norm(away)
        return unit

    @property
    def centre_lps(self) -> Points:
        """Middle of the axis."""
        middle: Points = (self.entry_lps + self.tip_lps) / 2
        return middle

    @property
    def corners_lps(self) -> Points | None:
        """Corners of a section that is not round, as vectors from the axis; None where it is round."""
        if self.corners_mm is None or self.across_lps is None:
            return None
        return np.asarray(self.corners_mm @ self.across_lps)

    @property
    def reach_mm(self) -> float:
        """Farthest that it lies from its axis."""
        corners = self.corners_mm
        return self.diameter_mm / 2 if corners is None else float(np.linalg.norm(corners, axis=1).max())

    def moved(self, shift_lps: ArrayLike) -> Placement:
        """Shift the whole implant."""
        shift = np.asarray(shift_lps, np.float64)
        return replace(self, entry_lps=self.entry_lps + shift, tip_lps=self.tip_lps + shift)

    def with_entry(self, towards_lps: ArrayLike) -> Placement:
        """Turn it about its tip, so that its entry lies towards a point; the length stays."""
        away = np.asarray(towards_lps, np.float64) - self.tip_lps
        reach = float(np.linalg.norm(away))
        return self if reach == 0 else self._between(self.tip_lps + away * (self.length_mm / reach), self.tip_lps)

    def with_tip(self, towards_lps: ArrayLike) -> Placement:
        """Turn it about its entry, so that its tip lies towards a point; the length stays."""
        away = np.asarray(towards_lps, np.float64) - self.entry_lps
        reach = float(np.linalg.norm(away))
        return self if reach == 0 else self._between(self.entry_lps, self.entry_lps + away * (self.length_mm / reach))

    def with_size(self, diameter_mm: float, length_mm: float) -> Placement:
        """Take another size about the same centre."""
        half = 0.5 * length_mm * self.direction_lps
        corners = None if self.corners_mm is None else self.corners_mm * (diameter_mm / self.diameter_mm)
        return Placement(self.centre_lps - half, self.centre_lps + half, diameter_mm, corners, self.across_lps)

    def change_from(self, other: Placement) -> dict[str, float]:
        """How far this one lies from another: ends in mm, axes in degrees, size in mm."""
        cosine = float(np.clip(self.direction_lps @ other.direction_lps, -1.0, 1.0))
        return {
            "entry_mm": round(float(np.linalg.norm(self.entry_lps - other.entry_lps)), 3),
            "tip_mm": round(float(np.linalg.norm(self.tip_lps - other.tip_lps)), 3),
            "axis_deg": round(float(np.degrees(np.arccos(cosine))), 3),
            "diameter_mm": round(self.diameter_mm - other.diameter_mm, 3),
            "length_mm": round(self.length_mm - other.length_mm, 3),
        }

    def _between(self, entry: Points, tip: Points) -> Placement:
        """Turn it: its section goes with the axis by the shortest way, and keeps its side to the joint."""
        turned = replace(self, entry_lps=entry, tip_lps=tip)
        if self.across_lps is None:
            return turned
        axis = turned.direction_lps
        out = self.across_lps[1] - (self.across_lps[1] @ axis) * axis
        out /= np.linalg.norm(out)
        handed = np.sign(np.cross(self.across_lps[1], self.direction_lps) @ self.across_lps[0])
        return replace(turned, across_lps=np.stack([handed * np.cross(out, axis), out]))
