"""The slab pelvis with what the stages before would give of it, and its plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.implants import Implant
from planner.joint.model import Joint
from planner.keepout.model import Keepouts
from planner.labels import Side
from planner.segmentation.model import Bones
from planner.trajectory import SidePlan, TrajectoryConfig, plan_side
from planner.volume import Volume

from support.slab_pelvis import SlabPelvis


@dataclass(frozen=True, eq=False)
class Planned:
    """A phantom, what the stages before would give of it, and the plans."""

    phantom: SlabPelvis
    volume: Volume
    bones: Bones
    joints: Mapping[Side, Joint]
    keepouts: Keepouts
    plans: Mapping[Side, SidePlan]


def make_planned(phantom: SlabPelvis, implant: Implant, config: TrajectoryConfig | None = None) -> Planned:
    volume, bones, joints, keepouts = phantom.build()
    config = config or TrajectoryConfig()
    plans = {side: plan_side(volume, bones, joints[side], keepouts, implant, config) for side in Side}
    return Planned(phantom, volume, bones, joints, keepouts, plans)
