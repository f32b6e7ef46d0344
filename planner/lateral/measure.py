"""A bundle that the search found, measured exactly on all voxels: rods, or nothing where that breaks a limit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from planner.joint.model import Zone
from planner.labels import SACRAL_LEVELS, Label, Side
from planner.lateral.corridor import Corridor
from planner.lateral.model import BoneVolumes, Rod
from planner.lateral.search import WALL_MM, Bundle, held_part
from planner.trajectory.approach import skin_entry
from planner.trajectory.candidate import solid_of
from planner.trajectory.exact import Cylinder, Prism, clearance_to, clearance_to_point
from planner.trajectory.kernel import CONSTRAINTS, assess
from planner.trajectory.model import Clearance
from planner.trajectory.region import Region, make_region
from planner.trajectory.search import Found
from planner.trajectory.task import Anatomy
from planner.volume import LabelMap

__all__ = ["Measured", "bone_within", "measure"]

STEP_MM = 0.25
"""Of the labels along an axis."""

NEAR_MM = 20.0
"""Round the axes in the sacrum, its walls are looked for so far: all within 13 mm of the largest rod's corners."""

SOFT_MM = 0.1
"""Rods stay out of soft keep-outs, which are margins themselves."""

GAP_MM = 4.0
"""The ilium ends on an axis where it is followed by so much that is no hip bone `[P]`."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """Rods with what binds them; no rods where the exact measure breaks a limit, which `binding` then names."""

    rods: tuple[Rod, ...]
    binding: str


def measure(anatomy: Anatomy, corridor: Corridor, bundle: Bundle, diameter_mm: float, lengths_mm: Points) -> Measured:
    """Measure a bundle on all voxels.

    Parameters
    ----------
    anatomy : Anatomy
        With all voxels.
    corridor : Corridor
        What the bundle was found in.
    bundle : Bundle
        Rods by crossing, direction and reach.
    diameter_mm : float
        Of the rods.
    lengths_mm : (n,) array
        Lengths sold, ascending.
    """
    solids = []
    for k in range(len(bundle.rods.values)):
        solid = _solid(anatomy, corridor, bundle, k, diameter_mm, lengths_mm)
        if solid is None:
            return Measured((), "implant-size")
        solids.append(solid)
    region = _walls(anatomy, corridor, solids, bundle.rods.crossings)
    clearances = [_clearances(corridor, region, solid) for solid in solids]
    broken = _broken(corridor, clearances)
    if broken:
        return Measured((), broken)
    poses, held = held_part(bundle.rods)
    slacks, rods = [], []
    for k, solid in enumerate(solids):
        _, slack, _, radius = assess(corridor.task.scene, poses[k], (diameter_mm, float(held[k])))
        slacks.append(slack)
        rods.append(_rod(anatomy, corridor, solid, bundle.rods.crossings[k], clearances[k], float(radius)))
    if min(rod.in_sacrum_mm for rod in rods) < corridor.config.least_in_sacrum_mm:
        return Measured((), "in-sacrum")
    return Measured(tuple(rods), CONSTRAINTS[int(np.min(slacks, axis=0).argmin())])


def _solid(  # a rod of a bundle and the sizes it may have
    anatomy: Anatomy, corridor: Corridor, bundle: Bundle, number: int, diameter_mm: float, lengths_mm: Points
) -> Cylinder | None:
    """Whole rod: the shortest length that leaves it as proud of the ilium as it should be; None if there is none."""
    rods, (least, most) = bundle.rods, corridor.config.proud_mm
    way, crossing, reach = rods.directions[number], rods.crossings[number], float(rods.reach_mm[number])
    wall = _wall_mm(anatomy, crossing, way)
    fits = lengths_mm[(lengths_mm >= wall + reach + least) & (lengths_mm <= wall + reach + most)]
    if not len(fits):
        return None
    length = float(fits[0])
    pose = np.concatenate([crossing + (reach - 0.5 * length) * way, way])
    return solid_of(corridor.task, Found(pose, (diameter_mm, length), 0.0))


def _wall_mm(anatomy: Anatomy, crossing: Points, way: Points) -> float:
    """Distance back from the crossing to the ilium's outer wall on the axis; infinite where there is no ilium."""
    steps = np.arange(0.0, WALL_MM, STEP_MM)
    bone = label_at(anatomy.bones.labels, crossing - steps[:, None] * way) == anatomy.joint.side.hip
    places = steps[bone]
    if not len(places):
        return float("inf")
    ends = np.flatnonzero(np.diff(places) > GAP_MM)
    return float(places[ends[0]] if len(ends) else places[-1]) + 0.5 * STEP_MM


def label_at(labels: LabelMap, points_lps: Points) -> NDArray[np.uint8]:
    """Label of the voxel that holds each point; 0 outside."""
    index = np.rint(labels.grid.to_index(points_lps)).astype(np.int64)
    inside = ((index >= 0) & (index < labels.grid.shape_zyx)).all(axis=1)
    index[~inside] = 0
    found: NDArray[np.uint8] = np.where(inside, labels.values[tuple(index.T)], 0).astype(np.uint8)
    return found


def _walls(anatomy: Anatomy, corridor: Corridor, solids: list[Cylinder], crossings: Points) -> Region:
    """Measure round the rods' part in the sacrum anew, on all voxels."""
    grid = anatomy.volume.grid
    box = grid.box_around(np.vstack([crossings, [solid.tip_lps for solid in solids]]), NEAR_MM)
    constraints = corridor.task.config.constraints
    return make_region(anatomy.volume, anatomy.bones, anatomy.joint, anatomy.keepouts, constraints, box)


def _clearances(corridor: Corridor, region: Region, solid: Cylinder) -> dict[str, Clearance]:
    margin = corridor.task.config.constraints.segmentation_margin_mm
    notch = corridor.task.scene.part("notch")
    found = {
        "neural": clearance_to(solid, region.structures["neural"], margin),
        "ventral_cortex": clearance_to(solid, region.structures["ventral_cortex"]),
        "soft": clearance_to(solid, region.structures["soft"]),
        "sciatic_notch": clearance_to_point(solid, notch) if np.isfinite(notch).all() else None,
    }
    return {name: clearance for name, clearance in found.items() if clearance is not None}


def _broken(corridor: Corridor, clearances: list[dict[str, Clearance]]) -> str:
    """Name a constraint that the exact clearances break; empty where they keep all."""
    c = corridor.task.config.constraints
    limits = {
        "neural": ("neural-clearance", c.neural_mm + c.segmentation_margin_mm),
        "ventral_cortex": ("ventral-cortex", c.cortex_mm),
        "sciatic_notch": ("sciatic-notch", c.sciatic_notch_mm),
        "soft": ("soft", SOFT_MM),
    }
    for name, (constraint, limit) in limits.items():
        if any(name in one and one[name].mm < limit for one in clearances):
            return constraint
    return ""


def _rod(  # a rod and what was measured of it
    anatomy: Anatomy,
    corridor: Corridor,
    solid: Cylinder,
    crossing: Points,
    clearances: dict[str, Clearance],
    safe_radius_mm: float,
) -> Rod:
    joint, way, length = anatomy.joint, solid.direction_lps, round(solid.length_mm, 6)
    steps = np.arange(0.5 * STEP_MM, length, STEP_MM)
    labels = label_at(anatomy.bones.labels, solid.entry_lps + steps[:, None] * way)
    in_ilium = labels == joint.side.hip
    nearest = int(np.linalg.norm(joint.vertices_lps - crossing, axis=1).argmin())
    section = solid if isinstance(solid, Prism) else None
    return Rod(
        level=_level(anatomy, solid.tip_lps),
        diameter_mm=2 * _inscribed(solid),
        length_mm=length,
        entry_lps=solid.entry_lps,
        tip_lps=solid.tip_lps,
        skin_lps=skin_entry(anatomy.volume, solid.entry_lps, -way),
        crossing_lps=crossing,
        crossing_zone=Zone(int(joint.zone[nearest])).name.lower(),
        joint_angle_deg=float(np.degrees(np.arccos(np.clip(corridor.normals[nearest] @ way, -1, 1)))),
        in_sacrum_mm=STEP_MM * float((labels == Label.SACRUM).sum()),
        in_ilium_mm=STEP_MM * float(in_ilium.sum()),
        proud_mm=float(steps[in_ilium.argmax()]) - 0.5 * STEP_MM,
        clearances=clearances,
        removed=bone_within(anatomy, solid, joint.side),
        safe_radius_mm=safe_radius_mm,
        section_mm=section.corners_mm if section else None,
        across_lps=section.across_lps if section else np.linalg.svd(way[None])[2][1:],
    )


def _inscribed(solid: Cylinder) -> float:
    """Radius of the circle within the cross-section."""
    if not isinstance(solid, Prism):
        return solid.radius_mm
    edges = np.roll(solid.corners_mm, -1, axis=0) - solid.corners_mm
    (x, y), (along, up) = solid.corners_mm.T, edges.T
    return round(float((np.abs(x * up - y * along) / np.hypot(along, up)).min()), 6)


def _level(anatomy: Anatomy, tip: Points) -> str:
    """Place of a tip among the ventral foramina of its side, by height in the pelvis."""
    cranial = anatomy.bones.frame.cranial_lps
    mouths = [f for f in anatomy.keepouts.foramina if f.side is anatomy.joint.side and f.aspect == "ventral"]
    heights = {f.level: float(f.centre_lps @ cranial) for f in mouths}
    known = list(takewhile(lambda level: level in heights, SACRAL_LEVELS[:3]))
    if not known:
        return "unknown"
    passed = sum(float(tip @ cranial) < heights[level] for level in known)
    if passed == len(known):
        return f"below {known[-1]}"
    return f"{known[passed - 1]}-{known[passed]}" if passed else "above S1"


def bone_within(anatomy: Anatomy, solid: Cylinder, side: Side) -> BoneVolumes:
    """Volume of each bone's voxels whose centres lie within an implant."""
    labels = anatomy.bones.labels
    box = labels.grid.box_around(np.stack([solid.entry_lps, solid.tip_lps]), solid.radius_mm)
    part, voxel = labels.crop(box), float(np.prod(labels.grid.spacing_zyx_mm))
    sacrum, hip = (
        float((solid.distance(part.grid.to_lps(np.argwhere(part.values == value))) <= 0).sum()) * voxel
        for value in (Label.SACRUM, side.hip)
    )
    return BoneVolumes(sacrum, hip)
