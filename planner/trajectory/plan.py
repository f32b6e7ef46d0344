"""Plan one side: search, exact check, ranking, and the answer when nothing fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding, Level
from planner.implants import Implant
from planner.joint.model import Joint, Third
from planner.keepout.model import Keepouts
from planner.segmentation.model import Bones
from planner.trajectory.candidate import least_clearance, make_candidate, what_fails
from planner.trajectory.config import TrajectoryConfig
from planner.trajectory.explain import with_reasons
from planner.trajectory.kernel import CONSTRAINTS, Scene
from planner.trajectory.model import Candidate, SidePlan
from planner.trajectory.relax import explain_no_path, words_of
from planner.trajectory.roll import with_roll
from planner.trajectory.search import (
    ALLOWED_MISSES,
    CLEARANCE_STEP_MM,
    Climber,
    Found,
    Size,
    Trials,
    first_poses,
    next_best,
    try_all,
)
from planner.trajectory.task import Anatomy, Task, make_task
from planner.trajectory.thirds import compare_thirds
from planner.volume import Volume

__all__ = ["plan_side"]

NOTHING_NEURAL = "Neither sacral canal nor foramina were found beside the joint: no path can be checked against them."
"""Why a side without keep-outs is not planned."""

NOTHING_TRIED = "No safe path: no trial path lies in the joint's middle third."
"""Why a side without a single trial has none."""

NOTHING_KEPT = "No safe path: every path that the search kept fails in the exact check. Of the best, {}."
"""Why a side whose paths all fail at the end has none."""

Miss = tuple[Task, Found]
"""A path that breaks a constraint, and what it was held against."""


def plan_side(  # noqa: PLR0913  # what each stage before gave
    volume: Volume,
    bones: Bones,
    joint: Joint,
    keepouts: Keepouts,
    implant: Implant,
    config: TrajectoryConfig,
    landmarks_lps: Mapping[str, NDArray[np.float64]] | None = None,
) -> SidePlan:
    """Search for the best places of one implant in one sacroiliac joint.

    Parameters
    ----------
    volume, bones, keepouts
        On one grid.
    joint : Joint
        Of the side to plan.
    implant : Implant
        A single posterior implant; all its sizes are tried.
    config : TrajectoryConfig
        Constraints, score and search.
    landmarks_lps : mapping of name to (3,) array, optional
        Landmarks that were seen: the greater sciatic notch, which is else taken from the fitted shape, and the PSIS.

    Returns
    -------
    SidePlan
        ``planned``; ``unverified`` where foramina of S1-S3 were not found or the notch is not known; ``no-safe-path``
        with the constraint that binds; ``not-planned`` where the joint's thirds or all neural structures are unknown.

    Raises
    ------
    planner.errors.ImplantError
        If the implant cannot be planned with.
    ValueError
        If the inputs lie on different grids.
    """
    sizes = implant.sizes()
    anatomy = Anatomy(volume, bones, joint, keepouts, landmarks_lps or {})
    if not anatomy.on_one_grid:
        raise ValueError("volume, bones and keep-outs lie on different grids")
    reason = _cannot_plan(joint)
    if reason:
        return SidePlan(joint.side, "not-planned", reason, (), {})
    task = make_task(anatomy, implant, config)
    if not len(task.region.structures["neural"].points_lps):
        return SidePlan(joint.side, "not-planned", NOTHING_NEURAL, (), {})
    return _search(task, sizes)


def _search(task: Task, sizes: Sequence[Size]) -> SidePlan:
    guarded = task.guarded(task.config.search.guard_mm)
    trials = try_all(guarded, first_poses(task.joint, guarded, task.config.search), sizes)
    candidates, miss = _propose(task, guarded, trials)
    rejected = dict(zip(CONSTRAINTS, trials.rejected.tolist(), strict=True))
    if not candidates:
        return _no_path(task, guarded, trials, miss, rejected)
    unverified = _unverified(task)
    return SidePlan(
        task.side,
        "unverified" if unverified else "planned",
        unverified,
        with_reasons(candidates, task.config.score.weights),
        rejected,
        _warnings(task, candidates),
        thirds_compared=compare_thirds(task, candidates[0], sizes),
    )


def _cannot_plan(joint: Joint) -> str:
    if not joint.thirds.known:
        return "The scan cuts the joint off: its thirds are unknown, so the middle third cannot be planned in."
    if not (joint.third == Third.MIDDLE).any():
        return "The joint's mid-surface has no part in the middle third."
    return ""


def _unverified(task: Task) -> str:
    reasons = []
    missing = task.anatomy.keepouts.missing(task.side)
    if missing:
        reasons.append(f"Foramina that should be there were not found: {', '.join(missing)}.")
    if np.isnan(task.scene.part("notch")).any():
        reasons.append("The greater sciatic notch is not known, so its clearance is not checked.")
    return " ".join(reasons)


def _propose(task: Task, guarded: Scene, trials: Trials) -> tuple[tuple[Candidate, ...], Miss | None]:
    """Candidates, best first, and the first miss."""
    config, tolerance = task.config, task.config.score.size_tolerance
    climber = Climber(guarded, config.search, tolerance)
    taken, misses, guard_mm = np.zeros((0, 6)), 0, config.search.guard_mm
    candidates: list[Candidate] = []
    first_miss = None
    while len(candidates) < config.search.candidates and misses < ALLOWED_MISSES:
        found = next_best(climber, trials, taken)
        if found is None:
            break
        if found.value < 0:
            first_miss = first_miss or (task, found)
            break
        turned, found = with_roll(task, found, taken, guard_mm)
        candidate = make_candidate(turned, found)
        if candidate is not None:
            candidates.append(candidate)
            taken = np.vstack([taken, found.pose])
            continue
        first_miss = first_miss or (turned, found)
        misses += 1
        if misses > 1:  # holding back more did not help
            taken = np.vstack([taken, found.pose])
        guard_mm = (1 + misses) * config.search.guard_mm
        climber = Climber(task.guarded(guard_mm), config.search, tolerance)
    return _ranked(candidates, tolerance), first_miss


def _ranked(candidates: list[Candidate], tolerance: float) -> tuple[Candidate, ...]:
    """Best first; of those whose scores are equal within the tolerance, the largest, and with more clearance."""
    left, ranked = list(candidates), []
    while left:
        best = max(candidate.score for candidate in left)
        near = [candidate for candidate in left if candidate.score >= best - tolerance]
        ranked.append(
            max(
                near,
                key=lambda one: (
                    one.diameter_mm**2 * one.length_mm,
                    least_clearance(one) // CLEARANCE_STEP_MM,
                    one.score,
                ),
            )
        )
        left.remove(ranked[-1])
    return tuple(ranked)


def _no_path(task: Task, guarded: Scene, trials: Trials, miss: Miss | None, rejected: Mapping[str, int]) -> SidePlan:
    if miss is None or miss[1].value >= 0:
        words = NOTHING_TRIED if miss is None else NOTHING_KEPT.format(" and ".join(what_fails(*miss)))
        return SidePlan(task.side, "no-safe-path", words, (), rejected)
    no_path = explain_no_path(task, guarded, trials, miss[1])
    return SidePlan(task.side, "no-safe-path", words_of(no_path), (), rejected, no_path=no_path)


def _warnings(task: Task, candidates: tuple[Candidate, ...]) -> tuple[Finding, ...]:
    limit = task.config.constraints.breach_probability
    breach = candidates[0].breach
    if breach.fluoroscopic <= limit:
        return ()
    only = "only the navigated placement model passes" if breach.navigated <= limit else "no placement model passes"
    message = (
        f"Probability that the first candidate, misplaced as operators do, breaches: {breach.navigated:.0%} "
        f"navigated, {breach.fluoroscopic:.0%} fluoroscopic; {only} the limit of {limit:.0%}."
    )
    return (Finding("breach-probability", Level.WARN, task.side.value, message),)
