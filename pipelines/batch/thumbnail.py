"""A small picture of a case, for the table of all."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

__all__ = ["THUMBNAIL", "write_thumbnail"]

THUMBNAIL = "thumbnail.png"
WIDTH_PX = 240
"""Wide enough to see the implant on the bone [P]."""
FIRST = ("cover", "summary", "overview")
"""Figures that show the case at a glance, by the start of their names; else the first is taken."""


def write_thumbnail(folder: Path) -> Path | None:
    """Write ``thumbnail.png`` from a result folder's figures; None where it has none."""
    figures = sorted((folder / "figures").glob("*.png"))
    if not figures:
        return None
    chosen = min(figures, key=lambda path: (not path.stem.startswith(FIRST), path.name))
    with Image.open(chosen) as picture:
        small = picture.convert("RGB")
        small.thumbnail((WIDTH_PX, WIDTH_PX))
        small.save(folder / THUMBNAIL)
    return folder / THUMBNAIL
