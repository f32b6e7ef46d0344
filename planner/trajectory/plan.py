"""Plan one side: search, exact check, ranking, and the answer when nothing fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding, Level
from planner.implants import Implant
from planner.joint.model import Joint, Third
from planner.keepout.model import Keepouts
from planner.labels import Side
from planner.segmentation.model import Bones
from planner.trajectory.approach import c_arm_down, insertion_angles, skin_entry
from planner.trajectory.config import TrajectoryConfig
from planner.trajectory.exact import Cylinder, clearance_to, clearance_to_point
from planner.trajectory.kernel import (
    CONSTRAINTS,
    MEASURES,
    TERMS,
    Scene,
    assess,
    only_broken,
)
from planner.trajectory.model import Candidate, Clearance, PlacementError, SidePlan
from planner.trajectory.placement import breach_probability
from planner.trajectory.region import Region, make_region
from planner.trajectory.scene import make_scene, with_guard
from planner.trajectory.search import HAZARDS, Climber, Found, Trials, first_poses, next_best, try_all
from planner.volume import Volume

__all__ = ["plan_side"]

CANNULA_LENGTH_MM = 120.0
"""Cannula that is checked against neural structures where the skin is not in the scan."""

ALLOWED_MISSES = 3
"""Rounds of the search whose result may fail the exact check before the search gives up; each holds back more."""

NOTHING_NEURAL = "Neither sacral canal nor foramina were found beside the joint: no path can be checked against them."
"""Why a side without keep-outs is not planned."""

UNIT_OF_SLACK = dict.fromkeys(("axial-angle", "cranial-tilt"), "mm at the tip of a 20 mm implant")
"""Of the constraints on angles; all others are in mm."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Task:
    """What one side is planned on."""

    volume: Volume
    bones: Bones
    joint: Joint
    region: Region
    scene: Scene
    implant: Implant
    config: TrajectoryConfig

    @property
    def side(self) -> Side:
        """The patient's side."""
        return self.joint.side


def plan_side(
    volume: Volume,
    bones: Bones,
    joint: Joint,
    keepouts: Keepouts,
    implant: Implant,
    config: TrajectoryConfig,
) -> SidePlan:
    """Search for the best places of one implant in one sacroiliac joint.

    Parameters
    ----------
    volume, bones, keepouts
        On one grid.
    joint : Joint
        Of the side to plan.
    implant : Implant
        A single posterior cylinder; all its sizes are tried.
    config : TrajectoryConfig
        Constraints, score and search.

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
    if not (volume.grid.same_as(bones.labels.grid) and volume.grid.same_as(keepouts.mask.grid)):
        raise ValueError("volume, bones and keep-outs lie on different grids")
    reason = _cannot_plan(joint)
    if reason:
        return SidePlan(joint.side, "not-planned", reason, (), {})
    region = make_region(volume, bones, joint, keepouts, config.constraints)
    if not len(region.structures["neural"].points_lps):
        return SidePlan(joint.side, "not-planned", NOTHING_NEURAL, (), {})
    task = Task(volume, bones, joint, region, make_scene(region, bones, joint, config), implant, config)
    guarded = with_guard(task.scene, config, config.search.guard_mm)
    trials = try_all(guarded, first_poses(joint, guarded, config.search), sizes)
    candidates, best_failure = _propose(task, guarded, trials)
    rejected = dict(zip(CONSTRAINTS, trials.rejected.tolist(), strict=True))
    if not candidates:
        return SidePlan(joint.side, "no-safe-path", _no_path(task, guarded, trials, best_failure), (), rejected)
    unverified = _unverified(keepouts, task)
    status = "unverified" if unverified else "planned"
    return SidePlan(joint.side, status, unverified, candidates, rejected, _warnings(task, candidates))


def _cannot_plan(joint: Joint) -> str:
    if not joint.thirds.known:
        return "The scan cuts the joint off: its thirds are unknown, so the middle third cannot be planned in."
    if not (joint.third == Third.MIDDLE).any():
        return "The joint's mid-surface has no part in the middle third."
    return ""


def _unverified(keepouts: Keepouts, task: Task) -> str:
    reasons = []
    missing = keepouts.missing(task.side)
    if missing:
        reasons.append(f"Foramina that should be there were not found: {', '.join(missing)}.")
    if np.isnan(task.scene.part("notch")).any():
        reasons.append("The greater sciatic notch is not known, so its clearance is not checked.")
    return " ".join(reasons)


def _propose(task: Task, guarded: Scene, trials: Trials) -> tuple[tuple[Candidate, ...], Found | None]:
    """Candidates, best first, and the nearest miss if there is none."""
    config, tolerance = task.config, task.config.score.size_tolerance
    climber = Climber(guarded, config.search, tolerance)
    taken, misses = np.zeros((0, 6)), 0
    candidates: list[Candidate] = []
    best_failure = None
    while len(candidates) < config.search.candidates and misses < ALLOWED_MISSES:
        found = next_best(climber, trials, taken)
        if found is None or found.value < 0:
            best_failure = best_failure or found
            break
        candidate = _candidate(task, found)
        if candidate is not None:
            candidates.append(candidate)
            taken = np.vstack([taken, found.pose])
            continue
        best_failure = best_failure or found
        misses += 1
        if misses > 1:  # holding back more did not help
            taken = np.vstack([taken, found.pose])
        guard_mm = (1 + misses) * config.search.guard_mm
        climber = Climber(with_guard(task.scene, config, guard_mm), config.search, tolerance)
    return _ranked(candidates, tolerance), best_failure


def _ranked(candidates: list[Candidate], tolerance: float) -> tuple[Candidate, ...]:
    """Best first; of those whose scores are equal within the tolerance, the largest, and with the most clearance."""
    left, ranked = list(candidates), []
    while left:
        best = max(candidate.score for candidate in left)
        near = [candidate for candidate in left if candidate.score >= best - tolerance]
        ranked.append(max(near, key=lambda one: (one.diameter_mm**2 * one.length_mm, _least_clearance(one), one.score)))
        left.remove(ranked[-1])
    return tuple(ranked)


def _least_clearance(candidate: Candidate) -> float:
    return min(candidate.clearances[name].mm for name in HAZARDS if name in candidate.clearances)


def _candidate(task: Task, found: Found) -> Candidate | None:
    """Measure a pose exactly; None if the exact measure breaks a constraint that the samples kept."""
    diameter, length = found.size
    scene, config, frame = task.scene, task.config, task.bones.frame
    direction = found.pose[3:]
    implant = _cylinder(found)
    measures, slack, terms, radius = assess(scene, found.pose, found.size)
    m = dict(zip(MEASURES, measures.tolist(), strict=True))
    mouth = implant.entry_lps - m["mouth"] * direction
    skin = skin_entry(task.volume, mouth, -direction)
    clearances = _clearances(task, implant, mouth, skin, m)
    breach = breach_probability(scene, found.pose, found.size, config.placement, config.constraints)
    if not _keeps(clearances, breach, config):
        return None
    least = min(clearances[name].mm for name in HAZARDS if name in clearances)
    values = dict(zip(TERMS, terms.tolist(), strict=True))
    axial, tilt = insertion_angles(direction, frame, task.side)
    return Candidate(
        grade="green" if least >= config.score.green_mm else "amber",
        score=sum(config.score.weights[name] * value for name, value in values.items()),
        terms=values,
        implant_id=task.implant.id,
        diameter_mm=diameter,
        length_mm=length,
        implant_entry_lps=implant.entry_lps,
        implant_tip_lps=implant.tip_lps,
        skin_entry_lps=skin,
        third=Third(int(task.joint.thirds.of(found.pose[None, :3])[0])).name.lower(),
        articular_share=m["articular_share"],
        depth_from_bone_mm=m["mouth"] + length,
        depth_from_skin_mm=float(np.linalg.norm(implant.tip_lps - skin)),
        axial_to_sagittal_deg=axial,
        cranial_tilt_deg=tilt,
        c_arm={"down_the_implant": c_arm_down(direction, frame)},
        clearances=clearances,
        breach=breach,
        safe_entry_radius_mm=radius,
        hu_shell_mean=m["hu_shell"],
        binding=CONSTRAINTS[int(slack.argmin())],
    )


def _cylinder(found: Found) -> Cylinder:
    half = 0.5 * found.size[1] * found.pose[3:]
    return Cylinder(found.pose[:3] - half, found.pose[:3] + half, 0.5 * found.size[0])


def _clearances(
    task: Task, implant: Cylinder, mouth: Points, skin: Points, m: Mapping[str, float]
) -> dict[str, Clearance]:
    """Exact clearances of the implant, and of the cannula to neural structures; what is not there is left out."""
    constraints, structures = task.config.constraints, task.region.structures
    margin = constraints.segmentation_margin_mm
    outer = skin if np.isfinite(skin).all() else mouth - CANNULA_LENGTH_MM * implant.direction_lps
    cannula = Cylinder(outer, mouth, implant.radius_mm + task.config.instruments.cannula_wall_mm)
    found: dict[str, Clearance | None] = {
        "neural": clearance_to(implant, structures["neural"], margin),
        "access_neural": clearance_to(cannula, structures["neural"], margin),
        "ventral_cortex": clearance_to(implant, structures["ventral_cortex"]),
        "outer_iliac_cortex": clearance_to(implant, structures["outer_iliac_cortex"]),
    }
    notch = task.scene.part("notch")
    if np.isfinite(notch).all():
        found["sciatic_notch"] = clearance_to_point(implant, notch)
    if np.isfinite(m["anterior_margin"]):
        ahead = m["anterior_margin"]
        half = task.region.structures["neural"].half_diagonal_mm
        margin_lps = implant.tip_lps + ahead * implant.direction_lps
        found["anterior_margin"] = Clearance(ahead, ahead - half, margin_lps)
        stop = max(ahead, constraints.instrument_to_margin_mm)  # the implant may be pushed past the instruments' stop
        found["instrument_stop"] = Clearance(stop, stop - half, margin_lps - stop * implant.direction_lps)
    return {name: clearance for name, clearance in found.items() if clearance is not None}


def _keeps(clearances: Mapping[str, Clearance], breach: PlacementError, config: TrajectoryConfig) -> bool:
    """Whether the exact clearances keep their constraints."""
    c = config.constraints
    neural = c.neural_mm + c.segmentation_margin_mm
    floors = {
        "neural": neural,
        "access_neural": neural,
        "ventral_cortex": c.cortex_mm,
        "outer_iliac_cortex": c.cortex_mm,
    }
    if any(name in clearances and clearances[name].mm < floor for name, floor in floors.items()):
        return False
    if c.breach_rejects == "none":
        return True
    return bool(getattr(breach, c.breach_rejects) <= c.breach_probability)


def _no_path(task: Task, guarded: Scene, trials: Trials, found: Found | None) -> str:
    """Say which constraint binds: the one that alone stops the most trials; and how near they come to keeping it."""
    if found is None:
        return "No safe path: no trial path lies in the joint's middle third."
    if found.value >= 0:
        return "No safe path: every path that the search kept failed the exact check or the breach limit."
    alone, slack = np.zeros(len(CONSTRAINTS), np.int64), np.full(len(CONSTRAINTS), -np.inf)
    for size in trials.values:
        count, best = only_broken(guarded, trials.poses, size)
        alone, slack = alone + count, np.maximum(slack, best)
    binding = int(alone.argmax())
    if not alone[binding]:
        return f"No safe path: every trial breaks two constraints or more. {_nearest(task, guarded, found)}"
    return (
        f"No safe path: {CONSTRAINTS[binding]} binds; it alone stops {alone[binding]} trial paths, which come within "
        f"{-slack[binding]:.1f} {UNIT_OF_SLACK.get(CONSTRAINTS[binding], 'mm')} of keeping it. "
        f"{_nearest(task, guarded, found)}"
    )


def _nearest(task: Task, guarded: Scene, found: Found) -> str:
    """Describe the path that breaks its constraints by the least."""
    _, slack, _, _ = assess(guarded, found.pose, found.size)
    broken = ", ".join(f"{CONSTRAINTS[k]} by {-slack[k]:.1f} mm" for k in np.flatnonzero(slack < 0))
    neural = clearance_to(_cylinder(found), task.region.structures["neural"])
    reached = "" if neural is None else f" Its clearance to neural structures is {neural.mm:.1f} mm."
    return f"The nearest path ({found.size[0]:g} x {found.size[1]:g} mm) breaks {broken}.{reached}"


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
