"""How sure the outlines are near the SI joint: what can be measured without the truth, and the error that it foretells.

The evidence is measured on the labels, so that it judges whatever drew them. ``log error = b0 + sum_i b_i f_i`` with
coefficients that are not negative (worse evidence never foretells less error), fitted to made scans with exact truth by
``script/calibrate_confidence.py``; the residual's spread turns it into the probability of a good outline.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import erf, exp, log, sqrt
from pathlib import Path
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from planner.labels import Label, Side
from planner.segmentation.model import BONE_NAMES, ShapeFit, Sureness
from planner.segmentation.profiles import EdgeSearch, find_edges
from planner.segmentation.shape_model import ShapeModel
from planner.volume import Box, LabelMap, Volume

__all__ = ["FEATURES", "GOOD_MM", "Evidence", "foretell", "gather_evidence", "joint_sureness"]

GOOD_MM = 2.0
"""An outline is good if the 95th percentile of its distance from the truth near the joint is at most this [P]."""

ZONE_MM = 12.0
"""Near the joint: bone within this of the facing bone."""

BOX_MARGIN_MM = 14.0
"""Kept round the fitted joint [P]."""

EDGE = EdgeSearch(reach_mm=2.5, step_mm=0.5, least_hu=60.0)
"""Edges that support an outline lie this near to it [P]."""

MOST_POINTS = 3000
"""Points of an outline that are looked at; more say no more [P]."""

SOFT_HU = (-50, 150)
"""Noise is measured between voxels of soft tissue."""

COEFFICIENTS = Path(__file__).with_name("data") / "confidence.json"
"""Coefficients, and what they were fitted to."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against one bone's outline near one or both joints.

    Attributes
    ----------
    unsupported : float
        Share of the outline without an edge in the image near it.
    off_edge_mm : float
        Root mean square distance from the outline to the edge near it.
    off_shape_mm : float
        95th percentile of the distance between the outline and the fitted shape model.
    noise_share : float
        Noise in terms of the edges' median fall.
    voxel_mm : float
        Largest spacing.
    shape_rms_mm : float
        Misfit of the shape model over the whole pelvis.
    """

    unsupported: float
    off_edge_mm: float
    off_shape_mm: float
    noise_share: float
    voxel_mm: float
    shape_rms_mm: float


FEATURES = ("unsupported", "off_edge", "off_shape", "noise", "voxel", "misfit")
"""Names of the coefficients, in the order of `features`."""


def features(evidence: Evidence) -> Floats:
    """Evidence as the numbers that the error's logarithm is a sum of; larger is worse."""
    return np.array(
        [
            evidence.unsupported,
            log(0.2 + evidence.off_edge_mm),
            log(0.5 + evidence.off_shape_mm),
            min(evidence.noise_share, 1.0),
            log(0.5 + evidence.voxel_mm),
            log(0.5 + min(evidence.shape_rms_mm, 20.0)),
        ]
    )


@lru_cache(maxsize=1)
def coefficients() -> dict[str, Any]:
    """Fitted coefficients that ship with the package."""
    found: dict[str, Any] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    return found


def foretell(evidence: Evidence | None, fitted: dict[str, Any] | None = None) -> Sureness:
    """Error that the evidence foretells, and the probability that it is at most `GOOD_MM`; none at all is no trust."""
    if evidence is None:
        return Sureness(0.0, float("inf"))
    table = fitted or coefficients()
    weights = np.array([table["weights"][name] for name in FEATURES])
    expected = float(table["constant"] + weights @ features(evidence))
    probability = 0.5 * (1.0 + erf((log(GOOD_MM) - expected) / (sqrt(2.0) * table["spread"])))
    return Sureness(round(probability, 3), round(exp(min(expected, 4.0)), 2))


def joint_sureness(faces: dict[tuple[str, Side], Evidence]) -> dict[Side, Sureness]:
    """Sureness of each joint: that of its less sure face."""
    result = {}
    for side in Side:
        both = [foretell(faces.get((name, side))) for name in ("sacrum", f"{side}_hip")]
        result[side] = min(both, key=lambda sure: sure.confidence)
    return result


def gather_evidence(
    volume: Volume, labels: LabelMap, fit: ShapeFit, model: ShapeModel
) -> dict[tuple[str, Side], Evidence]:
    """Evidence of each face ``(bone, side)`` of the joints that are in the scan."""
    noise_hu = image_noise(volume.hu)
    with ThreadPoolExecutor(len(Side)) as pool:  # distance maps hold no lock
        sides = pool.map(lambda side: _side_evidence(volume, labels, fit, model, side), Side)
        return {face: with_noise(found, noise_hu) for faces in sides for face, found in faces.items()}


def _side_evidence(
    volume: Volume, labels: LabelMap, fit: ShapeFit, model: ShapeModel, side: Side
) -> dict[tuple[str, Side], Evidence]:
    """Evidence of both faces of one joint, their noise still in HU."""
    faces: dict[tuple[str, Side], Evidence] = {}
    box = joint_box(volume, fit, model, side)
    if box is None:
        return faces
    crop, values = volume.crop(box), labels.values[box]
    away = {label: signed_distance(values == label, crop) for label in (Label.SACRUM, side.hip)}
    for label, facing in ((Label.SACRUM, side.hip), (side.hip, Label.SACRUM)):
        found = measure_face(crop, away[label], away[facing], fit, BONE_NAMES[label - 1])
        if found is not None:
            faces[BONE_NAMES[label - 1], side] = found
    return faces


def joint_box(volume: Volume, fit: ShapeFit, model: ShapeModel, side: Side) -> Box | None:
    """Box of a fitted joint; None where it lies outside the scan."""
    faces = [("sacrum", f"{side}_auricular_sacrum"), (f"{side}_hip", f"{side}_auricular_hip")]
    points = np.vstack([fit.vertices_lps[bone][model.regions[name] - model.span(bone).start] for bone, name in faces])
    try:
        box = volume.grid.box_around(points, BOX_MARGIN_MM)
    except ValueError:
        return None
    return box if min(s.stop - s.start for s in box) >= 3 else None


def signed_distance(mask: Mask, volume: Volume) -> NDArray[np.float32] | None:
    """Distance to a bone's outline, mm, negative inside; None where there is none."""
    if not mask.any() or mask.all():
        return None
    spacing = tuple(volume.grid.spacing_zyx_mm)
    solid = np.ascontiguousarray(mask)
    outside = edt.edt(~solid, anisotropy=spacing, black_border=False, parallel=1)
    inside = edt.edt(solid, anisotropy=spacing, black_border=False, parallel=1)
    half = 0.5 * float(np.mean(spacing))
    distance: NDArray[np.float32] = np.where(solid, half - inside, outside - half).astype(np.float32)
    return distance


def measure_face(
    volume: Volume, own: NDArray[np.float32] | None, facing: NDArray[np.float32] | None, fit: ShapeFit, name: str
) -> Evidence | None:
    """Evidence of one face, its noise still in HU; None where the bone or the facing one is not there."""
    if own is None or facing is None:
        return None
    rim = (own < 0) & ndimage.binary_dilation(own >= 0) & (facing < ZONE_MM)
    index = np.argwhere(rim)
    if not len(index):
        return None
    index = index[:: -(-len(index) // MOST_POINTS)]
    points, normals = outline(volume, own, index)
    offset, strength = find_edges(volume, points, normals, EDGE)
    held = strength > 0
    return Evidence(
        unsupported=round(float(1.0 - held.mean()), 4),
        off_edge_mm=round(float(np.sqrt(np.mean(offset[held] ** 2))) if held.any() else EDGE.reach_mm, 4),
        off_shape_mm=round(off_shape(volume, own, facing, fit.vertices_lps[name]), 4),
        noise_share=1.0 / max(float(np.median(strength[held])), EDGE.least_hu) if held.any() else 1.0 / EDGE.least_hu,
        voxel_mm=round(float(volume.grid.spacing_zyx_mm.max()), 4),
        shape_rms_mm=round(float(fit.rms_mm), 4),
    )


def outline(volume: Volume, own: NDArray[np.float32], index: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Points of the outline next to the rim's voxels, and unit normals out of the bone, LPS."""
    smooth = ndimage.gaussian_filter(own, 1.0)
    slope = np.stack([np.gradient(smooth, axis=axis)[tuple(index.T)] for axis in range(3)], axis=1)
    normals = (slope / volume.grid.spacing_zyx_mm) @ volume.grid.directions_lps
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    depth = own[tuple(index.T)].astype(np.float64)
    return volume.grid.to_lps(index) - depth[:, None] * normals, normals


def off_shape(volume: Volume, own: NDArray[np.float32], facing: NDArray[np.float32], vertices_lps: Floats) -> float:
    """95th percentile of the distance of the fitted shape's vertices near the joint from the outline."""
    inside = volume.grid.contains(vertices_lps)
    where = volume.grid.to_index(vertices_lps[inside]).T
    near = ndimage.map_coordinates(facing, where, order=1) < ZONE_MM
    if not near.any():
        return 2.0 * ZONE_MM
    return float(np.percentile(np.abs(ndimage.map_coordinates(own, where[:, near], order=1)), 95))


def image_noise(hu: NDArray[np.int16]) -> float:
    """Measure the noise's standard deviation, HU: by the median difference of near voxels in soft tissue, in plane."""
    plane = hu[:: max(1, hu.shape[0] // 24)].astype(np.float32)
    one, other = plane[:, :, :-2], plane[:, :, 2:]
    soft = (one > SOFT_HU[0]) & (one < SOFT_HU[1]) & (other > SOFT_HU[0]) & (other < SOFT_HU[1])
    return float(np.median(np.abs(one[soft] - other[soft])) / 0.954) if soft.any() else 0.0


def with_noise(evidence: Evidence, noise_hu: float) -> Evidence:
    """Give the evidence with the noise as a share of the edges' fall."""
    return Evidence(**{**asdict(evidence), "noise_share": round(noise_hu * evidence.noise_share, 4)})
