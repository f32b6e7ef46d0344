"""Whether the lowest lumbar vertebra has grown to the pelvis: a transitional vertebra, by its transverse processes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from planner.findings import Finding, Level
from planner.labels import Label, Side
from planner.segmentation.model import Bones

__all__ = ["transition_findings"]

LATERAL_MM = 30.0
"""Farther than this from the midline, L5 has only its transverse processes: facets lie at 15-25 mm `[P]`."""

CONTACT_MM = 4.0
"""A process this near to sacrum or ilium meets it. Those of the real L5 looked at stay 10 mm away `[P]`."""

CONTACT_MM3 = 30.0
"""Smallest part of a process that must be so near `[P]`."""


def transition_findings(bones: Bones) -> tuple[Finding, ...]:
    """Report transverse processes that meet the sacral ala or the ilium (Castellvi II to IV)."""
    volumes = contact_mm3(bones)
    sides = [side for side in Side if volumes.get(side, 0.0) >= CONTACT_MM3]
    if not sides:
        return ()
    where = "both sides" if len(sides) == 2 else f"the {sides[0]}"
    text = (
        f"The transverse process of the lowest lumbar vertebra meets sacrum or ilium on {where}: check for a "
        "transitional vertebra and the numbers of the foramina."
    )
    return (Finding("transitional-vertebra", Level.NOTE, "both" if len(sides) == 2 else str(sides[0]), text),)


def contact_mm3(bones: Bones) -> dict[Side, float]:
    """Volume of the transverse processes that lies within `CONTACT_MM` of sacrum or hip bone, by side."""
    grid, values = bones.labels.grid, bones.labels.values
    index = np.argwhere(values == Label.LUMBAR)
    centre = bones.fit.landmarks_lps.get("s1_endplate_centre")
    if not len(index) or centre is None:
        return {}
    points = grid.to_lps(index)
    across = (points - centre) @ bones.frame.left_lps
    voxel_mm3 = float(np.prod(grid.spacing_zyx_mm))
    return {side: voxel_mm3 * _near_pelvis(bones, points[across * side.lateral_x > LATERAL_MM]) for side in Side}


def _near_pelvis(bones: Bones, points_lps: NDArray[np.float64]) -> int:
    """How many of the points lie near sacrum or hip bones."""
    if not len(points_lps):
        return 0
    part = bones.labels.crop(bones.labels.grid.box_around(points_lps, 2 * CONTACT_MM))
    pelvis = np.argwhere((part.values > 0) & (part.values <= Label.RIGHT_HIP))
    if not len(pelvis):
        return 0
    away = cKDTree(part.grid.to_lps(pelvis)).query(points_lps, distance_upper_bound=CONTACT_MM)[0]
    return int(np.isfinite(away).sum())
