"""All figures of one case."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from planner.figures.c_arm import Room, draw_c_arm
from planner.figures.compare import draw_compare, draw_injection
from planner.figures.cover import draw_cover
from planner.figures.gap_map import draw_gap_map
from planner.figures.model import FigureCase
from planner.figures.sections import draw_along, draw_axial, draw_down, draw_overview
from planner.figures.sheet import draw_sheet
from planner.labels import Side

__all__ = ["draw_figures", "figure_jobs"]


def draw_figures(case: FigureCase, folder: Path) -> list[Path]:
    """Draw every figure of a case as PNG, one after another, and give them by name; see `figure_jobs`."""
    return sorted(path for draw in figure_jobs(case, folder) for path in draw())


def figure_jobs(case: FigureCase, folder: Path) -> list[Callable[[], list[Path]]]:
    """Figures of a case, each to be drawn by a call, in any order and process.

    Both sides get a sheet that shows all, axial slices and, where the joint was found, a map of its gap; sides with a
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
        Each gives the paths of its PNGs: sheets and C-arm cards first, as they take longest. Same case, same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rooms = Room.of_sides(case)
    jobs: list[Callable[[], list[Path]]] = [partial(_draw_page, case, side, rooms.get(side), folder) for side in Side]
    jobs += [lambda: [draw_cover(case, folder)], lambda: [draw_overview(case, folder)]]
    return [*jobs, *(partial(_draw_alone, case, side, folder) for side in Side)]


def _draw_page(case: FigureCase, side: Side, room: Room | None, folder: Path) -> list[Path]:
    """Draw the sheet and the C-arm card, which show the same radiographs."""
    sheet = draw_sheet(case, side, room, folder)
    return [sheet, draw_c_arm(room, folder)] if room else [sheet]


def _draw_alone(case: FigureCase, side: Side, folder: Path) -> list[Path]:
    """Draw what each shows one thing."""
    drawn = [draw_axial(case, side, folder)]
    implant, joint = case.implants().get(side), case.joints.get(side)
    if implant:
        drawn += [draw_along(case, side, implant, folder), draw_down(case, side, implant, folder)]
    if joint is not None and len(joint.faces):
        drawn.append(draw_gap_map(case, side, joint, folder))
    if side in case.lateral:
        drawn.append(draw_compare(case, side, case.lateral[side], folder))
    needle = case.injections.get(side)
    if needle is not None and needle.clearances:
        drawn.append(draw_injection(case, side, needle, folder))
    return drawn
