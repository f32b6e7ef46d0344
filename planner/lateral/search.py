"""The search for a bundle of parallel rods: all directions of a grid, the best chain of rods in each, then small moves.

A rod is told by the bundle's direction, the point where it crosses the mid-surface, and its *reach*: how far its tip
lies beyond that point. Each is held against the engine's limits (`planner.trajectory.kernel`), one by one; what rods
have to do with each other is their spacing alone. Deterministic: no random numbers, and ties go to the earlier trial.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from planner.joint.model import Zone
from planner.lateral.config import LateralConfig
from planner.lateral.corridor import Corridor
from planner.trajectory.config import Ramp
from planner.trajectory.kernel import CONSTRAINTS, evaluate_all, only_broken
from planner.trajectory.region import FIELDS

__all__ = ["COARSE", "FINE", "Bundle", "Trials", "best_bundle", "held_part", "try_rods", "what_stops"]

COARSE, FINE = (4.0, 10.0), (2.0, 5.0)
"""Spacing of the first crossings over the mid-surface, mm, and of the first directions, degrees. The finer one takes 14
times as long: for where the coarse one has no bundle `[P]`."""

REACH_STEP_MM = 3.0
"""Reaches tried, from the least to the target length in the sacrum `[P]`."""

FACE_MM, FACE_STEP_MM = 8.0, 0.5
"""The sacrum's face is looked for so far beyond the mid-surface, in such steps: reaches count from the mid-surface, the
length in the sacrum from there."""

SAMPLED_MM = 1.0
"""Length in the sacrum held back for those steps and the voxels'."""

WALL_MM, WALL_STEP_MM = 45.0, 1.0
"""The ilium's outer wall is looked for so far from the joint, in such steps."""

COLLAR_MM, HELD_STEP_MM = 6.0, 5.0
"""The held part begins so far inside the outer wall, where a rod that meets it askew is wholly within; its length in
the ilium is a multiple of the second, so that many rods have one size `[P]`."""

LOWER_MM = 6.0
"""Each rod lies this much below the one before it, so that a chain of neighbours is a row `[P]`."""

REFINED = 3
"""Directions whose best chain is moved about."""

FIRST_MM, LAST_MM = 2.0, 0.5
"""First and last step of the moves; half of each with a turn in degrees per mm of `DEG_PER_MM` `[P]`."""

DEG_PER_MM = 1.5
"""Turn that goes with a step."""

SLIDES = 3
"""Times that a point is moved along its line to the height of the nearest vertex."""

OFF_MM = 2.0
"""A crossing this far beside every point of the mid-surface is off it."""

NO_ROD = -1e6
"""Value of what cannot be."""

Points = NDArray[np.float64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trials:
    """Rods of one diameter, one a row.

    Attributes
    ----------
    crossings, directions : (n, 3) float64 array
        Where each crosses the mid-surface, and its unit direction.
    values : (n,) float64 array
        What it adds to the score, spacing apart; where it breaks a constraint, by how much, negative.
    reach_mm, held_mm : (n,) float64 array
        The best reach, and the length of the held part before the crossing.
    rejected : (k,) int64 array
        How many broke each of `CONSTRAINTS`.
    """

    crossings: Points
    directions: Points
    values: Numbers
    reach_mm: Numbers
    held_mm: Numbers
    rejected: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bundle:
    """Parallel rods, the most cranial first.

    Attributes
    ----------
    angles_deg : (float, float)
        To anterior and to cranial.
    rods : Trials
        The rods.
    score : float
        0-1; negative where a rod breaks a constraint.
    """

    angles_deg: tuple[float, float]
    rods: Trials
    score: float


def held_part(rods: Trials) -> tuple[Points, Numbers]:
    """Poses ``(n, 6)`` of the held parts, and their lengths."""
    poses = _held_poses(rods.crossings, rods.directions, rods.reach_mm, rods.held_mm)
    return poses, rods.reach_mm + rods.held_mm


def _held_poses(crossings: Points, directions: Points, reach_mm: Numbers, held_mm: Numbers) -> Points:
    return np.hstack([crossings + (0.5 * (reach_mm - held_mm))[:, None] * directions, directions])


def best_bundle(
    corridor: Corridor, diameter_mm: float, count: int, lattice: tuple[float, float] = COARSE
) -> tuple[Bundle | None, Trials]:
    """Best bundle of `count` rods, None if no `count` of them fit together; and all first trials."""
    first = _crossings(corridor, lattice[0])
    angles, trials = _first_trials(corridor, first, lattice[1], diameter_mm)
    chains = [_chain(corridor.config, _part(trials, k, len(first)), count) for k in range(len(angles))]
    order = sorted((k for k in range(len(angles)) if chains[k] is not None), key=lambda k: -chains[k][1])  # type: ignore[index]
    bundles = []
    for k in order[:REFINED]:
        chosen, value = chains[k]  # type: ignore[misc]
        bundle = Bundle(angles[k], _pick(_part(trials, k, len(first)), chosen), value)
        bundles.append(_refined(corridor, bundle, diameter_mm))
    return (max(bundles, key=lambda bundle: bundle.score) if bundles else None), trials


def _crossings(corridor: Corridor, spacing_mm: float) -> NDArray[np.intp]:
    """One vertex of the mid-surface for each cell of a lattice in the pelvis's sagittal plane."""
    frame, vertices = corridor.task.anatomy.bones.frame, corridor.task.joint.vertices_lps
    flat = (vertices @ np.stack([frame.posterior_lps, frame.cranial_lps], axis=1)) / spacing_mm
    flat = flat - flat.mean(axis=0)
    cells = np.rint(flat)
    order = np.lexsort((np.arange(len(flat)), np.round(np.linalg.norm(flat - cells, axis=1), 6)))
    _, chosen = np.unique(cells[order], axis=0, return_index=True)
    return np.sort(order[chosen])


def _first_trials(
    corridor: Corridor, first: NDArray[np.intp], turn_deg: float, diameter_mm: float
) -> tuple[list[tuple[float, float]], Trials]:
    config = corridor.config
    angles = [
        (a, t) for a in _steps(config.to_anterior_deg, turn_deg) for t in _steps(config.cranial_tilt_deg, turn_deg)
    ]
    ways = np.repeat([corridor.direction(*pair) for pair in angles], len(first), axis=0)
    return angles, try_rods(corridor, np.tile(first, len(angles)), ways, diameter_mm)


def _steps(limits: tuple[float, float], turn_deg: float) -> list[float]:
    low, high = limits
    count = max(1, round((high - low) / turn_deg))
    return [float(angle) for angle in np.linspace(low, high, count + 1)]


def try_rods(corridor: Corridor, vertices: NDArray[np.intp], directions: Points, diameter_mm: float) -> Trials:
    """Find for each crossing, a vertex of the mid-surface, and direction the best reach, and what it is worth."""
    config, joint = corridor.config, corridor.task.joint
    count, crossings = len(vertices), joint.vertices_lps[vertices]
    wall = _outer_wall(corridor, crossings, directions)
    face = _sacrum_face(corridor, crossings, directions)
    held = np.maximum(HELD_STEP_MM, HELD_STEP_MM * np.floor((wall - COLLAR_MM) / HELD_STEP_MM))
    cosine = np.clip((corridor.normals[vertices] * directions).sum(axis=1), -1, 1)
    angle = np.degrees(np.arccos(cosine))
    plain = config.score.articular * (joint.zone[vertices] == Zone.ARTICULAR)
    plain = plain + config.score.square * _ramp(angle, config.score.square_deg)
    values, reach = np.full(count, NO_ROD), np.zeros(count)
    rejected = np.zeros(len(CONSTRAINTS), np.int64)
    may = np.isfinite(wall) & np.isfinite(face) & (angle <= config.joint_angle_deg)
    target = Ramp(zero=config.least_in_sacrum_mm, one=config.in_sacrum_mm)
    for mm in _reaches(config):
        within = mm - SAMPLED_MM - face
        worth = config.score.in_sacrum * _ramp(within, target)
        for before in np.unique(held[may]):
            rows = np.flatnonzero(may & (held == before))
            poses = _held_poses(crossings[rows], directions[rows], np.full(len(rows), mm), held[rows])
            found, broken = evaluate_all(corridor.scene, poses, np.array([diameter_mm]), np.array([before + mm]))
            rejected += broken
            found = found[:, 0, 0]
            total = np.where(found < 0, found, config.score.clearance * found + worth[rows] + plain[rows])
            short = config.least_in_sacrum_mm - within[rows]
            total = np.where(short > 0, np.minimum(found, -short), total)
            better = rows[total > values[rows]]
            values[better], reach[better] = total[total > values[rows]], mm
            may[rows[found < 0]] = False  # a longer rod is no less in the way
    return Trials(crossings, directions, values, reach, held, rejected)


def _reaches(config: LateralConfig) -> Numbers:
    low, high = config.least_in_sacrum_mm, config.in_sacrum_mm
    beyond = 2 * SAMPLED_MM + FACE_STEP_MM
    return np.linspace(low + beyond, high + beyond, max(2, round((high - low) / REACH_STEP_MM) + 1))


def _ramp(values: Numbers, ramp: Ramp) -> Numbers:
    return np.clip((values - ramp.zero) / (ramp.one - ramp.zero), 0, 1)


def _outer_wall(corridor: Corridor, crossings: Points, directions: Points) -> Numbers:
    """Distance back along each direction to where it leaves the ilium; infinite if it does not within reach."""
    steps = np.arange(WALL_STEP_MM, WALL_MM, WALL_STEP_MM)
    depth = _along(corridor, "depth", crossings, -directions, steps)
    return np.where((depth < 0).any(axis=1), steps[(depth < 0).argmax(axis=1)], np.inf)


def _sacrum_face(corridor: Corridor, crossings: Points, directions: Points) -> Numbers:
    """Distance ahead to where each direction enters the sacrum; infinite if it does not within reach."""
    steps = np.arange(0.0, FACE_MM, FACE_STEP_MM)
    sacrum = _along(corridor, "sacrum", crossings, directions, steps)
    return np.where((sacrum < 0).any(axis=1), steps[(sacrum < 0).argmax(axis=1)], np.inf)


def _along(corridor: Corridor, field: str, starts: Points, directions: Points, steps: Numbers) -> Numbers:
    """Values ``(n, k)`` of a field at the voxels nearest to steps along directions; outside, -1."""
    grid, values = corridor.task.region.grid, corridor.task.region.fields[..., FIELDS.index(field)]
    inverse = np.linalg.inv(grid.lps_from_zyx[:3, :3])
    index = grid.to_index(starts)[:, None] + steps[:, None] * (directions @ inverse.T)[:, None]
    nearest = np.rint(index).astype(np.int64)
    inside = ((nearest >= 0) & (nearest < grid.shape_zyx)).all(axis=2)
    nearest[~inside] = 0
    return np.where(inside, values[tuple(np.moveaxis(nearest, 2, 0))], -1.0)


def _part(trials: Trials, number: int, size: int) -> Trials:
    """Trials of one direction."""
    return _pick(trials, np.arange(number * size, (number + 1) * size))


def _pick(trials: Trials, rows: NDArray[np.intp]) -> Trials:
    return Trials(
        trials.crossings[rows],
        trials.directions[rows],
        trials.values[rows],
        trials.reach_mm[rows],
        trials.held_mm[rows],
        trials.rejected,
    )


def _chain(config: LateralConfig, rods: Trials, count: int) -> tuple[NDArray[np.intp], float] | None:
    """Rows of the best chain of parallel rods, the most cranial first, and its score; None where there is none.

    By dynamic programming from the lowest rod upwards: what a chain is worth depends on neighbours alone.
    """
    fit = np.flatnonzero(rods.values >= 0)
    if len(fit) < count:
        return None
    height, gap = rods.crossings[fit, 2], _apart(rods.crossings[fit], rods.directions[0])
    lower = (gap >= config.least_spacing_mm) & (height[:, None] - height[None, :] >= LOWER_MM)
    link = np.where(lower, _spacing_worth(config, gap, count), NO_ROD)
    value, follows = rods.values[fit] / count, []
    total = value
    for _ in range(count - 1):
        reach = link + total[None, :]
        follows.append(reach.argmax(axis=1))
        total = value + reach.max(axis=1)
    best = int(total.argmax())
    if total[best] < 0:
        return None
    chain = [best]
    for following in reversed(follows):
        chain.append(int(following[chain[-1]]))
    return fit[chain], float(total[best])


def _apart(points: Points, direction: Points) -> Numbers:
    """Distances between lines of one direction through points."""
    flat = points - (points @ direction)[:, None] * direction
    apart: Numbers = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    return apart


def _spacing_worth(config: LateralConfig, gap: Numbers, count: int) -> Numbers:
    share = _ramp(gap, Ramp(zero=config.least_spacing_mm, one=config.spacing_mm))
    return config.score.spacing * share / max(count - 1, 1)


def _score(config: LateralConfig, rods: Trials) -> float:
    """Score of a bundle; where it breaks a constraint, by how much, negative."""
    if rods.values.min() < 0:
        return float(rods.values.min())
    gap = _apart(rods.crossings, rods.directions[0])
    apart = gap[~np.eye(len(gap), dtype=bool)]
    if len(apart) and apart.min() < config.least_spacing_mm:
        return float(apart.min()) - config.least_spacing_mm
    near = sum(float(_spacing_worth(config, gap[a, b], len(gap))) for a, b in pairwise(range(len(gap))))
    return float(rods.values.mean()) + near


def _refined(corridor: Corridor, bundle: Bundle, diameter_mm: float) -> Bundle:
    """Move rods aside, and turn the bundle, as long as that is better."""
    step, best = FIRST_MM, replace(bundle, score=_score(corridor.config, bundle.rods))
    while step >= LAST_MM:
        before = best.score
        for axis in (0, 1):
            for sign in (1.0, -1.0):
                best = _better(best, _turned(corridor, best, axis, sign * DEG_PER_MM * step, diameter_mm))
                for rod in range(len(best.rods.values)):
                    best = _better(best, _shifted(corridor, best, rod, axis, sign * step, diameter_mm))
        if best.score <= before + 1e-6:
            step *= 0.5
    return best


def _better(one: Bundle, other: Bundle | None) -> Bundle:
    return other if other is not None and other.score > one.score + 1e-6 else one


def _turned(corridor: Corridor, bundle: Bundle, axis: int, turn_deg: float, diameter_mm: float) -> Bundle | None:
    """Turn all rods about their crossings."""
    angles = list(bundle.angles_deg)
    angles[axis] += turn_deg
    limits = (corridor.config.to_anterior_deg, corridor.config.cranial_tilt_deg)[axis]
    if not limits[0] <= angles[axis] <= limits[1]:
        return None
    way = corridor.direction(*angles)
    rods = _rods_through(corridor, bundle.rods.crossings, way, diameter_mm)
    return None if rods is None else Bundle((angles[0], angles[1]), rods, _score(corridor.config, rods))


def _shifted(  # one move of one rod
    corridor: Corridor, bundle: Bundle, rod: int, axis: int, step_mm: float, diameter_mm: float
) -> Bundle | None:
    """Move one rod sideways."""
    frame, way = corridor.task.anatomy.bones.frame, bundle.rods.directions[0]
    aside = (frame.posterior_lps, frame.cranial_lps)[axis]
    moved = _rods_through(corridor, bundle.rods.crossings[rod : rod + 1] + step_mm * aside, way, diameter_mm)
    if moved is None:
        return None
    rods = bundle.rods
    parts = {}
    for name in ("crossings", "directions", "values", "reach_mm", "held_mm"):
        parts[name] = getattr(rods, name).copy()
        parts[name][rod] = getattr(moved, name)[0]
    changed = replace(rods, **parts)
    return Bundle(bundle.angles_deg, changed, _score(corridor.config, changed))


def _rods_through(corridor: Corridor, points: Points, way: Points, diameter_mm: float) -> Trials | None:
    """Rods of one direction through points near the mid-surface: each crosses at the vertex nearest to its line."""
    vertices, nearest = corridor.task.joint.vertices_lps, np.zeros(len(points), np.intp)
    for _ in range(SLIDES):
        nearest = corridor.nearest(points)
        points = points + ((vertices[nearest] - points) @ way)[:, None] * way
    if np.linalg.norm(points - vertices[nearest], axis=1).max() > OFF_MM:
        return None
    return try_rods(corridor, nearest, np.tile(way, (len(points), 1)), diameter_mm)


def what_stops(corridor: Corridor, trials: Trials, diameter_mm: float) -> tuple[str, int]:
    """Name the constraint that alone stops most rods at the least reach, and count how many rods fit together."""
    alone = np.zeros(len(CONSTRAINTS), np.int64)
    least = replace(trials, reach_mm=np.full(len(trials.values), float(_reaches(corridor.config)[0])))
    poses, lengths = held_part(least)
    for length in np.unique(lengths[np.isfinite(lengths)]):
        count, _ = only_broken(corridor.scene, poses[lengths == length], (diameter_mm, float(length)))
        alone += count
    first = np.unique(trials.directions, axis=0, return_index=True)[1]
    fitting = 0
    for start in np.sort(first):
        rows = np.flatnonzero((trials.directions == trials.directions[start]).all(axis=1))
        while _chain(corridor.config, _pick(trials, rows), fitting + 1) is not None:
            fitting += 1
    return (CONSTRAINTS[int(alone.argmax())] if alone.any() else ""), fitting
