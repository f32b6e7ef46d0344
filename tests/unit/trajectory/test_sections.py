"""Cross-sections that are not round: against closed forms, planned on slabs, verified from the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from planner.implants import Implant
from planner.labels import Side
from planner.trajectory import TrajectoryConfig
from planner.trajectory.exact import Cylinder, Prism
from planner.trajectory.roll import with_roll
from planner.trajectory.search import Found
from planner.trajectory.section import ROUND, section_of
from planner.trajectory.task import Anatomy, Task, make_task
from planner.verify import verify_folder

from support.planned_files import write_plan
from support.planned_slabs import make_planned
from support.slab_pelvis import SlabPelvis

COARSE = SlabPelvis(spacing_mm=(1.5, 1.25, 1.25))


def device(shape: str, **more: object) -> Implant:
    sizes = {"diameters_mm": (8.0,), "lengths_mm": (20.0,), "count": 1}
    return Implant.model_validate(
        {"id": "D", "maker": "none", "approach": "posterior", "source": "test", "shape": shape} | sizes | more
    )


@pytest.mark.parametrize("shape", ["cylinder", "tapered", "screw"])
def test_round_shapes_share_the_round_section(shape: str) -> None:
    assert section_of(device(shape)) is ROUND


def test_a_box_is_as_wide_as_its_diameter_and_lies_as_asked() -> None:
    flat = section_of(device("box", height_share=0.5))
    assert flat.extent == pytest.approx([1, 0.5])
    assert flat.numbers[2:] == pytest.approx([0.5, np.hypot(1, 0.5)])
    assert section_of(device("box", height_share=0.5, across_joint=True)).extent == pytest.approx([0.5, 1])


def test_a_triangle_holds_the_circle_of_its_diameter() -> None:
    inscribed, circumscribed = section_of(device("triangular rod")).numbers[2:]
    assert (inscribed, circumscribed) == pytest.approx((1, 2))


def test_two_barrels_are_held_by_their_hull() -> None:
    section = section_of(device("twin barrel"))
    assert section.corners is not None
    angle = np.linspace(0, 2 * np.pi, 60)
    barrels = np.vstack([0.5 * np.stack([np.cos(angle), np.sin(angle)], 1) + [x, 0] for x in (-0.5, 0.5)])
    solid = Prism(np.zeros(3), np.array([0, 0, 1.0]), 1.1, section.corners, np.eye(3)[:2])
    assert solid.distance(np.c_[barrels, np.full(len(barrels), 0.5)]).max() == 0
    assert section.extent == pytest.approx([2, 1], abs=0.02)


@pytest.mark.parametrize(
    ("point", "expected"), [((0, 0, 5), 0), ((5, 0, 5), 1), ((5, 5, 5), np.hypot(1, 3)), ((0, 0, -2), 2)]
)
def test_distances_to_a_box_are_closed_forms(point: tuple[float, ...], expected: float) -> None:
    corners = np.array([[4.0, 2], [-4, 2], [-4, -2], [4, -2]])
    box = Prism(np.zeros(3), np.array([0, 0, 10.0]), 4.5, corners, np.eye(3)[:2])
    assert box.distance(np.array([point], float))[0] == pytest.approx(expected)


def test_a_prism_of_many_corners_is_a_cylinder() -> None:
    angle = 2 * np.pi * np.arange(400) / 400
    corners = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    tip, points = np.array([0, 0, 10.0]), np.random.default_rng(0).normal(scale=12, size=(200, 3))
    prism = Prism(np.zeros(3), tip, 4, corners, np.eye(3)[:2])
    assert prism.distance(points) == pytest.approx(Cylinder(np.zeros(3), tip, 4).distance(points), abs=2e-3)


def test_a_box_is_planned_in_the_joint_and_verified(tmp_path: Path) -> None:
    planned = make_planned(COARSE, device("box", height_share=0.5))
    candidate = planned.plans[Side.LEFT].candidates[0]
    assert candidate.section_mm is not None
    assert np.abs(candidate.section_mm).max(axis=0) == pytest.approx([4, 2])
    out = planned.phantom.world([[0, 0, 0], [0, 1, 0]], Side.LEFT)
    assert abs(candidate.across_lps[1] @ (out[1] - out[0])) > np.cos(np.radians(10))
    write_plan(tmp_path / "result", planned)
    assert [check for check in verify_folder(tmp_path / "result").checks if not check.passed] == []


@pytest.fixture(scope="module")
def askew() -> tuple[Task, Found]:
    """A box in the middle of a joint whose mean plane is taken 12 degrees askew about the box's axis."""
    volume, bones, joints, keepouts = COARSE.build()
    implant = device("box", height_share=0.3, diameters_mm=(12.0,))
    task = make_task(Anatomy(volume, bones, joints[Side.LEFT], keepouts, {}), implant, TrajectoryConfig())
    middle, ahead = COARSE.world([[18.0, 0, 0], [19.0, 0, 0]], Side.LEFT)
    found = Found(np.concatenate([middle, ahead - middle]), (12.0, 20.0), 0.0)
    scene = task.scene._replace(numbers=task.scene.numbers.copy())
    turn = Rotation.from_rotvec(np.radians(12) * found.pose[3:])
    scene.part("facing")[:] = turn.apply(scene.part("facing"))
    return replace(task, scene=scene), found


def off_the_joint_deg(task: Task, found: Found) -> float:
    facing, along = task.scene.part("facing"), found.pose[3:]
    out = np.diff(COARSE.world([[0, 0, 0], [0, 1, 0]], Side.LEFT), axis=0)[0]
    across = facing - (facing @ along) * along
    return float(np.degrees(np.arccos(np.clip(across @ out / np.linalg.norm(across), -1, 1))))


def test_a_box_that_lies_askew_is_laid_along_the_joint_where_it_is(askew: tuple[Task, Found]) -> None:
    task, found = askew
    turned, _ = with_roll(task, found, np.zeros((0, 6)), 0.0)
    assert off_the_joint_deg(task, found) == pytest.approx(12)
    assert off_the_joint_deg(turned, found) == pytest.approx(0, abs=0.01)


def test_a_roll_that_leaves_no_room_is_not_taken(askew: tuple[Task, Found]) -> None:
    task, found = askew
    assert with_roll(task, found, np.zeros((0, 6)), 50.0) == (task, found)


def test_a_round_implant_has_no_roll(askew: tuple[Task, Found]) -> None:
    task, found = askew
    task = replace(task, section=ROUND)
    assert with_roll(task, found, np.zeros((0, 6)), 0.0) == (task, found)
