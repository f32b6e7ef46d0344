"""A block of bone with a canal and four pairs of channels: a sacrum in closed form."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from planner.grid import Grid
from planner.keepout import KeepoutConfig, Keepouts, find_keepouts
from planner.labels import SACRAL_LEVELS, Label, Side
from planner.segmentation.model import Bones, PelvicFrame, ShapeFit
from planner.volume import LabelMap, Volume

LEVEL_Z_MM = {"S1": 24.0, "S2": 2.0, "S3": -18.0, "S4": -34.0}
HALF_MM = np.array([42.0, 18.0, 50.0])
CANAL_Y_MM, CANAL_RADIUS_MM = 4.0, 6.0
Numbers = tuple[float, float, float]


def mouth(side: Side, level: str, aspect: str) -> np.ndarray:
    """Where a channel's axis leaves the block, in the block's own frame."""
    y = -HALF_MM[1] if aspect == "ventral" else HALF_MM[1]
    return np.array([side.lateral_x * (21.0 if aspect == "ventral" else 19.0), y, LEVEL_Z_MM[level]])


def _tube(points: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """Numbers of the points in a tube with round ends."""
    low, high = np.minimum(start, end) - radius, np.maximum(start, end) + radius
    near = np.flatnonzero(((points > low) & (points < high)).all(axis=1))
    axis = end - start
    share = np.clip((points[near] - start) @ axis / (axis @ axis), 0, 1)
    return near[np.linalg.norm(points[near] - start - share[:, None] * axis, axis=1) < radius]


@cache
def _block(rotation_deg: Numbers, spacing_zyx_mm: Numbers) -> tuple[Grid, np.ndarray]:
    """The scan's grid, and its points in the block's own frame."""
    turn = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix()
    spacing = np.array(spacing_zyx_mm)
    shape = np.ceil(np.array([140.0, 80.0, 116.0]) / spacing).astype(int)
    grid = Grid.from_spacing(tuple(shape), spacing, -(shape[::-1] - 1) * spacing[::-1] / 2)
    return grid, grid.to_lps(np.indices(shape).reshape(3, -1).T) @ turn


@cache
def _foramen(side: Side, level: str, rotation_deg: Numbers, spacing_zyx_mm: Numbers) -> np.ndarray:
    """Numbers of the points in a foramen: both channels, and the way to the canal."""
    _, points = _block(rotation_deg, spacing_zyx_mm)
    junction = np.array([side.lateral_x * 15.0, CANAL_Y_MM, LEVEL_Z_MM[level]])
    found = [_tube(points, junction, np.array([0, CANAL_Y_MM, LEVEL_Z_MM[level]]), 4.0)]
    for aspect, radius in (("ventral", 5.0), ("dorsal", 3.5)):
        end = mouth(side, level, aspect)
        found.append(_tube(points, junction, end + 0.5 * (end - junction), radius))
    return np.concatenate(found)


@cache
def _sacrum(
    closed: frozenset[tuple[Side, str]] = frozenset(),
    rotation_deg: Numbers = (0.0, 0.0, 0.0),
    spacing_zyx_mm: Numbers = (1.2, 1.0, 1.0),
    landmarks: bool = False,
) -> tuple[Volume, Bones]:
    turn = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix()
    grid, points = _block(rotation_deg, spacing_zyx_mm)
    bone = (np.abs(points) < HALF_MM).all(axis=1)
    top, bottom = np.array([0, CANAL_Y_MM, 60.0]), np.array([0, CANAL_Y_MM, -60.0])
    bone[_tube(points, top, bottom, CANAL_RADIUS_MM)] = False
    for side in Side:
        for level in SACRAL_LEVELS:
            if (side, level) not in closed:
                bone[_foramen(side, level, rotation_deg, spacing_zyx_mm)] = False
    values = np.where(bone, Label.SACRUM, 0).astype(np.uint8).reshape(grid.shape_zyx)
    places = {
        f"{side}_{level.lower()}_{aspect}": turn @ mouth(side, level, aspect)
        for side in Side
        for level in ("S1", "S2", "S3")
        for aspect in ("ventral", "dorsal")
    }
    fit = ShapeFit({}, {}, np.eye(4), np.zeros(0), 0.0, places if landmarks else {})
    frame = np.eye(4)
    frame[:3, :3] = turn
    bones = Bones(LabelMap(values, grid), fit, PelvicFrame(frame), {})
    return Volume(np.where(values > 0, 400, 40).astype(np.int16), grid), bones


@pytest.fixture
def make_sacrum() -> Callable[..., tuple[Volume, Bones]]:
    return _sacrum


@pytest.fixture
def true_mouth() -> Callable[[Side, str, str], np.ndarray]:
    return mouth


@cache
def _search(volume: Volume, bones: Bones) -> Keepouts:
    return find_keepouts(volume, bones, KeepoutConfig())


@pytest.fixture
def search() -> Callable[[Volume, Bones], Keepouts]:
    """What is found on one scan, which several tests look at: searched once."""
    return _search
