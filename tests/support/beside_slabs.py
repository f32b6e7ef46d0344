"""The slab pelvis with lateral rods and needles, planned and as a result folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.implants import load_catalogue
from planner.injection import InjectionConfig, InjectionPlan, plan_injection
from planner.labels import Side
from planner.lateral import LateralConfig, LateralPlan, plan_lateral
from planner.plan import PlanDocument, describe_injection, describe_lateral
from planner.trajectory import TrajectoryConfig
from planner.trajectory.config import Constraints
from planner.trajectory.task import Anatomy

from support.planned_files import write_plan
from support.planned_slabs import Planned
from support.slab_pelvis import SlabPelvis

__all__ = ["Beside", "anatomy_of", "plan_beside", "write_beside"]


@dataclass(frozen=True, eq=False)
class Beside:
    """A phantom, and what was planned beside its implants."""

    planned: Planned
    rods: Mapping[Side, LateralPlan]
    needles: Mapping[Side, InjectionPlan]


def anatomy_of(phantom: SlabPelvis, side: Side) -> Anatomy:
    """What the stages before would give of one side."""
    volume, bones, joints, keepouts = phantom.build()
    return Anatomy(volume, bones, joints[side], keepouts, bones.fit.landmarks_lps)


def plan_beside(planned: Planned, config: LateralConfig | None = None) -> Beside:
    """Plan rods and needle on both sides."""
    implant, shared = load_catalogue().find("IFUSE"), TrajectoryConfig()
    rods, needles = {}, {}
    for side in Side:
        bones = planned.bones
        anatomy = Anatomy(planned.volume, bones, planned.joints[side], planned.keepouts, bones.fit.landmarks_lps)
        best = next(iter(planned.plans[side].candidates), None)
        rods[side] = plan_lateral(anatomy, implant, config or LateralConfig(), shared, best)
        needles[side] = plan_injection(anatomy, InjectionConfig(), Constraints())
    return Beside(planned, rods, needles)


def write_beside(folder: Path, beside: Beside) -> None:
    """Write a result folder with rods and needles in its plan."""
    write_plan(folder, beside.planned)
    path = folder / "plan.json"
    document = PlanDocument.model_validate_json(path.read_text())
    sides = {
        side.value: document.sides[side.value].model_copy(
            update={
                "lateral": describe_lateral(beside.rods[side]),
                "injection": describe_injection(beside.needles[side]),
            }
        )
        for side in Side
    }
    path.write_text(document.model_copy(update={"sides": sides}).to_json())
