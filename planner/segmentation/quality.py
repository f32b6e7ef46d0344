"""How sure the bone stage is, and what it must say: truncation, metal, laterality, low confidence."""

from __future__ import annotations

from dataclasses import replace

import cc3d
import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding, Level
from planner.labels import Label, Side
from planner.segmentation.config import SegmentationConfig
from planner.segmentation.model import Bones
from planner.segmentation.shape_model import ShapeModel
from planner.volume import Volume

__all__ = ["bone_confidence", "judge_bones"]

HIPS_APART_MM = 20.0
"""Centres of the hip bones lie at least this far to their own side of the sacrum (clinical.md, section 7)."""

WHOLE_SHARE = 0.98
"""A region counts as seen whole if this share of its vertices is in the scan [P]."""

PLANNED_SHARE = 0.5
"""A side can be planned if this share of its joint is in the scan [P]."""

RMS_MM = 4.0
"""Confidence falls to 0 where the shape model misses the edges by this much (root mean square) [P]."""


def judge_bones(volume: Volume, bones: Bones, model: ShapeModel, config: SegmentationConfig) -> Bones:
    """Add findings and the sides that can be planned to bones that have their confidence."""
    findings = [*truncation(bones, model), *metal(volume, config), *laterality(bones)]
    findings += [
        Finding(
            "low-confidence", Level.WARN, _side(name), f"The {name.replace('_', ' ')} is uncertain: {value:.2f} of 1."
        )
        for name, value in bones.confidence.items()
        if value < config.low_confidence
    ]
    present = set(np.unique(bones.labels.values).tolist())
    sides = tuple(
        side
        for side in Side
        if {Label.SACRUM, side.hip} <= present and joint_share(bones, model, side) >= PLANNED_SHARE
    )
    return replace(bones, findings=tuple(findings), planned_sides=sides)


def bone_confidence(strength: NDArray[np.float64], seen: NDArray[np.bool_], rms_mm: float) -> float:
    """Confidence of one bone, 0-1.

    Share of the model's vertices in the scan that rest on an edge, times ``1 - (rms / 4 mm)^2``: a bone that the image
    shows, of a shape that is likely.
    """
    parts = strength[: len(seen)][seen]
    if not len(parts):
        return 0.0
    return round(float((parts > 0).mean()) * max(0.0, 1.0 - (rms_mm / RMS_MM) ** 2), 3)


def joint_share(bones: Bones, model: ShapeModel, side: Side) -> float:
    """Share of a joint's auricular vertices that the scan sees."""
    region = model.regions[f"{side}_auricular_sacrum"] - model.span("sacrum").start
    return float(bones.fit.seen["sacrum"][region].mean())


def truncation(bones: Bones, model: ShapeModel) -> list[Finding]:
    """Say which joints the scan cuts off, and whether it ends within the sacrum."""
    found = []
    for side in Side:
        share = joint_share(bones, model, side)
        if share < WHOLE_SHARE:
            text = f"The scan shows {share:.0%} of the {side} SI joint's expected face; the rest lies outside it."
            found.append(Finding("scan-truncated", Level.WARN, str(side), text))
    share = float(bones.fit.seen["sacrum"].mean())
    if share < WHOLE_SHARE:
        text = f"The scan shows {share:.0%} of S1-S3; the rest lies outside it."
        found.append(Finding("scan-truncated", Level.WARN, "both", text))
    return found


def metal(volume: Volume, config: SegmentationConfig) -> list[Finding]:
    """Report clusters of metal."""
    dense = volume.hu > config.metal_hu
    if not dense.any():
        return []
    voxel_mm3 = float(np.prod(volume.grid.spacing_zyx_mm))
    sizes = np.bincount(cc3d.connected_components(dense, connectivity=26).ravel())[1:] * voxel_mm3
    if sizes.max() < config.metal_mm3:
        return []
    text = f"Metal: {sizes.max():.0f} mm3 above {config.metal_hu:.0f} HU; labels near it are unreliable."
    return [Finding("metal", Level.WARN, "both", text)]


def laterality(bones: Bones) -> list[Finding]:
    """Check that each hip bone lies to its own side of the sacrum."""
    found = []
    grid, values = bones.labels.grid, bones.labels.values
    centres = {
        label: bones.frame.to_pelvic(grid.to_lps(np.argwhere(values == label).mean(axis=0)))
        for label in (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP)
        if (values == label).any()
    }
    for side in Side:
        if side.hip not in centres or Label.SACRUM not in centres:
            continue
        apart = float((centres[side.hip] - centres[Label.SACRUM])[0] * side.lateral_x)
        if apart < HIPS_APART_MM:
            text = f"The {side} hip bone lies {apart:.0f} mm to its side of the sacrum; at least 20 mm expected."
            found.append(Finding("laterality", Level.REFUSE, str(side), text))
    return found


def _side(bone: str) -> str:
    return bone.removesuffix("_hip") if bone.endswith("_hip") else "both"
