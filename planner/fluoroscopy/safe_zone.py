"""Dall's safe zone and safe depth (*Surgery for the painful, dysfunctional sacroiliac joint*, chapter 10).

The safe zone: between the most cranial and the most caudal axial level at which the implant is totally contained. Here
the planned implant is moved up and down along the pelvic frame's cranial axis, turned as planned, its middle as far off
the mid-surface and as far posterior as planned `[P]`; contained means between the two bones' outer walls. The safe
depth: from the PSIS to the anterior margin of the joint at the implant's level, measured along the direction of
insertion `[P]`, less 10 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.distance import distance_within
from planner.fluoroscopy.config import FluoroscopyConfig
from planner.joint import anterior_margin_lps
from planner.joint.model import Joint
from planner.labels import Label
from planner.segmentation.model import Bones
from planner.trajectory.model import Candidate
from planner.volume import LabelMap

__all__ = ["SafeZone", "find_safe_zone"]

REACH_MM = 40
"""Levels are looked at so far above and below the implant, 1 mm apart: a joint is about 60 mm high `[P]`."""

CLOSING_MM = 5.0
"""Radius of the closing that makes one solid of the two bones, as in the planner's own constraint `[P]`."""

ON_SURFACE_MM = 2.5
"""A level without mid-surface this near to where the implant's middle would lie has no place for it `[P]`."""

RING, RINGS = 24, 12
"""Points round the implant, and rings along it, that must lie within the bones."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SafeZone:
    """What Dall measures.

    Attributes
    ----------
    cranial_lps, caudal_lps : (3,) float64 arrays
        Where the implant's middle would lie at the highest and the lowest level that contain it.
    height_mm : float
        Between the two levels.
    psis_to_margin_mm, safe_depth_mm : float or None
        From the PSIS to the anterior joint margin, and 10 mm less; None where either was not seen.
    """

    cranial_lps: Vector
    caudal_lps: Vector
    height_mm: float
    psis_to_margin_mm: float | None
    safe_depth_mm: float | None


def find_safe_zone(
    bones: Bones, joint: Joint, candidate: Candidate, psis_lps: Vector | None, config: FluoroscopyConfig
) -> SafeZone | None:
    """Find the levels that contain a planned implant; None where its own level does not."""
    middle = (candidate.implant_entry_lps + candidate.implant_tip_lps) / 2
    cranial = bones.frame.cranial_lps
    levels = _levels(joint, bones, middle)
    solid = _solid(bones, joint, middle)
    surface = _surface(candidate)
    held = {level for level, place in levels.items() if _contains(solid, place + surface)}
    if 0 not in held:
        return None
    high = next((level - 1 for level in range(1, REACH_MM + 1) if level not in held), REACH_MM)
    low = next((1 - level for level in range(1, REACH_MM + 1) if -level not in held), -REACH_MM)
    depth = _depth_mm(joint, candidate, psis_lps, cranial)
    safe = None if depth is None else depth - config.margin_mm
    return SafeZone(levels[high], levels[low], float(high - low), depth, safe)


def _levels(joint: Joint, bones: Bones, middle: Vector) -> dict[int, Vector]:
    """Where the implant's middle would lie at each level: as far off the mid-surface as planned."""
    points, at = bones.frame.to_pelvic(joint.vertices_lps), bones.frame.to_pelvic(middle)
    found: dict[int, Vector] = {}
    for level in range(-REACH_MM, REACH_MM + 1):
        off = np.hypot(points[:, 1] - at[1], points[:, 2] - at[2] - level)
        nearest = int(off.argmin())
        if off[nearest] <= ON_SURFACE_MM:
            found[level] = np.array([points[nearest, 0], at[1], at[2] + level])
    if 0 not in found:
        return {}
    aside = at[0] - found[0][0]
    return {level: bones.frame.to_lps(place + np.array([aside, 0.0, 0.0])) for level, place in found.items()}


def _solid(bones: Bones, joint: Joint, middle: Vector) -> LabelMap:
    """Close the two bones round the joint: 1 inside their outer walls."""
    around = middle + (REACH_MM + 10) * np.vstack([bones.frame.cranial_lps, -bones.frame.cranial_lps])
    part = bones.labels.crop(bones.labels.grid.box_around(around, 30.0))
    bony = (part.values == Label.SACRUM) | (part.values == joint.side.hip)
    spacing = part.grid.spacing_zyx_mm
    grown = distance_within(bony, spacing, CLOSING_MM + 1.0) <= CLOSING_MM
    closed = distance_within(~grown, spacing, CLOSING_MM + 1.0) > CLOSING_MM
    return LabelMap((closed | bony).astype(np.uint8), part.grid)


def _surface(candidate: Candidate) -> Vector:
    """Points on the implant's side, from its middle, (n, 3) mm."""
    half = (candidate.implant_tip_lps - candidate.implant_entry_lps) / 2
    along = np.linspace(-1, 1, RINGS)[:, None] * half
    surface: Vector = (along[:, None] + _rim(candidate, half)[None]).reshape(-1, 3)
    return surface


def _rim(candidate: Candidate, half: Vector) -> Vector:
    """Points round the implant, from its axis."""
    if candidate.section_mm is not None and candidate.across_lps is not None:
        corners = candidate.section_mm @ candidate.across_lps
        share = np.linspace(0, 1, RING // len(corners) + 1, endpoint=False)[:, None, None]
        edges: Vector = ((1 - share) * corners + share * np.roll(corners, -1, axis=0)).reshape(-1, 3)
        return edges
    across = np.linalg.svd(half[None, :])[2][1:]
    turn = np.linspace(0, 2 * np.pi, RING, endpoint=False)
    rim: Vector = candidate.diameter_mm / 2 * (np.cos(turn)[:, None] * across[0] + np.sin(turn)[:, None] * across[1])
    return rim


def _contains(solid: LabelMap, points_lps: Vector) -> bool:
    index = np.rint(solid.grid.to_index(points_lps)).astype(np.intp)
    if (index < 0).any() or (index >= solid.grid.shape_zyx).any():
        return False
    return bool(solid.values[tuple(index.T)].all())


def _depth_mm(joint: Joint, candidate: Candidate, psis_lps: Vector | None, cranial: Vector) -> float | None:
    margin = anterior_margin_lps(joint)
    if psis_lps is None or not len(margin):
        return None
    middle = (candidate.implant_entry_lps + candidate.implant_tip_lps) / 2
    nearest = margin[np.abs((margin - middle) @ cranial).argmin()]
    along = candidate.implant_tip_lps - candidate.implant_entry_lps
    return float((nearest - psis_lps) @ along / np.linalg.norm(along))
