"""A page: title in words, panels, legend, and the notice; written with the same bytes every time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from planner import NOTICE
from planner.figures import palette
from planner.labels import Label

__all__ = ["COMPRESSION", "Heading", "Page", "legend_handles"]

DPI = 110
"""Enough for a screen and half a page of print [P]."""

TITLE_IN, LINE_IN, FOOT_IN, GAP_IN = 0.68, 0.165, 0.8, 0.28
"""Heights of title and state, of a line of text, of legend and notice, and the space between panels, inches [P]."""

ROW_GAP_IN = 0.38
"""Above each of several rows of panels, for titles, inches [P]."""

LEGEND_IN = 1.55
"""Width of a legend's entry, inches: narrower pages have a legend of two rows."""

COLUMNS_PER_IN = 15.0
"""Letters of the text that fit in an inch."""

COMPRESSION = 1
"""PNG level: a quarter of the time of the default for a fifth more bytes [P]."""


@dataclass(frozen=True)
class Heading:
    """What stands above the panels.

    Attributes
    ----------
    title : str
        Side and picture.
    state : str
        Whether there is a plan, and its grade; may be empty.
    lines : sequence of str
        Numbers, or why there is no plan.
    """

    title: str
    state: str
    lines: Sequence[str]


class Page:
    """One figure with panels in a row, or in rows of the same widths and heights."""

    def __init__(self, heading: Heading, widths_in: Sequence[float], height_in: float, rows: int = 1) -> None:
        self.width = sum(widths_in) + GAP_IN * (len(widths_in) + 1)
        columns = int((self.width - 2 * GAP_IN) * COLUMNS_PER_IN)
        told = [part for line in heading.lines for part in textwrap.wrap(line, columns)]
        panels_in = height_in if rows == 1 else (height_in + ROW_GAP_IN) * rows
        self.height = TITLE_IN + LINE_IN * len(told) + panels_in + FOOT_IN
        self.figure = Figure(figsize=(self.width, self.height), dpi=DPI, facecolor=palette.PAPER)
        FigureCanvasAgg(self.figure)
        bottoms = [FOOT_IN + (height_in + ROW_GAP_IN) * row for row in reversed(range(rows))]
        self.axes = [axes for bottom in bottoms for axes in self._panels(widths_in, height_in, bottom)]
        self._head(heading, told)

    def _panels(self, widths_in: Sequence[float], height_in: float, bottom_in: float) -> list[Axes]:
        axes, left = [], GAP_IN
        for width in widths_in:
            box = (left / self.width, bottom_in / self.height, width / self.width, height_in / self.height)
            axes.append(self.figure.add_axes(box))
            left += width + GAP_IN
        return axes

    def _head(self, heading: Heading, told: Sequence[str]) -> None:
        left = GAP_IN / self.width
        self._write(left, 0.1, heading.title, size=13, weight="bold")
        self._write(left, 0.36, heading.state, size=10.5, weight="bold")
        self._write(left, 0.58 if heading.state else 0.36, "\n".join(told), size=8.5)

    def _write(self, left: float, below_top_in: float, text: str, **font: Any) -> None:
        place = 1 - below_top_in / self.height
        self.figure.text(left, place, text, color=palette.INK, va="top", linespacing=1.3, **font)

    def legend(self, labels: Sequence[Label], extra: Sequence[str]) -> None:
        """Explain the colours used, below the panels."""
        handles = legend_handles(labels, extra)
        legend = self.figure.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(GAP_IN / self.width, 0.2 / self.height),
            ncols=min(len(handles), int(self.width / LEGEND_IN)),
            fontsize=8,
            frameon=True,
            facecolor="#3A3A3A",
            labelcolor="#FFFFFF",
            borderpad=0.35,
            handlelength=1.6,
            columnspacing=1.2,
        )
        legend.get_frame().set_linewidth(0)

    def save(self, path: Path, note: str = "") -> Path:
        """Write the page as PNG, without a date or a program's version in it."""
        text = f"{NOTICE}   {note}".strip()
        self.figure.text(GAP_IN / self.width, 0.06 / self.height, text, size=8, color=palette.FAINT)
        options = {"compress_level": COMPRESSION}
        self.figure.savefig(path, dpi=DPI, metadata={"Software": None}, pil_kwargs=options, facecolor=palette.PAPER)
        return path


def legend_handles(labels: Sequence[Label], extra: Sequence[str]) -> list[Line2D | Patch]:
    """Entries of a legend: the bones, then those of `_extra_handles` that are named."""
    named = {palette.BONE_WORDS[label]: palette.BONES[label] for label in labels}
    bones = [Line2D([], [], color=colour, lw=2, label=word) for word, colour in named.items()]
    return [*bones, *(handle for key, handle in _extra_handles().items() if key in extra)]


def _extra_handles() -> dict[str, Line2D | Patch]:
    return {
        "articular": Line2D([], [], color=palette.ARTICULAR, lw=1.8, label="joint line, articular"),
        "ligamentous": Line2D([], [], color=palette.LIGAMENTOUS, lw=1.5, ls=":", label="joint line, ligamentous"),
        "keepout": Patch(
            fc=(*palette.KEEPOUT_RGB, 0.5),
            ec=palette.KEEPOUT,
            hatch="////",
            label="keep-out: canal, foramina (dotted: soft)",
        ),
        "implant": Line2D([], [], color=palette.IMPLANT, lw=2, label="implant"),
        "margin": Line2D([], [], color=palette.ARTICULAR, lw=1.8, label="anterior joint margin"),
        "mouth": Line2D([], [], color=palette.ARTICULAR, lw=1.5, ls=":", label="dorsal mouth of the joint"),
        "ventral": Line2D([], [], color=palette.KEEPOUT, lw=1.6, label="ventral foramina"),
        "dorsal": Line2D([], [], color=palette.KEEPOUT, lw=1.6, ls="--", label="dorsal foramina"),
        "safe zone": Line2D([], [], color=palette.SAFE, lw=1.6, ls="-.", label="safe zone (Dall)"),
        "ring": Line2D([], [], color=palette.GUARD, lw=1.8, ls="--", label="3 mm safety ring"),
    }
