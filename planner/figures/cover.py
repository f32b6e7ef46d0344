"""The first picture: the patient's pelvis from behind with both joints and implants."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from planner.figures.model import FigureCase
from planner.figures.paint import BACKGROUND, paint
from planner.figures.panel import CASING, PRINT, letters, scale_bar
from planner.figures.planes import Plane
from planner.figures.plate import PLATE_MM, Plate
from planner.figures.words import summary
from planner.labels import Side

__all__ = ["PICTURE_SHAPE", "draw_cover"]

HIGH_MM = 78.0
"""Height of the picture on the page [P]."""

PICTURE_SHAPE = HIGH_MM / PLATE_MM
"""Height of the picture without the words below, as a share of its width."""

PIXEL_MM = 0.7
"""Of the picture [P]."""

LINE_MM, COLUMNS = 3.2, 132
"""Height of a line of words, and its letters."""


def draw_cover(case: FigureCase, folder: Path) -> Path:
    """Draw bones, articular zones and implants from behind, in the pelvic frame; what is proposed stands below."""
    plane, depth = posterior_plane(case)
    told = [f"{side.value.capitalize()}: {summary(case, side)}" for side in Side]
    lines = [part for words in told for part in textwrap.wrap(words, COLUMNS)]
    plate = Plate(HIGH_MM + 1.2 + LINE_MM * len(lines))
    axes = plate.panel(0, 0, PLATE_MM, HIGH_MM)
    right, up = plane.axes_mm()
    picture = paint(case, plane, depth, case.implants().values())
    axes.imshow(picture, origin="lower", extent=(right[0], right[-1], up[0], up[-1]), interpolation="bilinear")
    _dress(axes, case, plane)
    plate.write(0, HIGH_MM + 1.2, "\n".join(lines), size=7)
    note = "Seen from behind: R is the patient's right. Yellow: articular zone of the joint. Blue: implant."
    return plate.save(folder / "cover.png", note)


def posterior_plane(case: FigureCase) -> tuple[Plane, float]:
    """Plane behind the bones, facing them, and how deep they lie."""
    frame, labels = case.bones.frame, case.bones.labels
    bony = np.argwhere(labels.values[::3, ::3, ::3] > 0) * 3.0
    points = frame.to_pelvic(labels.grid.to_lps(bony)) if len(bony) else frame.to_pelvic(labels.grid.corners_lps())
    low, high = points.min(axis=0) - 6, points.max(axis=0) + 6
    behind = np.array([(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2])
    half = (float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2)
    return Plane(frame.to_lps(behind), -frame.left_lps, frame.cranial_lps, half, PIXEL_MM), float(high[1] - low[1])


def _dress(axes: Axes, case: FigureCase, plane: Plane) -> None:
    height = plane.half_mm[1]
    shown = height * PLATE_MM / HIGH_MM
    axes.set(xlim=(-shown, shown), ylim=(-height, height), xticks=[], yticks=[], facecolor=BACKGROUND)
    letters(axes, plane.right_lps, plane.up_lps, size=PRINT)
    scale_bar(axes, (shown, height), size=PRINT)
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
            size=8.5,
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
