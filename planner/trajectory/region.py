"""The region round one joint: distance fields for the search, and the voxels that the exact distances are taken to.

Distances are between voxel centres, less half the mean spacing: a structure's face lies half a voxel outside its
outermost centres. All structures are closed sets of voxels, so every field is 1-Lipschitz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.distance import distance_within
from planner.grid import Grid
from planner.joint.model import Joint, Third, Zone
from planner.keepout.model import Keepouts
from planner.labels import Keepout, Label, Side
from planner.segmentation.model import Bones, PelvicFrame
from planner.trajectory.config import Constraints
from planner.volume import Box, Volume

__all__ = ["FIELDS", "REACH_MM", "SOLID_REACH_MM", "Region", "Structure", "make_region"]

FIELDS = ("sacrum", "hip", "neural", "ventral_cortex", "outer_iliac_cortex", "depth", "articular", "hu")
"""Last axis of `Region.fields`. Millimetres but for ``articular`` (share, 0-1) and ``hu``; ``sacrum`` and ``hip`` are
signed, negative inside; ``depth`` is that inside the bones and the joint between them, negative outside. So the least
of each over an implant's points is what counts."""

REACH_MM = 12.0
"""Fields are cut off here: over every distance that a constraint or a score may ask for."""

SOLID_REACH_MM = 8.0
"""The depth is cut off here, so that of most voxels nothing is worked out."""

BEHIND_MM = 8.0
"""The region ends so far behind the last bone or keep-out: a cannula farther out meets neither, and more room than this
scores no more."""

MARGIN_MM, SHIFT_MM = 30.0, 14.0
"""Region round the joint's middle third, moved to posterior: no implant comes past the joint's anterior margin, and a
cannula 10 mm and more behind its middle runs 30 mm on. To the sides and up, an implant of 30 mm and `REACH_MM`."""

NEURAL_MARGIN_MM = 60.0
"""Keep-outs this far round the joint are measured to: the canal lies within."""

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
        ``neural``, ``soft``, ``ventral_cortex`` and ``outer_iliac_cortex``, for the exact distances.
    """

    grid: Grid
    fields: Field
    structures: Mapping[str, Structure]


def make_region(
    volume: Volume,
    bones: Bones,
    joint: Joint,
    keepouts: Keepouts,
    constraints: Constraints,
    box: Box | None = None,
) -> Region:
    """Cut out the region and measure its fields; the four inputs lie on one grid.

    The `box` is where a posterior implant and its cannula lie, unless another is given.
    """
    if box is None:
        box = _box(bones.labels.grid, joint, bones.frame)
        box = _without_empty(box, (bones.labels.values[box], keepouts.mask.values[box]), bones.labels.grid)
    grid = bones.labels.grid.crop(box)
    labels = bones.labels.values[box]
    sacrum = signed_distance(labels == Label.SACRUM, grid)
    hip = signed_distance(labels == joint.side.hip, grid)
    neural = distance_to(keepouts.neural(box), grid)
    solid = _solid(np.minimum(sacrum, hip), grid, constraints.closing_mm)
    ventral, outer = _walls(solid, (sacrum, hip, neural), grid, bones.frame, joint.side)
    fields = np.empty((*grid.shape_zyx, len(FIELDS)), np.float32)
    layers: tuple[NDArray[Any], ...] = (
        sacrum,
        hip,
        neural,
        distance_to(ventral, grid),
        distance_to(outer, grid),
        -solid,
        _articular(joint, grid),
        volume.hu[box],
    )
    for z in range(len(fields)):  # plane by plane: what is written stays in the cache
        for number, layer in enumerate(layers):
            fields[z, ..., number] = layer[z]
    structures = {
        **_keepouts_near(joint, keepouts),
        "ventral_cortex": structure_of(ventral, grid),
        "outer_iliac_cortex": structure_of(outer, grid),
    }
    return Region(grid, fields, structures)


def _box(grid: Grid, joint: Joint, frame: PelvicFrame) -> Box:
    middle = joint.vertices_lps[joint.third == Third.MIDDLE]
    return grid.box_around(middle + SHIFT_MM * frame.posterior_lps, MARGIN_MM)


def _without_empty(box: Box, layers: tuple[NDArray[np.uint8], NDArray[np.uint8]], grid: Grid) -> Box:
    """Cut off what lies more than `BEHIND_MM` outside everything that is labelled."""
    cut = []
    for axis, (part, step_mm) in enumerate(zip(box, grid.spacing_zyx_mm, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        there = np.flatnonzero(layers[0].any(axis=others) | layers[1].any(axis=others))
        pad = int(np.ceil(BEHIND_MM / step_mm))
        first, last = (int(there[0]), int(there[-1])) if len(there) else (0, part.stop - part.start - 1)
        cut.append(slice(part.start + max(0, first - pad), min(part.stop, part.start + last + pad + 1)))
    return cut[0], cut[1], cut[2]


def _keepouts_near(joint: Joint, keepouts: Keepouts) -> dict[str, Structure]:
    """All keep-outs that any implant in the joint can have as its nearest, neural ones and soft ones."""
    near = keepouts.mask.grid.box_around(joint.vertices_lps, NEURAL_MARGIN_MM)
    grid, values = keepouts.mask.grid.crop(near), keepouts.mask.values[near]
    places = np.flatnonzero(values)
    soft = values.ravel()[places] == Keepout.SOFT
    return {"neural": _structure(places[~soft], grid), "soft": _structure(places[soft], grid)}


def structure_of(mask: Mask, grid: Grid) -> Structure:
    """Voxels of `mask` as points."""
    return _structure(np.flatnonzero(mask), grid)


def _structure(places: NDArray[np.intp], grid: Grid) -> Structure:
    spacing = grid.spacing_zyx_mm
    index = np.stack(np.unravel_index(places, grid.shape_zyx), axis=1)
    return Structure(grid.to_lps(index), 0.5 * float(spacing.mean()), 0.5 * float(np.linalg.norm(spacing)))


def distance_to(mask: Mask, grid: Grid) -> Field:
    """Distance to the face of `mask`, mm; not negative, `REACH_MM` at most and if it is empty."""
    if not mask.any():
        return np.full(mask.shape, REACH_MM, np.float32)
    distance = distance_within(mask, grid.spacing_zyx_mm, REACH_MM + _half(grid))
    distance -= np.float32(_half(grid))
    return np.maximum(distance, 0, out=distance)


def signed_distance(mask: Mask, grid: Grid, reach_mm: float = REACH_MM) -> Field:
    """Distance to the face of `mask`, mm, negative inside; plus or minus `reach_mm` if empty or full."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, -reach_mm if mask.all() else reach_mm, np.float32)
    reach_mm += _half(grid)
    distance = distance_within(mask, grid.spacing_zyx_mm, reach_mm)
    distance -= distance_within(~mask, grid.spacing_zyx_mm, reach_mm)  # one of the two is 0
    distance += np.where(mask, np.float32(_half(grid)), np.float32(-_half(grid)))
    return distance


def _half(grid: Grid) -> float:
    return 0.5 * float(grid.spacing_zyx_mm.mean())


def _solid(bone: Field, grid: Grid, radius_mm: float) -> Field:
    """Signed distance to the closing of the bones by a ball: the joint between them counts as solid."""
    depth = distance_within(bone > radius_mm, grid.spacing_zyx_mm, radius_mm + 2 * _half(grid))  # in the dilated bones
    return signed_distance(depth >= radius_mm + _half(grid), grid, SOLID_REACH_MM)


def _walls(
    solid: Field, distances: tuple[Field, Field, Field], grid: Grid, frame: PelvicFrame, side: Side
) -> tuple[Mask, Mask]:
    """Voxels just outside the ventral wall of the sacrum, and just outside the gluteal wall of the ilium."""
    inside = solid <= 0
    wall = np.flatnonzero(_beside(inside) & ~inside)
    sacrum, hip, neural = (distance.ravel()[wall] for distance in distances)
    normals = _normals(solid, wall, grid)
    ventral = (normals @ -frame.posterior_lps > VENTRAL_FACING) & (sacrum < hip)
    lateral = normals @ (side.lateral_x * frame.left_lps) > GLUTEAL_FACING
    outer = lateral & (hip < sacrum) & (sacrum > GLUTEAL_FROM_SACRUM_MM)
    not_neural = neural > WALL_NOT_NEURAL_MM
    return _mask_of(wall[ventral & not_neural], grid), _mask_of(wall[outer & not_neural], grid)


def _beside(mask: Mask) -> Mask:
    """Voxels that share a face with one of `mask`."""
    out = np.zeros_like(mask)
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    out[:, 1:] |= mask[:, :-1]
    out[:, :-1] |= mask[:, 1:]
    out[:, :, 1:] |= mask[:, :, :-1]
    out[:, :, :-1] |= mask[:, :, 1:]
    return out


def _mask_of(places: NDArray[np.intp], grid: Grid) -> Mask:
    mask = np.zeros(grid.shape_zyx, bool)
    mask.ravel()[places] = True
    return mask


def _normals(solid: Field, places: NDArray[np.intp], grid: Grid) -> Points:
    """Outward unit normals (n, 3) in LPS of a distance field at some voxels, by central differences."""
    sigma = WALL_SMOOTHING_MM / grid.spacing_zyx_mm
    smooth = ndi.gaussian_filter(solid, sigma, mode="nearest", truncate=3.0)
    index = np.array(np.unravel_index(places, grid.shape_zyx))
    slopes = np.empty((len(places), 3))
    for axis, size in enumerate(grid.shape_zyx):
        ahead, behind = index.copy(), index.copy()
        ahead[axis], behind[axis] = np.minimum(index[axis] + 1, size - 1), np.maximum(index[axis] - 1, 0)
        rise = smooth[tuple(ahead)] - smooth[tuple(behind)]
        slopes[:, axis] = rise / ((ahead[axis] - behind[axis]) * grid.spacing_zyx_mm[axis])
    normals = slopes @ grid.directions_lps
    unit: Points = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return unit


def _articular(joint: Joint, grid: Grid) -> Field:
    """1 where the nearest part of the mid-surface is articular and near, else 0; on a grid of every second voxel."""
    coarse = grid.resampled(2 * grid.spacing_zyx_mm)
    near, far = (
        distance_within(_splat(joint.vertices_lps[joint.zone == zone], coarse), coarse.spacing_zyx_mm, REACH_MM)
        for zone in (Zone.ARTICULAR, Zone.LIGAMENTOUS)
    )
    share = ((near <= far) & (near <= ARTICULAR_REACH_MM)).astype(np.float32)
    z, y, x = (np.arange(size) // 2 for size in grid.shape_zyx)
    whole: Field = share[np.ix_(z, y, x)]
    return whole


def _splat(points_lps: Points, grid: Grid) -> Mask:
    """Voxels that hold a point."""
    mask = np.zeros(grid.shape_zyx, bool)
    index = np.rint(grid.to_index(points_lps.reshape(-1, 3))).astype(int)
    inside = ((index >= 0) & (index < grid.shape_zyx)).all(axis=1)
    mask[tuple(index[inside].T)] = True
    return mask
