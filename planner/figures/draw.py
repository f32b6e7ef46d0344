"""All figures of one case."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from planner.figures.c_arm import draw_c_arm
from planner.figures.cover import draw_cover
from planner.figures.gap_map import draw_gap_map
from planner.figures.model import FigureCase
from planner.figures.sections import draw_along, draw_axial, draw_down, draw_overview
from planner.figures.sheet import draw_sheet
from planner.labels import Side

__all__ = ["draw_figures", "figure_jobs"]


def draw_figures(case: FigureCase, folder: Path) -> list[Path]:
    """Draw every figure of a case as PNG, one after another; see `figure_jobs`."""
    return [draw() for draw in figure_jobs(case, folder)]


def figure_jobs(case: FigureCase, folder: Path) -> list[Callable[[], Path]]:
    """Figures of a case, each to be drawn by a call, in any order and process.

    Both sides get a sheet of sections, axial slices and, where the joint was found, a map of its gap; sides with a
    candidate also get sections along and down the implant, and sides with a C-arm card its simulated radiographs. A
    side without a plan shows the anatomy and the reason.

    Parameters
    ----------
    case : FigureCase
        What the stages left.
    folder : Path
        Made if it is not there.

    Returns
    -------
    list of callable
        Each gives the path of its PNG. Cover first, then the overview, then the left and the right side. Same case,
        same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs: list[Callable[[], Path]] = [partial(draw_cover, case, folder), partial(draw_overview, case, folder)]
    implants = case.implants()
    for side in Side:
        jobs.append(partial(draw_sheet, case, side, folder))
        jobs.append(partial(draw_axial, case, side, folder))
        if side in implants:
            jobs.append(partial(draw_along, case, side, implants[side], folder))
            jobs.append(partial(draw_down, case, side, implants[side], folder))
        joint = case.joints.get(side)
        if joint is not None and len(joint.faces):
            jobs.append(partial(draw_gap_map, case, side, joint, folder))
        if side in case.cards:
            jobs.append(partial(draw_c_arm, case, side, folder))
    return jobs
