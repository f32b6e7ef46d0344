"""Whether the upper sacrum is dysmorphic, by the sign that a plain outlet view shows first: S1 is not sunk in."""

from __future__ import annotations

import numpy as np

from planner.findings import Finding, Level
from planner.labels import Side
from planner.segmentation.bearings import FlatPlace
from planner.segmentation.model import Bones

__all__ = ["crest_height_mm", "dysmorphism_findings"]

OUTLET_DEG = 45.0
"""Angle of the outlet view to the frontal view, towards cranial `[P]`."""

SUNK_MM = 15.0
"""An S1 endplate less deep than this below the iliac crests in the outlet view is not sunk in: 31 to 59 mm on the four
pelves looked at `[P]`."""

EDGE_MM = 5.0
"""A crest that ends this near to the end of the scan is cut off by it `[P]`."""


def crest_height_mm(bones: Bones, endplate: FlatPlace | None) -> float | None:
    """How far the lower iliac crest stands above the S1 endplate in the outlet view; None where one is not seen."""
    if endplate is None:
        return None
    tilt = np.radians(OUTLET_DEG)
    up = np.cos(tilt) * bones.frame.cranial_lps - np.sin(tilt) * bones.frame.posterior_lps
    grid, heights = bones.labels.grid, []
    for side in Side:
        points = grid.to_lps(np.argwhere(bones.labels.values == side.hip))
        if not len(points):
            return None
        tops = np.array([points[(points @ way).argmax()] for way in (up, bones.frame.cranial_lps)])
        if not grid.contains(tops, EDGE_MM).all():
            return None
        heights.append(float((tops[0] - endplate.point_lps) @ up))
    return min(heights)


def dysmorphism_findings(bones: Bones, endplate: FlatPlace | None) -> tuple[Finding, ...]:
    """Say that the upper sacrum may be dysmorphic."""
    height = crest_height_mm(bones, endplate)
    if height is None or height >= SUNK_MM:
        return ()
    text = (
        f"The S1 endplate lies {height:.0f} mm below the iliac crests in the outlet view, {SUNK_MM:g} mm and more are "
        "usual: a dysmorphic upper sacrum? Its joint and safe ways differ."
    )
    return (Finding("dysmorphic-sacrum", Level.NOTE, "both", text),)
