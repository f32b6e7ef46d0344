"""The search: a coarse grid over centre, direction and size, then climbs in the continuous problem from all over it.

On the grid and in the first climbs the least slack stands in for the safe entry radius, which is never less.
Deterministic: no random numbers, and ties go to the earlier trial. `script/check_optimum.py` compares with brute force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.joint.model import Joint, Third
from planner.trajectory.config import Search
from planner.trajectory.kernel import (
    FINELY,
    FULLY,
    MEASURES,
    ROUGHLY,
    Scene,
    assess,
    climb,
    evaluate_all,
    is_new,
    spare,
)
from planner.trajectory.scene import joint_normals

__all__ = [
    "ALLOWED_MISSES",
    "CLEARANCE_STEP_MM",
    "HAZARDS",
    "Climber",
    "Found",
    "Size",
    "Trials",
    "first_poses",
    "next_best",
    "try_all",
]

IN_PLANE_DEG = (-24.0, 42.0)
"""First directions within the joint, from the axial plane to cranial: the tilts allowed and some more, for joints that
lie askew `[P]`."""

OUT_OF_PLANE_DEG = (-8.0, 0.0, 8.0)
"""First directions out of the joint `[P]`."""

OFF_JOINT_MM = (-1.5, 0.0, 1.5)
"""First centres off the mid-surface: near keep-outs, only one side of the joint may be free `[P]`."""

APART_MM, APART_DEG = 6.0, 10.0
"""Starts of the first climbs are this far apart: they are to come to every hill, not to the best one often `[P]`."""

SAME_MM, SAME_DEG = 1.5, 3.0
"""Ends of climbs nearer than this came to the same place `[P]`."""

CLIMBS, POLISHED = 16, 8
"""Climbs of a round with the safe entry radius in the score, and least of them with the smallest size: the radius has
many tops `[P]`."""

TOPS = 6
"""Best ends that are climbed from once more, with long steps to begin with `[P]`."""

SETTLED = 0.002
"""Of the score, given up for a place in the middle of what is allowed `[P]`."""

CLEARANCE_STEP_MM = 3.0
"""Of two paths that are equal in score and size, only a clearance that is larger by such a step decides: less is noise,
and would move the plan about `[P]`."""

ALLOWED_MISSES = 3
"""Rounds of the search whose result may fail the exact check before the search gives up; each holds back more."""

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
    known: dict[tuple[int, Size, bytes], Found] = field(default_factory=dict)

    def climb(self, start: Found, taken: Array, polish: np.int64 = ROUGHLY) -> Found:
        """Where a climb from `start` ends, distinct from the poses taken."""
        key = (int(polish), start.size, start.pose.tobytes())
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
        """Climb on with the safe entry radius in the score."""
        return self.climb(found, taken, FINELY)

    def settle(self, found: Found, taken: Array) -> Found:
        """Go to the middle of what scores nearly as high: on the score's flat tops, noise would choose the place."""
        distinct = (self.search.distinct_mm, self.search.distinct_deg)
        slack = assess(self.scene, found.pose, found.size)[1]
        cap = found.value - spare(self.scene.numbers, slack) - SETTLED
        pose, _ = climb(self.scene, found.pose, found.size, taken, distinct, FULLY, cap)
        return Found(pose, found.size, found.value)


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

    Climbs with the smallest size begin all over the joint, and are cheap: the safe entry radius is left out. From the
    best places that they come to, the smallest size is climbed with the radius, and from the best of those all others.
    The value is negative where no pose keeps every constraint: then it is the one that comes nearest.
    """
    smallest, *others = sorted(trials.values)
    starts = [Found(trials.poses[k], smallest, 0.0) for k in _starts(trials, smallest, taken, climber.search)]
    ends = sorted((climber.climb(start, taken) for start in starts), key=lambda end: -end.value)
    if not ends:
        return None
    if ends[0].value < 0:  # finer steps may yet lead to one that keeps every constraint
        ends = sorted((climber.polish(end, taken) for end in ends[:POLISHED]), key=lambda end: -end.value)
        if ends[0].value < 0:
            return ends[0]
    polished = [climber.polish(end, taken) for end in _places(ends, max(POLISHED, CLIMBS - len(others)))]
    best = max(polished, key=lambda end: end.value)
    larger = [climber.polish(Found(best.pose, size, 0.0), taken) for size in others]
    best_first = sorted([*polished, *larger], key=lambda end: -end.value)
    tops = [climber.climb(end, taken, FULLY) for end in best_first[:TOPS]]
    return climber.settle(_largest(climber.scene, [*tops, *best_first[TOPS:]], climber.tolerance), taken)


def _starts(trials: Trials, size: Size, taken: Array, search: Search) -> list[int]:
    """Best trials, distinct from those taken and far from each other; they need not keep every constraint."""
    chosen, values = np.zeros((search.starts, 6)), trials.values[size]
    found: list[int] = []
    for index in np.argsort(-values, kind="stable"):
        if len(found) == search.starts:
            break
        pose = trials.poses[index]
        new = is_new(pose, taken, search.distinct_mm, search.distinct_deg)
        if new and is_new(pose, chosen[: len(found)], APART_MM, APART_DEG):
            chosen[len(found)] = pose
            found.append(int(index))
    return found


def _places(ends: list[Found], count: int) -> list[Found]:
    """Best ends of climbs that keep every constraint, without those that came to one place."""
    chosen: list[Found] = []
    for end in ends:
        others = np.array([other.pose for other in chosen]).reshape(-1, 6)
        if end.value >= 0 and is_new(end.pose, others, SAME_MM, SAME_DEG):
            chosen.append(end)
        if len(chosen) == count:
            break
    return chosen


def _largest(scene: Scene, found: list[Found], tolerance: float) -> Found:
    """Of those that score nearly as well as the best, pick the largest implant, and the one with more clearance."""
    best = max(entry.value for entry in found)
    near = [entry for entry in found if entry.value >= best - tolerance]
    return max(
        near,
        key=lambda entry: (
            entry.size[0] ** 2 * entry.size[1],
            _clearance(scene, entry) // CLEARANCE_STEP_MM,
            entry.value,
        ),
    )


def _clearance(scene: Scene, found: Found) -> float:
    """Smallest clearance to neural structures and cortex, as far as the fields reach."""
    measures = assess(scene, found.pose, found.size)[0]
    return min(float(measures[MEASURES.index(name)]) for name in HAZARDS)
