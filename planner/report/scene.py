"""What the viewer in the HTML report shows, as NiiVue reads it: CT round the sacrum, labels, surfaces and implants."""

from __future__ import annotations

import base64
import gzip
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.exports.surfaces import Surface, bone_surface, implant_surface
from planner.grid import Grid
from planner.labels import Keepout, Label
from planner.nifti import header_bytes
from planner.outline import implant_rim
from planner.plan import PlanDocument
from planner.volume import Box, LabelMap, Volume

__all__ = ["BONES", "NEURAL_VALUE", "SOFT_VALUE", "make_scene", "mz3_bytes", "nifti_bytes"]

WINDOW_HU, STEP_HU = (-300, 1100), 8
"""CT numbers are cut off and rounded so: half the bytes, and no difference that a screen shows `[P]`."""

ROUND_MM = 25.0
"""So far round the sacrum the CT is kept: both joints lie in it `[P]`."""

CELL_MM = 2.5
"""Cells that the viewer's bones are drawn in `[P]`."""

PACKING = 4
"""Level of gzip: a third of the time of the best for a tenth more bytes `[P]`."""

BONES = {Label.SACRUM: "sacrum", Label.LEFT_HIP: "left hip bone", Label.RIGHT_HIP: "right hip bone"}
"""Bones of which surfaces are shown."""

NEURAL_VALUE, SOFT_VALUE = 7, 9
"""Values of canal and foramina, and of soft keep-outs, beside `planner.labels.Label`'s in the viewer's labels."""

MZ3_MAGIC, MZ3_PARTS = 0x5A4D, 3
"""Of NiiVue's mesh format (Surfice, mz3): its magic number, and the flags for faces and vertices."""


def make_scene(
    document: PlanDocument, volume: Volume, bones: LabelMap, keepouts: LabelMap, voxel_mm: float
) -> dict[str, Any]:
    """Pack everything into what `viewer.js` reads.

    Returns
    -------
    dict
        ``ct`` and ``labels`` (base64 of ``.nii.gz``); ``size`` (voxels along i, j, k) and ``index_from_ras`` (three
        rows) of both; ``bones`` (label, name and base64 of ``.mz3``); ``implants`` (side, rank, ends in RAS mm, radius
        and base64 of ``.mz3``).
    """
    box = _box(bones)
    steps = np.maximum(np.rint(voxel_mm / volume.grid.spacing_zyx_mm), 1).astype(int)
    shape = np.array([side.stop - side.start for side in box]) // steps * steps
    box = tuple(slice(side.start, side.start + int(n)) for side, n in zip(box, shape, strict=True))  # type: ignore[assignment]
    kept = keepouts.values[box]
    outlines = np.where(kept > 0, np.where(kept == Keepout.SOFT, SOFT_VALUE, NEURAL_VALUE), bones.values[box])
    grid = _coarse(volume.grid.crop(box), steps)
    return {
        "ct": _text(nifti_bytes(_display(volume.hu[box], steps), grid)),
        "labels": _text(nifti_bytes(_middles(outlines.astype(np.uint8), steps), grid)),
        "size": list(reversed(grid.shape_zyx)),
        "index_from_ras": _index_from_ras(grid),
        "bones": list(_bones(bones)),
        "implants": list(_implants(document)),
    }


def _box(bones: LabelMap) -> Box:
    """Box round the sacrum; the whole grid without one."""
    sacrum = bones.values == Label.SACRUM
    if not sacrum.any():
        whole = (slice(0, n) for n in sacrum.shape)
        return tuple(whole)  # type: ignore[return-value]
    spans = [np.flatnonzero(sacrum.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    corners = np.array([[span[0] for span in spans], [span[-1] for span in spans]])
    return bones.grid.box_around(bones.grid.to_lps(corners), ROUND_MM)


def _coarse(grid: Grid, steps: NDArray[np.int_]) -> Grid:
    matrix = grid.lps_from_zyx.copy()
    matrix[:3, :3] = matrix[:3, :3] * steps
    matrix[:3, 3] = grid.to_lps((steps - 1) / 2)
    z, y, x = (int(n) for n in np.array(grid.shape_zyx) // steps)
    return Grid((z, y, x), matrix)


def _index_from_ras(grid: Grid) -> list[list[float]]:
    """Rows that give a voxel's i, j, k from a point in RAS mm and 1."""
    ras_from_index = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.lps_from_zyx[:, [2, 1, 0, 3]]
    rows: list[list[float]] = np.linalg.inv(ras_from_index)[:3].round(6).tolist()
    return rows


def _display(hu: NDArray[np.int16], steps: NDArray[np.int_]) -> NDArray[np.int16]:
    """Mean of each block of voxels, cut off and rounded."""
    (z, y, x), (k, j, i) = np.array(hu.shape) // steps, steps
    mean = hu.reshape(z, k, y, j, x, i).mean(axis=(1, 3, 5), dtype=np.float32) if steps.max() > 1 else hu
    rounded: NDArray[np.int16] = (np.rint(np.clip(mean, *WINDOW_HU) / STEP_HU) * STEP_HU).astype(np.int16)
    return rounded


def _middles(values: NDArray[np.uint8], steps: NDArray[np.int_]) -> NDArray[np.uint8]:
    k, j, i = steps
    return np.ascontiguousarray(values[k // 2 :: k, j // 2 :: j, i // 2 :: i])


def _bones(bones: LabelMap) -> Iterator[dict[str, Any]]:
    for label, name in BONES.items():
        inside = bones.values == label
        if inside.any():
            spans = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
            box = tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
            surface = bone_surface(bones, label, box, CELL_MM)  # type: ignore[arg-type]
            yield {"label": int(label), "name": name, "mz3": _text(mz3_bytes(surface))}


def _implants(document: PlanDocument) -> Iterator[dict[str, Any]]:
    for side, entry in document.sides.items():
        for candidate in entry.candidates:
            ends = np.array([candidate.implant_entry_lps_mm, candidate.implant_tip_lps_mm])
            diameter, corners = candidate.implant.diameter_mm, candidate.corners_lps
            surface = implant_surface(ends[0], ends[1], diameter, corners)
            rim = implant_rim((ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0]), diameter, corners)
            yield {
                "side": side,
                "rank": candidate.rank,
                "ends_ras_mm": (ends * [-1, -1, 1]).round(3).tolist(),
                "rim_ras_mm": (rim * [-1, -1, 1]).round(3).tolist(),
                "mz3": _text(mz3_bytes(surface)),
            }


def nifti_bytes(values: NDArray[Any], grid: Grid) -> bytes:
    """Pack a (z, y, x) array as ``.nii.gz``, the same bytes every time."""
    data = header_bytes(grid, values.dtype) + np.ascontiguousarray(values).tobytes()
    return gzip.compress(data, PACKING, mtime=0)


def mz3_bytes(surface: Surface) -> bytes:
    """Pack a surface as ``.mz3``, in RAS as NiiVue has it."""
    vertices = surface.vertices_lps * np.array([-1, -1, 1], np.float32)
    head = struct.pack("<HHIII", MZ3_MAGIC, MZ3_PARTS, len(surface.faces), len(vertices), 0)
    return gzip.compress(head + surface.faces.tobytes() + vertices.astype("<f4").tobytes(), PACKING, mtime=0)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
