"""Pictures drawn at the size that they are printed at, so that each word can be read; the same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from planner import NOTICE
from planner.figures import palette
from planner.figures.page import COMPRESSION, legend_handles
from planner.figures.panel import PRINT
from planner.labels import Label

__all__ = ["GAP_MM", "LEGEND_ROW_MM", "PLATE_MM", "Plate"]

PLATE_MM = 190.0
"""Width: that of an A4 page between its margins."""

GAP_MM = 2.5
"""Between panels [P]."""

FOOT_MM = 3.6
LEGEND_ROW_MM = 3.25
"""Heights of the last line and of a row of the legend."""

DPI = 180
"""Finer than a printed screen of dots [P]."""

MM_PER_IN = 25.4


class Plate:
    """A figure as wide as a printed page; places are mm from its upper left corner."""

    def __init__(self, height_mm: float) -> None:
        self.height_mm = height_mm + FOOT_MM
        size = PLATE_MM / MM_PER_IN, self.height_mm / MM_PER_IN
        self.figure = Figure(figsize=size, dpi=DPI, facecolor=palette.PAPER)
        FigureCanvasAgg(self.figure)

    def panel(self, left: float, top: float, width: float, height: float) -> Axes:
        """Make room for a picture."""
        bottom = 1 - (top + height) / self.height_mm
        return self.figure.add_axes((left / PLATE_MM, bottom, width / PLATE_MM, height / self.height_mm))

    def write(self, left: float, top: float, words: str, **font: Any) -> None:
        """Write words below `top`."""
        style: dict[str, Any] = {"size": PRINT.word, "color": palette.INK, "va": "top", "linespacing": 1.15} | font
        self.figure.text(left / PLATE_MM, 1 - top / self.height_mm, words, **style)

    def legend(self, top: float, labels: Sequence[Label], extra: Sequence[str], columns: int) -> None:
        """Explain lines and colours."""
        legend = self.figure.legend(
            handles=legend_handles(labels, extra),
            loc="upper left",
            bbox_to_anchor=(0, 1 - top / self.height_mm, 1, 0),
            mode="expand",
            ncols=columns,
            fontsize=PRINT.word,
            facecolor="#3A3A3A",
            labelcolor="#FFFFFF",
            framealpha=1,
            borderpad=0.3,
            borderaxespad=0,
            handlelength=2.2,
            handletextpad=0.5,
            labelspacing=0.25,
        )
        legend.get_frame().set_linewidth(0)

    def save(self, path: Path, note: str) -> Path:
        """Write the plate as PNG, with the notice and a note on its last line."""
        self.write(0, self.height_mm - FOOT_MM + 0.6, f"{NOTICE}  {note}", color=palette.FAINT)
        options = {"compress_level": COMPRESSION}
        self.figure.savefig(path, dpi=DPI, metadata={"Software": None}, pil_kwargs=options, facecolor=palette.PAPER)
        return path
