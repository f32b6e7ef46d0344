"""Two facing plates with a known gap, as bones: the joint in closed form."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.special import ndtr

from planner.grid import Grid
from planner.joint.config import JointConfig
from planner.joint.extract import extract_joint
from planner.joint.model import Joint
from planner.labels import Label, Side
from planner.segmentation.model import Bones, PelvicFrame, ShapeFit
from planner.volume import LabelMap, Volume

BONE_HU, GAP_HU, NOISE_HU = 800.0, 90.0, 15.0


def bones_of(values: np.ndarray, grid: Grid) -> Bones:
    fit = ShapeFit({}, {}, np.eye(4), np.zeros(0), 0.0, {})
    return Bones(LabelMap(values, grid), fit, PelvicFrame(np.eye(4)), {})


@pytest.fixture
def make_bones() -> Callable[[np.ndarray, Grid], Bones]:
    return bones_of


@pytest.fixture
def make_plates() -> Callable[..., tuple[Volume, Bones]]:
    """Plates of 40 x 50 mm either side of the plane through the origin with the given normal."""

    def make(
        gap_mm: float = 2.0,
        tilt_deg: float = 20.0,
        side: Side = Side.LEFT,
        spacing_zyx_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
        blur_mm: float = 0.6,
        half_mm: float = 25.0,
        offset_mm: float = 0.0,
    ) -> tuple[Volume, Bones]:
        return _plates(gap_mm, tilt_deg, side, spacing_zyx_mm, blur_mm, half_mm, offset_mm)

    return make


@cache
def _plates(
    gap_mm: float,
    tilt_deg: float,
    side: Side,
    spacing_zyx_mm: tuple[float, float, float],
    blur_mm: float,
    half_mm: float,
    offset_mm: float,
) -> tuple[Volume, Bones]:
    spacing = np.array(spacing_zyx_mm)
    shape = np.ceil(np.array([70.0, 60.0, 50.0]) / spacing).astype(int)
    grid = Grid.from_spacing(tuple(shape), spacing, -(shape[::-1] - 1) * spacing[::-1] / 2 + 0.17)
    points = grid.to_lps(np.indices(shape).reshape(3, -1).T)
    angle = np.radians(tilt_deg)
    normal = np.array([np.cos(angle) * side.lateral_x, np.sin(angle), 0.0])
    across = points @ normal - offset_mm
    inside = (np.abs(points[:, 2]) < half_mm) & (np.abs(points[:, 1]) < 20) & (np.abs(across) < 12)
    values = np.zeros(len(points), np.uint8)
    values[inside & (across < -gap_mm / 2)] = Label.SACRUM
    values[inside & (across > gap_mm / 2)] = side.hip
    soft = ndtr((across + gap_mm / 2) / blur_mm) - ndtr((across - gap_mm / 2) / blur_mm)
    hu = np.where(inside, BONE_HU + (GAP_HU - BONE_HU) * soft, 40.0)
    hu += np.random.default_rng(0).normal(0, NOISE_HU, len(hu))
    return (
        Volume(hu.reshape(shape).astype(np.int16), grid),
        bones_of(values.reshape(shape), grid),
    )


@cache
def _joint(volume: Volume, bones: Bones, side: Side, config: JointConfig) -> Joint:
    return extract_joint(volume, bones, side, config)


@pytest.fixture
def joint_of() -> Callable[[Volume, Bones, Side, JointConfig], Joint]:
    """The joint of one scan, which several tests look at: extracted once."""
    return _joint
