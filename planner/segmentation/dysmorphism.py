"""Whether the upper sacrum is dysmorphic, by the sign that shows first: S1 is not sunk in between the iliac crests."""

from __future__ import annotations

import numpy as np

from planner.findings import Finding, Level
from planner.labels import Side
from planner.segmentation.bearings import FlatPlace
from planner.segmentation.model import Bones

__all__ = ["crest_height_mm", "dysmorphism_findings"]

SUNK_MM = 12.0
"""An S1 endplate less deep than this below the tops of the iliac crests is not sunk in: two standard deviations below
the mean of the 28 adults of the JHU atlas (31 +/- 10 mm, least 12) `[P]`."""

EDGE_MM = 5.0
"""A crest that ends this near to the end of the scan is cut off by it `[P]`."""


def crest_height_mm(bones: Bones, endplate: FlatPlace | None) -> float | None:
    """How far the lower iliac crest stands above the S1 endplate, along the pelvis; None where one is not seen."""
    if endplate is None:
        return None
    grid, up, heights = bones.labels.grid, bones.frame.cranial_lps, []
    for side in Side:
        points = grid.to_lps(np.argwhere(bones.labels.values == side.hip))
        if not len(points):
            return None
        top = points[(points @ up).argmax()]
        if not grid.contains(top[None], EDGE_MM).all():
            return None
        heights.append(float((top - endplate.point_lps) @ up))
    return min(heights)


def dysmorphism_findings(bones: Bones, endplate: FlatPlace | None) -> tuple[Finding, ...]:
    """Say that the upper sacrum may be dysmorphic."""
    height = crest_height_mm(bones, endplate)
    if height is None or height >= SUNK_MM:
        return ()
    text = (
        f"The S1 endplate lies {height:.0f} mm below the iliac crests, {SUNK_MM:g} mm and more are usual: "
        "a dysmorphic upper sacrum? Its joint and safe ways differ."
    )
    return (Finding("dysmorphic-sacrum", Level.NOTE, "both", text),)
