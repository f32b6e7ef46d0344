"""The joint seen from the side: its gap, zones, thirds, and the implant's footprint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import TriMesh
from matplotlib.patches import Polygon
from matplotlib.tri import Triangulation
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from planner.figures import palette
from planner.figures.model import Cylinder, FigureCase
from planner.figures.page import Page
from planner.figures.panel import PRINT, SCREEN, Type, letters, scale_bar
from planner.figures.planes import Plane
from planner.figures.words import heading
from planner.joint.limbs import Limbs, fit_limbs
from planner.joint.model import Joint, Zone
from planner.labels import Side

__all__ = ["draw_gap", "draw_gap_map"]

GAP_MM = (0.0, 6.0)
"""Range of the colours: the articular zone ends at 5 mm at most, at 6.5 mm in a joint torn open."""

MARGIN_MM = 6.0
ASIDE_MM = 17.0
"""Beside the joint: names of the thirds on its left, less on its right [P]."""

Vector = NDArray[np.float64]


def draw_gap_map(case: FigureCase, side: Side, joint: Joint, folder: Path) -> Path:
    """Draw the mid-surface from the patient's own side, so that cranial is up."""
    plane = lateral_plane(case, joint)
    shape = 4.4 * min(1.6, plane.half_mm[0] / plane.half_mm[1]), 4.4
    page = Page(heading(case, side, "gap, seen from the side"), (max(shape[0], 5.4), 0.22, 1.6), shape[1])
    axes, bar, aside = page.axes
    colours = _draw_map(axes, case, joint, plane, SCREEN)
    page.figure.colorbar(colours, cax=bar, extend="max").set_label("gap, bone to bone, mm", size=9)
    limbs = fit_limbs(joint)
    if limbs is not None:
        axes.plot(*plane.to_plane(limbs.path_lps)[:, :2].T, color="#FFFFFF", lw=1.6, marker="o", ms=3.5)
    aside.set_axis_off()
    aside.text(0.25, 1.0, _facts(joint, limbs), size=9, va="top", transform=aside.transAxes, linespacing=1.5)
    note = "Black: edge of the articular zone. White: middle of its C. Dashed: thirds. Outline: the implant's shadow."
    return page.save(folder / f"{side}_gap_map.png", note)


def draw_gap(axes: Axes, case: FigureCase, side: Side) -> str:
    """Draw the map alone, with a small bar of its colours; gives its title."""
    joint = case.joints.get(side)
    if joint is None or not len(joint.faces):
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no joint was found", size=PRINT.word, ha="center", color=palette.FAINT)
        return "gap of the joint"
    colours = _draw_map(axes, case, joint, _widened(lateral_plane(case, joint), axes), PRINT)
    bar = axes.inset_axes((0.04, 0.1, 0.26, 0.03))
    axes.figure.colorbar(colours, cax=bar, extend="max", orientation="horizontal", ticks=[0, 2, 4, 6])
    bar.tick_params(labelsize=PRINT.word, length=1.5, pad=1)
    return f"gap of the joint, mm; from the {side}"


def _widened(plane: Plane, axes: Axes) -> Plane:
    """Give a plane the shape of a panel."""
    box = axes.get_window_extent()
    width, height = plane.half_mm[0] + ASIDE_MM, plane.half_mm[1]
    shape = box.width / box.height
    return replace(plane, half_mm=(max(width, height * shape) - ASIDE_MM, max(height, width / shape)))


def _draw_map(axes: Axes, case: FigureCase, joint: Joint, plane: Plane, size: Type) -> TriMesh:
    """Draw gap, zone, thirds and the implant's shadow."""
    flat = plane.to_plane(joint.vertices_lps)
    triangles = Triangulation(flat[:, 0], flat[:, 1], joint.faces)
    low, high = GAP_MM
    colours = axes.tripcolor(triangles, joint.gap_mm, cmap="cividis_r", vmin=low, vmax=high, shading="gouraud")
    _zone_and_thirds(axes, joint, triangles, size)
    implant = case.implants().get(joint.side)
    if implant is not None:
        outline = footprint(implant, plane)
        axes.add_patch(Polygon(outline, fc="#FFFFFF66", ec="#FFFFFF", lw=3.0 * size.line))
        axes.add_patch(Polygon(outline, fill=False, ec=palette.INK, lw=1.8 * size.line))
    _dress(axes, plane, size)
    return colours


def lateral_plane(case: FigureCase, joint: Joint) -> Plane:
    """Best plane through the mid-surface, looked at from the patient's own side, cranial up."""
    points = joint.vertices_lps
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    normal = np.linalg.svd(points[::3] - points[::3].mean(axis=0), full_matrices=False)[2][2]
    normal *= np.sign(normal[0]) * joint.side.lateral_x
    up = case.bones.frame.cranial_lps - (case.bones.frame.cranial_lps @ normal) * normal
    up /= np.linalg.norm(up)
    plane = Plane(centre, np.cross(up, normal), up, (1.0, 1.0))
    flat = plane.to_plane(points)[:, :2]
    middle = (flat.min(axis=0) + flat.max(axis=0)) / 2
    half = np.ptp(flat, axis=0) / 2 + MARGIN_MM
    shifted: Vector = centre + middle[0] * plane.right_lps + middle[1] * up
    return Plane(shifted, plane.right_lps, up, (float(half[0]), float(half[1])))


def footprint(implant: Cylinder, plane: Plane) -> Vector:
    """Outline of the implant's shadow on a plane, (n, 2) mm."""
    flat = plane.to_plane(implant.rims_lps())[:, :2]
    outline: Vector = flat[ConvexHull(flat).vertices]
    return outline


def _zone_and_thirds(axes: Axes, joint: Joint, triangles: Triangulation, size: Type) -> None:
    articular = (joint.zone == Zone.ARTICULAR).astype(float)
    lines = {"colors": ["#000000"]}
    if 0 < articular.mean() < 1:
        axes.tricontour(triangles, articular, levels=[0.5], linewidths=1.4 * size.line, **lines)
    if not joint.thirds.known:
        return
    bounds, height = joint.thirds.bounds_mm, joint.vertices_lps @ joint.thirds.axis_lps
    inner = [bound for bound in bounds[1:3] if height.min() < bound < height.max()]
    if inner:
        axes.tricontour(triangles, height, levels=inner, linewidths=1.2 * size.line, linestyles="dashed", **lines)
    for name, low, high in zip(("inferior", "middle", "superior"), bounds, bounds[1:], strict=False):
        inside = (height >= low) & (height <= high) & (articular > 0)
        if inside.any():
            place = triangles.x.min() - 2.0, np.median(triangles.y[inside])
            axes.text(*place, f"{name}\nthird", size=size.word, ha="right", va="center", color=palette.INK)


def _dress(axes: Axes, plane: Plane, size: Type) -> None:
    width, height = plane.half_mm
    axes.set_aspect("equal")
    axes.set_xlim(-width - ASIDE_MM * 1.4, width + ASIDE_MM * 0.6)
    axes.set_ylim(-height, height)
    axes.set_xticks([])
    axes.set_yticks([])
    letters(axes, plane.right_lps, plane.up_lps, palette.INK, size=size)
    scale_bar(axes, plane.half_mm, palette.INK, size=size)


def _facts(joint: Joint, limbs: Limbs | None) -> str:
    known = "thirds after Brandt" if joint.thirds.known else "thirds unknown"
    cut = "\nthe scan cuts\nthis joint off" if joint.truncated else ""
    size = (
        f"limbs\n{limbs.superior_mm:.0f} and {limbs.inferior_mm:.0f} mm,\n{limbs.width_mm:.0f} mm wide,\n"
        f"{limbs.angle_deg:.0f} degrees\n\n"
        if limbs
        else ""
    )
    return (
        f"articular zone\n{joint.articular_area_mm2 / 100:.1f} cm2\n\nmedian gap\n{joint.gap_median_mm:.1f} mm\n\n"
        f"95 % below\n{joint.gap_p95_mm:.1f} mm\n\n{size}{known}{cut}"
    )
