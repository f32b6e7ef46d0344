"""What one side is planned on, gathered once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.implants import Implant
from planner.joint.model import Joint
from planner.keepout.model import Keepouts
from planner.labels import Side
from planner.segmentation.model import Bones
from planner.trajectory.config import TrajectoryConfig
from planner.trajectory.kernel import Scene
from planner.trajectory.region import Region, make_region
from planner.trajectory.scene import make_scene, with_guard
from planner.trajectory.section import Section, section_of
from planner.volume import Volume

__all__ = ["Anatomy", "Task", "make_task"]

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What the stages before found, on one grid.

    Attributes
    ----------
    volume, bones, joint, keepouts
        Of those stages.
    landmarks_lps : mapping of name to (3,) array
        Those that were seen, such as ``left_sciatic_notch``.
    """

    volume: Volume
    bones: Bones
    joint: Joint
    keepouts: Keepouts
    landmarks_lps: Mapping[str, Points]

    @property
    def on_one_grid(self) -> bool:
        """Whether the inputs lie on one grid."""
        grid = self.volume.grid
        return grid.same_as(self.bones.labels.grid) and grid.same_as(self.keepouts.mask.grid)


@dataclass(frozen=True, eq=False)
class Task:
    """What one side is planned on."""

    anatomy: Anatomy
    region: Region
    scene: Scene
    section: Section
    implant: Implant
    config: TrajectoryConfig

    @property
    def side(self) -> Side:
        """The patient's side."""
        return self.anatomy.joint.side

    @property
    def joint(self) -> Joint:
        """The joint to plan in."""
        return self.anatomy.joint

    @property
    def outline_error_mm(self) -> float:
        """Expected 95th percentile of the error of the bones' outlines at the joint; 0 where it is not known."""
        sure = self.anatomy.bones.joint_sureness.get(self.side)
        return sure.error_mm if sure is not None and np.isfinite(sure.error_mm) else 0.0

    def guarded(self, guard_mm: float) -> Scene:
        """Scene with a guard held back."""
        return with_guard(self.scene, self.config, guard_mm)


def make_task(anatomy: Anatomy, implant: Implant, config: TrajectoryConfig) -> Task:
    """Measure the region round the joint, and gather what a pose is held against."""
    bones, joint = anatomy.bones, anatomy.joint
    region = make_region(anatomy.volume, bones, joint, anatomy.keepouts, config.constraints)
    section = section_of(implant)
    notch = anatomy.landmarks_lps.get(f"{joint.side}_sciatic_notch")
    return Task(anatomy, region, make_scene(region, bones, joint, config, section, notch), section, implant, config)
