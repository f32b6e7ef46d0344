"""The canal's centre line, and the canal where it is nearly shut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.keepout.canal import CentreLine, centre_line
from planner.keepout.config import KeepoutConfig
from planner.keepout.find import find_keepouts
from planner.labels import Label, Side
from planner.volume import LabelMap

STRAIGHT = CentreLine(np.array([[0.0, 4.0, z] for z in range(30, -31, -1)], float))


def rod(low: float, high: float, y: float, half: int) -> np.ndarray:
    side = np.arange(-half, half + 1)
    z = np.arange(low, high + 1)
    return np.stack(np.meshgrid(side, side + y, z, indexing="ij"), -1).reshape(-1, 3).astype(float)


def test_coordinates_run_down_the_line():
    place = STRAIGHT.coordinates(np.array([[5.0, 10.0, 20.0], [-3.0, 4.0, -40.0]]))
    np.testing.assert_allclose(place, [[10.0, 5.0, 6.0], [70.0, -3.0, 0.0]], atol=1e-9)


def test_the_line_is_carried_on_through_places_beyond_it():
    on = STRAIGHT.carried_on(np.array([[0.0, 4.0, 10.0], [0.0, 4.0, -60.0]]))
    np.testing.assert_allclose(on.points_pelvic[-1], [0.0, 4.0, -60.0], atol=4.0)
    np.testing.assert_allclose(on.coordinates(np.array([[0.0, 4.0, -50.0]])), [[80.0, 0.0, 0.0]], atol=0.5)


def test_places_within_the_line_leave_it_alone():
    assert STRAIGHT.carried_on(np.array([[9.0, 9.0, 0.0], [9.0, 9.0, -33.0]])) is STRAIGHT
    assert STRAIGHT.carried_on(np.zeros((0, 3))) is STRAIGHT


def test_the_roomiest_run_is_the_canal():
    """Pits along the tail make a longer run than the canal above them."""
    line = centre_line(np.vstack([rod(0, 30, 0.0, 4), rod(-60, -10, 8.0, 1)]))
    assert line is not None
    assert line.points_pelvic[:, 2].min() >= -1.0


def test_a_short_network_is_no_canal():
    assert centre_line(rod(0, 8, 0.0, 2)) is None
    assert centre_line(np.zeros((0, 3))) is None


def test_the_canal_goes_on_through_a_strait(make_sacrum):
    """Between S2 and S3 the labels leave a slit of 2 mm, which no ball of the network's thickness passes."""
    volume, bones = make_sacrum(spacing_zyx_mm=(1.0, 1.0, 1.0))
    values = bones.labels.values.copy()
    x, y, z = volume.grid.to_lps(np.indices(values.shape).reshape(3, -1).T).T
    strait = (z > -12.0) & (z < -3.0) & (np.abs(x) < 8.0) & (np.abs(y - 4.0) > 1.1) & (np.abs(y - 4.0) < 9.0)
    values[strait.reshape(values.shape)] = Label.SACRUM
    found = find_keepouts(volume, replace(bones, labels=LabelMap(values, bones.labels.grid)), KeepoutConfig())
    assert found.canal_lps[-1, 2] < -35.0
    assert not found.missing(Side.LEFT, ("S1", "S2", "S3", "S4"))
    assert not found.missing(Side.RIGHT, ("S1", "S2", "S3", "S4"))


def test_upward_the_line_turns_half_way_to_straight_up():
    sloping = CentreLine(np.array([[0.0, 30.0 - k, -k] for k in range(-30, 31)], float)[:, [0, 1, 2]])
    upper = sloping.upward(10.0)
    step = upper.points_pelvic[0] - upper.points_pelvic[-1]
    np.testing.assert_allclose(np.linalg.norm(step), 10.0, atol=1e-6)
    np.testing.assert_allclose(upper.points_pelvic[-1], sloping.points_pelvic[0])
    angle = np.degrees(np.arccos(step[2] / np.linalg.norm(step)))
    assert abs(angle - 22.5) < 1.0


def test_the_line_begins_where_the_network_is_walled_in_behind_too():
    """Above the lamina only the front of the canal is found: the line must not follow it forward."""
    canal = rod(0, 40, 0.0, 6)
    front = rod(41, 52, 0.0, 6)
    front = front[front[:, 1] < -3.0]
    line = centre_line(np.vstack([canal, front]))
    assert line is not None
    assert line.points_pelvic[0, 2] <= 41.0
    assert np.abs(line.points_pelvic[:, 1]).max() < 1.0
