"""One side on one sheet, as the report prints it: sections, the bones in space, the gap, and the C-arm's views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from planner.figures import palette
from planner.figures.c_arm import VIEW_WORDS, Room, draw_view
from planner.figures.gap_map import draw_gap
from planner.figures.model import Cylinder, FigureCase
from planner.figures.oblique import draw_oblique
from planner.figures.panel import PRINT, WINDOW_WORDS, draw_plane, draw_ring
from planner.figures.planes import Plane
from planner.figures.plate import GAP_MM, LEGEND_ROW_MM, PLATE_MM, Plate
from planner.figures.sections import CRANIAL, LEFT, POSTERIOR, RING_MM, across_joint
from planner.figures.words import heading
from planner.labels import Label, Side

__all__ = ["draw_sheet", "true_axial"]

COLUMNS, ROWS = 3, 2
WIDE_MM = (PLATE_MM - GAP_MM * (COLUMNS - 1)) / COLUMNS
HIGH_MM = 47.0
"""Size of a panel on paper [P]."""

TITLE_MM, VIEW_TITLE_MM = 4.4, 10.0
"""Height of a title of one line, and of three."""

VIEW_GAP_MM = 2.0
VIEW_MM = (PLATE_MM - (len(VIEW_WORDS) - 1) * VIEW_GAP_MM) / len(VIEW_WORDS)
"""Width of a radiograph."""

HALF_MM = 38.0
"""Half height of a section, mm of the patient [P]."""

DOWN_HALF_MM = 26.0
"""The same, down the implant [P]."""

PIXEL_MM = 0.4
"""About two pixels of the sheet."""

LEGEND_COLUMNS = 5

Vector = NDArray[np.float64]


def draw_sheet(case: FigureCase, side: Side, room: Room | None, folder: Path) -> Path:
    """Draw one side; sections along the implant only where there is one, radiographs only where there is a room."""
    implant = case.implants().get(side)
    present = set(np.unique(case.bones.labels.values[::4, ::4, ::4]).tolist())
    bones = [bone for bone in (Label.SACRUM, side.hip, Label.LUMBAR) if bone in present]
    lines = _legend(case, side, room)
    rows = -(-(len(bones) + len(lines)) // LEGEND_COLUMNS)
    top = ROWS * (TITLE_MM + HIGH_MM)
    views_mm = VIEW_TITLE_MM + VIEW_MM if room else 0.0
    plate = Plate(top + views_mm + 1.5 + rows * LEGEND_ROW_MM + 1.5)
    spaces = _spaces(plate)
    sections = list(_sections(case, side, implant))
    for axes, (title, plane) in zip(spaces, sections, strict=False):
        draw_plane(axes, case, plane, "", PRINT)
        _title(axes, title)
    if implant:
        draw_ring(spaces[3], implant, sections[3][1], RING_MM, PRINT)
    _title(spaces[4], draw_oblique(spaces[4], case, side))
    _title(spaces[5], draw_gap(spaces[5], case, side))
    if room:
        _draw_views(plate, room, top + VIEW_TITLE_MM)
    plate.legend(top + views_mm + 1.5, bones, lines, LEGEND_COLUMNS)
    name = heading(case, side, "all views").title
    return plate.save(folder / f"{side}_sheet.png", f"{name}. {WINDOW_WORDS}. Axial: seen from the feet.")


def _legend(case: FigureCase, side: Side, room: Room | None) -> Sequence[str]:
    own = ["implant", "ring"] if case.best(side) else []
    card = case.cards.get(side)
    zone = ["safe zone"] if card and card.safe_zone else []
    views = ["margin", "mouth", "ventral", "dorsal", *zone] if room else []
    return ["articular", "ligamentous", "keepout", *own, *views]


def _spaces(plate: Plate) -> list[Axes]:
    """Panels in rows, with room for a title above each."""
    lefts = [column * (WIDE_MM + GAP_MM) for column in range(COLUMNS)]
    tops = [row * (TITLE_MM + HIGH_MM) + TITLE_MM for row in range(ROWS)]
    return [plate.panel(left, top, WIDE_MM, HIGH_MM) for top in tops for left in lefts]


def _title(axes: Axes, words: str) -> None:
    axes.set_title(words, size=PRINT.word, loc="left", pad=2, color=palette.INK)


def _sections(case: FigureCase, side: Side, implant: Cylinder | None) -> Iterator[tuple[str, Plane]]:
    focus = case.focus_lps(side)
    yield f"axial (scanner), LPS z = {focus[2]:.0f} mm", _plane(focus, LEFT, -POSTERIOR)
    yield "true axial (parallel to the S1 endplate)", _plane(focus, *true_axial(case))
    if implant is None:
        yield "coronal (scanner)", _plane(focus, LEFT, CRANIAL)
        yield "sagittal (scanner)", _plane(focus, POSTERIOR, CRANIAL)
        return
    across, axis = across_joint(case, side, implant), implant.axis_lps
    yield "along the implant, across the joint", _plane(implant.centre_lps, across, axis)
    up = CRANIAL - (CRANIAL @ axis) * axis
    up /= np.linalg.norm(up)
    yield (
        "down the implant, at its middle, from behind",
        _plane(implant.centre_lps, np.cross(axis, up), up, DOWN_HALF_MM),
    )


def true_axial(case: FigureCase) -> tuple[Vector, Vector]:
    """Right and up of the plane parallel to the S1 endplate, or of the pelvic frame's where that was not seen."""
    frame = case.bones.frame
    normal = case.endplate.normal_lps if case.endplate else frame.cranial_lps
    left = frame.left_lps - (frame.left_lps @ normal) * normal
    left /= np.linalg.norm(left)
    return left, np.cross(normal, -left)


def _plane(middle: Vector, right: Vector, up: Vector, half_mm: float = HALF_MM) -> Plane:
    return Plane(middle, right, up, (half_mm * WIDE_MM / HIGH_MM, half_mm), PIXEL_MM * half_mm / HALF_MM)


def _draw_views(plate: Plate, room: Room, top_mm: float) -> None:
    """Draw the radiographs in a row, their angles above each."""
    views = [room.card.views[name] for name in VIEW_WORDS if name in room.card.views]
    for number, view in enumerate(views):
        axes = plate.panel(number * (VIEW_MM + VIEW_GAP_MM), top_mm, VIEW_MM, VIEW_MM)
        draw_view(axes, room, view, PRINT)
