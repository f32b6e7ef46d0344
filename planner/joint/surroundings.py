"""What lies in and beside a joint and bears on a plan: gas, metal, an accessory joint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from planner.findings import Finding, Level, witness_of
from planner.joint.mesh import Sheet
from planner.joint.profiles import GAP_HU_RANGE, GapFit
from planner.joint.recess import in_recess
from planner.joint.sheet import Measured
from planner.labels import Side
from planner.segmentation.model import Bones, PelvicFrame, ShapeFit
from planner.volume import Volume

__all__ = ["accessory_joint_findings", "metal_findings", "vacuum_findings"]

METAL_HU, METAL_MM = 2500.0, 15.0
"""Metal is above the first; it bears on a joint within the second of it (clinical notes, section 7) `[P]`."""

METAL_MM3 = 20.0
"""Less metal is a bright voxel of cortex or a clip `[P]`."""

GAS_HU, BELOW_USUAL_HU = -120.0, 150.0
"""Darker than fat, even where the gap is blurred, and darker than is usual in this joint: gas `[P]`."""

CARTILAGE_HU = 90.0
"""Where a joint is usually darker than its cartilage, see `JointConfig.gap_hu`, a sharp kernel overshoots; here and
there, where cortices are dense, it does so twice as much `[P]`."""

GAS_MM2 = 20.0
"""Smallest patch of gas that is reported `[P]`."""

CONTACT_MM = 2.5
"""Sacrum and ilium this near to each other outside the joint meet in an accessory joint `[P]`."""

CONTACT_MM2 = 45.0
"""Smallest such contact that is reported: facets of 9 mm radius and more make 52 to 300 mm2 of it; without them 39 of
40 sides of tuning scans of the JHU atlas stay below 40 `[P]`."""

NECK_MM = 4.0
"""A contact that runs on into the joint's own by a strip twice this wide is the joint, which reaches further back in
some people: on the male of HuBMAP it does, by eye too `[P]`."""

HIGHEST = 0.9
"""A contact above this share of the articular zone's height is one of L5's processes with the ilium `[P]`."""

APART_MM = 3.0
"""Where no shape was fitted: a contact nearer than this to the articular zone is its ragged edge `[P]`."""

AVERAGE_MM = 1.5
"""Radius over which the gap is averaged before contacts are looked for `[P]`."""

Mask = NDArray[np.bool_]


def metal_findings(volume: Volume, joint_lps: NDArray[np.float64], side: Side) -> tuple[Finding, ...]:
    """Say that there is metal near the joint: an earlier fusion, screws."""
    try:
        part = volume.crop(volume.grid.box_around(joint_lps, METAL_MM))
    except ValueError:
        return ()
    dense = np.argwhere(part.hu > METAL_HU)
    if not len(dense):
        return ()
    away = cKDTree(joint_lps).query(part.grid.to_lps(dense), distance_upper_bound=METAL_MM)[0]
    near = away[np.isfinite(away)]
    amount = len(near) * float(np.prod(part.grid.spacing_zyx_mm))
    if amount < METAL_MM3:
        return ()
    text = (
        f"{amount:.0f} mm3 of metal (above {METAL_HU:.0f} HU) within {METAL_MM:.0f} mm of the {side} joint, "
        f"{near.min():.0f} mm at the nearest: an earlier fusion? Bones, gap and plan are unreliable there."
    )
    nearest = witness_of(part.grid.to_lps(dense[[away.argmin()]]))
    return (Finding("metal-near-joint", Level.WARN, side.value, text, nearest),)


def vacuum_findings(measured: Measured, fit: GapFit, articular: Mask, side: Side) -> tuple[Finding, ...]:
    """Say that there is gas in the joint."""
    if not articular.any():
        return ()
    usual = max(float(np.median(fit.lowest_hu[articular])), GAP_HU_RANGE[0])
    limit = min(GAS_HU, usual - BELOW_USUAL_HU - max(CARTILAGE_HU - usual, 0.0))
    patch = measured.sheet.largest(articular & (fit.lowest_hu < limit))
    area = float(measured.sheet.vertex_areas_mm2[patch].sum())
    if area < GAS_MM2:
        return ()
    text = f"Gas fills {area:.0f} mm2 of the {side} joint (vacuum phenomenon)."
    return (Finding("vacuum", Level.NOTE, side.value, text, witness_of(measured.sheet.vertices_lps[patch])),)


def accessory_joint_findings(measured: Measured, articular: Mask, bones: Bones, side: Side) -> tuple[Finding, ...]:
    """Say that the bones also meet behind the joint, where the way in may lie: an accessory joint, an osteophyte.

    A contact may touch the articular zone, which is then drawn over it: what is joint and what is recess is read from
    the fitted shape. What runs on from the joint itself without a neck is none.
    """
    sheet = measured.sheet
    gap = sheet.smooth(measured.gap_mm, sheet.rings(AVERAGE_MM))
    if not articular.any():
        return ()
    near = gap <= CONTACT_MM
    beside = _behind(sheet, articular, bones.frame) & _recess(sheet, articular, bones.fit, side)
    patch = sheet.largest(near & beside & ~_own_contact(sheet, near))
    area = float(sheet.vertex_areas_mm2[patch].sum())
    if area < CONTACT_MM2:
        return ()
    x, y, z = sheet.vertices_lps[patch].mean(axis=0)
    text = (
        f"Sacrum and ilium also meet over {area:.0f} mm2 behind the {side} joint, about LPS "
        f"({x:.0f}, {y:.0f}, {z:.0f}) mm: an accessory joint or osteophyte that may block the way in."
    )
    return (Finding("accessory-joint", Level.WARN, side.value, text, witness_of(sheet.vertices_lps[patch])),)


def _behind(sheet: Sheet, articular: Mask, frame: PelvicFrame) -> Mask:
    """Behind the joint's middle, and not above the joint."""
    depth, height = sheet.vertices_lps @ frame.posterior_lps, sheet.vertices_lps @ frame.cranial_lps
    low, high = height[articular].min(), height[articular].max()
    behind: Mask = (depth > np.median(depth[articular])) & (height < low + HIGHEST * (high - low))
    return behind


def _own_contact(sheet: Sheet, near: Mask) -> Mask:
    """Where the bones are near each other in the joint itself: the largest such part that hangs together widely."""
    rings = sheet.rings(NECK_MM)
    return sheet.grow(sheet.largest(sheet.shrink(near, rings)), rings) & near


def _recess(sheet: Sheet, articular: Mask, fit: ShapeFit, side: Side) -> Mask:
    recess = in_recess(sheet.vertices_lps, fit, side)
    return ~sheet.grow(articular, sheet.rings(APART_MM)) if recess is None else recess
