"""How sure the bone stage is, and what it must say: truncation, metal, laterality, low confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from planner.findings import Finding, Level, witness_of
from planner.labels import Label, Side
from planner.segmentation.confidence import GOOD_MM, foretell, gather_evidence, joint_sureness
from planner.segmentation.config import SegmentationConfig
from planner.segmentation.model import BONE_NAMES, Bones, PelvicFrame, ShapeFit
from planner.segmentation.shape_model import ShapeModel, vertex_normals
from planner.segmentation.shapes import boxes_of, centres_of, touching_parts
from planner.volume import LabelMap, Volume

__all__ = ["judge_bones"]

HIPS_APART_MM = 20.0
"""Centres of the hip bones lie at least this far to their own side of the sacrum (clinical.md, section 7)."""

WHOLE_SHARE = 0.98
"""A region counts as seen whole if this share of its vertices is in the scan [P]."""

PLANNED_SHARE = 0.5
"""A side can be planned if this share of its joint is in the scan [P]."""

MISSING_SHARE, BEHIND_MM = 0.5, 3.0
"""A hip bone is missing where less of its fitted outline has labelled bone so far behind it [P]: 0.88 and more on hip
bones, up to 0.08 where there is none."""

VERY_LOW = 0.2
"""Below this confidence a joint is for review only [P]."""

TURNED_DEG = 55.0
"""A pelvis turned by more than this against the scan's axes lies otherwise than the header says [P]."""

ADULT_SIZE = 0.87
"""Smaller than nearly all of the 28 adults of the shape model, in terms of their mean [P]."""


def judge_bones(volume: Volume, bones: Bones, model: ShapeModel, config: SegmentationConfig) -> Bones:
    """Add to bones how sure they are, findings, and the sides that can be planned."""
    bones, findings = without_missing(bones, model)
    bones = weighed(volume, bones, model)
    findings += [*truncation(bones, model), *metal(volume, config), *laterality(bones), *position(bones.frame)]
    findings += [*small(bones.fit), *doubts(bones, config)]
    present = boxes_of(bones.labels.values).keys()
    sides = tuple(
        side
        for side in Side
        if present >= {Label.SACRUM, side.hip} and joint_share(bones, model, side) >= PLANNED_SHARE
    )
    return replace(bones, findings=tuple(findings), planned_sides=sides)


def without_missing(bones: Bones, model: ShapeModel) -> tuple[Bones, list[Finding]]:
    """Take away what was labelled in the place of a hip bone that is not there, and say so."""
    values, findings = bones.labels.values, []
    for side in Side:
        share = solid_share(bones, model, side)
        if share < MISSING_SHARE:
            values = np.where(values == side.hip, np.uint8(Label.BACKGROUND), values)
            text = f"The {side} hip bone is not where it should be: {share:.0%} of its outline has bone behind it."
            findings.append(Finding("bone-missing", Level.WARN, str(side), text))
    return replace(bones, labels=LabelMap(values, bones.labels.grid)), findings


def solid_share(bones: Bones, model: ShapeModel, side: Side) -> float:
    """Share of the fitted hip bone's vertices in the scan behind which, a little deep, there is labelled bone."""
    name = f"{side}_hip"
    vertices = bones.fit.vertices_lps[name]
    inner = vertices - BEHIND_MM * vertex_normals(vertices, model.faces_of(name))
    inner = inner[bones.fit.seen[name] & bones.labels.grid.contains(inner)]
    index = np.round(bones.labels.grid.to_index(inner)).astype(np.intp)
    hips = (Side.LEFT.hip, Side.RIGHT.hip)  # of either side: swapped labels are another matter
    return float(np.isin(bones.labels.values[tuple(index.T)], hips).mean()) if len(inner) else 0.0


def weighed(volume: Volume, bones: Bones, model: ShapeModel) -> Bones:
    """Add how sure each bone and each joint is."""
    faces = gather_evidence(volume, bones.labels, bones.fit, model)
    confidence = {
        name: min((foretell(found).confidence for (bone, _), found in faces.items() if bone == name), default=0.0)
        for name in BONE_NAMES
    }
    return replace(bones, confidence=confidence, joint_sureness=joint_sureness(faces))


def doubts(bones: Bones, config: SegmentationConfig) -> list[Finding]:
    """Say which joints' outlines are not sure."""
    found = []
    for side, sure in bones.joint_sureness.items():
        if sure.confidence < config.low_confidence and np.isfinite(sure.error_mm):
            text = (
                f"The bones' outlines at the {side} SI joint may be off by about {sure.error_mm:.1f} mm: "
                f"confidence {sure.confidence:.2f} that 95 % of them are within {GOOD_MM:.0f} mm."
            )
            level = Level.REVIEW_ONLY if sure.confidence < VERY_LOW else Level.WARN
            found.append(Finding("low-confidence", level, str(side), text))
    return found


def position(frame: PelvicFrame) -> list[Finding]:
    """Say that the patient lies otherwise than the scan's header has it."""
    turn_deg = float(np.degrees(Rotation.from_matrix(frame.lps_from_pelvic[:3, :3]).magnitude()))
    if turn_deg < TURNED_DEG:
        return []
    text = (
        f"The pelvis lies turned by {turn_deg:.0f} degrees against the scan's axes: the patient position in its header "
        "is likely wrong. Left and right are named by the anatomy; check them."
    )
    return [Finding("patient-position", Level.REVIEW_ONLY, "both", text)]


def small(fit: ShapeFit) -> list[Finding]:
    """Say that the pelvis is smaller than adults' ones."""
    size = float(np.cbrt(np.linalg.det(fit.lps_from_model[:3, :3])))
    if size >= ADULT_SIZE:
        return []
    text = f"The pelvis has {size:.2f} of the usual adult size; children were not measured, and growth plates are gaps."
    return [Finding("small-pelvis", Level.REVIEW_ONLY, "both", text)]


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
    parts = touching_parts(dense)[0]
    sizes = np.bincount(parts.ravel())[1:] * voxel_mm3
    if sizes.max() < config.metal_mm3:
        return []
    text = f"Metal: {sizes.max():.0f} mm3 above {config.metal_hu:.0f} HU; labels near it are unreliable."
    largest = volume.grid.to_lps(np.argwhere(parts == sizes.argmax() + 1))
    return [Finding("metal", Level.WARN, "both", text, witness_of(largest))]


def laterality(bones: Bones) -> list[Finding]:
    """Check that each hip bone lies to its own side of the sacrum."""
    found = []
    grid = bones.labels.grid
    centres = {
        label: bones.frame.to_pelvic(grid.to_lps(index)) for label, index in centres_of(bones.labels.values).items()
    }
    for side in Side:
        if side.hip not in centres or Label.SACRUM not in centres:
            continue
        apart = float((centres[side.hip] - centres[Label.SACRUM])[0] * side.lateral_x)
        if apart < HIPS_APART_MM:
            text = f"The {side} hip bone lies {apart:.0f} mm to its side of the sacrum; at least 20 mm expected."
            found.append(Finding("laterality", Level.REFUSE, str(side), text))
    return found
