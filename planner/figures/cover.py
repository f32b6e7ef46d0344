"""The first picture: the patient's pelvis from behind with both joints and implants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from planner.figures import palette
from planner.figures.model import FigureCase
from planner.figures.page import Heading, Page
from planner.figures.panel import CASING, letters, scale_bar
from planner.figures.planes import Plane
from planner.figures.render import Relief, cast_bones, cast_cylinder, shade
from planner.figures.words import summary
from planner.joint.model import Zone
from planner.labels import Side

__all__ = ["draw_cover"]

WIDEST_IN = 9.5
"""Of the picture [P]."""

PIXEL_MM = 0.7
"""Of the picture [P]."""

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


def draw_cover(case: FigureCase, folder: Path) -> Path:
    """Draw bones, articular zones and implants from behind, in the pelvic frame."""
    plane, depth = posterior_plane(case)
    shape = plane.half_mm[0] / plane.half_mm[1]
    width = min(6.4 * shape, WIDEST_IN)
    told = [f"{side.value.capitalize()}: {summary(case, side)}" for side in Side]
    page = Page(Heading("The pelvis from behind", "", told), (width,), width / shape)
    relief = cast_bones(case.bones.labels, plane, depth)
    picture = _colour(relief, plane)
    picture = _with_joints(picture, case, plane)
    picture = _with_implants(picture, case, plane, relief)
    axes = page.axes[0]
    right, up = plane.axes_mm()
    axes.imshow(picture, origin="lower", extent=(right[0], right[-1], up[0], up[-1]), interpolation="bilinear")
    _dress(axes, case, plane)
    note = "Seen from behind: R is the patient's right. Yellow: articular zone of the joint. Blue: implant."
    return page.save(folder / "cover.png", note)


def posterior_plane(case: FigureCase) -> tuple[Plane, float]:
    """Plane behind the bones, facing them, and how deep they lie."""
    frame, labels = case.bones.frame, case.bones.labels
    bony = np.argwhere(labels.values[::3, ::3, ::3] > 0) * 3.0
    points = frame.to_pelvic(labels.grid.to_lps(bony)) if len(bony) else frame.to_pelvic(labels.grid.corners_lps())
    low, high = points.min(axis=0) - 6, points.max(axis=0) + 6
    behind = np.array([(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2])
    half = (float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2)
    return Plane(frame.to_lps(behind), -frame.left_lps, frame.cranial_lps, half, PIXEL_MM), float(high[1] - low[1])


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


def _with_implants(picture: Vector, case: FigureCase, plane: Plane, relief: Relief) -> Vector:
    for implant in case.implants().values():
        depth = cast_cylinder(implant, plane)
        lit = IMPLANT_RGB * (0.55 + 0.75 * shade(depth, plane.pixel_mm, smooth=False)[..., None])
        front = ~(relief.depth_mm < depth)
        share = np.where(front, 1.0, HIDDEN_SHARE)[..., None]
        picture = np.where(np.isfinite(depth)[..., None], (1 - share) * picture + share * lit, picture)
    clipped: Vector = np.clip(picture, 0, 1)
    return clipped


def _dress(axes: Axes, case: FigureCase, plane: Plane) -> None:
    axes.set_axis_off()
    axes.set_xlim(-plane.half_mm[0], plane.half_mm[0])
    axes.set_ylim(-plane.half_mm[1], plane.half_mm[1])
    letters(axes, plane.right_lps, plane.up_lps)
    scale_bar(axes, plane.half_mm)
    for side in Side:
        x, y, _ = plane.to_plane(case.focus_lps(side)[None, :])[0]
        word = f"{side.value.upper()}\n{_state(case, side)}"
        outward = -side.lateral_x  # seen from behind, the patient's left is the picture's left
        line = {"arrowstyle": "-", "color": "#FFFFFF", "lw": 0.9}
        axes.annotate(
            word,
            (x, y),
            xytext=(x + outward * 34, y + 44),
            color="#FFFFFF",
            size=9.5,
            weight="bold",
            ha="center",
            va="center",
            path_effects=CASING,
            arrowprops=line,
        )


def _state(case: FigureCase, side: Side) -> str:
    best = case.best(side)
    if best is None:
        return "no implant"
    return best.grade if case.plans[side].status == "planned" else "not verified"
