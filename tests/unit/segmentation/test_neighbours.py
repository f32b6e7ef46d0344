"""Femoral heads, whole and cut by the scan's end."""

from __future__ import annotations

import numpy as np
import pytest

from planner.grid import Grid
from planner.labels import Side
from planner.segmentation.neighbours import femoral_heads
from planner.volume import Volume

RADIUS_MM, GAP_MM, WALL_MM = 23.0, 3.0, 12.0
SOCKET_MM = RADIUS_MM + GAP_MM


def scan(first_x_mm, head_hu=400):
    """A head at the origin in its socket, medial to it; the scan begins at an x in mm."""
    grid = Grid.from_spacing((60, 60, 60), 1.5, np.array([first_x_mm, -44.0, -44.0]))
    at = grid.to_lps(np.moveaxis(np.indices(grid.shape_zyx), 0, -1))
    away = np.linalg.norm(at, axis=-1)
    hu = np.full(grid.shape_zyx, 40.0)
    hu[away < RADIUS_MM] = head_hu
    hu[(away > SOCKET_MM) & (away < SOCKET_MM + WALL_MM) & (at[..., 0] > 5.0)] = 900.0
    hu += np.random.default_rng(0).normal(0.0, 20.0, hu.shape)
    return Volume(hu.astype(np.int16), grid)


def socket():
    """Points of the socket's face, its middle some mm beside the head's."""
    turns, heights = np.meshgrid(np.linspace(-1.2, 1.2, 20), np.linspace(-0.8, 0.8, 12))
    level = np.sqrt(1 - heights**2)
    face = SOCKET_MM * np.stack([level * np.cos(turns), level * np.sin(turns), heights], axis=-1).reshape(-1, 3)
    return {Side.RIGHT: face + np.array([2.0, -2.0, 2.0])}


@pytest.mark.parametrize("first_x_mm", [-44.0, -10.0, 0.0, 6.0])
def test_a_head_is_found_whole_and_cut(first_x_mm):
    (head,) = femoral_heads(scan(first_x_mm), socket()).values()
    assert np.linalg.norm(head.centre_lps) < 2.5
    assert head.radius_mm == pytest.approx(RADIUS_MM, abs=2.0)


def test_a_head_out_of_the_scan_is_left_out():
    assert femoral_heads(scan(22.0), socket()) == {}


def test_what_is_as_dark_as_muscle_is_no_head():
    assert femoral_heads(scan(-44.0, head_hu=40), socket()) == {}
