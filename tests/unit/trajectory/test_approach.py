"""Angles, C-arm and skin in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid
from planner.labels import Side
from planner.segmentation.model import PelvicFrame
from planner.trajectory.approach import c_arm_down, insertion_angles, skin_entry
from planner.volume import Volume

UPRIGHT = PelvicFrame(np.eye(4))


def direction(lateral: float, anterior: float, cranial: float, side: Side) -> np.ndarray:
    d = np.array([side.lateral_x * lateral, -anterior, cranial])
    return np.asarray(d / np.linalg.norm(d))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("parts", "angles"),
    [
        ((0, 1, 0), (0, 0)),
        ((1, 1, 0), (45, 0)),
        ((-1, 1, 0), (-45, 0)),
        ((0, 1, 1), (0, 45)),
        ((1, np.sqrt(3), 0), (30, 0)),
        ((0, 1, -np.tan(np.radians(10))), (0, -10)),
    ],
)
def test_angles_of_known_directions(side: Side, parts: tuple[float, float, float], angles: tuple[float, float]) -> None:
    assert insertion_angles(direction(*parts, side), UPRIGHT, side) == pytest.approx(angles, abs=1e-9)


def test_angles_turn_with_the_pelvis() -> None:
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]]
    d = direction(0.3, 1, 0.2, Side.LEFT)
    assert insertion_angles(turn[:3, :3] @ d, PelvicFrame(turn), Side.LEFT) == pytest.approx(
        insertion_angles(d, UPRIGHT, Side.LEFT)
    )


def test_the_c_arm_looks_down_a_left_path_from_the_patients_right_and_a_rising_one_from_below() -> None:
    orbital, tilt = c_arm_down(direction(1, np.sqrt(3), 0, Side.LEFT), UPRIGHT)
    assert (orbital, tilt) == pytest.approx((-30, 0))
    assert c_arm_down(direction(1, np.sqrt(3), 0, Side.RIGHT), UPRIGHT)[0] == pytest.approx(30)
    assert c_arm_down(direction(0, 1, 1, Side.LEFT), UPRIGHT) == pytest.approx((0, -45))


def test_the_c_arms_angles_give_the_direction_back() -> None:
    d = direction(0.4, 0.9, 0.3, Side.RIGHT)
    o, t = np.radians(c_arm_down(d, UPRIGHT))
    detector = [np.cos(t) * np.sin(o), np.cos(t) * np.cos(o), np.sin(t)]
    assert detector == pytest.approx(-d)


def body(skin_y: float, air: int = -1000) -> Volume:
    grid = Grid.from_spacing((10, 100, 10), 1.0)
    hu = np.full(grid.shape_zyx, 40, np.int16)
    y = np.arange(100)
    hu[:, y > skin_y, :] = air
    return Volume(hu, grid)


START, OUT = np.array([4.0, 20.0, 4.0]), np.array([0.0, 1.0, 0.0])


def test_skin_lies_where_fat_gives_way_to_air() -> None:
    skin = skin_entry(body(60), START, OUT)
    # from 40 HU at y = 60 to -1000 at 61: -300 is a third of the way
    assert skin == pytest.approx([4, 60 + 340 / 1040, 4], abs=0.02)


def test_gas_in_the_body_is_not_the_skin() -> None:
    volume = body(60)
    hu = volume.hu.copy()
    hu[:, 30:35, :] = -900
    assert skin_entry(Volume(hu, volume.grid), START, OUT)[1] == pytest.approx(60.3, abs=0.05)


def test_a_scan_that_ends_within_the_body_has_no_skin() -> None:
    assert np.isnan(skin_entry(body(200), START, OUT)).all()


def test_the_padding_of_a_round_field_of_view_is_not_air() -> None:
    assert np.isnan(skin_entry(body(60, air=-1024), START, OUT)).all()


def test_a_start_outside_the_scan_has_no_skin() -> None:
    assert np.isnan(skin_entry(body(60), np.array([4.0, 200.0, 4.0]), OUT)).all()
