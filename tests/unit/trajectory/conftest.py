"""One slab pelvis, planned once for all tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from slab_pelvis import SlabPelvis

from planner.implants import Implant, load_catalogue
from planner.joint.model import Joint
from planner.keepout.model import Keepouts
from planner.labels import Side
from planner.segmentation.model import Bones
from planner.trajectory import SidePlan, TrajectoryConfig, plan_side
from planner.volume import Volume


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


@pytest.fixture(scope="session")
def dowel() -> Implant:
    """The default implant."""
    return load_catalogue().plannable("GENERIC-DOWEL")


@pytest.fixture(scope="session")
def small_dowel(dowel: Implant) -> Implant:
    """One size only: fast."""
    return dowel.model_copy(update={"diameters_mm": (8.0,), "lengths_mm": (20.0,)})


@pytest.fixture(scope="session")
def planned(small_dowel: Implant) -> Planned:
    """Both sides of the default phantom."""
    return make_planned(SlabPelvis(spacing_mm=(1.5, 1.25, 1.25)), small_dowel)
