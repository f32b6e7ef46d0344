"""From bones to the joint of one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding, Level
from planner.joint.bridges import bridge_limit_mm2, find_bridge
from planner.joint.config import JointConfig
from planner.joint.correct import corrected
from planner.joint.faces import facing_bones
from planner.joint.findings import is_truncated, joint_findings
from planner.joint.model import Joint, Thirds, Zone
from planner.joint.profiles import fit_gaps, sample_profiles
from planner.joint.refit import Seen, fit_again
from planner.joint.sheet import Measured, mid_surface
from planner.joint.surroundings import accessory_joint_findings, metal_findings, vacuum_findings
from planner.joint.zones import articular_zone, brandt_thirds
from planner.labels import Side
from planner.segmentation.model import Bones, PelvicFrame
from planner.volume import Volume

__all__ = ["extract_joint"]


def extract_joint(volume: Volume, bones: Bones, side: Side, config: JointConfig) -> Joint:
    """Find the mid-surface of one sacroiliac joint, its gap, zones and thirds.

    Parameters
    ----------
    volume : Volume
        Canonical CT, Hounsfield units, on the grid of ``bones.labels``.
    bones : Bones
        Labels, pelvic frame and fitted shape model.
    side : Side
        The patient's side.
    config : JointConfig
        Thresholds.

    Returns
    -------
    Joint
        Empty, with the finding ``joint-not-found``, where the two bones are nowhere near each other.
    """
    facing = facing_bones(bones.labels, side.hip, config.spacing_mm, config.recess_gap_mm)
    by_label = mid_surface(facing, config) if facing is not None else None
    if by_label is None:
        return _no_joint(side, bones)
    seen = _seen(volume, by_label, config)
    measured = corrected(seen.measured, seen.fit, config) if config.use_profiles else by_label
    articular = articular_zone(measured, config)
    truncated = is_truncated(volume, measured, articular, bones.fit, side)
    joint = _joint(measured, articular, side, bones.frame, truncated)
    bridge = find_bridge(measured, seen.profiles, articular, volume.grid, (bones.fit, side))
    beside = (
        *vacuum_findings(measured, seen.fit, articular, side),
        *accessory_joint_findings(measured, articular, bones, side),
        *metal_findings(volume, measured.sheet.vertices_lps, side),
    )
    return replace(
        joint, findings=(*joint_findings(joint, bridge, bridge_limit_mm2(volume.grid, config), config), *beside)
    )


def _seen(volume: Volume, by_label: Measured, config: JointConfig) -> Seen:
    """Look across the sheet, and anew where it was laid wrong."""
    profiles = sample_profiles(volume, by_label.sheet, by_label.across_lps)
    seen = Seen(by_label, profiles, fit_gaps(profiles, by_label, config))
    return fit_again(volume, seen) if config.use_profiles else seen


def _joint(measured: Measured, articular: NDArray[np.bool_], side: Side, frame: PelvicFrame, truncated: bool) -> Joint:
    sheet = measured.sheet
    gap = np.maximum(measured.gap_mm, 0.0)
    thirds = brandt_thirds(sheet.vertices_lps[articular], frame.cranial_lps, known=not truncated)
    return Joint(
        side=side,
        vertices_lps=sheet.vertices_lps,
        faces=sheet.faces,
        gap_mm=gap.astype(np.float32),
        zone=np.where(articular, Zone.ARTICULAR, Zone.LIGAMENTOUS).astype(np.uint8),
        third=thirds.of(sheet.vertices_lps),
        thirds=thirds,
        articular_area_mm2=float(sheet.vertex_areas_mm2[articular].sum()),
        gap_median_mm=_percentile(gap[articular], 50.0),
        gap_p95_mm=_percentile(gap[articular], 95.0),
        truncated=truncated,
        posterior_lps=frame.posterior_lps,
    )


def _percentile(values: NDArray[np.float64], percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else float("nan")


def _no_joint(side: Side, bones: Bones) -> Joint:
    message = (
        f"No {side} sacroiliac joint: the sacrum and the {side} hip bone are nowhere near each other in this scan."
    )
    return Joint(
        side=side,
        vertices_lps=np.zeros((0, 3)),
        faces=np.zeros((0, 3), np.int32),
        gap_mm=np.zeros(0, np.float32),
        zone=np.zeros(0, np.uint8),
        third=np.zeros(0, np.uint8),
        thirds=Thirds("brandt-transverse", bones.frame.cranial_lps, np.zeros(4), False),
        articular_area_mm2=0.0,
        gap_median_mm=float("nan"),
        gap_p95_mm=float("nan"),
        truncated=True,
        findings=(Finding("joint-not-found", Level.WARN, side.value, message),),
    )
