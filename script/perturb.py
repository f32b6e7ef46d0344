"""Outlines that are wrong on purpose: what confidence is calibrated on besides outlines as they come.

*Moved*: labels and fitted shape are moved together off the bones, so that only the image can tell. *Wrong start*: the
bone stage is begun from a pose that is off by centimetres; what it makes of that is what a failed search would give.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from planner.labels import Label, Side
from planner.segmentation import Bones, PelvisPose, ShapeFit, ShapeModel, segment_bones
from planner.segmentation.confidence import ZONE_MM, gather_evidence, joint_box, signed_distance
from planner.volume import LabelMap, Volume

__all__ = ["perturbed_outlines"]

MOVES_MM = ((1.5, 0.0, 0.0), (0.0, -2.5, 0.0), (0.0, 0.0, 3.5), (-5.0, 0.0, 0.0), (0.0, 6.0, 4.0))
"""Moves of the outlines: from less than a voxel to a lost joint."""

STARTS_MM_DEG = ((16.0, 10.0), (26.0, 20.0), (38.0, 30.0))
"""How far wrong starts are off; the fit's own reach is 14 mm."""

Row = dict[str, Any]


def perturbed_outlines(volume: Volume, bones: Bones, truth: LabelMap, model: ShapeModel, name: str) -> Iterator[Row]:
    """Evidence and true error of every outline, moved and from a wrong start; `name` chooses the start."""
    for move in MOVES_MM:
        labels = moved(bones.labels, np.array(move))
        shift = np.array(move)
        vertices = {bone: points + shift for bone, points in bones.fit.vertices_lps.items()}
        yield from _rows(volume, labels, replace(bones.fit, vertices_lps=vertices), truth, model)
    wrong = segment_bones(volume, wrong_start(bones.fit, zlib.crc32(name.encode())), model)
    yield from _rows(volume, wrong.labels, wrong.fit, truth, model)


def moved(labels: LabelMap, move_mm: NDArray[np.float64]) -> LabelMap:
    """Labels moved by whole and part voxels, to the nearest voxel."""
    grid = labels.grid
    voxels = np.linalg.solve(grid.lps_from_zyx[:3, :3], move_mm)
    values = ndimage.shift(labels.values, voxels, order=0, mode="nearest", prefilter=False)
    return LabelMap(values.astype(np.uint8), grid)


def wrong_start(fit: ShapeFit, seed: int) -> PelvisPose:
    """Give a pose off the fitted one by one of `STARTS_MM_DEG`, in a direction of the seed's."""
    rng = np.random.default_rng(seed)
    far_mm, turn_deg = STARTS_MM_DEG[seed % len(STARTS_MM_DEG)]
    direction, axis = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 3)))
    matrix = fit.lps_from_model.copy()
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(turn_deg) * axis).as_matrix() @ matrix[:3, :3]
    matrix[:3, 3] += far_mm * direction
    return PelvisPose(matrix, 0.0)


def _rows(volume: Volume, labels: LabelMap, fit: ShapeFit, truth: LabelMap, model: ShapeModel) -> Iterator[Row]:
    for (bone, side), evidence in gather_evidence(volume, labels, fit, model).items():
        label = Label.SACRUM if bone == "sacrum" else side.hip
        error = face_error(volume, labels, truth, label, side, joint_box(volume, fit, model, side))
        if error is not None:
            yield {"bone": bone, "side": side.value, "evidence": asdict(evidence), "error_mm": round(error, 3)}


def face_error(
    volume: Volume, labels: LabelMap, truth: LabelMap, label: Label, side: Side, box: tuple[slice, ...] | None
) -> float | None:
    """Give the 95th percentile of the surface distance near one joint, as the scoring tool has it; None if absent."""
    facing = side.hip if label is Label.SACRUM else Label.SACRUM
    if box is None:
        return None
    crop = volume.crop(box)  # type: ignore[arg-type]
    found, true = labels.values[box], truth.values[box]
    own, right, across = (signed_distance(mask, crop) for mask in (found == label, true == label, true == facing))
    if own is None or right is None or across is None:
        return None
    inset = 0.5 * float(np.mean(crop.grid.spacing_zyx_mm))
    near = across < ZONE_MM
    rims = [mask & ~ndimage.binary_erosion(mask, border_value=1) & near for mask in (true == label, found == label)]
    errors = np.concatenate([np.abs(d[rim] + inset) for d, rim in zip((own, right), rims, strict=True)])
    return float(np.percentile(errors, 95)) if len(errors) else None
