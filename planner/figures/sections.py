"""Pages of CT sections: axial, along the implant, down the implant, and the overview."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.figures.model import Cylinder, FigureCase
from planner.figures.page import Heading, Page
from planner.figures.panel import WINDOW_WORDS, draw_plane, draw_ring
from planner.figures.planes import Plane
from planner.figures.words import heading, summary
from planner.labels import Label, Side

__all__ = ["RING_MM", "draw_along", "draw_axial", "draw_down", "draw_overview"]

RING_MM = 3.0
"""Safety distance to neural structures (hard constraint 1)."""

ZOOM_HALF_MM = 48.0
"""Half width of a panel on one joint [P]."""

DOWN_HALF_MM = 32.0
"""Half width of a down-the-implant panel [P]."""

LEVEL_SHARE = 0.6
"""Axial levels above and below the implant's middle, as a share of its radius [P]."""

LEVEL_APART_MM = 10.0
"""Axial levels where there is no implant [P]."""

NORMAL_REACH_MM = 12.0
"""The joint's direction is the mean over its surface within this of the implant's middle [P]."""

BONES_SHOWN = (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP, Label.LUMBAR)

LEFT, POSTERIOR, CRANIAL = np.eye(3)

Vector = NDArray[np.float64]


def _page(case: FigureCase, side: Side, picture: str, widths_in: tuple[float, ...], bones: Sequence[Label]) -> Page:
    """Start a page of panels, square but for a wider first one, with the bones that are in the scan in its legend."""
    page = Page(heading(case, side, picture), widths_in, widths_in[-1])
    present = set(np.unique(case.bones.labels.values[::4, ::4, ::4]).tolist())
    extra = ["articular", "ligamentous", "keepout", *(["implant"] if case.best(side) else [])]
    page.legend([label for label in bones if label in present], extra)
    return page


def _own_bones(side: Side) -> tuple[Label, ...]:
    return Label.SACRUM, side.hip, Label.LUMBAR


def draw_axial(case: FigureCase, side: Side, folder: Path) -> Path:
    """Draw the whole axial slice and three slices through the joint."""
    page = _page(case, side, "axial slices", (4.9, 3.6, 3.6, 3.6), BONES_SHOWN)
    focus, best = case.focus_lps(side), case.best(side)
    step = LEVEL_SHARE * best.diameter_mm / 2 if best else LEVEL_APART_MM
    middle = np.array([_middle_x(case), focus[1], focus[2]])
    whole = Plane(middle - 20 * POSTERIOR, LEFT, -POSTERIOR, (136.0, 100.0), 0.7)
    draw_plane(page.axes[0], case, whole, f"axial, LPS z = {focus[2]:.0f} mm")
    for axes, offset in zip(page.axes[1:], (step, 0.0, -step), strict=True):
        plane = Plane(focus + offset * CRANIAL, LEFT, -POSTERIOR, (ZOOM_HALF_MM, ZOOM_HALF_MM))
        where = f"{abs(offset):.1f} mm {'above' if offset > 0 else 'below'}" if offset else "through the middle"
        draw_plane(axes, case, plane, f"axial, {where}")
    return page.save(
        folder / f"{side}_axial.png",
        f"{WINDOW_WORDS}. Seen from the feet: R is the patient's right.",
    )


def _middle_x(case: FigureCase) -> float:
    return float(np.mean([case.focus_lps(side)[0] for side in Side]))


def draw_along(case: FigureCase, side: Side, implant: Cylinder, folder: Path) -> Path:
    """Draw the two planes that hold the implant's axis: across the joint, and within it."""
    page = _page(case, side, "two sections that hold the implant's axis", (4.6, 4.6), _own_bones(side))
    across = across_joint(case, side, implant)
    half = (ZOOM_HALF_MM, ZOOM_HALF_MM)
    axis = implant.axis_lps
    true_axial = Plane(implant.centre_lps, across, axis, half)
    draw_plane(page.axes[0], case, true_axial, "across the joint\n(axial along the implant)")
    cranial = np.cross(across, axis)
    cranial *= np.sign(cranial @ CRANIAL)
    in_joint = Plane(implant.centre_lps, -axis, cranial, half)
    draw_plane(page.axes[1], case, in_joint, "within the joint\n(edge to edge)")
    return page.save(folder / f"{side}_along_implant.png", WINDOW_WORDS + ".")


def across_joint(case: FigureCase, side: Side, implant: Cylinder) -> Vector:
    """Find the unit vector across the joint at the implant, at right angles to its axis, to the patient's left."""
    normal = np.array(LEFT)
    joint = case.joints.get(side)
    if joint is not None:
        corners = joint.vertices_lps[joint.faces]
        near = np.linalg.norm(corners.mean(axis=1) - implant.centre_lps, axis=1) < NORMAL_REACH_MM
        summed = np.cross(corners[near, 1] - corners[near, 0], corners[near, 2] - corners[near, 0]).sum(axis=0)
        normal = summed if np.linalg.norm(summed) > 0 else normal
    across = normal - (normal @ implant.axis_lps) * implant.axis_lps
    across *= np.sign(across @ LEFT)
    unit: Vector = across / np.linalg.norm(across)
    return unit


def draw_down(case: FigureCase, side: Side, implant: Cylinder, folder: Path) -> Path:
    """Look down the implant from behind, at its entry, middle and tip."""
    page = _page(case, side, "down the implant, seen from behind", (3.8, 3.8, 3.8), _own_bones(side))
    axis = implant.axis_lps
    up = CRANIAL - (CRANIAL @ axis) * axis
    up /= np.linalg.norm(up)
    inset = 0.5  # just inside the end faces, so that the implant is in the picture
    depths = (inset, implant.length_mm / 2, implant.length_mm - inset)
    for axes, depth, name in zip(page.axes, depths, ("entry", "middle", "tip"), strict=True):
        plane = Plane(implant.entry_lps + depth * axis, np.cross(axis, up), up, (DOWN_HALF_MM, DOWN_HALF_MM), 0.3)
        draw_plane(axes, case, plane, f"{name}: {depth:.0f} mm deep")
        draw_ring(axes, implant, plane, RING_MM)
    note = f"{WINDOW_WORDS}. Dashed ring: {RING_MM:g} mm round the implant; no canal or foramen may enter it."
    return page.save(folder / f"{side}_down_the_implant.png", note)


def draw_overview(case: FigureCase, folder: Path) -> Path:
    """Draw a coronal slice through both joints and a sagittal slice through each."""
    told = [f"{side.value.capitalize()}: {summary(case, side)}" for side in Side]
    page = Page(Heading("Overview: coronal and sagittal slices", "", told), (5.6, 4.0, 4.0), 4.0)
    present = set(np.unique(case.bones.labels.values[::4, ::4, ::4]).tolist())
    shown = [label for label in Label if label in present and label != Label.BACKGROUND]
    page.legend(shown, ["articular", "ligamentous", "keepout", *(["implant"] if case.implants() else [])])
    foci = {side: case.focus_lps(side) for side in Side}
    middle = np.mean(list(foci.values()), axis=0)
    coronal = Plane(middle - 15 * CRANIAL, LEFT, CRANIAL, (126.0, 90.0), 0.7)
    draw_plane(page.axes[0], case, coronal, f"coronal, LPS y = {middle[1]:.0f} mm")
    for axes, (side, focus) in zip(page.axes[1:], foci.items(), strict=True):
        plane = Plane(focus, POSTERIOR, CRANIAL, (70.0, 70.0), 0.5)
        draw_plane(axes, case, plane, f"sagittal, {side} joint")
    return page.save(folder / "overview.png", f"{WINDOW_WORDS}. R is the patient's right. Black: outside the scan.")
