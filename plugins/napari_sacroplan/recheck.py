"""A dragged path, checked again by the planner's own evaluation. Nothing is measured here by other means.

All that this plugin knows of the search is in this file: `assess` for constraints, the score's terms and the access,
`clearance_to` for exact clearances with their witness points, `Climber` for an optimum nearby, `make_candidate` for all
the figures of a path that keeps its constraints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sacroplan.nearby import Nearby
from napari_sacroplan.placement import Placement
from napari_sacroplan.reopen import ReviewedCase, landmarks_of
from planner.joint.model import Third
from planner.labels import Side
from planner.trajectory.approach import insertion_angles
from planner.trajectory.candidate import make_candidate, solid_of
from planner.trajectory.config import TrajectoryConfig
from planner.trajectory.exact import Cylinder, clearance_to, clearance_to_point
from planner.trajectory.kernel import CONSTRAINTS, MEASURES, TERMS, assess
from planner.trajectory.model import Candidate, Clearance
from planner.trajectory.scene import make_scene, with_slab
from planner.trajectory.search import HAZARDS, Climber, Found
from planner.trajectory.task import Anatomy, Task, make_task

__all__ = ["Checked", "Checker", "Checkers", "make_checker", "make_checkers"]

EXACT = {"neural-clearance": "neural", "ventral-cortex": "ventral_cortex", "outer-iliac-cortex": "outer_iliac_cortex"}
"""Constraints that are held against an exact clearance, as the planner's last check does."""

TOLERANCE_MM = 0.005
"""`plan.json` rounds ends and frame: a proposal that lies on its limit must not seem to break it."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Checked:
    """What one placement measures.

    Attributes
    ----------
    slack : mapping of str to float
        How much of each constraint is left; negative where it is broken.
    clearances : mapping of str to Clearance
        Exact, with witness points.
    terms : mapping of str to float
        Of the score, 0-1.
    score : float
        Their weighted sum.
    grade : str
        ``green``, ``amber`` or ``red``: red breaks a constraint.
    axial_deg, tilt_deg : float
        Insertion direction in the pelvic frame.
    third : str
        Of the implant's centre.
    articular_share, depth_from_bone_mm, safe_entry_radius_mm
        As in `planner.trajectory.model.Candidate`.
    """

    slack: Mapping[str, float]
    clearances: Mapping[str, Clearance]
    terms: Mapping[str, float]
    score: float
    grade: str
    axial_deg: float
    tilt_deg: float
    third: str
    articular_share: float
    depth_from_bone_mm: float
    safe_entry_radius_mm: float

    @property
    def broken(self) -> tuple[str, ...]:
        """Constraints that are broken, the worst first."""
        return tuple(sorted((name for name, left in self.slack.items() if left < 0), key=self.slack.__getitem__))

    @property
    def binding(self) -> str:
        """The constraint with the least slack."""
        return min(self.slack, key=self.slack.__getitem__)


@dataclass(frozen=True, eq=False)
class Checker:
    """One side of a case, ready to measure any placement.

    Attributes
    ----------
    task : Task
        The planner's own.
    nearby : mapping of str to Nearby
        Its structures, in cells.
    """

    task: Task
    nearby: Mapping[str, Nearby]

    @classmethod
    def of(cls, task: Task) -> Checker:
        """Sort a task's structures into cells."""
        return cls(task, {name: Nearby.of(structure) for name, structure in task.region.structures.items()})

    @property
    def config(self) -> TrajectoryConfig:
        """Settings that placements are held against."""
        return self.task.config

    def check(self, placement: Placement) -> Checked:
        """Measure a placement by the planner's own evaluation."""
        task, found = self._laid(placement), _found(placement)
        measures, slack, terms, radius = assess(task.scene, found.pose, found.size)
        m = dict(zip(MEASURES, measures.tolist(), strict=True))
        clearances = self._clearances(solid_of(task, found), m)
        left = self._slack(dict(zip(CONSTRAINTS, slack.tolist(), strict=True)), clearances)
        values = dict(zip(TERMS, terms.tolist(), strict=True))
        axial, tilt = insertion_angles(placement.direction_lps, task.anatomy.bones.frame, task.side)
        return Checked(
            slack=left,
            clearances=clearances,
            terms=values,
            score=sum(task.config.score.weights[name] * value for name, value in values.items()),
            grade=self._grade(left, clearances),
            axial_deg=axial,
            tilt_deg=tilt,
            third=Third(int(task.joint.thirds.of(found.pose[None, :3])[0])).name.lower(),
            articular_share=m["articular_share"],
            depth_from_bone_mm=m["mouth"] + placement.length_mm,
            safe_entry_radius_mm=float(radius),
        )

    def candidate(self, placement: Placement) -> Candidate | None:
        """Give all the planner's figures; None where the placement breaks a constraint."""
        if self.check(placement).broken:
            return None
        return make_candidate(self._laid(placement), _found(placement))

    def climb(self, placement: Placement) -> Placement:
        """Find the best placement of the same size that the planner's own climb reaches from here."""
        config, nothing = self.task.config, np.zeros((0, 6))
        scene = self._laid(placement).guarded(config.search.guard_mm)
        climber = Climber(scene, config.search, config.score.size_tolerance)
        end = climber.climb_from(_found(placement).pose, placement.size, nothing)
        return placement.at(climber.polish(end, nothing).pose)

    def with_limits(self, config: TrajectoryConfig) -> Checker:
        """Hold placements against other margins; the fields stay."""
        anatomy, task = self.task.anatomy, self.task
        notch = anatomy.landmarks_lps.get(f"{task.side}_sciatic_notch")
        scene = make_scene(task.region, anatomy.bones, task.joint, config, task.section, notch)
        return replace(self, task=replace(task, scene=scene, config=config))

    def with_third(self, third: Third) -> Checker:
        """Aim at another third of the joint."""
        bounds = self.task.joint.thirds.bounds_mm
        low = Third.INFERIOR - third
        scene = with_slab(self.task.scene, (float(bounds[low]), float(bounds[low + 1])))
        return replace(self, task=replace(self.task, scene=scene))

    def out_of_joint_lps(self, placement: Placement) -> Points:
        """Give the unit vector across the implant's axis and out of the joint, sacrum to ilium."""
        facing, axis = self.task.scene.part("facing"), placement.direction_lps
        out = facing - (facing @ axis) * axis
        unit: Points = out / np.linalg.norm(out)
        return unit

    def _laid(self, placement: Placement) -> Task:
        """Lay the cross-section as the placement has it: the planner turned it to the joint where it is."""
        if placement.across_lps is None:
            return self.task
        scene = self.task.scene._replace(numbers=self.task.scene.numbers.copy())
        scene.part("facing")[:] = placement.across_lps[1]
        return replace(self.task, scene=scene)

    def _clearances(self, implant: Cylinder, m: Mapping[str, float]) -> dict[str, Clearance]:
        margin = self.task.config.constraints.segmentation_margin_mm
        margins = {"neural": margin, "soft": 0.0, "ventral_cortex": 0.0, "outer_iliac_cortex": 0.0}
        measured = {
            name: clearance_to(implant, self.nearby[name].to(implant), mm)
            for name, mm in margins.items()
            if name in self.nearby
        }
        kept = {name: clearance for name, clearance in measured.items() if clearance is not None}
        notch = self.task.scene.part("notch")
        if np.isfinite(notch).all():
            kept["sciatic_notch"] = clearance_to_point(implant, notch)
        ahead = m["anterior_margin"]
        if np.isfinite(ahead):
            kept["anterior_margin"] = Clearance(ahead, ahead, implant.tip_lps + ahead * implant.direction_lps)
        way = m["access_neural"]
        kept["access_neural"] = Clearance(way, way, implant.entry_lps - m["mouth"] * implant.direction_lps)
        return kept

    def _slack(self, slack: dict[str, float], clearances: Mapping[str, Clearance]) -> dict[str, float]:
        limits = self.task.config.constraints
        floors = {
            "neural": limits.neural_mm + limits.segmentation_margin_mm,
            "ventral_cortex": limits.cortex_mm,
            "outer_iliac_cortex": limits.cortex_mm,
        }
        for constraint, name in EXACT.items():
            if name in clearances:
                slack[constraint] = clearances[name].mm - floors[name]
        return {name: 0.0 if -TOLERANCE_MM < left < 0 else left for name, left in slack.items()}

    def _grade(self, slack: Mapping[str, float], clearances: Mapping[str, Clearance]) -> str:
        if min(slack.values()) < 0:
            return "red"
        least = min(clearances[name].mm for name in HAZARDS if name in clearances)
        return "green" if least >= self.task.config.score.green_mm else "amber"


Checkers = dict[Side, Checker | None]
"""By side; None where nothing can be held against anything."""


def make_checkers(case: ReviewedCase) -> Checkers:
    """Prepare both sides."""
    return {side: make_checker(case, side) for side in Side}


def make_checker(case: ReviewedCase, side: Side) -> Checker | None:
    """Prepare one side; None where it has no joint, no thirds, or nothing neural to keep away from."""
    joint = case.joints.get(side)
    if joint is None or not joint.thirds.known:
        return None
    anatomy = Anatomy(case.volume, case.bones, joint, case.keepouts, landmarks_of(case.plan, side))
    task = make_task(anatomy, case.implant, case.config.trajectory)
    return Checker.of(task) if len(task.region.structures["neural"].points_lps) else None


def _found(placement: Placement) -> Found:
    return Found(np.concatenate([placement.centre_lps, placement.direction_lps]), placement.size, 0.0)
