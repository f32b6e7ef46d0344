from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.figures import FigureCase
from planner.figures.planes import Plane, Samples, compass, joint_segments
from planner.grid import Grid
from planner.joint.model import Joint, Zone
from planner.labels import Label, Side

AXIAL = Plane(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, -1.0, 0]), (60.0, 40.0), 0.5)


@pytest.mark.parametrize(
    ("direction", "letters"),
    [
        ((1, 0, 0), "L"),
        ((-1, 0, 0), "R"),
        ((0, -1, 0), "A"),
        ((0, 0, 1), "S"),
        ((0.2, 1, 0.5), "PS"),
        ((-0.6, -0.8, 0), "AR"),
    ],
)
def test_compass_names_the_patients_directions(direction: tuple[float, ...], letters: str) -> None:
    assert compass(np.array(direction)) == letters


def test_an_axial_plane_shows_the_patients_left_on_the_right_and_anterior_on_top() -> None:
    points = AXIAL.points_lps()
    assert points[0, -1, 0] == 60.0
    assert points[-1, 0, 1] == -40.0
    np.testing.assert_allclose(points[80, 120], 0.0, atol=1e-12)


@given(st.tuples(*[st.floats(-1, 1)] * 3), st.floats(0.3, 2.0))
@settings(deadline=None, max_examples=20, derandomize=True)
def test_coordinates_in_the_plane_are_those_of_its_samples(centre: tuple[float, ...], pixel_mm: float) -> None:
    turn = np.linalg.qr(np.array([[1, 0.3, centre[0]], [0.1, 1, 0.2], [centre[1], 0.4, 1]]))[0]
    plane = Plane(np.array(centre), turn[:, 0], turn[:, 1], (4.0, 3.0), pixel_mm)
    right, up = plane.axes_mm()
    flat = plane.to_plane(plane.points_lps().reshape(-1, 3)).reshape(len(up), len(right), 3)
    np.testing.assert_allclose(flat[..., 0], np.broadcast_to(right, flat.shape[:2]), atol=1e-9)
    np.testing.assert_allclose(flat[..., 1], np.broadcast_to(up[:, None], flat.shape[:2]), atol=1e-9)
    np.testing.assert_allclose(flat[..., 2], 0.0, atol=1e-9)


def test_interpolation_is_exact_on_a_linear_field_and_says_where_the_scan_ends() -> None:
    grid = Grid.from_spacing((8, 9, 10), (3.0, 1.0, 0.7), (-2.0, 1.0, 4.0))
    field = (grid.to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1)) @ [2.0, -3.0, 0.5]).astype(np.float64)
    points = np.random.default_rng(0).uniform((-2, 1, 4), (4.3, 9, 25), (200, 3))
    found = Samples.at(grid, points).interpolate(field, -1024.0)
    np.testing.assert_allclose(found, points @ [2.0, -3.0, 0.5], atol=1e-9)
    assert Samples.at(grid, points + np.array([50, 0, 0])).interpolate(field, -1024.0).tolist() == [-1024.0] * 200


def test_shares_sum_to_one_and_are_half_at_the_border_between_labels() -> None:
    grid = Grid.from_spacing((3, 3, 6), 1.0)
    labels = np.ones(grid.shape_zyx, np.uint8)
    labels[..., 3:] = 2
    shares = Samples.at(grid, np.array([[2.5, 1.0, 1.0], [0.3, 1.0, 1.0], [3.2, 0.4, 1.1]])).label_shares(labels)
    np.testing.assert_allclose(shares[1] + shares[2], 1.0)
    np.testing.assert_allclose(shares[1], [0.5, 1.0, 0.0], atol=1e-12)


def test_the_outline_of_a_bone_lies_on_the_bone(case: FigureCase) -> None:
    """The half level of the left hip bone lies where the block starts, half a voxel before its first centre."""
    points = np.stack([np.linspace(38, 46, 161), np.zeros(161), np.zeros(161)], axis=1)
    share = Samples.at(case.volume.grid, points).label_shares(case.bones.labels.values)[int(Label.LEFT_HIP)]
    assert points[np.argmax(share >= 0.5), 0] == pytest.approx(41.0, abs=0.06)


def _length(segments: np.ndarray) -> float:
    return float(np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).sum())


@pytest.mark.parametrize("side", list(Side))
def test_the_joint_line_of_a_flat_joint_is_the_line_it_must_be(case: FigureCase, side: Side) -> None:
    lines = joint_segments(case.joints[side], AXIAL)
    both = np.concatenate(list(lines.values()))
    np.testing.assert_allclose(both[..., 0], side.lateral_x * 40.0)
    assert _length(both) == pytest.approx(48.0)
    assert lines[Zone.ARTICULAR][..., 1].min() > -3.1
    assert _length(lines[Zone.ARTICULAR]) == pytest.approx(24.0, abs=3.1)


def test_a_plane_that_misses_the_joint_gives_no_line(case: FigureCase) -> None:
    above = Plane(np.array([0, 0, 100.0]), AXIAL.right_lps, AXIAL.up_lps, (60.0, 40.0))
    assert all(len(segments) == 0 for segments in joint_segments(case.joints[Side.LEFT], above).values())


def test_a_joint_without_vertices_gives_no_line(case: FigureCase) -> None:
    whole = case.joints[Side.LEFT]
    empty = Joint(
        whole.side, np.zeros((0, 3)), np.zeros((0, 3), np.int32), whole.gap_mm[:0], whole.zone[:0], whole.third[:0],
        whole.thirds, 0.0, np.nan, np.nan, True,
    )  # fmt: skip
    assert all(len(segments) == 0 for segments in joint_segments(empty, AXIAL).values())
