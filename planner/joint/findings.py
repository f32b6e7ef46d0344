"""What must be said of a joint: cut off by the scan, widened, bridged by bone; and of both sides together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from planner.findings import Finding, Level, witness_of
from planner.joint.config import JointConfig
from planner.joint.lines import anterior_margin_lps
from planner.joint.model import Joint, Third, Zone
from planner.joint.sheet import Measured
from planner.labels import Side
from planner.segmentation.model import ShapeFit
from planner.volume import Volume

__all__ = [
    "anterior_gap_mm",
    "is_truncated",
    "joint_findings",
    "side_difference_findings",
]

PADDING_HU = -1000
"""At or below: outside the field of view, or air; neither lies beside a joint."""

EDGE_MM = 2.0
"""A sheet that comes this near to the end of the scan is cut off by it `[P]`."""

EDGE_SHARE = 0.01
"""Share of the articular zone that lies at the scan's edge in a joint that is cut off `[P]`."""

AURICULAR_MM = 6.0
"""Vertices of the fitted sacrum this near to the fitted hip bone are its auricular region `[P]`."""

UNSEEN_SHARE = 0.05
"""Share of the fitted auricular region outside the scan at which the joint is called cut off `[P]`."""

MARGIN_MM = 5.0
"""Width of the strip behind the anterior margin in which the anterior gap is taken `[P]`."""


def is_truncated(volume: Volume, measured: Measured, articular: NDArray[np.bool_], fit: ShapeFit, side: Side) -> bool:
    """Whether the scan ends in the joint: by the sheet that was found, or by the shape that was fitted."""
    if not articular.any():
        return True
    points = measured.sheet.vertices_lps[articular]
    at_edge = ~volume.grid.contains(points, EDGE_MM) | _beside_padding(volume, points)
    return bool(at_edge.mean() > EDGE_SHARE) or _auricular_unseen(fit, side) > UNSEEN_SHARE


def _beside_padding(volume: Volume, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
    offsets = EDGE_MM * np.vstack([np.eye(3), -np.eye(3)])
    index = np.round(volume.grid.to_index(points_lps[:, None] + offsets)).astype(np.int64)
    index = np.clip(index, 0, np.array(volume.grid.shape_zyx) - 1)
    hu = volume.hu[index[..., 0], index[..., 1], index[..., 2]]
    beside: NDArray[np.bool_] = np.any(hu <= PADDING_HU, axis=1)
    return beside


def _auricular_unseen(fit: ShapeFit, side: Side) -> float:
    """Share of the fitted sacrum's auricular vertices outside the scan; 0 without a fit."""
    hip = fit.vertices_lps.get(f"{side}_hip")
    sacrum, seen = fit.vertices_lps.get("sacrum"), fit.seen.get("sacrum")
    if hip is None or sacrum is None or seen is None:
        return 0.0
    near = cKDTree(hip).query(sacrum, distance_upper_bound=AURICULAR_MM)[0] < AURICULAR_MM
    return float((~seen[near]).mean()) if near.any() else 0.0


def anterior_gap_mm(joint: Joint) -> float:
    """Median gap of the articular zone within `MARGIN_MM` of its anterior margin; NaN without one."""
    margin = anterior_margin_lps(joint)
    if not len(margin):
        return float("nan")
    chosen = joint.zone == Zone.ARTICULAR
    near = cKDTree(margin).query(joint.vertices_lps[chosen])[0] < MARGIN_MM
    return float(np.median(joint.gap_mm[chosen][near]))


def _margin_at(joint: Joint) -> tuple[float, float, float] | None:
    margin = anterior_margin_lps(joint)
    return witness_of(margin) if len(margin) else None


def joint_findings(
    joint: Joint, bridge: tuple[float, NDArray[np.bool_]], limit_mm2: float, config: JointConfig
) -> tuple[Finding, ...]:
    """Say what must be said of one side."""
    bridge_mm2, patch = bridge
    found = []
    if joint.truncated:
        message = f"The scan cuts the {joint.side} joint off: its thirds are not known."
        found.append(Finding("joint-truncated", Level.WARN, joint.side.value, message))
    gap = anterior_gap_mm(joint)
    if gap > config.widening_mm:
        limit = f"{config.widening_mm:g} mm is the limit"
        message = f"The {joint.side} joint is {gap:.1f} mm wide at its anterior margin; {limit}."
        found.append(Finding("widening", Level.WARN, joint.side.value, message, _margin_at(joint)))
    if bridge_mm2 >= limit_mm2:
        message = (
            f"Bone bridges {bridge_mm2:.0f} mm2 of the {joint.side} joint's articular zone, {_place(joint, patch)}."
        )
        found.append(Finding("ankylosis", Level.WARN, joint.side.value, message, witness_of(joint.vertices_lps[patch])))
    return tuple(found)


def _place(joint: Joint, patch: NDArray[np.bool_]) -> str:
    x, y, z = joint.vertices_lps[patch].mean(axis=0)
    third = Third(int(np.bincount(joint.third[patch]).argmax()))
    where = "third unknown" if third is Third.UNKNOWN else f"{third.name.lower()} third"
    return f"{where}, about LPS ({x:.0f}, {y:.0f}, {z:.0f}) mm"


def side_difference_findings(joints: Mapping[Side, Joint], config: JointConfig | None = None) -> tuple[Finding, ...]:
    """Widening by comparison: the anterior gaps of both sides differ by more than the limit."""
    config = config or JointConfig()
    if len(joints) < 2:
        return ()
    gap = {side: anterior_gap_mm(joint) for side, joint in joints.items()}
    difference = abs(gap[Side.LEFT] - gap[Side.RIGHT])
    if not difference > config.asymmetry_mm:
        return ()
    wide = max(gap, key=lambda side: gap[side])
    message = (
        f"The joints differ by {difference:.1f} mm at their anterior margins (left {gap[Side.LEFT]:.1f}, "
        f"right {gap[Side.RIGHT]:.1f}); {config.asymmetry_mm:g} mm is the limit."
    )
    return (Finding("widening", Level.WARN, wide.value, message, _margin_at(joints[wide])),)
