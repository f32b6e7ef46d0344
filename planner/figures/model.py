"""What the figures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.fluoroscopy.card import CArmCard
from planner.fluoroscopy.config import FluoroscopyConfig
from planner.injection.model import InjectionPlan
from planner.joint.model import Joint, Zone
from planner.keepout.model import Keepouts
from planner.labels import Label, Side
from planner.lateral.model import LateralPlan
from planner.outline import implant_rim
from planner.segmentation.bearings import FlatPlace
from planner.segmentation.model import Bones
from planner.trajectory.model import Candidate, SidePlan
from planner.volume import Volume

__all__ = ["Cylinder", "FigureCase", "Prism"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cylinder:
    """An implant as it is drawn: a true, finite cylinder in LPS mm.

    Attributes
    ----------
    entry_lps, tip_lps : (3,) float64 array
        Centres of the end faces.
    radius_mm : float
        Radius.
    """

    entry_lps: Vector
    tip_lps: Vector
    radius_mm: float

    @classmethod
    def of(cls, candidate: Candidate) -> Cylinder:
        """Take the implant of a candidate: a prism where its section is not round."""
        ends, radius = (candidate.implant_entry_lps, candidate.implant_tip_lps), candidate.diameter_mm / 2
        if candidate.section_mm is None or candidate.across_lps is None:
            return cls(*ends, radius)
        return Prism(*ends, radius, candidate.section_mm @ candidate.across_lps)

    @property
    def centre_lps(self) -> Vector:
        """Middle of the axis."""
        return (self.entry_lps + self.tip_lps) / 2

    @property
    def length_mm(self) -> float:
        """Length."""
        return float(np.linalg.norm(self.tip_lps - self.entry_lps))

    @property
    def axis_lps(self) -> Vector:
        """Unit vector of insertion, from entry to tip."""
        return (self.tip_lps - self.entry_lps) / self.length_mm

    @property
    def rim_lps(self) -> Vector:
        """Outline across the axis, as vectors from it, ``(k, 3)``."""
        return implant_rim(self.axis_lps, 2 * self.radius_mm)

    def rims_lps(self) -> Vector:
        """Points round both end faces, ``(2 k, 3)``."""
        return np.concatenate([self.entry_lps + self.rim_lps, self.tip_lps + self.rim_lps])

    def outside_mm(self, points_lps: Vector) -> Vector:
        """How far points ``(..., 3)`` lie outside; zero on the surface, negative inside; too small beyond the edges."""
        offset = points_lps - self.centre_lps
        along = offset @ self.axis_lps
        radial = np.sqrt(np.maximum((offset**2).sum(axis=-1) - along**2, 0.0))
        outside: Vector = np.maximum(radial - self.radius_mm, np.abs(along) - self.length_mm / 2)
        return outside

    def met_mm(self, origins_lps: Vector, way_lps: Vector) -> Vector:
        """How far along a unit vector rays from points ``(..., 3)`` meet it; NaN where they miss."""
        origin, axis = origins_lps - self.centre_lps, self.axis_lps
        along, across = way_lps @ axis, way_lps - (way_lps @ axis) * axis
        flat = origin - (origin @ axis)[..., None] * axis
        a, b, c = across @ across, flat @ across, (flat**2).sum(axis=-1) - self.radius_mm**2
        root = np.sqrt(np.where(b**2 - a * c >= 0, b**2 - a * c, np.nan))
        side = (-b - root) / (a if a > 1e-12 else 1e-12)
        slant = along if abs(along) > 1e-9 else 1e-9
        ends = [(sign * self.length_mm / 2 - origin @ axis) / slant for sign in (-1, 1)]
        hits = [np.where(np.abs(origin @ axis + side * along) <= self.length_mm / 2, side, np.nan)]
        for end in ends:
            radial = ((flat + end[..., None] * across) ** 2).sum(axis=-1)
            hits.append(np.where(radial <= self.radius_mm**2, end, np.nan))
        met: Vector = np.fmin.reduce(hits)
        return met


@dataclass(frozen=True, eq=False)
class Prism(Cylinder):
    """An implant that is not round, as it is drawn: a finite prism.

    Attributes
    ----------
    corners_lps : (k, 3) float64 array
        Corners of its convex section, as vectors from the axis.
    """

    corners_lps: Vector

    @property
    def rim_lps(self) -> Vector:
        """Outline across the axis, as vectors from it."""
        return implant_rim(self.axis_lps, 2 * self.radius_mm, self.corners_lps)

    @property
    def _planes(self) -> tuple[Vector, Vector]:
        """Outward unit normals of all faces, ``(k, 3)``, and how far from the middle each lies."""
        rim, axis = self.rim_lps, self.axis_lps
        normals = np.cross(np.roll(rim, -1, axis=0) - rim, axis)
        normals /= np.linalg.norm(normals, axis=1)[:, None]
        away = np.append((normals * rim).sum(axis=1), [self.length_mm / 2] * 2)
        return np.concatenate([normals, [axis, -axis]]), away

    def outside_mm(self, points_lps: Vector) -> Vector:
        """How far points ``(..., 3)`` lie outside; too small beyond the edges."""
        normals, away = self._planes
        outside: Vector = ((points_lps - self.centre_lps) @ normals.T - away).max(axis=-1)
        return outside

    def met_mm(self, origins_lps: Vector, way_lps: Vector) -> Vector:
        """How far along a unit vector rays from points ``(..., 3)`` meet it; NaN where they miss."""
        normals, away = self._planes
        left, facing = away - (origins_lps - self.centre_lps) @ normals.T, normals @ way_lps
        level = np.abs(facing) < 1e-9
        share = left / np.where(level, 1.0, facing)
        enter = np.where(facing < -1e-9, share, -np.inf).max(axis=-1)
        leave = np.where(facing > 1e-9, share, np.inf).min(axis=-1)
        beside = (level & (left < 0)).any(axis=-1)
        met: Vector = np.where((enter <= leave) & ~beside, enter, np.nan)
        return met


@dataclass(frozen=True, eq=False)
class FigureCase:
    """One case as the stages left it, all on the canonical, cropped grid.

    Attributes
    ----------
    volume : Volume
        CT.
    bones : Bones
        Labels and pelvic frame.
    joints : mapping of Side to Joint
        Sides whose joint was found.
    keepouts : Keepouts
        Canal and foramina.
    plans : mapping of Side to SidePlan
        Both sides.
    cards : mapping of Side to CArmCard
        Sides whose C-arm views are drawn.
    fluoroscopy : FluoroscopyConfig
        The C-arm.
    endplate : FlatPlace or None
        Of S1; the sacrum's true axial plane is parallel to it.
    lateral : mapping of Side to LateralPlan
        Sides that lateral rods are compared on.
    injections : mapping of Side to InjectionPlan
        Sides with a needle's path.
    """

    volume: Volume
    bones: Bones
    joints: Mapping[Side, Joint]
    keepouts: Keepouts
    plans: Mapping[Side, SidePlan]
    cards: Mapping[Side, CArmCard] = field(default_factory=dict)
    fluoroscopy: FluoroscopyConfig = field(default_factory=FluoroscopyConfig)
    endplate: FlatPlace | None = None
    lateral: Mapping[Side, LateralPlan] = field(default_factory=dict)
    injections: Mapping[Side, InjectionPlan] = field(default_factory=dict)

    def best(self, side: Side) -> Candidate | None:
        """First-ranked candidate of a side, if there is one."""
        plan = self.plans.get(side)
        return plan.candidates[0] if plan and plan.candidates else None

    def implants(self) -> dict[Side, Cylinder]:
        """First-ranked implants of the sides that have one."""
        return {side: Cylinder.of(best) for side in Side if (best := self.best(side)) is not None}

    def focus_lps(self, side: Side) -> Vector:
        """Where to look: the middle of the implant, else of the articular zone, else of the hip bone or sacrum."""
        best, joint = self.best(side), self.joints.get(side)
        if best is not None:
            return Cylinder.of(best).centre_lps
        if joint is not None and len(joint.vertices_lps):
            articular = joint.vertices_lps[joint.zone == Zone.ARTICULAR]
            middle: Vector = np.median(articular if len(articular) else joint.vertices_lps, axis=0)
            return middle
        return self._bone_middle((side.hip, Label.SACRUM))

    def _bone_middle(self, labels: tuple[Label, ...]) -> Vector:
        coarse = self.bones.labels.values[::4, ::4, ::4]
        for label in labels:
            if (found := np.argwhere(coarse == label)).size:
                return self.bones.labels.grid.to_lps(4.0 * found.mean(axis=0))
        middle: Vector = self.volume.grid.corners_lps().mean(axis=0)
        return middle
