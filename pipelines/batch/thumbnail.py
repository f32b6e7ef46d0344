"""A small picture of a case, for the table of all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from planner import NOTICE

__all__ = ["THUMBNAIL", "write_thumbnail"]

THUMBNAIL = "thumbnail.png"
WIDTH_PX = 360
"""Wide enough to see the implant on the bone [P]."""
WHITE = 240
"""Paper, not picture."""
FIRST = ("cover", "summary", "overview")
"""Figures that show the case at a glance, by the start of their names; else the first is taken."""


def write_thumbnail(folder: Path) -> Path | None:
    """Write ``thumbnail.png`` from a result folder's figures, without their words; None where it has none."""
    figures = sorted((folder / "figures").glob("*.png"))
    if not figures:
        return None
    chosen = min(figures, key=lambda path: (not path.stem.startswith(FIRST), path.name))
    notice = PngImagePlugin.PngInfo()
    notice.add_text("Comment", NOTICE)
    with Image.open(chosen) as picture:
        small = _off_paper(picture.convert("RGB"))
        small.thumbnail((WIDTH_PX, WIDTH_PX))
        small.save(folder / THUMBNAIL, pnginfo=notice)
    return folder / THUMBNAIL


def _off_paper(page: Image.Image) -> Image.Image:
    """Cut out what is mostly not white; the whole page where nothing is."""
    inked = np.asarray(page).min(axis=2) < WHITE
    rows = np.flatnonzero(inked.mean(axis=1) > 0.5)
    if not len(rows):
        return page
    columns = np.flatnonzero(inked[rows].mean(axis=0) > 0.5)
    return page.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
