"""The tension between the thirds: the middle lies behind the deepest recess, the caudal joint has the closest bones.

The best path of each is found by the same search, and told side by side. Only the middle third's is ever proposed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.joint.model import Joint, Third, Zone
from planner.trajectory.candidate import least_clearance
from planner.trajectory.kernel import MEASURES, TERMS, assess
from planner.trajectory.model import Candidate, ThirdBest
from planner.trajectory.scene import with_slab
from planner.trajectory.search import HAZARDS, Climber, Size, first_poses, try_all
from planner.trajectory.task import Task

__all__ = ["compare_thirds"]

STEP_MM, CLIMBS = 6.0, 3
"""Spacing of the first centres, and climbs: a comparison needs no more [P]."""


def compare_thirds(task: Task, best: Candidate, sizes: Sequence[Size]) -> dict[str, ThirdBest]:
    """Best path of the middle third, which is the first candidate, and of the inferior third."""
    found = {
        "middle": ThirdBest(
            True, best.articular_share, best.score, least_clearance(best), _gap(task.joint, Third.MIDDLE)
        )
    }
    caudal = _best_caudal(task, sizes)
    return found if caudal is None else {**found, "inferior": caudal}


def _best_caudal(task: Task, sizes: Sequence[Size]) -> ThirdBest | None:
    """Best path within the inferior third's slab; None where the joint has none of it."""
    if not (task.joint.third == Third.INFERIOR).any():
        return None
    low, high = task.joint.thirds.bounds_mm[:2]
    search = task.config.search.model_copy(update={"centre_step_mm": STEP_MM})
    scene = with_slab(task.scene, (float(low), float(high)))
    trials = try_all(scene, first_poses(task.joint, scene, search, Third.INFERIOR), sizes)
    starts = sorted(
        ((float(values.max()), size, trials.poses[values.argmax()]) for size, values in trials.values.items()),
        key=lambda start: -start[0],
    )
    climber, nothing = Climber(scene, search, 0.0), np.zeros((0, 6))
    ends = [climber.climb_from(pose, size, nothing) for _, size, pose in starts[:CLIMBS]]
    best = max(ends, key=lambda end: end.value)
    measures, slack, terms, _ = assess(scene, best.pose, best.size)
    values = dict(zip(TERMS, terms.tolist(), strict=True))
    return ThirdBest(
        fits=bool(slack.min() >= 0),
        articular_share=float(measures[MEASURES.index("articular_share")]),
        score=sum(task.config.score.weights[name] * value for name, value in values.items()),
        clearance_mm=min(float(measures[MEASURES.index(name)]) for name in HAZARDS),
        gap_mm=_gap(task.joint, Third.INFERIOR),
    )


def _gap(joint: Joint, third: Third) -> float:
    """Median gap of the articular joint in one third; NaN where there is none."""
    there = (joint.third == third) & (joint.zone == Zone.ARTICULAR)
    return float(np.median(joint.gap_mm[there])) if there.any() else float("nan")
