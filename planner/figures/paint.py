"""The bones as a lit relief, with joints and implants showing through."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from planner.figures import palette
from planner.figures.model import Cylinder, FigureCase
from planner.figures.planes import Plane
from planner.figures.render import Relief, cast_bones, cast_implant, shade
from planner.joint.model import Zone

__all__ = ["BACKGROUND", "paint"]

TINT = 0.38
"""How much of a bone's own colour is mixed into ivory [P]."""

IVORY = np.array([0.96, 0.93, 0.86])
BACKGROUND = np.array([0.10, 0.11, 0.13])
IMPLANT_RGB = np.array(to_rgb("#0072B2"))
HIDDEN_SHARE = 0.72
"""How strongly an implant shows through the bone in front of it [P]."""

JOINT_SHARE = 0.55
"""How strongly the articular zone shows through [P]."""

Vector = NDArray[np.float64]


def paint(case: FigureCase, plane: Plane, depth_mm: float, implants: Iterable[Cylinder]) -> Vector:
    """Colours of what is seen through `plane` to a depth; lowest row first, ``(rows, columns, 3)``."""
    relief = cast_bones(case.bones.labels, plane, depth_mm)
    picture = _with_joints(_colour(relief, plane), case, plane)
    return _with_implants(picture, implants, plane, relief)


def _colour(relief: Relief, plane: Plane) -> Vector:
    tints = np.tile(IVORY, (256, 1))
    for label, colour in palette.BONES.items():
        tints[label] = (1 - TINT) * IVORY + TINT * np.array(to_rgb(colour))
    brightness = shade(relief.depth_mm, plane.pixel_mm)[..., None]
    picture: Vector = np.where(relief.label[..., None] > 0, tints[relief.label] * brightness, BACKGROUND)
    return picture


def _with_joints(picture: Vector, case: FigureCase, plane: Plane) -> Vector:
    """Tint where the articular zone lies behind the surface seen."""
    shadow = np.zeros(picture.shape[:2], bool)
    right, up = plane.axes_mm()
    for joint in case.joints.values():
        articular = joint.faces[(joint.zone[joint.faces] == Zone.ARTICULAR).all(axis=1)]
        corners = plane.to_plane(joint.vertices_lps)[articular][..., :2]
        for a, b, c in _BARYCENTRIC:
            spots = a * corners[:, 0] + b * corners[:, 1] + c * corners[:, 2]
            column = np.round((spots[:, 0] - right[0]) / plane.pixel_mm).astype(int)
            row = np.round((spots[:, 1] - up[0]) / plane.pixel_mm).astype(int)
            inside = (column >= 0) & (row >= 0) & (column < len(right)) & (row < len(up))
            shadow[row[inside], column[inside]] = True
    yellow = np.array(to_rgb(palette.ARTICULAR))
    tinted: Vector = np.where(shadow[..., None], (1 - JOINT_SHARE) * picture + JOINT_SHARE * yellow, picture)
    return tinted


_BARYCENTRIC = [(a / 4, b / 4, (4 - a - b) / 4) for a in range(5) for b in range(5 - a)]


def _with_implants(picture: Vector, implants: Iterable[Cylinder], plane: Plane, relief: Relief) -> Vector:
    for implant in implants:
        depth = cast_implant(implant, plane)
        lit = IMPLANT_RGB * (0.55 + 0.75 * shade(depth, plane.pixel_mm, smooth=False)[..., None])
        front = ~(relief.depth_mm < depth)
        share = np.where(front, 1.0, HIDDEN_SHARE)[..., None]
        picture = np.where(np.isfinite(depth)[..., None], (1 - share) * picture + share * lit, picture)
    clipped: Vector = np.clip(picture, 0, 1)
    return clipped
