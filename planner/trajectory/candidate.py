"""A pose that the search found, measured exactly: a candidate, or nothing where that measure breaks a constraint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.joint.model import Third
from planner.labels import Label
from planner.trajectory.approach import c_arm_down, insertion_angles, scan_angles, skin_entry
from planner.trajectory.config import TrajectoryConfig
from planner.trajectory.exact import Cylinder, Prism, clearance_to, clearance_to_point
from planner.trajectory.kernel import CONSTRAINTS, MARCH_MM, MEASURES, TERMS, assess
from planner.trajectory.model import Candidate, Clearance, PlacementError
from planner.trajectory.placement import breach_probability
from planner.trajectory.search import HAZARDS, Found
from planner.trajectory.task import Task

__all__ = ["least_clearance", "make_candidate", "solid_of", "what_fails"]

CANNULA_LENGTH_MM = 120.0
"""Cannula that is checked against neural structures where the skin is not in the scan."""

HU_STEP_MM = 1.0
"""Spacing of the HU along the axis."""

WITHIN_JOINT, ACROSS_JOINT = "27278", "27279"
"""CPT: an implant within the joint that pierces no cortex; one that crosses the joint (clinical notes, section 8)."""

EXACT = {
    "neural": "neural-clearance",
    "access_neural": "cannula-clearance",
    "distractor_neural": "distractor-clearance",
    "pin_neural": "pin-clearance",
    "ventral_cortex": "ventral-cortex",
    "outer_iliac_cortex": "outer-iliac-cortex",
}
"""Clearances that are held against their constraints once more, in closed form."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Path:
    """The implant, and the line of its axis."""

    implant: Cylinder
    across_lps: Points
    mouth_lps: Points
    skin_lps: Points


def make_candidate(task: Task, found: Found) -> Candidate | None:
    """Measure a pose exactly; None if the exact measure breaks a constraint that the samples kept."""
    config, frame = task.config, task.anatomy.bones.frame
    measures, slack, terms, radius = assess(task.scene, found.pose, found.size)
    m = dict(zip(MEASURES, measures.tolist(), strict=True))
    path = _path(task, found, m["mouth"])
    implant, direction = path.implant, found.pose[3:]
    clearances = _clearances(task, path, m["anterior_margin"])
    breach = _breach(task, found)
    if _failures(clearances, breach, config):
        return None
    values = dict(zip(TERMS, terms.tolist(), strict=True))
    axial, tilt = insertion_angles(direction, frame, task.side)
    scan_axial, scan_tilt = scan_angles(direction, task.side)
    midline, psis = _skin_place(task, path.skin_lps)
    binding = int(slack.argmin())
    return Candidate(
        grade="green" if _least(clearances) >= config.score.green_mm else "amber",
        score=sum(config.score.weights[name] * value for name, value in values.items()),
        terms=values,
        implant_id=task.implant.id,
        diameter_mm=found.size[0],
        length_mm=found.size[1],
        implant_entry_lps=implant.entry_lps,
        implant_tip_lps=implant.tip_lps,
        skin_entry_lps=path.skin_lps,
        third=Third(int(task.joint.thirds.of(found.pose[None, :3])[0])).name.lower(),
        articular_share=m["articular_share"],
        depth_from_bone_mm=m["mouth"] + found.size[1],
        depth_from_skin_mm=float(np.linalg.norm(implant.tip_lps - path.skin_lps)),
        axial_to_sagittal_deg=axial,
        cranial_tilt_deg=tilt,
        c_arm={"down_the_implant": c_arm_down(direction, frame)},
        clearances=clearances,
        breach=breach,
        safe_entry_radius_mm=radius,
        hu_shell_mean=m["hu_shell"],
        binding=CONSTRAINTS[binding],
        binding_slack_mm=float(slack[binding]),
        weights=config.score.weights,
        bite_mm=(m["sacrum_bite"], m["hip_bite"]),
        scan_axial_to_sagittal_deg=scan_axial,
        scan_cranial_tilt_deg=scan_tilt,
        skin_from_midline_mm=midline,
        skin_from_psis_mm=psis,
        hu_path=_hu_path(task, path),
        cpt=_cpt(task, m),
        bone_removed_mm3=_bone_removed(task, implant),
        section_mm=task.section.scaled(found.size[0]),
        across_lps=path.across_lps,
    )


def what_fails(task: Task, found: Found) -> tuple[str, ...]:
    """Say which constraints a pose that the search kept breaks in the exact check, each with its figures."""
    m = dict(zip(MEASURES, assess(task.scene, found.pose, found.size)[0].tolist(), strict=True))
    clearances = _clearances(task, _path(task, found, m["mouth"]), m["anterior_margin"])
    return _failures(clearances, _breach(task, found), task.config)


def least_clearance(candidate: Candidate) -> float:
    """Smallest clearance to neural structures and cortex, mm."""
    return _least(candidate.clearances)


def _least(clearances: Mapping[str, Clearance]) -> float:
    return min(clearances[name].mm for name in HAZARDS if name in clearances)


def solid_of(task: Task, found: Found) -> Cylinder:
    """Give the implant of a pose as a solid."""
    return _solid(task, found.pose, found.size)[0]


def _breach(task: Task, found: Found) -> PlacementError:
    config, error_mm = task.config, task.outline_error_mm
    return breach_probability(task.scene, found.pose, found.size, config.placement, config.constraints, error_mm)


def _path(task: Task, found: Found, mouth_mm: float) -> Path:
    implant, across = _solid(task, found.pose, found.size)
    mouth = implant.entry_lps - mouth_mm * found.pose[3:]
    return Path(implant, across, mouth, skin_entry(task.anatomy.volume, mouth, -found.pose[3:]))


def _solid(task: Task, pose: Points, size: tuple[float, float]) -> tuple[Cylinder, Points]:
    """Give the implant, and the axes across it: along the joint and out of it, as the search has them."""
    half = 0.5 * size[1] * pose[3:]
    facing = task.scene.part("facing")
    out = facing - (facing @ pose[3:]) * pose[3:]
    out /= np.linalg.norm(out)
    across = np.stack([task.side.lateral_x * np.cross(pose[3:], out), out])
    entry, tip, corners = pose[:3] - half, pose[:3] + half, task.section.scaled(size[0])
    if corners is None:
        return Cylinder(entry, tip, 0.5 * size[0]), across
    radius = float(np.linalg.norm(corners, axis=1).max())
    return Prism(entry, tip, radius, corners, across), across


def _instruments(task: Task, path: Path, stop_mm: float) -> dict[str, Cylinder]:
    """Cannula, distractor and pin as solids: what goes in before the implant; `stop_mm` beyond the implant's entry."""
    implant, tools = path.implant, task.config.instruments
    seen = np.isfinite(path.skin_lps).all()
    outer = path.skin_lps if seen else path.mouth_lps - CANNULA_LENGTH_MM * implant.direction_lps
    stop = implant.entry_lps + stop_mm * implant.direction_lps
    return {
        "access_neural": _sleeve(implant, (outer, path.mouth_lps), tools.cannula_wall_mm, path.across_lps),
        "distractor_neural": _sleeve(implant, (path.mouth_lps, stop), tools.distractor_wall_mm, path.across_lps),
        "pin_neural": Cylinder(outer, stop, 0.5 * tools.pin_mm),
    }


def _sleeve(implant: Cylinder, ends: tuple[Points, Points], wall_mm: float, across_lps: Points) -> Cylinder:
    """Solid of the implant's own outline and a wall, between two points of its axis."""
    if not isinstance(implant, Prism):
        return Cylinder(*ends, implant.radius_mm + wall_mm)
    half = np.abs(implant.corners_mm).max(axis=0)
    corners = implant.corners_mm * (half + wall_mm) / half
    return Prism(*ends, float(np.linalg.norm(corners, axis=1).max()), corners, across_lps)


def _clearances(task: Task, path: Path, ahead_mm: float) -> dict[str, Clearance]:
    """Exact clearances of the implant, and of instruments to neural structures; what is not there is left out."""
    constraints, structures, implant = task.config.constraints, task.region.structures, path.implant
    margin = constraints.segmentation_margin_mm
    found: dict[str, Clearance | None] = {
        "neural": clearance_to(implant, structures["neural"], margin),
        "ventral_cortex": clearance_to(implant, structures["ventral_cortex"]),
        "outer_iliac_cortex": clearance_to(implant, structures["outer_iliac_cortex"]),
        "soft": clearance_to(implant, structures["soft"]),
    }
    for name, instrument in _instruments(task, path, _stop_mm(task, implant, ahead_mm)).items():
        found[name] = clearance_to(instrument, structures["neural"], margin)
    notch = task.scene.part("notch")
    if np.isfinite(notch).all():
        found["sciatic_notch"] = clearance_to_point(implant, notch)
    if np.isfinite(ahead_mm):
        found |= _ahead(task, implant, ahead_mm)
    return {name: clearance for name, clearance in found.items() if clearance is not None}


def _stop_mm(task: Task, implant: Cylinder, ahead_mm: float) -> float:
    """Where instruments stop, beyond the implant's entry: short of the anterior margin, no farther than the implant."""
    short = task.config.constraints.instrument_to_margin_mm - ahead_mm if np.isfinite(ahead_mm) else 0.0
    return implant.length_mm - max(0.0, short)


def _ahead(task: Task, implant: Cylinder, ahead_mm: float) -> dict[str, Clearance]:
    """Anterior margin, and where instruments stop: found by steps of `MARCH_MM`, which are one of the bound's terms."""
    terms = {"voxel_mm": task.region.structures["neural"].half_diagonal_mm, "sampling_mm": MARCH_MM}
    margin_lps = implant.tip_lps + ahead_mm * implant.direction_lps
    # the implant may be pushed past the instruments' stop
    stop_lps = implant.entry_lps + _stop_mm(task, implant, ahead_mm) * implant.direction_lps
    stop_mm = float((margin_lps - stop_lps) @ implant.direction_lps)
    lost = sum(terms.values())
    return {
        "anterior_margin": Clearance(ahead_mm, ahead_mm - lost, margin_lps, ahead_mm, terms),
        "instrument_stop": Clearance(stop_mm, stop_mm - lost, stop_lps, stop_mm, terms),
    }


def _failures(clearances: Mapping[str, Clearance], breach: PlacementError, config: TrajectoryConfig) -> tuple[str, ...]:
    """Constraints that the exact clearances do not keep, in words."""
    c = config.constraints
    neural = c.neural_mm + c.segmentation_margin_mm
    floors = {"ventral_cortex": c.cortex_mm, "outer_iliac_cortex": c.cortex_mm}
    failures = [
        f"{constraint} comes to {clearances[name].mm:.2f} mm where {floors.get(name, neural):g} mm are asked for"
        for name, constraint in EXACT.items()
        if name in clearances and clearances[name].mm < floors.get(name, neural)
    ]
    likely = 0.0 if c.breach_rejects == "none" else float(getattr(breach, c.breach_rejects))
    if likely > c.breach_probability:
        failures.append(
            f"a {c.breach_rejects} breach has a probability of {likely:.0%}, over {c.breach_probability:.0%}"
        )
    return tuple(failures)


def _skin_place(task: Task, skin: Points) -> tuple[float, tuple[float, float, float]]:
    """Skin entry from the median plane, to lateral, and from the PSIS: to lateral, posterior and cranial."""
    axes = task.scene.part("axes").reshape(3, 3)
    psis = task.anatomy.landmarks_lps.get(f"{task.side}_psis")
    away = np.full(3, np.nan) if psis is None else axes @ (skin - psis)
    midline = task.side.lateral_x * float(task.anatomy.bones.frame.to_pelvic(skin[None])[0, 0])
    return midline, (float(away[0]), float(away[1]), float(away[2]))


def _hu_path(task: Task, path: Path) -> tuple[float, ...]:
    reach = float(np.linalg.norm(path.implant.tip_lps - path.mouth_lps))
    steps = np.arange(0.0, reach + 1e-9, HU_STEP_MM)
    index = task.anatomy.volume.grid.to_index(path.mouth_lps + steps[:, None] * path.implant.direction_lps).T
    hu = ndi.map_coordinates(task.anatomy.volume.hu, index, output=np.float32, order=1, mode="nearest")
    return tuple(float(value) for value in hu)


def _cpt(task: Task, m: Mapping[str, float]) -> str:
    """Class of the procedure: within the joint as far as the constraints' own limits say so."""
    limits = task.config.constraints
    within = m["joint_angle"] <= limits.joint_angle_deg and m["joint_offset"] <= limits.joint_offset_mm
    return WITHIN_JOINT if within else ACROSS_JOINT


def _bone_removed(task: Task, implant: Cylinder) -> float:
    """Volume of the bones' voxels within the implant, mm3."""
    labels = task.anatomy.bones.labels
    grid = labels.grid
    box = grid.box_around(np.stack([implant.entry_lps, implant.tip_lps]), implant.radius_mm)
    part = labels.crop(box)
    bone = np.isin(part.values, (Label.SACRUM, task.side.hip))
    points = part.grid.to_lps(np.argwhere(bone))
    return float((implant.distance(points) <= 0).sum() * np.prod(grid.spacing_zyx_mm)) if len(points) else 0.0
