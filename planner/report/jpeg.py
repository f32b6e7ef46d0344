"""Figures as the reports hold them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

__all__ = ["is_shown", "jpeg_of"]

SHOWN = ("cover", "_sheet", "_c_arm", "_gap_map", "_compare", "_injection")
"""Ends of the names of the figures that the reports show."""

JPEG_QUALITY = 88
"""A fifth of the PNG, and no seen difference at the size that it is printed at `[P]`."""


def is_shown(figure: Path) -> bool:
    """Whether a report shows a figure."""
    return figure.stem.endswith(SHOWN)


def jpeg_of(figure: Path) -> bytes:
    """Turn a figure into JPEG, which PDF and browser take as it is."""
    data = BytesIO()
    with Image.open(figure) as picture:
        picture.convert("RGB").save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return data.getvalue()
