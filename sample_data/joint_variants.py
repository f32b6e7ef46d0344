"""Pelves with something that a planner must see.

Bone that meets behind the joint, an upper sacrum that is not sunk in, metal across a joint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from planner.grid import Grid
from planner.labels import Label, Side
from sample_data.inlays import Inlay, InlayKind
from sample_data.made_ct import METAL_HU
from sample_data.made_patient import Places
from sample_data.signed_distance import DistanceField, sample_affine

__all__ = ["RecessPlace", "across_joint", "recess_place", "with_deep_crests", "with_facets", "with_spur"]

Bones = dict[Label, DistanceField]
Vector = NDArray[np.float64]

COARSE = 3
"""The recess is looked for on every third node of the sacrum's lattice."""

RECESS_MM, CLEAR_MM = (5.0, 12.0), 9.0
"""Gap of the recess where bone is made to meet, and how far from the articular faces [P]."""

LEVELS = (0.4, 0.7)
"""Heights of the joint, as shares from caudal, between which it is made to meet: about S2, as accessory joints are."""

DEPTH_MM = 7.0
"""Half-thickness of a facet: it stands on the bone's own face [P]."""

BLEND_MM = 20.0
"""Height over which the raising of the upper sacrum sets in [P]."""


@dataclass(frozen=True, eq=False)
class RecessPlace:
    """A point midway between the bones of the recess, the unit vector to the ilium there, and the gap."""

    centre: Vector
    across: Vector
    gap_mm: float


def recess_place(bones: Mapping[Label, DistanceField], places: Places, side: Side) -> RecessPlace:
    """Find the place at S2 that is clear of the joint."""
    sacrum = bones[Label.SACRUM]
    s = np.ascontiguousarray(sacrum.values_mm[::COARSE, ::COARSE, ::COARSE])
    step = sacrum.spacing_mm * COARSE
    grid = Grid.from_spacing((s.shape[0], s.shape[1], s.shape[2]), step, sacrum.origin_mm)
    h = sample_affine(bones[side.hip], grid.lps_from_zyx, grid.shape_zyx)
    low, high = RECESS_MM
    index = np.argwhere((np.abs(s - h) < step) & (s + h > low) & (s + h < high))
    points = grid.to_lps(index)
    bottom, top = np.quantile(places.joints[side][:, 2], LEVELS)
    behind = (points[:, 2] > bottom) & (points[:, 2] < top) & (points[:, 1] > places.joints[side][:, 1].mean())
    away = cKDTree(places.joints[side]).query(points)[0]
    if not behind.any():
        raise ValueError(f"no recess behind the {side} joint")
    best = np.flatnonzero(behind)[np.minimum(away, CLEAR_MM)[behind].argmax()]
    around = tuple(np.clip(index[best], 1, np.array(s.shape) - 2))
    slope = np.array([np.gradient(s - h, axis=axis)[around] for axis in (2, 1, 0)])
    gap = float((s + h)[tuple(index[best])])
    return RecessPlace(points[best], slope / np.linalg.norm(slope), gap)


def with_facets(bones: Mapping[Label, DistanceField], side: Side, place: RecessPlace, radius_mm: float) -> Bones:
    """Add an accessory joint: a facet on either bone, which meet at the place."""
    changed = dict(bones)
    for label, way in ((Label.SACRUM, -DEPTH_MM), (side.hip, DEPTH_MM)):
        changed[label] = _joined(changed[label], place.centre + way * place.across, place.across, radius_mm)
    return changed


def with_spur(bones: Mapping[Label, DistanceField], side: Side, place: RecessPlace, radius_mm: float) -> Bones:
    """Add an osteophyte of the ilium that reaches the sacrum."""
    tip = DEPTH_MM - place.gap_mm / 2
    spur = _joined(bones[side.hip], place.centre + tip * place.across, place.across, radius_mm)
    return dict(bones) | {side.hip: spur}


def _joined(field: DistanceField, centre: Vector, axis: Vector, wide_mm: float) -> DistanceField:
    """Join an ellipsoid of revolution to a bone; its distance is right near its poles."""
    more = int(np.ceil(wide_mm / field.spacing_mm))
    values, origin = np.pad(field.values_mm, more, mode="edge"), field.origin_mm - more * field.spacing_mm
    reach = int(np.ceil(wide_mm * 1.5 / field.spacing_mm))
    at = np.round((centre - origin) / field.spacing_mm).astype(int)[::-1]
    box = tuple(slice(max(i - reach, 0), i + reach + 1) for i in at)
    part = values[box]
    nodes = np.moveaxis(np.indices(part.shape), 0, -1) + [s.start for s in box]
    arms = origin + nodes[..., ::-1] * field.spacing_mm - centre
    along = arms @ axis
    beside = np.linalg.norm(arms - along[..., None] * axis, axis=-1)
    part[:] = np.minimum(part, (np.hypot(along / DEPTH_MM, beside / wide_mm) - 1.0) * DEPTH_MM)
    return DistanceField(values, origin, field.spacing_mm)


def with_deep_crests(bones: Mapping[Label, DistanceField], places: Places, share: float, rise_mm: float) -> Bones:
    """Press the iliac wings above the joints down by a share of their height, and raise S1: as in dysmorphism."""
    top = max(float(np.quantile(places.joints[side][:, 2], 0.9)) for side in Side)
    start = max(float(np.quantile(places.joints[side][:, 2], 0.7)) for side in Side)
    changed = dict(bones)
    for side in Side:
        changed[side.hip] = _moved_up(bones[side.hip], lambda z: -share * np.maximum(z - top, 0.0))
    changed[Label.SACRUM] = _moved_up(
        bones[Label.SACRUM], lambda z: rise_mm * np.clip((z - start) / BLEND_MM, 0.0, 1.0), rise_mm
    )
    return changed


def _moved_up(field: DistanceField, rise: Callable[[Vector], Vector], more_mm: float = 0.0) -> DistanceField:
    """Move each level of a bone up by what `rise` says of its height; distances are stretched, zero stays zero."""
    more = int(np.ceil(more_mm / field.spacing_mm))
    values = np.pad(field.values_mm, ((0, more), (0, 0), (0, 0)), mode="edge")
    height = field.origin_mm[2] + np.arange(len(values)) * field.spacing_mm
    source = (np.interp(height, height + rise(height), height) - field.origin_mm[2]) / field.spacing_mm
    low = np.clip(source.astype(int), 0, len(values) - 2)
    share = (source - low).astype(np.float32)[:, None, None]
    return DistanceField((1 - share) * values[low] + share * values[low + 1], field.origin_mm, field.spacing_mm)


def across_joint(places: Places, side: Side, radius_mm: float) -> Inlay:
    """Lay a metal screw across a joint, as an earlier fusion leaves it."""
    middle, x = places.joint_at(side, 0.6), float(side.lateral_x)
    inner, outer = middle - np.array([22.0 * x, 0.0, 0.0]), middle + np.array([24.0 * x, 0.0, 0.0])
    return Inlay(InlayKind.METAL, ((*inner, *outer, radius_mm, radius_mm),), METAL_HU, over_bone=True)
