"""No safe path: which constraint binds, how near the best path comes, and what would have to give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.trajectory.candidate import make_candidate, solid_of
from planner.trajectory.exact import clearance_to
from planner.trajectory.kernel import (
    CONSTRAINTS,
    FINELY,
    INSTRUMENT_LIMITS,
    ROUGHLY,
    Scene,
    assess,
    climb,
    only_broken,
)
from planner.trajectory.model import Give, NoPath
from planner.trajectory.scene import with_guard
from planner.trajectory.search import ALLOWED_MISSES, Climber, Found, Size, Trials, next_best, try_all
from planner.trajectory.task import Task

__all__ = ["explain_no_path", "words_of"]

UNIT_OF_SLACK = dict.fromkeys(("axial-angle", "cranial-tilt"), "mm at the tip of a 20 mm implant")
"""Of the constraints on angles; all others are in mm."""

NEURAL = ("neural_mm", 0.1, "a neural margin of {0:.1f} mm instead of {1:g}")
"""Of `LIMITS`: one setting for the implant and every instrument."""

LIMITS = {
    "neural-clearance": NEURAL,
    "ventral-cortex": ("cortex_mm", 0.1, "{0:.1f} mm to the cortex instead of {1:g}"),
    "outer-iliac-cortex": ("cortex_mm", 0.1, "{0:.1f} mm to the cortex instead of {1:g}"),
    "anterior-margin": ("implant_to_margin_mm", 0.1, "{0:.1f} mm to the anterior margin instead of {1:g}"),
    "access": ("nibble_mm", 10.0, "a nibble of {0:.1f} mm on the way in instead of {1:g}"),
    "sciatic-notch": ("sciatic_notch_mm", 0.1, "{0:.1f} mm to the sciatic notch instead of {1:g}"),
    "in-joint": ("joint_offset_mm", 8.0, "a centre {0:.1f} mm off the mid-surface instead of {1:g}"),
    **dict.fromkeys(INSTRUMENT_LIMITS, NEURAL),
}
"""Setting of each constraint, how far it is relaxed at most, and how that is said."""

ANGLES = {
    "axial-angle": ("axial_deg", 20.0, "axial angles from {0:.0f} to {1:.0f} degrees"),
    "cranial-tilt": ("cranial_tilt_deg", 20.0, "cranial tilts from {0:.0f} to {1:.0f} degrees"),
}
"""The same of ranges: by how much they are widened at most, at both ends."""

STEPS = 32
"""Parts of a whole relaxation: as finely is it told what suffices [P]."""

MORE = (0, 1, 2, 4, 8, 16, STEPS)
"""Steps beyond what samples find enough, that are tried in turn until the exact check agrees."""

SMALLER_MM, LEAST_DIAMETER_MM, LEAST_LENGTH_MM = (2.0, 4.0), 4.0, 10.0
"""Smaller implants tried: by how much thinner, and no smaller than this [P]."""

STARTS = 4
"""Best trials from which a path is climbed to."""

Array = NDArray[np.float64]


def explain_no_path(task: Task, guarded: Scene, trials: Trials, found: Found) -> NoPath:
    """Explain why nothing fits.

    Parameters
    ----------
    task : Task
        The side.
    guarded : Scene
        What the search held the trials against.
    trials : Trials
        All first poses.
    found : Found
        The path that comes nearest.
    """
    alone, slack = _stopped_alone(guarded, trials, found)
    name = _binding(alone)
    limit = _limit(task, name)
    _, left, _, _ = assess(guarded, found.pose, found.size)
    neural = clearance_to(solid_of(task, found), task.region.structures["neural"])
    return NoPath(
        binding=name,
        reached_mm=float(slack[CONSTRAINTS.index(name)]) + (limit or 0.0) if name else None,
        limit_mm=limit,
        implant_id=task.implant.id,
        diameter_mm=found.size[0],
        length_mm=found.size[1],
        broken={CONSTRAINTS[k]: float(-left[k]) for k in np.flatnonzero(left < 0)},
        neural_mm=None if neural is None else neural.mm,
        gives=tuple(_gives(task, trials, list(trials.values))),
    )


def _stopped_alone(guarded: Scene, trials: Trials, found: Found) -> tuple[NDArray[np.int64], Array]:
    """Count the trials, and the nearest path, that each constraint alone stops, and give its best slack in them."""
    alone, slack = np.zeros(len(CONSTRAINTS), np.int64), np.full(len(CONSTRAINTS), -np.inf)
    for size in trials.values:
        poses = np.vstack([trials.poses, found.pose]) if size == found.size else trials.poses
        count, best = only_broken(guarded, poses, size)
        alone, slack = alone + count, np.maximum(slack, best)
    return alone, slack


def _binding(alone: NDArray[np.int64]) -> str:
    """Name an instrument where one alone stops a path, for there the implant would fit; else what stops the most."""
    instruments = [CONSTRAINTS.index(name) for name in INSTRUMENT_LIMITS]
    for among in (instruments, list(range(len(CONSTRAINTS)))):
        if alone[among].any():
            return CONSTRAINTS[among[int(alone[among].argmax())]]
    return ""


def _limit(task: Task, name: str) -> float | None:
    """Give what a constraint asks for, with the search's margin and guard; None where it is no clearance."""
    if name not in LIMITS or name in ("access", "in-joint"):
        return None
    margin = task.config.constraints.segmentation_margin_mm if LIMITS[name][0] == "neural_mm" else 0.0
    guard = 0.0 if name == "sciatic-notch" else task.config.search.guard_mm
    return float(getattr(task.config.constraints, LIMITS[name][0])) + margin + guard


def words_of(no_path: NoPath) -> str:
    """Say it in sentences."""
    broken = ", ".join(f"{name} by {mm:.1f} mm" for name, mm in no_path.broken.items())
    nearest = f"The nearest path ({no_path.diameter_mm:g} x {no_path.length_mm:g} mm) breaks {broken}."
    neural = "" if no_path.neural_mm is None else f" Its clearance to neural structures is {no_path.neural_mm:.1f} mm."
    gives = " or ".join(give.words for give in no_path.gives)
    would = (
        f" What would have to give: {gives}." if gives else " No single relaxation that was tried lets a path through."
    )
    return f"No safe path: {_binds(no_path)} {nearest}{neural}{would}"


def _binds(no_path: NoPath) -> str:
    if not no_path.binding:
        return "every trial breaks two constraints or more."
    if no_path.limit_mm is not None and no_path.reached_mm is not None:
        fits = " The implant itself would fit." if no_path.binding in INSTRUMENT_LIMITS else ""
        return (
            f"{no_path.binding} binds; the best path that keeps all else comes to {no_path.reached_mm:.1f} mm where "
            f"{no_path.limit_mm:.2f} mm are asked for.{fits}"
        )
    short = -(no_path.reached_mm or 0.0)
    return f"{no_path.binding} binds; it is missed by {short:.1f} {UNIT_OF_SLACK.get(no_path.binding, 'mm')}."


def _gives(task: Task, trials: Trials, sizes: Sequence[Size]) -> Iterator[Give]:
    """Try each relaxation alone, with the smallest size: a larger one is no less in the way.

    What is said lets a path through if it is applied: the search is run with it.
    """
    smallest = min(sizes)
    for smaller in _smaller(smallest):
        if _plans(task, trials.poses, smaller):
            yield Give("implant-size", f"an implant of {smaller[0]:g} x {smaller[1]:g} mm", smaller)
            break
    tried = set()
    for name in (*LIMITS, *ANGLES):
        setting = (LIMITS.get(name) or ANGLES[name])[0]
        if setting not in tried:
            tried.add(setting)
            share = _least_share(task, trials.poses, smallest, name)
            if share is not None:
                yield _give(task, name, share)


def _smaller(size: Size) -> Iterator[Size]:
    diameter, length = size
    for thinner in SMALLER_MM:
        if diameter - thinner >= LEAST_DIAMETER_MM:
            yield diameter - thinner, length
    if length > LEAST_LENGTH_MM:
        yield diameter, LEAST_LENGTH_MM
        if diameter - SMALLER_MM[-1] >= LEAST_DIAMETER_MM:
            yield diameter - SMALLER_MM[-1], LEAST_LENGTH_MM


def _least_share(task: Task, poses: Array, size: Size, name: str) -> float | None:
    """Least share of the whole relaxation, to `1 / STEPS`, with which a path is planned; None where none is."""
    if not _fits(_relaxed(task, name, STEPS), poses, size):
        return None
    low, high = 0, STEPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(_relaxed(task, name, middle), poses, size) else (middle, high)
    # samples have it nearly right: the exact check may ask for a little more
    steps = sorted({min(high + more, STEPS) for more in MORE})
    enough = (step for step in steps if _plans(_relaxed(task, name, step), poses, size))
    return next((step / STEPS for step in enough), None)


def _relaxed(task: Task, name: str, step: int) -> Task:
    """Copy a task with one constraint relaxed by some of `STEPS`."""
    setting, value = _setting(task, name, step / STEPS)
    constraints = task.config.constraints.model_copy(update={setting: value})
    config = task.config.model_copy(update={"constraints": constraints})
    return replace(task, config=config, scene=with_guard(task.scene, config, 0.0))


def _setting(task: Task, name: str, share: float) -> tuple[str, Any]:
    """Give the setting of a constraint and its value, relaxed by a share; rounded outward, as it is said."""
    if name in ANGLES:
        setting, wider, _ = ANGLES[name]
        low, high = getattr(task.config.constraints, setting)
        return setting, (float(math.floor(low - share * wider)), float(math.ceil(high + share * wider)))
    setting, extreme, _ = LIMITS[name]
    present = float(getattr(task.config.constraints, setting))
    value, outward = present + share * (extreme - present), math.ceil if extreme > present else math.floor
    return setting, outward(round(10 * value, 6)) / 10


def _give(task: Task, name: str, share: float) -> Give:
    setting, value = _setting(task, name, share)
    if name in ANGLES:
        return Give(name, ANGLES[name][2].format(*value), value)
    return Give(name, LIMITS[name][2].format(value, getattr(task.config.constraints, setting)), (value,))


def _fits(task: Task, poses: Array, size: Size) -> bool:
    """Whether a trial keeps every constraint, or one that is climbed to from the best of them."""
    scene = task.guarded(task.config.search.guard_mm)
    values = try_all(scene, poses, [size]).values[size]
    if values.max() >= 0:
        return True
    nothing = np.zeros((0, 6))
    starts = poses[np.argsort(-values, kind="stable")[:STARTS]]
    ends = (climb(scene, start, size, nothing, (5.0, 5.0), ROUGHLY)[0] for start in starts)
    return any(climb(scene, end, size, nothing, (5.0, 5.0), FINELY)[1] >= 0 for end in ends)


def _plans(task: Task, poses: Array, size: Size) -> bool:
    """Whether the search finds a path with one size that the exact check keeps, holding back more as when planning."""
    if not _fits(task, poses, size):
        return False
    return any(
        _found(task, poses, size, (1 + missed) * task.config.search.guard_mm) for missed in range(ALLOWED_MISSES)
    )


def _found(task: Task, poses: Array, size: Size, guard_mm: float) -> bool:
    scene = task.guarded(guard_mm)
    climber = Climber(scene, task.config.search, task.config.score.size_tolerance)
    found = next_best(climber, try_all(scene, poses, [size]), np.zeros((0, 6)))
    return found is not None and found.value >= 0 and make_candidate(task, found) is not None
