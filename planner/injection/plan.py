"""Find a needle's path: straight from behind, clear of bone up to the joint's dorsal edge, then between the bones.

Behind the joint the path is held against the labels, by distance fields. Between the bones labels are too coarse for a
needle in a gap of a millimetre: there its axis is held against the mid-surface, which is known between voxels. It may
lie off it by half the gap less the needle's radius.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from planner.distance import distance_within
from planner.grid import Grid
from planner.injection.config import InjectionConfig
from planner.injection.model import InjectionPlan
from planner.joint.model import Joint, Third, Zone
from planner.labels import Label
from planner.trajectory.approach import c_arm_down, insertion_angles, skin_entry
from planner.trajectory.config import Constraints
from planner.trajectory.exact import Cylinder, clearance_to, clearance_to_point
from planner.trajectory.model import Clearance
from planner.trajectory.region import NEURAL_MARGIN_MM, Structure, structure_of
from planner.trajectory.scene import joint_normals, outer_edge
from planner.trajectory.task import Anatomy

__all__ = ["plan_injection"]

TARGET_STEP_MM = 3.0
"""Spacing of the tips tried, over the articular mid-surface `[P]`."""

FROM_RIM_MM = 3.0
"""Tips lie this far within the articular zone `[P]`."""

TURNS_DEG, LIFTS_DEG = np.arange(-30.0, 51.0, 8.0), np.array([-6.0, -3.0, 0.0, 3.0, 6.0])
"""Directions tried at each tip: within the joint's plane, from the axial one to cranial, and out of it `[P]`."""

BEHIND_MM, STEP_MM = 75.0, 0.75
"""Path that is checked behind the tip, in such steps: beyond, it has left the pelvis's bones."""

BONES = (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP, Label.LUMBAR)
"""What a needle may not meet."""

ON_SHEET_MM = 2.0
"""A point this far aside of every vertex of the mid-surface does not lie between the bones `[P]`."""

LEAST_PLAY_MM = 0.25
"""The axis may lie off the mid-surface by this at least: about what the mid-surface itself is known to."""

ENTRIES = {Third.INFERIOR: "posterior-inferior", Third.MIDDLE: "middle"}
"""Entries by the third that the tip lies in, the usual one first."""

LATER = 0.15
"""What a middle entry must be better by, of a score of 1, to be taken before a posterior-inferior one `[P]`."""

NEURAL_RAMP_MM, DEEP_RAMP_MM, UPRIGHT_RAMP_DEG = 6.0, 4.0, 40.0
"""Where clearance beyond its limit and depth in the joint are worth no more, and turning from posterior all `[P]`."""

NOT_KEPT = -1.0
"""Value of a path that breaks a limit."""

NO_NOTCH = "The greater sciatic notch is not known, so its clearance is not checked."
"""Why a path is not verified."""

TRIED = 40
"""Best paths that are measured exactly."""

Points = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Needles:
    """Paths tried, one a row: tip, unit insertion direction, vertex at the tip, and what was found of them.

    `values` is the score, negative where a limit is broken, which `broken` counts by name.
    """

    tips: Points
    directions: Points
    thirds: NDArray[np.uint8]
    in_joint_mm: Points
    off_mm: Points
    gap_mm: Points
    values: Points
    broken: dict[str, int]


def plan_injection(anatomy: Anatomy, config: InjectionConfig, limits: Constraints) -> InjectionPlan:
    """Plan a needle's path into one joint.

    Parameters
    ----------
    anatomy : Anatomy
        Of the side.
    config : InjectionConfig
        Needle and directions.
    limits : Constraints
        Neural margin, notch, and the outlines' margin.
    """
    joint = anatomy.joint
    side, gauge, diameter = joint.side, config.gauge, config.diameter_mm
    if not joint.thirds.known or not len(_targets(joint)):
        words = "The scan cuts the joint off, or no articular part of its lower two thirds was found."
        return InjectionPlan(side, "not-planned", words, gauge, diameter)
    neural = _neural(anatomy)
    if not len(neural.points_lps):
        words = "Neither sacral canal nor foramina were found beside the joint: no needle can be checked against them."
        return InjectionPlan(side, "not-planned", words, gauge, diameter)
    field = _bone_field(anatomy, config)
    needles = _try_all(anatomy, field, neural, config, limits)
    for row in _best_first(needles):
        plan = _measured(anatomy, field[1], needles, row, neural, config, limits)
        if plan is not None:
            return plan
    binding = max(needles.broken, key=lambda name: needles.broken[name]) if len(needles.tips) else "direction"
    words = f"No needle's path of {len(needles.tips)} keeps every limit; {binding} turned down the most."
    return InjectionPlan(side, "no-safe-path", words, gauge, diameter, binding=binding)


def _neural(anatomy: Anatomy) -> Structure:
    grid = anatomy.keepouts.mask.grid
    near = grid.box_around(anatomy.joint.vertices_lps, NEURAL_MARGIN_MM)
    return structure_of(anatomy.keepouts.neural(near), grid.crop(near))


def _targets(joint: Joint) -> NDArray[np.intp]:
    """Vertices for tips: articular, in the lower two thirds, thinned."""
    wanted = (joint.zone == Zone.ARTICULAR) & np.isin(joint.third, list(ENTRIES))
    rows = np.flatnonzero(wanted)
    rim = np.vstack([joint.vertices_lps[joint.zone != Zone.ARTICULAR], outer_edge(joint)])
    if len(rim) and len(rows):
        rows = rows[cKDTree(rim).query(joint.vertices_lps[rows])[0] >= FROM_RIM_MM]
    cells = np.floor(joint.vertices_lps[rows] / TARGET_STEP_MM)
    return rows[np.sort(np.unique(cells, axis=0, return_index=True)[1])] if len(rows) else rows


def _bone_field(anatomy: Anatomy, config: InjectionConfig) -> tuple[NDArray[np.float32], Grid]:
    """Distance from bone, mm, as far as it matters, where needles run."""
    joint, labels = anatomy.joint, anatomy.bones.labels
    behind = joint.vertices_lps + BEHIND_MM * anatomy.bones.frame.posterior_lps
    box = labels.grid.box_around(np.vstack([joint.vertices_lps, behind]), BEHIND_MM / 3)
    grid = labels.grid.crop(box)
    half = 0.5 * float(grid.spacing_zyx_mm.mean())
    reach = config.bone_mm + config.diameter_mm + 2 * half
    return distance_within(np.isin(labels.values[box], BONES), grid.spacing_zyx_mm, reach) - np.float32(half), grid


def _try_all(
    anatomy: Anatomy,
    field: tuple[NDArray[np.float32], Grid],
    neural: Structure,
    config: InjectionConfig,
    limits: Constraints,
) -> Needles:
    """Hold every path against its limits, the cheapest first."""
    tips, ways, thirds = _ways(anatomy, _targets(anatomy.joint), config)
    steps = np.arange(0.0, BEHIND_MM, STEP_MM)
    free, inside, off, gap = _along(anatomy.joint, field, tips, ways, steps, config)
    # counted from the tip: between the bones up to the edge, and free from there on
    edge = np.where(free.any(axis=1), free.argmax(axis=1), len(steps) - 1)
    before, depth = steps[None] < steps[edge][:, None], steps[edge]
    straight = free.any(axis=1) & (inside | ~before).all(axis=1) & (free | before).all(axis=1)
    deep = straight & (depth >= config.depth_mm[0]) & (depth <= config.depth_mm[1])
    away = _neural_clearance(neural, tips, ways, steps, np.flatnonzero(deep)) - 0.5 * config.diameter_mm
    least = limits.neural_mm + limits.segmentation_margin_mm
    kept = deep & (away >= least)
    broken = {
        "no straight way between the bones": int((~straight).sum()),
        "depth in the joint": int((straight & ~deep).sum()),
        "neural-clearance": int((deep & ~kept).sum()),
    }
    upright = np.degrees(np.arccos(np.clip(-ways @ anatomy.bones.frame.posterior_lps, -1, 1)))
    worth = np.clip((away - least) / NEURAL_RAMP_MM, 0, 1) + np.clip(1 - upright / UPRIGHT_RAMP_DEG, 0, 1)
    worth += np.clip((depth - config.depth_mm[0]) / DEEP_RAMP_MM, 0, 1)
    values = np.where(kept, worth / 3 - LATER * (thirds != Third.INFERIOR), NOT_KEPT)
    off, gap = np.where(before, off, 0.0).max(axis=1), np.where(before, gap, np.inf).min(axis=1)
    return Needles(tips, ways, thirds, depth, off, gap, values, broken)


def _neural_clearance(neural: Structure, tips: Points, ways: Points, steps: Points, rows: NDArray[np.intp]) -> Points:
    """Distance of the axes of some paths to neural structures; -1 for the others."""
    away = np.full(len(tips), -1.0)
    if len(rows):
        line = tips[rows, None] - steps[None, :, None] * ways[rows, None]
        centres = cKDTree(neural.points_lps).query(line.reshape(-1, 3))[0]
        away[rows] = centres.reshape(len(rows), -1).min(axis=1) - neural.half_voxel_mm
    return away


def _ways(
    anatomy: Anatomy, targets: NDArray[np.intp], config: InjectionConfig
) -> tuple[Points, Points, NDArray[np.uint8]]:
    """Tips, directions and thirds of all paths: in the tangent plane at each tip, and a little out of it."""
    joint, frame = anatomy.joint, anatomy.bones.frame
    normals = joint_normals(joint)[targets]
    level = np.cross(normals, frame.cranial_lps)
    level *= -np.sign(level @ frame.posterior_lps)[:, None] / np.maximum(np.linalg.norm(level, axis=1), 1e-9)[:, None]
    up = np.cross(level, normals)
    up *= np.sign(up @ frame.cranial_lps)[:, None]
    turns, lifts = np.radians(TURNS_DEG)[:, None, None], np.radians(LIFTS_DEG)[:, None, None, None]
    flat = np.cos(turns) * level + np.sin(turns) * up
    ways = (np.cos(lifts) * flat + np.sin(lifts) * normals).reshape(-1, 3)
    rows = np.tile(targets, len(TURNS_DEG) * len(LIFTS_DEG))
    lateral = joint.side.lateral_x * (ways @ frame.left_lps)
    axial = np.degrees(np.arctan2(lateral, -(ways @ frame.posterior_lps)))
    tilt = np.degrees(np.arcsin(np.clip(ways @ frame.cranial_lps, -1, 1)))
    (a, b), (c, d) = config.axial_deg, config.cranial_tilt_deg
    keep = (axial >= a) & (axial <= b) & (tilt >= c) & (tilt <= d)
    return joint.vertices_lps[rows[keep]], ways[keep], joint.third[rows[keep]]


def _along(  # paths, and what they are held against
    joint: Joint,
    field: tuple[NDArray[np.float32], Grid],
    tips: Points,
    ways: Points,
    steps: Points,
    config: InjectionConfig,
) -> tuple[Flags, Flags, Points, Points]:
    """Whether each step back along each path is free of bone, lies between the bones; its offset, and the gap there."""
    line = tips[:, None] - steps[None, :, None] * ways[:, None]
    distance, grid = field
    index = np.moveaxis(grid.to_index(line), 2, 0)
    bone = ndi.map_coordinates(distance, index.reshape(3, -1), order=1, mode="nearest").reshape(line.shape[:2])
    free: Flags = bone >= config.bone_mm + 0.5 * config.diameter_mm
    near = steps <= config.depth_mm[1] + STEP_MM  # farther back a path has left the joint, or is too deep
    off, gap = np.full(line.shape[:2], np.inf), np.zeros(line.shape[:2])
    nearest = cKDTree(joint.vertices_lps).query(line[:, near])[1]
    away = line[:, near] - joint.vertices_lps[nearest]
    normals = joint_normals(joint)[nearest]
    across = (away * normals).sum(axis=2)
    aside = np.linalg.norm(away - across[..., None] * normals, axis=2)
    off[:, near] = np.where(aside <= ON_SHEET_MM, np.abs(across), np.inf)
    gap[:, near] = joint.gap_mm[nearest]
    play = np.maximum(0.5 * (gap - config.diameter_mm), LEAST_PLAY_MM)
    return free, off <= play, off, gap


def _best_first(needles: Needles) -> Iterator[int]:
    order = np.argsort(-needles.values, kind="stable")[:TRIED]
    return (int(row) for row in order if needles.values[row] >= -LATER)


def _measured(  # noqa: PLR0913  # a path, and what it is measured against
    anatomy: Anatomy,
    grid: Grid,
    needles: Needles,
    row: int,
    neural: Structure,
    config: InjectionConfig,
    limits: Constraints,
) -> InjectionPlan | None:
    """Measure a path exactly; None where that breaks a limit."""
    side, frame = anatomy.joint.side, anatomy.bones.frame
    tip, way, radius = needles.tips[row], needles.directions[row], 0.5 * config.diameter_mm
    depth = float(needles.in_joint_mm[row])
    edge = tip - depth * way
    skin = skin_entry(anatomy.volume, edge, -way)
    outer = skin if np.isfinite(skin).all() else tip - BEHIND_MM * way
    clearances = _clearances(anatomy, grid, Cylinder(outer, tip, radius), Cylinder(outer, edge, radius), neural, limits)
    least = limits.neural_mm + limits.segmentation_margin_mm
    if clearances["neural"].mm < least or clearances["bone"].proven_mm <= 0:
        return None
    if "sciatic_notch" in clearances and clearances["sciatic_notch"].mm < limits.sciatic_notch_mm:
        return None
    if "soft" in clearances and clearances["soft"].mm <= 0:
        return None
    axial, tilt = insertion_angles(way, frame, side)
    reason = _unverified(anatomy, clearances)
    return InjectionPlan(
        side=side,
        status="unverified" if reason else "planned",
        reason=reason,
        gauge=config.gauge,
        diameter_mm=config.diameter_mm,
        entry=ENTRIES[Third(int(needles.thirds[row]))],
        skin_lps=skin,
        edge_lps=edge,
        tip_lps=tip,
        in_joint_mm=depth,
        depth_from_skin_mm=float(np.linalg.norm(tip - skin)),
        axial_to_sagittal_deg=axial,
        cranial_tilt_deg=tilt,
        c_arm=c_arm_down(way, frame),
        clearances=clearances,
        off_mid_surface_mm=float(needles.off_mm[row]),
        gap_mm=float(needles.gap_mm[row]),
    )


def _clearances(  # needle, its part behind the joint, and what they are measured against
    anatomy: Anatomy, grid: Grid, needle: Cylinder, behind: Cylinder, neural: Structure, limits: Constraints
) -> dict[str, Clearance]:
    """Exact clearances of the needle, and of its part behind the joint to bone."""
    joint, labels = anatomy.joint, anatomy.bones.labels
    found = {
        "neural": clearance_to(needle, neural, limits.segmentation_margin_mm),
        "soft": clearance_to(needle, _near(anatomy, needle)),
    }
    box = labels.grid.box_around(np.stack([behind.tip_lps, behind.tip_lps - BEHIND_MM * behind.direction_lps]), 10.0)
    part = labels.crop(box)
    found["bone"] = clearance_to(behind, structure_of(np.isin(part.values, BONES), part.grid))
    notch = anatomy.landmarks_lps.get(f"{joint.side}_sciatic_notch")
    if notch is not None:
        found["sciatic_notch"] = clearance_to_point(needle, notch)
    return {name: clearance for name, clearance in found.items() if clearance is not None}


def _near(anatomy: Anatomy, needle: Cylinder) -> Structure:
    """Soft keep-outs round a needle's tip."""
    grid = anatomy.keepouts.mask.grid
    box = grid.box_around(needle.tip_lps[None], NEURAL_MARGIN_MM / 2)
    return structure_of(anatomy.keepouts.soft(box), grid.crop(box))


def _unverified(anatomy: Anatomy, clearances: dict[str, Clearance]) -> str:
    missing = anatomy.keepouts.missing(anatomy.joint.side)
    if missing:
        return f"Foramina that should be there were not found: {', '.join(missing)}."
    return "" if "sciatic_notch" in clearances else NO_NOTCH
