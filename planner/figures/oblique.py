"""The bones in space from behind and from the side of the joint, with the path from the skin and all candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from planner.figures import palette
from planner.figures.model import Cylinder, FigureCase
from planner.figures.paint import paint
from planner.figures.panel import CASING, PRINT, letters, scale_bar
from planner.figures.planes import Plane
from planner.labels import Side

__all__ = ["draw_oblique"]

ASIDE_DEG, ABOVE_DEG = 25.0, 15.0
"""The eye stands behind the patient, turned to the joint's own side, and above: bones hide little of a path `[P]`."""

HALF_MM = 62.0
"""Half height of the picture `[P]`."""

BEFORE_MM, DEEP_MM = 110.0, 260.0
"""Where the picture's plane lies before the joint, and how deep is looked `[P]`."""

PIXEL_MM = 0.6

EDGE_SHARE = 0.75
"""Farther to the right than this share of the picture's half width, words stand to the left of what they name `[P]`."""

Vector = NDArray[np.float64]


def draw_oblique(axes: Axes, case: FigureCase, side: Side) -> str:
    """Draw the view, and give its title."""
    box = axes.get_window_extent()
    plane = oblique_plane(case, side, box.width / box.height)
    right, up = plane.axes_mm()
    picture = paint(case, plane, DEEP_MM, case.implants().values())
    axes.imshow(picture, origin="lower", extent=(right[0], right[-1], up[0], up[-1]), interpolation="bilinear")
    plan = case.plans.get(side)
    for candidate in reversed(plan.candidates if plan else ()):
        _outline(axes, Cylinder.of(candidate), plane)
    best = case.best(side)
    if best is not None and best.skin_entry_lps is not None:
        _access(axes, plane, np.stack([best.skin_entry_lps, best.implant_entry_lps]))
    axes.set(xlim=(right[0], right[-1]), ylim=(up[0], up[-1]))
    axes.set_axis_off()
    letters(axes, plane.right_lps, plane.up_lps, size=PRINT)
    scale_bar(axes, plane.half_mm, size=PRINT)
    return f"3-D, from behind {side}; {'outlined: all candidates' if best else 'no implant'}"


def oblique_plane(case: FigureCase, side: Side, shape: float) -> Plane:
    """Plane before the joint, facing it; `shape` is width by height."""
    frame = case.bones.frame
    lateral, cranial = side.lateral_x * frame.left_lps, frame.cranial_lps
    posterior = np.cross(cranial, frame.left_lps)
    aside, above = np.deg2rad([ASIDE_DEG, ABOVE_DEG])
    toward = np.cos(above) * (np.cos(aside) * posterior + np.sin(aside) * lateral) + np.sin(above) * cranial
    up = cranial - (cranial @ toward) * toward
    up /= np.linalg.norm(up)
    middle = case.focus_lps(side) + BEFORE_MM * toward
    return Plane(middle, np.cross(up, toward), up, (HALF_MM * shape, HALF_MM), PIXEL_MM)


def _outline(axes: Axes, implant: Cylinder, plane: Plane) -> None:
    flat = plane.to_plane(implant.rims_lps())[:, :2]
    outline = flat[ConvexHull(flat).vertices]
    axes.add_patch(Polygon(outline, fill=False, ec="#000000", lw=1.6))
    axes.add_patch(Polygon(outline, fill=False, ec=palette.IMPLANT, lw=0.8))


def _access(axes: Axes, plane: Plane, ends_lps: Vector) -> None:
    flat = plane.to_plane(ends_lps)[:, :2]
    axes.plot(*flat.T, color=palette.IMPLANT, lw=1.0, ls="--", path_effects=CASING)
    axes.plot(*flat[0], color=palette.IMPLANT, marker="o", ms=2.5, path_effects=CASING)
    words: dict[str, Any] = {"size": PRINT.word, "color": palette.IMPLANT, "path_effects": CASING, "clip_on": True}
    inward = -1 if flat[0, 0] > EDGE_SHARE * plane.half_mm[0] else 1
    axes.text(flat[0, 0] + 2 * inward, flat[0, 1] + 3, "skin", ha="right" if inward < 0 else "left", **words)
