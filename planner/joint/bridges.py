"""Bone across the joint: where the dark line of an open joint is missing, and bone lies on both sides of it.

An open joint is a dark line between two cortices, whatever the patient's density: its depth below the lower of the two
peaks beside it is some hundred HU. A bridge has no such line. How deep the line should be is taken from the patient's
own joint, so that neither soft bone nor a soft kernel passes for a bridge. Marrow that is darker than a cortex is no
line: it has no second peak near behind it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid
from planner.joint.config import JointConfig
from planner.joint.profiles import STEP_MM, Profiles
from planner.joint.recess import in_recess
from planner.joint.sheet import Measured
from planner.labels import Side
from planner.segmentation.model import ShapeFit

__all__ = ["bridge_limit_mm2", "find_bridge"]

LINE_REACH_MM = 3.5
"""A dark line this near to the mid-surface is the joint, even where the labels missed it `[P]`."""

LINE_MM = 2.5
"""A dark line has a peak on either side within this: half of the widest articular gap. Two cortices further apart,
with bone between them, are no open joint `[P]`."""

USUAL_PERCENTILE = 75.0
"""Depth of the joint's own dark line: three quarters of the joint may be bridged before it is lost `[P]`."""

LINE_SHARE, LINE_HU = 0.33, 60.0
"""A line shallower than the first, as a share of the joint's own, or than the second, is none: noise and trabeculae
make lines of 20 to 60 HU. Settled on the pelves of `script/findings_accuracy.py` that are not measured `[P]`."""

UNRESOLVED_HU = 120.0
"""In thick slices a joint whose own line is shallower than this was not resolved: no bridge `[P]`."""

BONE_REACH_MM, BONE_SHARE = 4.0, 0.7
"""Across a bridge nothing within the first is darker than this share of the patient's marrow beside the joint: else
muscle lies on one side, where one of the bones ends `[P]`."""

MARROW_MM = (4.5, 6.0)
"""Depths, either side of the mid-surface, at which that marrow is read `[P]`."""

BESIDE_MM, BRIDGED_GAP_MM = 6.0, 6.0
"""A bridge may widen what the labels call the gap, so that the zone ends at it: it is also looked for so far beside
the zone, where the gap is narrower than the second `[P]`."""

AVERAGE_MM = 2.0
"""Radius over which the line's depth is averaged over the sheet `[P]`."""

HALF_MM = 1.5
"""Half-width of the narrowest bridge: less is noise `[P]`."""

SHARP_MM = 1.25
"""Voxels no larger than this show the dark line of an open joint (slice spacing of navigation protocols)."""

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]


def bridge_limit_mm2(grid: Grid, config: JointConfig) -> float:
    """Smallest bridge to believe: a dark line thinner than the voxels is lost in patches that grow with them."""
    return config.bridge_area_mm2 * max(float(grid.spacing_zyx_mm.max()) / SHARP_MM, 1.0)


def find_bridge(
    measured: Measured, profiles: Profiles, articular: Mask, grid: Grid, place: tuple[ShapeFit, Side]
) -> tuple[float, Mask]:
    """Area of the largest patch in or beside the articular zone that bone bridges, and the patch.

    The fitted shape and the side say where the joint is: a spur that meets the other bone in the recess is no bridge.
    """
    none = np.zeros_like(articular)
    if not articular.any():
        return 0.0, none
    sheet = measured.sheet
    line = sheet.smooth(line_depth_hu(profiles), sheet.rings(AVERAGE_MM))
    usual = float(np.percentile(line[articular], USUAL_PERCENTILE))
    if usual < UNRESOLVED_HU and grid.spacing_zyx_mm.max() > SHARP_MM:
        return 0.0, none
    here = articular | (sheet.grow(articular, sheet.rings(BESIDE_MM)) & (measured.gap_mm < BRIDGED_GAP_MM))
    bridged = here & (line < max(LINE_HU, LINE_SHARE * usual)) & _bone_on_both_sides(measured, profiles, articular)
    recess = in_recess(sheet.vertices_lps[bridged], *place) if bridged.any() else None
    if recess is not None:
        bridged[bridged] = ~recess
    rings = sheet.rings(HALF_MM)
    patch = sheet.largest(bridged & sheet.grow(sheet.shrink(bridged, rings), rings))
    return float(sheet.vertex_areas_mm2[patch].sum()), patch


def line_depth_hu(profiles: Profiles) -> Numbers:
    """How far the darkest line near the mid-surface lies below the lower of the peaks on its two sides."""
    steps = round(LINE_MM / STEP_MM)
    before, after = (
        ndi.maximum_filter1d(profiles.hu, steps + 1, axis=1, origin=way * (steps // 2), mode="nearest")
        for way in (1, -1)
    )
    depth = np.minimum(before, after) - profiles.hu
    deepest: Numbers = depth[:, np.abs(profiles.at_mm) <= LINE_REACH_MM].max(axis=1)
    return deepest


def _bone_on_both_sides(measured: Measured, profiles: Profiles, articular: Mask) -> Mask:
    away = np.abs(profiles.at_mm)
    deep = (away >= MARROW_MM[0]) & (away <= MARROW_MM[1])
    marrow_hu = float(np.median(profiles.hu[articular][:, deep]))
    averaged = measured.sheet.smooth(profiles.hu[:, away <= BONE_REACH_MM], measured.sheet.rings(HALF_MM))
    bone: Mask = averaged.min(axis=1) > BONE_SHARE * marrow_hu
    return bone
