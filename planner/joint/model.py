"""Values that the joint stage gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding
from planner.labels import Side

__all__ = ["Joint", "Third", "Thirds", "Zone"]


class Zone(IntEnum):
    """Vertex property ``zone`` of ``joint_*.ply``."""

    ARTICULAR = 1
    LIGAMENTOUS = 2


class Third(IntEnum):
    """Vertex property ``third`` of ``joint_*.ply``."""

    UNKNOWN = 0
    SUPERIOR = 1
    MIDDLE = 2
    INFERIOR = 3


@dataclass(frozen=True, eq=False)
class Thirds:
    """Three equal transverse slabs over the articular zone (Brandt, 10.1097/BRS.0000000000005218).

    Attributes
    ----------
    definition : str
        ``brandt-transverse``.
    axis_lps : (3,) float64 array
        Unit vector to cranial, along which the slabs are stacked.
    bounds_mm : (4,) float64 array
        ``point_lps @ axis_lps`` at the inferior end, inferior|middle, middle|superior and the superior end; ascending.
    known : bool
        False where the scan cuts the joint off.
    """

    definition: str
    axis_lps: NDArray[np.float64]
    bounds_mm: NDArray[np.float64]
    known: bool

    def of(self, points_lps: NDArray[np.float64]) -> NDArray[np.uint8]:
        """`Third` of each LPS point ``(n, 3)``; beyond the ends, the nearest slab."""
        if not self.known:
            return np.zeros(len(points_lps), np.uint8)
        height = points_lps @ self.axis_lps
        third: NDArray[np.uint8] = (Third.INFERIOR - np.searchsorted(self.bounds_mm[1:3], height)).astype(np.uint8)
        return third


@dataclass(frozen=True, eq=False)
class Joint:
    """One SI joint: its mid-surface, gap, zones and thirds.

    Attributes
    ----------
    side : Side
        The patient's side.
    vertices_lps : (n, 3) float64 array
        Points of the mid-surface, equidistant from the facing bones.
    faces : (m, 3) int32 array
        Triangles; normals point from the sacrum to the ilium (lateral).
    gap_mm : (n,) float32 array
        Bone to bone distance across the mid-surface.
    zone, third : (n,) uint8 arrays
        `Zone` and `Third` values.
    thirds : Thirds
        The slabs.
    articular_area_mm2, gap_median_mm, gap_p95_mm : float
        Over the articular zone.
    truncated : bool
        The scan cuts the joint off.
    findings : tuple of Finding
        ``joint-truncated``, ``widening``, ``ankylosis`` and others.
    posterior_lps : (3,) float64 array
        Unit vector to the patient's posterior: not LPS y where the scanner was told a wrong position.
    """

    side: Side
    vertices_lps: NDArray[np.float64]
    faces: NDArray[np.int32]
    gap_mm: NDArray[np.float32]
    zone: NDArray[np.uint8]
    third: NDArray[np.uint8]
    thirds: Thirds
    articular_area_mm2: float
    gap_median_mm: float
    gap_p95_mm: float
    truncated: bool
    findings: tuple[Finding, ...] = ()
    posterior_lps: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 1.0, 0.0]))
