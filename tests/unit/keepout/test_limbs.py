"""Channels followed inward from their mouths: tubes in closed form, straight, oblique, in a hollow, and none."""

from __future__ import annotations

import numpy as np
import pytest

from planner.keepout.limbs import follow_limb

SHAPE = (48, 48, 48)
MIDDLE = np.array([24.0, 24.0, 24.0])


def points() -> np.ndarray:
    return np.indices(SHAPE).reshape(3, -1).T.astype(float)


def tube(outward: np.ndarray, radius: float, start: np.ndarray = MIDDLE) -> np.ndarray:
    """Voxels of a tube through `start`, below the face z = 34."""
    away = points() - start
    along = away @ outward
    inside = np.linalg.norm(away - along[:, None] * outward, axis=1) <= radius
    return (inside & (points()[:, 0] <= 34)).reshape(SHAPE).astype(np.float32)


def face(outward: np.ndarray, start: np.ndarray = MIDDLE) -> np.ndarray:
    """Where the tube's axis goes out through the face, half a voxel beyond its last plane."""
    return start + (34.5 - start[0]) / outward[0] * outward


@pytest.mark.parametrize("radius", [3.0, 4.5, 6.0])
@pytest.mark.parametrize("tilt_deg", [0.0, 20.0, 40.0])
def test_the_axis_of_a_tube_leaves_the_bone_at_its_centre(radius, tilt_deg):
    tilt = np.radians(tilt_deg)
    outward = np.array([np.cos(tilt), np.sin(tilt), 0.0])
    limb = follow_limb(tube(outward, radius), face(outward), np.array([1.0, 0.0, 0.0]), 1.0)
    assert limb is not None
    assert np.linalg.norm(limb.axis_index[0] - face(outward)) < 0.8
    assert limb.outward @ outward > np.cos(np.radians(4.0))
    assert limb.width == pytest.approx(2 * radius, abs=1.2)
    assert not limb.flares


def test_a_start_beside_the_axis_is_brought_back_to_it():
    outward = np.array([1.0, 0.0, 0.0])
    limb = follow_limb(tube(outward, 4.0), face(outward) + np.array([0.0, 2.5, -2.0]), outward, 1.0)
    assert limb is not None
    np.testing.assert_allclose(limb.axis_index[0], face(outward), atol=0.6)


def test_the_axis_runs_from_the_mouth_inward():
    outward = np.array([1.0, 0.0, 0.0])
    limb = follow_limb(tube(outward, 4.0), face(outward), outward, 1.0)
    assert limb is not None
    assert (np.diff(limb.axis_index[:, 0]) < 0).all()
    assert np.abs(limb.axis_index[:, 1:] - 24.0).max() < 0.3


def test_a_channel_in_a_hollow_ends_where_the_hollow_begins():
    outward = np.array([1.0, 0.0, 0.0])
    within = tube(outward, 3.0)
    hollow = (points()[:, 0] > 28) & (points()[:, 0] <= 34) & (np.abs(points()[:, 1:] - 24.0) < 8.0).all(axis=1)
    within[hollow.reshape(SHAPE)] = 1.0
    limb = follow_limb(within, face(outward), outward, 1.0)
    assert limb is not None
    assert limb.flares
    assert abs(limb.axis_index[0, 0] - 28.5) < 1.0
    assert limb.width == pytest.approx(6.0, abs=0.9)


def test_a_pit_has_no_axis():
    outward = np.array([1.0, 0.0, 0.0])
    within = tube(outward, 4.0)
    within[: int(face(outward)[0]) - 2] = 0.0
    assert follow_limb(within, face(outward), outward, 1.0) is None


def test_open_room_has_no_axis():
    assert follow_limb(np.ones(SHAPE, np.float32), MIDDLE, np.array([1.0, 0.0, 0.0]), 1.0) is None


def test_spacing_scales_width_and_nothing_else():
    outward = np.array([1.0, 0.0, 0.0])
    limb = follow_limb(tube(outward, 6.0), face(outward), outward, 0.5)
    assert limb is not None
    np.testing.assert_allclose(limb.axis_index[0], face(outward), atol=0.6)
    assert limb.width == pytest.approx(6.0, abs=0.5)
