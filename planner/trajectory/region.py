"""The region round one joint: distance fields for the search, and the voxels that the exact distances are taken to.

Distances are between voxel centres, less half the mean spacing: a structure's face lies half a voxel outside its
outermost centres. All structures are closed sets of voxels, so every field is 1-Lipschitz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid
from planner.joint.model import Joint, Third, Zone
from planner.keepout.model import Keepouts
from planner.labels import Label, Side
from planner.segmentation.model import Bones, PelvicFrame
from planner.trajectory.config import Constraints
from planner.volume import Volume

__all__ = ["DISTANCES", "FIELDS", "REACH_MM", "Region", "Structure", "make_region"]

FIELDS = ("sacrum", "hip", "neural", "ventral_cortex", "outer_iliac_cortex", "solid", "articular", "hu")
"""Last axis of `Region.fields`. Millimetres but for ``articular`` (share, 0-1) and ``hu``; ``sacrum``, ``hip`` and
``solid`` are signed, negative inside."""

DISTANCES = 6
"""The first of `FIELDS`, which are distances."""

REACH_MM = 15.0
"""Fields are cut off here: well over every distance that a constraint or a score asks for."""

MARGIN_MM = 36.0
"""Region round the joint's middle third: `REACH_MM` and the farthest that an implant of 30 mm sticks out."""

NEURAL_MARGIN_MM = 60.0
"""Keep-outs this far round the joint are measured to: the canal lies within."""

ACCESS_MM = 30.0
"""Region further to posterior, where bone can lie in the way: the iliac spine overhangs the joint's mouth by less."""

VENTRAL_FACING = 0.3
"""Cosine: the sacrum's outer wall is ventral where its normal points this much to anterior; the pelvic face of a
level sacrum still does [P]."""

GLUTEAL_FACING = 0.5
"""Cosine: the ilium's outer wall is gluteal where its outward normal points this much to lateral [P]."""

WALL_SMOOTHING_MM = 1.5
"""Gaussian over the wall's distance field before its normals are taken: evens out the voxels' steps [P]."""

WALL_NOT_NEURAL_MM = 2.0
"""The walls of canal and foramina are no outer cortex; the neural constraint keeps away from them [P]."""

GLUTEAL_FROM_SACRUM_MM = 6.0
"""The gluteal wall is on the far side of the ilium; nearer to the sacrum lies the joint's own rim [P]."""

ARTICULAR_REACH_MM = 6.0
"""A point this far from the articular mid-surface no longer lies in the articular zone [P]."""

Mask = NDArray[np.bool_]
Field = NDArray[np.float32]
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Structure:
    """Voxels of one structure.

    Attributes
    ----------
    points_lps : (n, 3) float64 array
        Their centres.
    half_voxel_mm, half_diagonal_mm : float
        Half the mean spacing: from the centre to the face, on average. Half the voxel's diagonal: at most.
    """

    points_lps: Points
    half_voxel_mm: float
    half_diagonal_mm: float


@dataclass(frozen=True, eq=False)
class Region:
    """What the search looks up.

    Attributes
    ----------
    grid : Grid
        Of the fields.
    fields : (z, y, x, 8) float32 array
        See `FIELDS`.
    structures : mapping of name to Structure
        ``neural``, ``ventral_cortex`` and ``outer_iliac_cortex``, for the exact distances.
    """

    grid: Grid
    fields: Field
    structures: Mapping[str, Structure]


def make_region(volume: Volume, bones: Bones, joint: Joint, keepouts: Keepouts, constraints: Constraints) -> Region:
    """Cut out the region and measure its fields; the four inputs lie on one grid."""
    box = _box(bones.labels.grid, joint, bones.frame)
    grid = bones.labels.grid.crop(box)
    labels = bones.labels.values[box]
    neural = keepouts.mask.values[box] > 0
    sacrum = signed_distance(labels == Label.SACRUM, grid)
    hip = signed_distance(labels == joint.side.hip, grid)
    solid = _solid(np.minimum(sacrum, hip), grid, constraints.closing_mm)
    neural_mm = distance_to(neural, grid)
    ventral, outer = _walls(solid, (sacrum, hip, neural_mm), grid, bones.frame, joint.side)
    layers: tuple[NDArray[Any], ...] = (
        sacrum,
        hip,
        neural_mm,
        distance_to(ventral, grid),
        distance_to(outer, grid),
        solid,
        _articular(joint, grid),
        volume.hu[box],
    )
    fields = np.empty((*grid.shape_zyx, len(FIELDS)), np.float32)
    for number, layer in enumerate(layers):
        fields[..., number] = layer
    np.clip(fields[..., :DISTANCES], -REACH_MM, REACH_MM, out=fields[..., :DISTANCES])
    structures = {
        "neural": _neural_structure(keepouts, joint),
        "ventral_cortex": structure_of(ventral, grid),
        "outer_iliac_cortex": structure_of(outer, grid),
    }
    return Region(grid, fields, structures)


def _neural_structure(keepouts: Keepouts, joint: Joint) -> Structure:
    """All keep-outs that any implant in the joint can have as its nearest."""
    grid = keepouts.mask.grid
    box = grid.box_around(joint.vertices_lps, NEURAL_MARGIN_MM)
    return structure_of(keepouts.mask.values[box] > 0, grid.crop(box))


def _box(grid: Grid, joint: Joint, frame: PelvicFrame) -> tuple[slice, slice, slice]:
    middle = joint.vertices_lps[joint.third == Third.MIDDLE]
    return grid.box_around(np.vstack([middle, middle + ACCESS_MM * frame.posterior_lps]), MARGIN_MM)


def structure_of(mask: Mask, grid: Grid) -> Structure:
    """Voxels of `mask` as points."""
    spacing = grid.spacing_zyx_mm
    return Structure(grid.to_lps(np.argwhere(mask)), 0.5 * float(spacing.mean()), 0.5 * float(np.linalg.norm(spacing)))


def _centre_distance(mask: Mask, grid: Grid) -> Field:
    """Distance of each voxel's centre to the nearest centre in `mask`; infinite if there is none."""
    spacing = tuple(float(s) for s in grid.spacing_zyx_mm)
    distance: Field = edt.edt(np.ascontiguousarray(~mask), anisotropy=spacing, black_border=False, parallel=1)
    return distance


def distance_to(mask: Mask, grid: Grid) -> Field:
    """Distance to the face of `mask`, mm; not negative, `REACH_MM` if it is empty."""
    if not mask.any():
        return np.full(mask.shape, REACH_MM, np.float32)
    half = np.float32(0.5 * grid.spacing_zyx_mm.mean())
    distance: Field = np.maximum(_centre_distance(mask, grid) - half, 0).astype(np.float32)
    return distance


def signed_distance(mask: Mask, grid: Grid) -> Field:
    """Distance to the face of `mask`, mm, negative inside; plus or minus `REACH_MM` if empty or full."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, -REACH_MM if mask.all() else REACH_MM, np.float32)
    half = np.float32(0.5 * grid.spacing_zyx_mm.mean())
    outside, inside = _centre_distance(mask, grid), _centre_distance(~mask, grid)
    distance: Field = np.where(mask, half - inside, outside - half).astype(np.float32)
    return distance


def _solid(bone: Field, grid: Grid, radius_mm: float) -> Field:
    """Signed distance to the closing of the bones by a ball: the joint between them counts as solid."""
    half = 0.5 * float(grid.spacing_zyx_mm.mean())
    depth = _centre_distance(bone > radius_mm, grid) - half  # into the dilated bones
    return signed_distance(depth >= radius_mm, grid)


def _walls(
    solid: Field, distances: tuple[Field, Field, Field], grid: Grid, frame: PelvicFrame, side: Side
) -> tuple[Mask, Mask]:
    """Voxels just outside the ventral wall of the sacrum, and just outside the gluteal wall of the ilium."""
    sacrum, hip, neural = distances
    inside = solid <= 0
    wall = ndi.binary_dilation(inside) & ~inside & (neural > WALL_NOT_NEURAL_MM)
    normals = _normals(solid, wall, grid)
    ventral, outer = np.zeros_like(wall), np.zeros_like(wall)
    ventral[wall] = (normals @ -frame.posterior_lps > VENTRAL_FACING) & (sacrum < hip)[wall]
    lateral = normals @ (side.lateral_x * frame.left_lps) > GLUTEAL_FACING
    outer[wall] = lateral & (hip < sacrum)[wall] & (sacrum[wall] > GLUTEAL_FROM_SACRUM_MM)
    return ventral, outer


def _normals(solid: Field, where: Mask, grid: Grid) -> Points:
    """Outward unit normals (n, 3) in LPS of a distance field at the voxels of `where`."""
    sigma = WALL_SMOOTHING_MM / grid.spacing_zyx_mm
    smooth = ndi.gaussian_filter(solid, sigma, mode="nearest", truncate=3.0)
    spacing = [float(s) for s in grid.spacing_zyx_mm]
    slopes = np.stack([np.gradient(smooth, step, axis=axis)[where] for axis, step in enumerate(spacing)], axis=1)
    normals = slopes.astype(np.float64) @ grid.directions_lps
    unit: Points = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return unit


def _articular(joint: Joint, grid: Grid) -> Field:
    """1 where the nearest part of the mid-surface is articular and near, else 0."""
    near, far = (
        distance_to(_splat(joint.vertices_lps[joint.zone == zone], grid), grid)
        for zone in (Zone.ARTICULAR, Zone.LIGAMENTOUS)
    )
    share: Field = ((near <= far) & (near <= ARTICULAR_REACH_MM)).astype(np.float32)
    return share


def _splat(points_lps: Points, grid: Grid) -> Mask:
    """Voxels that hold a point."""
    mask = np.zeros(grid.shape_zyx, bool)
    index = np.rint(grid.to_index(points_lps.reshape(-1, 3))).astype(int)
    inside = ((index >= 0) & (index < grid.shape_zyx)).all(axis=1)
    mask[tuple(index[inside].T)] = True
    return mask
