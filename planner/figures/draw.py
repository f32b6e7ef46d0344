"""All figures of one case."""

from __future__ import annotations

from pathlib import Path

from planner.figures.cover import draw_cover
from planner.figures.gap_map import draw_gap_map
from planner.figures.model import FigureCase
from planner.figures.sections import draw_along, draw_axial, draw_down, draw_overview
from planner.labels import Side

__all__ = ["draw_figures"]


def draw_figures(case: FigureCase, folder: Path) -> list[Path]:
    """Draw every figure of a case as PNG.

    Both sides get axial slices and, where the joint was found, a map of its gap; sides with a candidate also get
    sections along and down the implant. A side without a plan shows the anatomy and the reason.

    Parameters
    ----------
    case : FigureCase
        What the stages left.
    folder : Path
        Made if it is not there.

    Returns
    -------
    list of Path
        Cover first, then the overview, then the left and the right side. Same case, same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [draw_cover(case, folder), draw_overview(case, folder)]
    implants = case.implants()
    for side in Side:
        pictures.append(draw_axial(case, side, folder))
        if side in implants:
            pictures.append(draw_along(case, side, implants[side], folder))
            pictures.append(draw_down(case, side, implants[side], folder))
        joint = case.joints.get(side)
        if joint is not None and len(joint.faces):
            pictures.append(draw_gap_map(case, side, joint, folder))
    return pictures
