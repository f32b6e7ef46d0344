"""What lies round the implants of one side, as fields on the label files' own voxels, and how near poses come to it.

Fields and walls are worked out here a second time, by SimpleITK, from what `docs/planning.md` says of them. Distances
are to voxels' centres less half the mean spacing, as everywhere in a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.verify.case import HIPS, SACRUM, Case, Dowel, closed, is_neural, point
from planner.verify.image import Image
from planner.verify.surface import JointSurface

__all__ = ["Poses", "Surroundings", "surroundings_of"]

FAR_MM = 12.0
"""What the fields hold beyond the files' grid: far from everything, and outside the bones."""

NOWHERE_MM = 1e3
"""Distance to what is not there."""

AROUND_MM, BEHIND_MM = 22.0, 44.0
"""Box round the implants, and behind the dorsal mouths, in which all is worked out: the longest way that a misplaced
implant goes, and room for what is near it then; the length of cannula that can still meet bone."""

SMOOTHING_MM = 1.5
"""Gaussian over the solid's distance before the direction of its wall is taken."""

VENTRAL_COSINE, GLUTEAL_COSINE = 0.3, 0.5
"""A wall that points this much to anterior is ventral; one that points this much to lateral is gluteal."""

NOT_NEURAL_MM, FROM_SACRUM_MM = 2.0, 6.0
"""Walls nearer than this to keep-outs are theirs; a gluteal wall lies at least so far from the sacrum."""

DEEPEST_MM = 60.0
"""Farthest that a tip is deep in bone."""

Points = NDArray[np.float64]
Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Poses:
    """Centres ``(n, 3)`` of an implant, and its axes ``(n, 3, 3)``: along it, along and out of the joint."""

    centres: Points
    axes: Points

    @classmethod
    def along(cls, centres: Points, directions: Points, facing: Points) -> Poses:
        """Lay each implant with its section to the joint's mean normal."""
        out = facing - (directions @ facing)[:, None] * directions
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        return cls(centres, np.stack([directions, np.cross(directions, out), out], axis=1))

    @classmethod
    def of(cls, dowel: Dowel, joint: JointSurface, centres: Points, directions: Points) -> Poses:
        """Lay a candidate elsewhere; a section that is not round keeps its side to the joint."""
        section = dowel.claims.get("section")
        facing = joint.facing_lps if section is None else point(section["across_lps"][1])
        return cls.along(centres, directions, facing)

    def part(self, which: NDArray[np.int_]) -> Poses:
        """Take some of them."""
        return Poses(self.centres[which], self.axes[which])

    def points(self, local: Points) -> Points:
        """Give ``(n, k, 3)`` LPS places of ``(k, 3)`` or ``(n, k, 3)`` points given along their axes."""
        return np.asarray(self.centres[:, None] + local @ self.axes)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Fields round the implants of one side.

    Attributes
    ----------
    image : Image
        Labels there.
    fields : mapping of str to array
        ``sacrum`` and ``hip`` (signed, negative inside), ``neural``, ``ventral`` and ``outer``, ``outside`` of the
        solid (negative inside).
    joint : JointSurface
        Of the side.
    """

    image: Image
    fields: Mapping[str, Field]
    joint: JointSurface

    @cached_property
    def walls(self) -> Mapping[str, Points]:
        """Centres of the voxels of each outer cortex, LPS."""
        return {name: self.image.points(self.fields[name] <= 0) for name in ("ventral", "outer")}

    def sample(self, places: Points, *names: str) -> list[Field]:
        """Interpolate fields at ``(..., 3)`` LPS places."""
        index = self.image.index_zyx(places.reshape(-1, 3)).T
        return [
            ndi.map_coordinates(self.fields[name], index, output=np.float32, order=1, cval=FAR_MM).reshape(
                places.shape[:-1]
            )
            for name in names
        ]

    def least(self, places: Points, *names: str) -> list[Field]:
        """Least of each field over each row of ``(n, k, 3)`` places."""
        return [values.min(axis=1) for values in self.sample(places, *names)]


def surroundings_of(case: Case, side: str, dowels: list[Dowel]) -> Surroundings | None:
    """Work out the fields round a side's candidates; None without the joint's surface or the pelvic frame."""
    joint, frame = case.surfaces.get(side), case.plan.get("pelvic_frame")
    if joint is None or frame is None:
        return None
    ends = [place for dowel in dowels for place in _reach(dowel)]
    image = case.labels.around(np.array(ends), AROUND_MM)
    keepout = case.keepout.around(np.array(ends), AROUND_MM)
    sacrum, hip = (image.distance(image.values == value) for value in (SACRUM, HIPS[side]))
    neural = keepout.distance_outside(is_neural(keepout.values))
    outside = closed(image, np.minimum(sacrum, hip))
    ventral, outer = _walls(image, outside, (sacrum, hip, neural), frame, 1 if side == "left" else -1)
    fields = {
        "sacrum": sacrum,
        "hip": hip,
        "neural": neural,
        "ventral": image.distance_outside(ventral),
        "outer": image.distance_outside(outer),
        "outside": outside,
    }
    # no infinity: it leaves no number where it is interpolated
    return Surroundings(image, {name: _within(field) for name, field in fields.items()}, joint)


def _reach(dowel: Dowel) -> tuple[Points, ...]:
    """Give the ends of the implant, and of what is looked at behind it."""
    depth = min(float(dowel.claims["depth_from_bone_mm"]), DEEPEST_MM) + BEHIND_MM - AROUND_MM
    return dowel.entry, dowel.tip, dowel.tip - depth * dowel.direction


def _within(field: Points) -> Field:
    return np.asarray(np.clip(field, -NOWHERE_MM, NOWHERE_MM), np.float32)


def _walls(
    image: Image, outside: Points, near: tuple[Points, Points, Points], frame: Mapping[str, Any], lateral: int
) -> tuple[Mask, Mask]:
    """Voxels just outside the ventral wall of the sacrum, and just outside the gluteal wall of the ilium."""
    sacrum, hip, neural = near
    solid = outside <= 0
    wall = ndi.binary_dilation(solid) & ~solid & (neural > NOT_NEURAL_MM)
    sigma = SMOOTHING_MM / image.spacing_xyz[::-1]
    smooth = ndi.gaussian_filter(outside, sigma, mode="nearest", truncate=3.0)
    slopes = np.stack([np.gradient(smooth, axis=axis)[wall] for axis in (2, 1, 0)], axis=1) / image.spacing_xyz
    normals = slopes @ (image.lps_from_xyz / image.spacing_xyz).T
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    anterior, aside = -normals @ point(frame["posterior_lps"]), lateral * (normals @ point(frame["left_lps"]))
    ventral, outer = np.zeros_like(wall), np.zeros_like(wall)
    ventral[wall] = (anterior > VENTRAL_COSINE) & (sacrum < hip)[wall]
    outer[wall] = (aside > GLUTEAL_COSINE) & ((hip < sacrum) & (sacrum > FROM_SACRUM_MM))[wall]
    return ventral, outer
