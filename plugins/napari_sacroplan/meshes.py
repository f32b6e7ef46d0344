"""Surfaces of a case, LPS mm: bones as they were exported, joints, keep-outs, implant and access."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sacroplan.placement import Placement
from napari_sacroplan.reopen import ReviewedCase
from planner.errors import UnreadableFileError
from planner.exports.surfaces import Surface, bone_surface, implant_surface
from planner.labels import Keepout, Label, Side
from planner.trajectory.approach import skin_entry
from planner.volume import LabelMap

__all__ = ["access_surface", "bone_surfaces", "implant_mesh", "keepout_surface"]

BONE_FILES = {"sacrum": Label.SACRUM, "hip_left": Label.LEFT_HIP, "hip_right": Label.RIGHT_HIP}
"""Meshes of the result folder that are shown."""

CELL_MM = 2.0
"""Cells of a surface that is drawn here because the folder holds none [P]."""

STL_HEADER_BYTES = 80
STL_FACE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])

ACCESS_MM = 120.0
"""Length of the access that is drawn where the skin is not in the scan."""

Mesh = tuple[NDArray[np.float64], NDArray[np.int32]]


def bone_surfaces(case: ReviewedCase) -> dict[Label, Mesh]:
    """Sacrum and hip bones: read where they were exported, else drawn from the labels."""
    found = {}
    for name, label in BONE_FILES.items():
        path = case.folder / "meshes" / f"{name}.stl"
        mesh = _read_stl(path) if path.is_file() else _of_label(case.bones.labels, label)
        if mesh is not None:
            found[label] = mesh
    return found


def keepout_surface(case: ReviewedCase) -> Mesh | None:
    """Canal and foramina as one surface; None where there are none."""
    mask = case.keepouts.mask
    neural = (mask.values != Keepout.NONE) & (mask.values != Keepout.SOFT)
    return _of_label(LabelMap(neural.astype(np.uint8), mask.grid), 1, cell_mm=1.0)


@lru_cache(maxsize=2)
def implant_mesh(placement: Placement) -> Mesh:
    """Give the implant as it is drawn; the views of one frame share it."""
    ends = placement.entry_lps, placement.tip_lps
    return _mesh(implant_surface(*ends, placement.diameter_mm, placement.corners_lps))


def access_surface(case: ReviewedCase, placement: Placement, side: Side) -> Mesh:
    """Cannula from the skin to the implant's near end: the implant's own outline and a wall."""
    wall = case.config.trajectory.instruments.cannula_wall_mm
    back = -placement.direction_lps
    skin = skin_entry(case.volume, placement.entry_lps, back) if case.has_ct else np.full(3, np.nan)
    outer = skin if np.isfinite(skin).all() else placement.entry_lps + ACCESS_MM * back
    corners = placement.corners_mm
    if corners is None or placement.across_lps is None:
        return _mesh(implant_surface(outer, placement.entry_lps, placement.diameter_mm + 2 * wall))
    half = np.abs(corners).max(axis=0)
    sleeve = corners * (half + wall) / half @ placement.across_lps
    return _mesh(implant_surface(outer, placement.entry_lps, placement.diameter_mm, sleeve))


def _mesh(surface: Surface) -> Mesh:
    return surface.vertices_lps.astype(np.float64), surface.faces


def _of_label(labels: LabelMap, value: int, cell_mm: float = CELL_MM) -> Mesh | None:
    there = [np.flatnonzero((labels.values == value).any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not len(there[0]):
        return None
    z, y, x = (slice(int(t[0]), int(t[-1]) + 1) for t in there)
    return _mesh(bone_surface(labels, value, (z, y, x), cell_mm))


def _read_stl(path: Path) -> Mesh:
    """Read a binary STL, with each vertex once."""
    body = path.read_bytes()[STL_HEADER_BYTES + 4 :]
    if len(body) % STL_FACE.itemsize:
        raise UnreadableFileError(f"{path.name} is not a whole STL file.", "Plan the case again.")
    corners = np.frombuffer(body, STL_FACE)["corners"].reshape(-1, 3)
    keys = np.ascontiguousarray(corners).view("V12").ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return corners[first].astype(np.float64), inverse.reshape(-1, 3).astype(np.int32)
