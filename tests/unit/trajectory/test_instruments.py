"""What goes in before the implant: the search keeps it away from keep-outs too, and says where it cannot."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from planner.implants import Implant
from planner.joint.model import Joint
from planner.keepout.model import Keepouts
from planner.labels import Keepout, Side
from planner.segmentation.model import Bones
from planner.trajectory import SidePlan, TrajectoryConfig, plan_side
from planner.trajectory.exact import Cylinder, clearance_to
from planner.trajectory.kernel import CONSTRAINTS, MEASURES, Scene, assess, only_broken
from planner.trajectory.region import make_region
from planner.trajectory.scene import make_scene
from planner.trajectory.section import Section
from planner.volume import LabelMap, Volume

from support.slab_pelvis import SlabPelvis

COARSE = SlabPelvis(spacing_mm=(1.5, 1.25, 1.25))
SIZE = (8.0, 20.0)
FLOOR_MM = 4.0
"""The limit to neural structures and the segmentation margin."""

Case = tuple[Volume, Bones, Joint, Keepouts]


def with_bar(depth: tuple[float, float], up: tuple[float, float]) -> Case:
    """The slabs with a keep-out in the left joint's gap, behind where the implant's entry can lie."""
    volume, bones, joints, keepouts = COARSE.build()
    grid = COARSE.grid
    local = COARSE.local(grid.to_lps(np.moveaxis(np.indices(grid.shape_zyx), 0, -1)), Side.LEFT)
    inside = (local >= (depth[0], -1.5, up[0])) & (local <= (depth[1], 1.5, up[1]))
    bar = inside.all(axis=-1)
    labels, mask = bones.labels.values.copy(), keepouts.mask.values.copy()
    labels[bar], mask[bar] = 0, Keepout.CANAL
    held = replace(keepouts, mask=LabelMap(mask, grid))
    return volume, replace(bones, labels=LabelMap(labels, grid)), joints[Side.LEFT], held


def scene_of(case: Case, changes: dict[str, object] | None = None, section: Section | None = None) -> Scene:
    volume, bones, joint, keepouts = case
    config = TrajectoryConfig.model_validate(changes or {})
    region = make_region(volume, bones, joint, keepouts, config.constraints)
    return make_scene(region, bones, joint, config, section or Section())


def plan(case: Case, implant: Implant, changes: dict[str, object] | None = None) -> SidePlan:
    volume, bones, joint, keepouts = case
    config = TrajectoryConfig.model_validate({"search": {"candidates": 1}, **(changes or {})})
    return plan_side(volume, bones, joint, keepouts, implant, config)


def pose_at(depth: float, up: float, turn_deg: float = 0.0) -> np.ndarray:
    turn = np.radians(turn_deg)
    ends = COARSE.world([[0, 0, 0], [np.cos(turn), 0, np.sin(turn)]], Side.LEFT)
    return np.concatenate([COARSE.world([depth, 0, up], Side.LEFT), ends[1] - ends[0]])


def broken(scene: Scene, pose: np.ndarray, size: tuple[float, float] = SIZE) -> set[str]:
    slack = assess(scene, pose, size)[1]
    return {CONSTRAINTS[k] for k in np.flatnonzero(slack < 0)}


@pytest.fixture(scope="module")
def half_barred() -> Case:
    """A bar before the lower part of the middle third: above it is room for the distractor, just."""
    return with_bar((5.0, 7.0), (-20.0, 3.5))


@pytest.fixture(scope="module")
def barred() -> Case:
    """A bar before the whole joint."""
    return with_bar((6.0, 8.0), (-40.0, 40.0))


def test_the_implant_alone_would_lie_in_front_of_the_bar(barred: Case) -> None:
    assert broken(scene_of(barred), pose_at(24.0, 0.0), (8.0, 15.0)) == {"distractor-clearance", "pin-clearance"}


def test_the_search_goes_round_what_only_the_distractor_meets(half_barred: Case, small_dowel: Implant) -> None:
    found = plan(half_barred, small_dowel)
    assert found.status == "planned", found.reason
    (one,) = found.candidates
    mouth = one.implant_tip_lps - one.depth_from_bone_mm * (one.implant_tip_lps - one.implant_entry_lps) / one.length_mm
    assert COARSE.local(mouth, Side.LEFT)[0] < 5.0  # it docks behind the bar
    assert one.clearances["distractor_neural"].mm >= FLOOR_MM
    assert one.clearances["pin_neural"].mm >= FLOOR_MM


def test_a_side_without_a_plan_for_its_distractor_says_so(barred: Case, small_dowel: Implant) -> None:
    found = plan(barred, small_dowel.model_copy(update={"lengths_mm": (15.0,)}))
    assert found.status == "no-safe-path"
    assert found.no_path is not None
    assert found.no_path.binding == "distractor-clearance"
    assert "distractor-clearance binds" in found.reason
    assert "The implant itself would fit." in found.reason
    assert found.no_path.limit_mm == pytest.approx(FLOOR_MM + 0.25)
    assert found.no_path.reached_mm is not None
    assert found.no_path.reached_mm < found.no_path.limit_mm
    assert found.rejected["distractor-clearance"] > 0


def test_the_exact_check_names_what_the_search_did_not_hold_back_enough_for(
    half_barred: Case, small_dowel: Implant, monkeypatch: pytest.MonkeyPatch
) -> None:
    import planner.trajectory.candidate as candidate

    true = candidate._instruments

    def nearer(*given: object) -> dict[str, Cylinder]:  # a distractor of 30 mm, which the search knows nothing of
        return {name: replace(one, radius_mm=15.0) for name, one in true(*given).items() if name[0] == "d"}

    monkeypatch.setattr(candidate, "_instruments", nearer)
    found = plan(half_barred, small_dowel)
    assert found.status == "no-safe-path"
    assert re.search(r"distractor-clearance comes to -?0\.\d\d mm where 4 mm are asked for", found.reason)


@pytest.mark.parametrize("wall", [0.0, 1.5])
@pytest.mark.parametrize("turn", [0.0, -12.0])
def test_the_search_and_the_exact_check_agree_on_the_distractor(half_barred: Case, wall: float, turn: float) -> None:
    changes: dict[str, object] = {"instruments": {"distractor_wall_mm": wall, "pin_mm": 3.0}}
    volume, bones, joint, keepouts = half_barred
    config = TrajectoryConfig.model_validate(changes)
    region = make_region(volume, bones, joint, keepouts, config.constraints)
    pose = pose_at(23.0, 10.0, turn)
    measures, *_ = assess(make_scene(region, bones, joint, config), pose, SIZE)
    m = dict(zip(MEASURES, measures.tolist(), strict=True))
    entry, mouth = (pose[:3] - away * pose[3:] for away in (SIZE[1] / 2, SIZE[1] / 2 + m["mouth"]))
    stop = pose[:3] + (SIZE[1] / 2 - max(0.0, 10.0 - m["anterior_margin"])) * pose[3:]
    inner = stop if wall else entry
    for name, solid in (
        ("distractor_neural", Cylinder(mouth, inner, SIZE[0] / 2 + wall)),
        ("pin_neural", Cylinder(mouth, stop, 1.5)),
    ):
        exact = clearance_to(solid, region.structures["neural"])
        assert exact is not None
        assert m[name] == pytest.approx(exact.mm, abs=0.6), name


def test_a_pin_thicker_than_the_implant_binds_alone(half_barred: Case, small_dowel: Implant) -> None:
    thick: dict[str, object] = {"instruments": {"pin_mm": 18.0}}
    free, held = plan(half_barred, small_dowel), plan(half_barred, small_dowel, thick)
    assert free.candidates
    assert not held.candidates
    assert held.no_path is not None
    assert held.no_path.binding == "pin-clearance"


def test_what_stops_implant_and_instrument_alike_counts_as_the_implants(barred: Case) -> None:
    scene, pose = scene_of(barred), pose_at(16.5, 0.0)
    assert {"neural-clearance", "distractor-clearance"} <= broken(scene, pose)
    alone, best = only_broken(scene, pose[None], SIZE)
    assert alone.tolist() == [1 if name == "neural-clearance" else 0 for name in CONSTRAINTS]
    assert best[CONSTRAINTS.index("neural-clearance")] < 0


def test_the_room_for_the_entry_ends_where_the_distractor_meets_a_bar() -> None:
    volume, bones, joint, keepouts = with_bar((5.0, 7.0), (-20.0, -5.0))
    free = COARSE.build()[3]
    pose = pose_at(24.0, 4.0)
    radius, unbarred = (
        float(assess(scene_of((volume, bones, joint, one)), pose, (8.0, 15.0))[3]) for one in (keepouts, free)
    )
    assert 0 < radius < unbarred
