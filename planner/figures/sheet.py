"""One side on one sheet, for the report: every section a surgeon asks for, in panels that can be read in print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.figures.model import Cylinder, FigureCase
from planner.figures.page import Page
from planner.figures.panel import WINDOW_WORDS, draw_plane, draw_ring
from planner.figures.planes import Plane
from planner.figures.sections import CRANIAL, DOWN_HALF_MM, LEFT, POSTERIOR, RING_MM, across_joint
from planner.figures.words import heading
from planner.labels import Label, Side

__all__ = ["draw_sheet", "true_axial"]

PANEL_IN = 2.8
HALF_MM = 44.0
"""Half width of a panel [P]."""

PIXEL_MM = 0.45
"""About a pixel of the page."""

Vector = NDArray[np.float64]


def draw_sheet(case: FigureCase, side: Side, folder: Path) -> Path:
    """Draw the sections of one side; those along the implant only where there is one."""
    implant = case.implants().get(side)
    panels = [*_anatomical(case, side), *(_along(case, side, implant) if implant else ())]
    page = Page(heading(case, side, "sections"), (PANEL_IN,) * 3, PANEL_IN, rows=len(panels) // 3)
    present = set(np.unique(case.bones.labels.values[::4, ::4, ::4]).tolist())
    extra = ["articular", "ligamentous", "keepout", *(["implant", "ring"] if implant else [])]
    page.legend([bone for bone in (Label.SACRUM, side.hip, Label.LUMBAR) if bone in present], extra)
    for axes, (title, plane) in zip(page.axes, panels, strict=True):
        draw_plane(axes, case, plane, "")
        axes.set_title(title, size=8, loc="left", pad=3)
    if implant:
        draw_ring(page.axes[-1], (0.0, 0.0), implant.radius_mm + RING_MM)
    return page.save(folder / f"{side}_sheet.png", f"{WINDOW_WORDS}. Axial: seen from the feet.")


def _anatomical(case: FigureCase, side: Side) -> Iterator[tuple[str, Plane]]:
    focus = case.focus_lps(side)
    yield "axial (scanner)", _square(focus, LEFT, -POSTERIOR)
    yield "true axial of the sacrum", _square(focus, *true_axial(case))
    yield "coronal (scanner)", _square(focus, LEFT, CRANIAL)


def _along(case: FigureCase, side: Side, implant: Cylinder) -> Iterator[tuple[str, Plane]]:
    across, axis = across_joint(case, side, implant), implant.axis_lps
    edge = np.cross(across, axis)
    yield "across the joint, along the implant", _square(implant.centre_lps, across, axis)
    yield "within the joint, along the implant", _square(implant.centre_lps, -axis, edge * np.sign(edge @ CRANIAL))
    up = CRANIAL - (CRANIAL @ axis) * axis
    up /= np.linalg.norm(up)
    half = (DOWN_HALF_MM, DOWN_HALF_MM)
    yield "down the implant, its middle, from behind", Plane(implant.centre_lps, np.cross(axis, up), up, half, 0.33)


def true_axial(case: FigureCase) -> tuple[Vector, Vector]:
    """Right and up of the plane parallel to the S1 endplate, or of the pelvic frame's where that was not seen."""
    frame = case.bones.frame
    normal = case.endplate.normal_lps if case.endplate else frame.cranial_lps
    left = frame.left_lps - (frame.left_lps @ normal) * normal
    left /= np.linalg.norm(left)
    return left, np.cross(normal, -left)


def _square(middle: Vector, right: Vector, up: Vector) -> Plane:
    return Plane(middle, right, up, (HALF_MM, HALF_MM), PIXEL_MM)
