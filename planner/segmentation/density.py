"""Bone density of S1 by its trabecular HU: a hint, not a measurement of bone mineral."""

from __future__ import annotations

import numpy as np

from planner.findings import Finding, Level
from planner.labels import Label
from planner.segmentation.bearings import FlatPlace
from planner.volume import LabelMap, Volume

__all__ = ["density_findings", "s1_trabecular_hu"]

DEPTH_MM, RADIUS_MM = 13.0, 8.0
"""The ball in which S1 is read lies so far below its endplate: clear of cortex, canal and the next disc `[P]`."""

FILLED_SHARE = 0.8
"""Share of the ball that must be labelled sacrum and in the scan `[P]`."""

OSTEOPOROSIS_HU, HEALTHY_HU = 130.5, 165.0
"""Below the first osteoporosis is predicted, above the second excluded with a specificity of 91.5 % (rs-7716661)."""


def s1_trabecular_hu(volume: Volume, labels: LabelMap, endplate: FlatPlace | None) -> float | None:
    """Mean HU of a ball in the body of S1; None where endplate or body are not seen."""
    if endplate is None:
        return None
    centre = endplate.point_lps - DEPTH_MM * endplate.normal_lps
    if not volume.grid.contains(centre, RADIUS_MM):
        return None
    box = volume.grid.box_around(centre, RADIUS_MM)
    part = volume.crop(box)
    places = part.grid.to_lps(np.moveaxis(np.indices(part.hu.shape), 0, -1))
    ball = np.linalg.norm(places - centre, axis=-1) <= RADIUS_MM
    inside = ball & (labels.values[box] == Label.SACRUM)
    return float(part.hu[inside].mean()) if inside.sum() >= FILLED_SHARE * ball.sum() else None


def density_findings(s1_hu: float | None) -> tuple[Finding, ...]:
    """Say that S1 is less dense than in healthy bone."""
    if s1_hu is None or s1_hu >= HEALTHY_HU:
        return ()
    low = s1_hu < OSTEOPOROSIS_HU
    meaning = (
        f"below {OSTEOPOROSIS_HU:g} HU osteoporosis is likely"
        if low
        else f"osteoporosis is not excluded below {HEALTHY_HU:g} HU"
    )
    text = f"The trabecular bone of S1 has {s1_hu:.0f} HU: {meaning} (contrast medium raises the figure)."
    return (Finding("low-bone-density", Level.WARN if low else Level.NOTE, "both", text),)
