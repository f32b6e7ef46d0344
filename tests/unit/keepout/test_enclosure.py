"""The ring test: tunnels are ringed, grooves and open room are not."""

from __future__ import annotations

import numpy as np
import pytest

from planner.keepout.enclosure import CANAL_AXES, ESCAPES, FORAMEN_AXES, RAYS, ring_steps, ringed


@pytest.fixture
def block():
    """Solid, with a tunnel of radius 3 along y at (20, 20) and a groove of the same size along y at the top."""
    z, _, x = np.indices((41, 41, 41))
    bone = np.ones((41, 41, 41), bool)
    bone[(z - 20) ** 2 + (x - 20) ** 2 <= 9] = False
    bone[(np.abs(x - 20) <= 3) & (z >= 36)] = False
    return bone


def test_axes_are_unit_vectors():
    for axes in (FORAMEN_AXES, CANAL_AXES):
        np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1.0)


def test_rings_are_square_to_their_axes():
    steps = ring_steps(FORAMEN_AXES, np.eye(4), np.eye(3)[::-1])  # array axes z, y, x as LPS directions
    assert steps.shape == (len(FORAMEN_AXES), RAYS, 3)
    np.testing.assert_allclose(np.einsum("ark,ak->ar", steps[:, :, ::-1], FORAMEN_AXES), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=2), 1.0)


def test_tunnel_is_ringed_groove_is_not(block):
    rings = ring_steps(np.array([[0.0, -1.0, 0.0]]), np.eye(4), np.eye(3)[::-1])
    points = np.array([[20, 20, 20], [38, 20, 20]])
    assert ringed(block, points, rings, 10, 0).tolist() == [True, False]


def test_reach_limits_the_ring(block):
    rings = ring_steps(np.array([[0.0, -1.0, 0.0]]), np.eye(4), np.eye(3)[::-1])
    points = np.array([[20, 20, 20]])
    assert not ringed(block, points, rings, 2, ESCAPES)[0]
    assert ringed(block, points, rings, 4, ESCAPES)[0]


def test_one_notch_is_forgiven_two_are_not(block):
    rings = ring_steps(np.array([[0.0, -1.0, 0.0]]), np.eye(4), np.eye(3)[::-1])
    block[:, 18:23, 20] = False  # one slit through roof and floor: two rays escape
    points = np.array([[20, 20, 20]])
    assert not ringed(block, points, rings, 10, 1)[0]
    assert ringed(block, points, rings, 10, 2)[0]


def test_agrees_with_a_slow_twin(block):
    rings = ring_steps(FORAMEN_AXES, np.eye(4), np.eye(3)[::-1])
    rng = np.random.default_rng(5)
    noisy = block & (rng.random(block.shape) > 0.02)
    points = np.argwhere(~noisy)
    points = points[rng.choice(len(points), 40, replace=False)]

    def escapes(point, step):
        for k in range(1, 13):
            at = np.floor(point + k * step + 0.5).astype(int)
            if (at < 0).any() or (at >= noisy.shape).any():
                return True
            if noisy[tuple(at)]:
                return False
        return True

    slow = [any(sum(escapes(p, s) for s in ring) <= ESCAPES for ring in rings) for p in points]
    assert ringed(noisy, points, rings, 12, ESCAPES).tolist() == slow
    assert 0 < sum(slow) < 40
