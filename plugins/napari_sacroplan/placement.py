"""Where an implant lies, and the moves that a hand makes with it. Values: every move gives a new placement."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    entry_lps: Points
    tip_lps: Points
    diameter_mm: float

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
        return cls(
            np.array(candidate.implant_entry_lps_mm),
            np.array(candidate.implant_tip_lps_mm),
            candidate.implant.diameter_mm,
        )

    @classmethod
    def at(cls, pose: Points, size: tuple[float, float]) -> Placement:
        """Take a pose of the search, ``(x, y, z, dx, dy, dz)``, and a size ``(diameter, length)``."""
        half = 0.5 * size[1] * pose[3:]
        return cls(pose[:3] - half, pose[:3] + half, size[0])

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

    def moved(self, shift_lps: ArrayLike) -> Placement:
        """Shift the whole implant."""
        shift = np.asarray(shift_lps, np.float64)
        return Placement(self.entry_lps + shift, self.tip_lps + shift, self.diameter_mm)

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
        return Placement(self.centre_lps - half, self.centre_lps + half, diameter_mm)

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
        return Placement(entry, tip, self.diameter_mm)
