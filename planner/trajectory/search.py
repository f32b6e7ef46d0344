"""The search: a coarse grid over centre, direction and size, then climbs in the continuous problem from its best.

On the grid the least slack stands in for the safe entry radius, which is never less; only climbs measure it.
Deterministic: no random numbers, and ties go to the earlier trial. `script/check_optimum.py` compares with brute force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.joint.model import Joint, Third
from planner.trajectory.config import Search
from planner.trajectory.kernel import MEASURES, Scene, assess, climb, evaluate_all, is_new
from planner.trajectory.scene import joint_normals

__all__ = ["HAZARDS", "Climber", "Found", "Size", "Trials", "first_poses", "next_best", "try_all"]

IN_PLANE_DEG = (-24.0, 42.0)
"""First directions within the joint, from the axial plane to cranial: the tilts allowed and some more, for joints that
lie askew `[P]`."""

OUT_OF_PLANE_DEG = (-8.0, 0.0, 8.0)
"""First directions out of the joint `[P]`."""

OFF_JOINT_MM = (-1.5, 0.0, 1.5)
"""First centres off the mid-surface: near keep-outs, only one side of the joint may be free `[P]`."""

POLISHED = 14
"""Best starts of a round that are climbed from with the safe entry radius in the score, besides one of each size. The
radius has many tops: more starts find a higher one more often `[P]`."""

HAZARDS = ("neural", "ventral_cortex", "outer_iliac_cortex")
"""Clearances that the score and the grade go by."""

Array = NDArray[np.float64]

Size = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Trials:
    """All first poses with their values.

    Attributes
    ----------
    poses : (n, 6) float64 array
        Centre in LPS and unit direction.
    values : mapping of size to (n,) float64 array
        Score, the tightest slack for the safe entry radius; or that slack where it is negative.
    rejected : (k,) int64 array
        How many trials broke each of `CONSTRAINTS`; a trial may break several.
    """

    poses: Array
    values: dict[Size, Array]
    rejected: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Found:
    """A refined pose."""

    pose: Array
    size: Size
    value: float


@dataclass(frozen=True, eq=False)
class Climber:
    """Climbs, and remembers where it came to: the next candidate's search begins from mostly the same starts.

    Attributes
    ----------
    scene : Scene
        With the guard.
    search : Search
        Settings.
    tolerance : float
        A larger implant may score this much less.
    known : dict
        By kind of climb, size and start.
    """

    scene: Scene
    search: Search
    tolerance: float
    known: dict[tuple[bool, Size, bytes], Found] = field(default_factory=dict)

    def climb(self, start: Found, taken: Array, *, polish: bool = False) -> Found:
        """Where a climb from `start` ends, distinct from the poses taken."""
        key = (polish, start.size, start.pose.tobytes())
        distinct = (self.search.distinct_mm, self.search.distinct_deg)
        found = self.known.get(key)
        if found is None or not is_new(found.pose, taken, *distinct):
            pose, value = climb(self.scene, start.pose, start.size, taken, distinct, polish)
            found = self.known[key] = Found(pose, start.size, float(value))
        return found

    def climb_from(self, pose: Array, size: Size, taken: Array) -> Found:
        """Climb from a pose."""
        return self.climb(Found(pose, size, 0.0), taken)

    def polish(self, found: Found, taken: Array) -> Found:
        """Climb with the safe entry radius in the score."""
        return found if found.value < 0 else self.climb(found, taken, polish=True)


def first_poses(joint: Joint, scene: Scene, search: Search, third: Third = Third.MIDDLE) -> Array:
    """``(n, 6)`` poses over a third of the joint and beside it, in the joint's tangent plane and a little out of it."""
    there = joint.third == third
    centres, normals = joint.vertices_lps[there], joint_normals(joint)[there]
    kept = _thin(centres, scene, search.centre_step_mm)
    centres, normals = centres[kept], normals[kept]
    turns = np.radians(np.arange(IN_PLANE_DEG[0], IN_PLANE_DEG[1] + 1e-9, search.angle_step_deg))
    directions = _directions(normals, scene.part("axes").reshape(3, 3), turns)
    shifted = centres[:, None] + np.array(OFF_JOINT_MM)[:, None] * normals[:, None]
    poses = np.empty((len(centres), len(OFF_JOINT_MM), directions.shape[1], 6))
    poses[..., :3], poses[..., 3:] = shifted[:, :, None], directions[:, None]
    return poses.reshape(-1, 6)


def _thin(points: Array, scene: Scene, step_mm: float) -> NDArray[np.intp]:
    """One point of each cell of a grid in the pelvis's own axes: the one nearest to the cell's centre."""
    local = points @ scene.part("axes").reshape(3, 3).T
    shifted = (local - local.mean(axis=0)) / step_mm
    cells = np.rint(shifted)
    order = np.lexsort((np.arange(len(points)), np.round(np.linalg.norm(shifted - cells, axis=1), 6)))
    _, first = np.unique(cells[order], axis=0, return_index=True)
    return np.sort(order[first])


def _directions(normals: Array, axes: Array, turns: Array) -> Array:
    """Lay out ``(n, k, 3)`` unit directions to anterior: turned from the axial plane in the joint, then out of it."""
    posterior, cranial = axes[1], axes[2]
    level = np.cross(normals, cranial)
    level *= -np.sign(level @ posterior)[:, None] / np.linalg.norm(level, axis=1, keepdims=True)
    up = cranial - (normals @ cranial)[:, None] * normals
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    inside = np.cos(turns)[:, None] * level[:, None] + np.sin(turns)[:, None] * up[:, None]
    lifts = np.radians(OUT_OF_PLANE_DEG)[:, None, None]
    out: Array = np.cos(lifts) * inside[:, None] + np.sin(lifts) * normals[:, None, None]
    return out.reshape(len(normals), -1, 3)


def try_all(scene: Scene, poses: Array, sizes: Sequence[Size]) -> Trials:
    """Evaluate every pose with every size; the sizes are all pairs of some diameters and some lengths."""
    diameters, lengths = (np.unique([size[part] for size in sizes]) for part in (0, 1))
    values, rejected = evaluate_all(scene, poses, diameters, lengths)
    place = {(d, e): (a, b) for a, d in enumerate(diameters.tolist()) for b, e in enumerate(lengths.tolist())}
    return Trials(poses, {size: np.ascontiguousarray(values[:, *place[size]]) for size in sizes}, rejected)


def next_best(climber: Climber, trials: Trials, taken: Array) -> Found | None:
    """Best refined pose that is distinct from the ``(m, 6)`` poses taken; None if no trial is.

    Its value is negative where no pose keeps every constraint: then it is the one that comes nearest.
    """
    starts = [
        Found(start, size, value)
        for size, values in trials.values.items()
        for start, value in _starts(trials.poses, values, taken, climber.search)
    ]
    ranked = sorted(starts, key=lambda start: -start.value)
    if ranked and ranked[0].value < 0:  # no trial keeps every constraint: one beside them may
        ranked = sorted((climber.climb(start, taken) for start in starts), key=lambda found: -found.value)
    return _largest(climber.scene, [climber.polish(found, taken) for found in _shortlist(ranked)], climber.tolerance)


def _starts(poses: Array, values: Array, taken: Array, search: Search) -> list[tuple[Array, float]]:
    """Best trials with their values, distinct from those taken and from each other."""
    chosen: list[Array] = []
    worth: list[float] = []
    for index in np.argsort(-values, kind="stable"):
        others = np.array([*taken, *chosen]).reshape(-1, 6)
        if is_new(poses[index], others, search.distinct_mm, search.distinct_deg):
            chosen.append(poses[index])
            worth.append(float(values[index]))
        if len(chosen) == search.starts_per_size:
            break
    return list(zip(chosen, worth, strict=True))


def _shortlist(ranked: list[Found]) -> list[Found]:
    """Pick the best that keep every constraint, and the best of each size that does; else the nearest miss."""
    if not ranked or ranked[0].value < 0:
        return ranked[:1]
    chosen = [found for found in ranked[:POLISHED] if found.value >= 0]
    for found in ranked[POLISHED:]:
        if found.value >= 0 and all(found.size != other.size for other in chosen):
            chosen.append(found)
    return chosen


def _largest(scene: Scene, found: list[Found], tolerance: float) -> Found | None:
    """Of those that score nearly as well as the best, pick the largest implant, and the one with most clearance."""
    if not found:
        return None
    best = max(entry.value for entry in found)
    near = [entry for entry in found if entry.value >= best - tolerance]
    return max(near, key=lambda entry: (entry.size[0] ** 2 * entry.size[1], _clearance(scene, entry), entry.value))


def _clearance(scene: Scene, found: Found) -> float:
    """Smallest clearance to neural structures and cortex, as far as the fields reach."""
    measures = assess(scene, found.pose, found.size)[0]
    return min(float(measures[MEASURES.index(name)]) for name in HAZARDS)
