"""One candidate elsewhere than where it is planned: what is left of each constraint, and whether it breaches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.verify.case import Dowel, point
from planner.verify.surroundings import Poses, Surroundings

__all__ = ["Moved"]

STEP_MM = 1.5
"""Spacing of points on implant and instruments."""

MARCH_MM, REACH_MM = 1.0, 60.0
"""Steps in which the axis is followed out of the bones, and how far: those of the search, which pass the same cracks in
the labels."""

RIM_MM = 1.0
"""The joint's edge counts as ahead of the implant so far to either side of it."""

CANNULA_WALL_MM, CANNULA_MM = 1.0, 43.0
"""Wall of the cannula, and the length of it behind the joint's mouth that can still meet bone."""

NEURAL_MM, MARGIN_MM = 3.0, 1.0
"""Distance to neural keep-outs, and the segmentation margin on top of it."""

FLOORS_MM = np.array([[2.0], [0.0], [0.0]])
"""A misplaced implant breaches where it is nearer to keep-outs, and where it touches a cortex."""

CORTEX_MM, ANTERIOR_MM, NOTCH_MM, NIBBLE_MM = 5.0, 5.0, 10.0, 2.0
"""Limits to cortex, anterior margin and notch, and bone that the cannula may meet."""

OFFSET_MM, ANGLE_DEG, DEGREE_MM = 3.0, 15.0, 0.35
"""Limits to the mid-surface, and what a degree beyond one counts."""

Points = NDArray[np.float64]
Slacks = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Moved:
    """A candidate, and what lies round it."""

    dowel: Dowel
    around: Surroundings

    @cached_property
    def neural_limit(self) -> float:
        """Distance to keep-outs that was planned with: a wider margin than the default stands in its proof."""
        proof = self.dowel.clearance("neural").get("proof") or {}
        return NEURAL_MM + max(MARGIN_MM, float(proof.get("segmentation_margin_mm", MARGIN_MM)))

    @cached_property
    def outline(self) -> Points:
        """Outline across it, mm along the joint and out of it, `STEP_MM` apart or less."""
        section = self.dowel.claims.get("section")
        if section is None:
            count = int(np.ceil(2 * np.pi * self.dowel.radius / STEP_MM))
            angle = 2 * np.pi * np.arange(count) / count
            return self.dowel.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        corners = np.asarray(section["corners_mm"], float)
        edges = [
            np.linspace(a, b, int(np.ceil(np.linalg.norm(b - a) / STEP_MM)), endpoint=False)
            for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
        ]
        return np.vstack(edges)

    @cached_property
    def body(self) -> Points:
        """Points of its surface and its axis, in its own axes from its centre."""
        along = np.linspace(-0.5, 0.5, self.dowel.stations(STEP_MM) + 1) * self.dowel.length
        shares = np.linspace(0, 1, int(np.ceil(np.abs(self.outline).max() / STEP_MM)), endpoint=False)
        face = (shares[:, None, None] * self.outline).reshape(-1, 2)
        return np.vstack([_extruded(along, self.outline), _extruded(along[[0, -1]], face), _axis(along)])

    @property
    def here(self) -> Poses:
        """The one pose that is planned."""
        return self.poses(self.dowel.centre[None], self.dowel.direction[None])

    def poses(self, centres: Points, directions: Points) -> Poses:
        """Lay it elsewhere; a section that is not round keeps its side to the joint."""
        return Poses.of(self.dowel, self.around.joint, centres, directions)

    def aside(self, radius_mm: float, count: int) -> Poses:
        """Move it across its axis by a radius, in so many directions."""
        angle, across = 2 * np.pi * np.arange(count)[:, None] / count, self.here.axes[0]
        moves = np.cos(angle) * across[1] + np.sin(angle) * across[2]
        return self.poses(self.dowel.centre + radius_mm * moves, np.tile(self.dowel.direction, (count, 1)))

    def left(self, poses: Poses) -> dict[str, Slacks]:
        """Measure what is left of each constraint that changes with the place, mm; negative where it is broken."""
        body = poses.points(self.body)
        neural, ventral, outer = self.around.least(body, "neural", "ventral", "outer")
        return {
            "neural-clearance": neural - self.neural_limit,
            "ventral-cortex": ventral - CORTEX_MM,
            "outer-iliac-cortex": outer - CORTEX_MM,
            "containment": -self.around.sample(body, "outside")[0].max(axis=1),
            "anterior-margin": self.ahead(poses) - ANTERIOR_MM,
            **self._thirds(poses, body),
            **self._notch(body),
            **self._in_joint(poses),
            **self._way_in(poses),
        }

    def breach_margin(self, poses: Poses, reach_mm: Slacks) -> Slacks:
        """How far each pose is from a breach, mm, negative where there is one; where that is more than a reach, less.

        No part lies farther from the axis than the outline does, so that only what comes near is looked at closely.
        """
        hazards = ("neural", "ventral", "outer")
        line = _axis(np.linspace(-0.5, 0.5, self.dowel.stations(STEP_MM) + 1) * self.dowel.length)
        least = np.stack(self.around.least(poses.points(line), *hazards)) - np.linalg.norm(self.outline, axis=1).max()
        close = np.flatnonzero((least - FLOORS_MM).min(axis=0) <= reach_mm)
        least[:, close] = self.around.least(poses.part(close).points(self.body), *hazards)
        return np.asarray(np.minimum((least - FLOORS_MM).min(axis=0), self.ahead(poses)))

    def ahead(self, poses: Poses) -> Slacks:
        """From the tip to the anterior margin: the joint's edge, or the way out of the bones if nearer."""
        leaves = self._leaves(poses, self.dowel.length / 2, 1.0)
        away = self.around.joint.edge_lps - poses.centres[:, None]
        along, aside = (np.einsum("nkj,nj->nk", away, poses.axes[:, k]) for k in (0, 1))
        counts = (along > 0) & (np.abs(aside) <= np.abs(self.outline[:, 0]).max() + RIM_MM)
        edge = np.where(counts, along - self.dowel.length / 2, np.inf).min(axis=1, initial=np.inf)
        return np.asarray(np.minimum(leaves, edge))

    def _leaves(self, poses: Poses, start: float, sign: float) -> Slacks:
        """Distance along the axis from `start` to where it leaves the solid; infinite if it does not within reach."""
        steps = np.arange(0.0, REACH_MM, MARCH_MM)
        outside = self.around.sample(poses.points(_axis(start + sign * steps)), "outside")[0]
        rows, first = np.arange(len(outside)), (outside > 0).argmax(axis=1)
        before = outside[rows, np.maximum(first - 1, 0)]
        share = before / np.minimum(before - outside[rows, first], -1e-6)
        found = np.where(first > 0, MARCH_MM * (first - 1 + share), 0.0)
        return np.where((outside > 0).any(axis=1), found, np.inf)

    def _thirds(self, poses: Poses, body: Points) -> dict[str, Slacks]:
        thirds = self.dowel.case.plan["sides"][self.dowel.side]["joint"]["thirds"]
        axis, (_, low, high, _) = point(thirds["axis_lps"]), thirds["bounds_mm"]
        height = poses.centres @ axis
        return {
            "middle-third": np.minimum(height - low, high - height),
            "inferior-third": (body @ axis).min(axis=1) - low,
        }

    def _notch(self, body: Points) -> dict[str, Slacks]:
        claim = self.dowel.claims["clearance"].get("sciatic_notch")
        if claim is None:
            return {}
        return {"sciatic-notch": np.linalg.norm(body - point(claim["at_lps_mm"]), axis=2).min(axis=1) - NOTCH_MM}

    def _in_joint(self, poses: Poses) -> dict[str, Slacks]:
        """Offset and angle to the mid-surface, by the distances of the two bones."""
        along = np.linspace(-0.5, 0.5, 2 * round(self.dowel.length / 4) + 1) * self.dowel.length
        sacrum, hip = self.around.sample(poses.points(_axis(along)), "sacrum", "hip")
        offset = (sacrum - hip) / 2
        angle = np.degrees(np.arcsin(np.minimum(1.0, np.abs(offset @ along / (along @ along)))))
        aside = OFFSET_MM - np.abs(offset[:, len(along) // 2])
        return {"in-joint": np.minimum(aside, DEGREE_MM * (ANGLE_DEG - angle))}

    def _way_in(self, poses: Poses) -> dict[str, Slacks]:
        """Cannula and distractor: behind the joint's dorsal mouth, and from there to the implant."""
        mouth = self._leaves(poses, -self.dowel.length / 2, -1.0)
        reach = np.where(np.isfinite(mouth), mouth, 0.0)
        half = np.abs(self.outline).max(axis=0)
        tube = np.vstack([self.outline * (half + CANNULA_WALL_MM) / half, np.zeros((1, 2))])
        behind = _extruded(-np.arange(0.0, CANNULA_MM, STEP_MM), tube) - _axis(self.dowel.length / 2 + reach)[:, None]
        before = _axis(-np.linspace(0, 1, 16)) * reach[:, None, None] - [self.dowel.length / 2, 0, 0]
        channel = before[:, :, None] + np.pad(self.outline, ((0, 0), (1, 0)))
        cannula, line = poses.points(behind), poses.points(before)
        bone = [*self.around.least(cannula, "sacrum", "hip"), *self.around.least(line, "sacrum", "hip")]
        distractor = poses.points(channel.reshape(len(reach), -1, 3))
        return {
            "access": np.where(np.isfinite(mouth), np.minimum.reduce(bone), -REACH_MM) + NIBBLE_MM,
            "cannula-clearance": self.around.least(cannula, "neural")[0] - self.neural_limit,
            "distractor-clearance": self.around.least(distractor, "neural")[0] - self.neural_limit,
        }


def _axis(along: Points) -> Points:
    """Points on the axis."""
    return np.stack([along, np.zeros_like(along), np.zeros_like(along)], axis=-1)


def _extruded(along: Points, outline: Points) -> Points:
    """Outline at each place along the axis."""
    return np.column_stack([np.repeat(along, len(outline)), np.tile(outline, (len(along), 1))])
