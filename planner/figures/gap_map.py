"""The joint seen from the side: its gap, zones, thirds, and the implant's footprint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.tri import Triangulation
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from planner.figures import palette
from planner.figures.model import Cylinder, FigureCase
from planner.figures.page import Page
from planner.figures.panel import letters, scale_bar
from planner.figures.planes import Plane
from planner.figures.words import heading
from planner.joint.limbs import Limbs, fit_limbs
from planner.joint.model import Joint, Zone
from planner.labels import Side

__all__ = ["draw_gap_map"]

GAP_MM = (0.0, 6.0)
"""Range of the colours: the articular zone ends at 5 mm at most, at 6.5 mm in a joint torn open."""

RIM_POINTS = 48
"""Points round each end face of the implant's outline."""

MARGIN_MM = 6.0

Vector = NDArray[np.float64]


def draw_gap_map(case: FigureCase, side: Side, joint: Joint, folder: Path) -> Path:
    """Draw the mid-surface from the patient's own side, so that cranial is up."""
    plane = lateral_plane(case, joint)
    shape = 4.4 * min(1.6, plane.half_mm[0] / plane.half_mm[1]), 4.4
    page = Page(heading(case, side, "gap, seen from the side"), (max(shape[0], 5.4), 0.22, 1.6), shape[1])
    axes, bar, aside = page.axes
    flat = plane.to_plane(joint.vertices_lps)
    colours = axes.tripcolor(
        Triangulation(flat[:, 0], flat[:, 1], joint.faces),
        joint.gap_mm,
        cmap="cividis_r",
        vmin=GAP_MM[0],
        vmax=GAP_MM[1],
        shading="gouraud",
    )
    page.figure.colorbar(colours, cax=bar, extend="max").set_label("gap, bone to bone, mm", size=9)
    _zone_and_thirds(axes, joint, flat)
    limbs = fit_limbs(joint)
    if limbs is not None:
        axes.plot(*plane.to_plane(limbs.path_lps)[:, :2].T, color="#FFFFFF", lw=1.6, marker="o", ms=3.5)
    implant = case.implants().get(side)
    if implant is not None:
        axes.add_patch(Polygon(footprint(implant, plane), fc="#FFFFFF66", ec=palette.INK, lw=1.8))
    _dress(axes, plane)
    aside.set_axis_off()
    aside.text(0.25, 1.0, _facts(joint, limbs), size=9, va="top", transform=aside.transAxes, linespacing=1.5)
    note = "Black: edge of the articular zone. White: middle of its C. Dashed: thirds. Outline: the implant's shadow."
    return page.save(folder / f"{side}_gap_map.png", note)


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
    across = np.linalg.svd(implant.axis_lps[None, :])[2][1:]
    turn = np.linspace(0, 2 * np.pi, RIM_POINTS, endpoint=False)
    rim = implant.radius_mm * (np.cos(turn)[:, None] * across[0] + np.sin(turn)[:, None] * across[1])
    flat = plane.to_plane(np.concatenate([implant.entry_lps + rim, implant.tip_lps + rim]))[:, :2]
    outline: Vector = flat[ConvexHull(flat).vertices]
    return outline


def _zone_and_thirds(axes: Axes, joint: Joint, flat: Vector) -> None:
    triangles = Triangulation(flat[:, 0], flat[:, 1], joint.faces)
    articular = (joint.zone == Zone.ARTICULAR).astype(float)
    if 0 < articular.mean() < 1:
        axes.tricontour(triangles, articular, levels=[0.5], colors=["#000000"], linewidths=1.4)
    if joint.thirds.known:
        height = joint.vertices_lps @ joint.thirds.axis_lps
        inner = [bound for bound in joint.thirds.bounds_mm[1:3] if height.min() < bound < height.max()]
        if inner:
            axes.tricontour(triangles, height, levels=inner, colors=["#000000"], linewidths=1.2, linestyles="dashed")
        for name, low, high in zip(
            ("inferior", "middle", "superior"), joint.thirds.bounds_mm, joint.thirds.bounds_mm[1:], strict=False
        ):
            inside = (height >= low) & (height <= high) & (articular > 0)
            if inside.any():
                place = flat[:, 0].min() - 2.0, np.median(flat[inside, 1])
                axes.text(*place, f"{name}\nthird", size=8.5, ha="right", va="center", color=palette.INK)


def _dress(axes: Axes, plane: Plane) -> None:
    width, height = plane.half_mm
    axes.set_aspect("equal")
    axes.set_xlim(-width - 14, width + 6)
    axes.set_ylim(-height, height)
    axes.set_xticks([])
    axes.set_yticks([])
    letters(axes, plane.right_lps, plane.up_lps, palette.INK)
    scale_bar(axes, plane.half_mm, palette.INK)


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
