"""Mouths: where the network opens; and the level that each belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid
from planner.keepout.canal import CentreLine
from planner.keepout.config import KeepoutConfig
from planner.keepout.limbs import follow_limb
from planner.keepout.region import SacrumRegion
from planner.labels import SACRAL_LEVELS, Side
from planner.segmentation.model import PelvicFrame
from planner.segmentation.shapes import box_of, padded

__all__ = ["Mouth", "assign_levels", "find_mouths", "on_axis"]

CANAL_HALF_MM = 5.0
"""Openings nearer to the midline are the canal's own ends: the S4 foramina lie 10 mm from it and more `[P]`."""

MOUTH_LATERAL_MM = 8.0
"""The centre of a foramen's opening lies further than this from the midline: S4's, the nearest, lies at 10 `[P]`."""

CANAL_TOP_MM = 8.0
"""Openings this near to the canal's upper end are its recesses: S1 lies a pedicle's height below it `[P]`."""

LENGTHWISE = 0.8
"""An opening that faces along the canal by more than this cosine is an end of the canal, not a foramen `[P]`."""

SHIFT_MM = 5.0
"""The fitted shape is at most this wrong, along the canal, about all levels alike; half of a level is 8 `[P]`."""

DORSAL_SHIFT_MM = 12.0
"""A dorsal mouth lies no further than this, along the canal, from the ventral mouth of its level `[P]`."""

DEEPEST_STEPS = 12
"""Voxels looked inward from an opening: to the canal `[P]`."""

CHANNEL_SHARE = 0.5
"""An opening's point lies over the channel where it is at least this share as deep as the channel `[P]`."""

TILT_DEG = 35.0
"""Directions this far off an opening's normal and half as far are looked along `[P]`."""

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Mouth:
    """One opening of the network.

    Attributes
    ----------
    side, aspect : Side, str
        Where it lies; ``ventral`` or ``dorsal``.
    centre_lps : (3,) float64 array
        Where the channel's axis leaves the bone.
    along_mm, beside_mm : float
        Place along the canal, and distance from the midline.
    width_mm, area_mm2 : float
        Smallest diameter and area.
    outward_lps : (3,) float64 array
        Unit vector out of the bone.
    axis_lps : (n, 3) float64 array
        The channel's axis from the mouth inward; empty where it could not be followed.
    level : int
        Index into `SACRAL_LEVELS`; -1 before it is known.
    trust : float
        1 where labels and image agree on it.
    is_from_image : bool
        The labels do not show it.
    """

    side: Side
    aspect: str
    centre_lps: NDArray[np.float64]
    along_mm: float
    beside_mm: float
    width_mm: float
    area_mm2: float
    outward_lps: NDArray[np.float64]
    axis_lps: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    level: int = -1
    trust: float = 1.0
    is_from_image: bool = False


def find_mouths(
    network: Mask, region: SacrumRegion, line: CentreLine, frame: PelvicFrame, config: KeepoutConfig
) -> list[Mouth]:
    """Find the openings of the network to either side of the canal, those of one level merged."""
    tight = box_of(network)
    if tight is None:
        return []
    box = padded(tight, 2 * config.spacing_mm, region.grid)
    within, start = network[box], np.array([s.start for s in box])
    open_room = ~within & ~region.bone[box] & ~region.lumbar[box]
    rim = within & ndi.binary_dilation(open_room, ndi.generate_binary_structure(3, 1))
    index = np.argwhere(rim) + start
    if not len(index):
        return []
    outward = np.stack([ndi.sobel(open_room.astype(np.float32), axis=a)[rim] for a in range(3)], axis=1)
    points = region.grid.to_lps(index)
    pelvic = frame.to_pelvic(points)
    place = line.coordinates(pelvic)
    facing = line.directions(outward @ region.grid.directions_lps @ frame.lps_from_pelvic[:3, :3], pelvic)
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
    lateral = (np.abs(place[:, 1]) > CANAL_HALF_MM) & (np.abs(facing[:, 0]) < LENGTHWISE)
    patches = _patches(index, lateral & (facing[:, 2] < 0)), _patches(index, lateral & (facing[:, 2] >= 0))
    outward_lps = outward @ region.grid.directions_lps
    mouths = []
    for aspect, group in zip(("ventral", "dorsal"), patches, strict=True):
        for patch in group:
            over = np.zeros(len(index), bool)
            over[patch[_over_channel(network, index[patch], outward[patch])]] = True
            mouths += [_mouth(points[p], place[p], aspect, outward_lps[p], config) for p in _patches(index, over)]
    kept = _merged([m for m in mouths if _is_plausible(m, config)], config.level_spacing_mm)
    tubes = within.astype(np.float32), region.grid.crop(box)
    return [on_axis(mouth, *tubes, config) for mouth in kept]


def on_axis(mouth: Mouth, network: NDArray[np.float32], grid: Grid, config: KeepoutConfig) -> Mouth:
    """Put a mouth where its channel's axis goes out through the bone's outer face."""
    turn = grid.directions_lps
    limb = follow_limb(network, grid.to_index(mouth.centre_lps), turn @ mouth.outward_lps, config.spacing_mm)
    if limb is None:
        return replace(mouth, centre_lps=mouth.centre_lps + _hidden_mm(mouth.width_mm, config) * mouth.outward_lps)
    outward = limb.outward @ turn
    out_mm = 0.0 if limb.flares else _hidden_mm(limb.width, config) / float(outward @ mouth.outward_lps)
    axis = grid.to_lps(limb.axis_index)
    axis[0] += out_mm * outward
    return replace(mouth, centre_lps=axis[0], width_mm=limb.width, axis_lps=axis)


def _is_plausible(mouth: Mouth, config: KeepoutConfig) -> bool:
    beside = mouth.beside_mm > MOUTH_LATERAL_MM
    return beside and mouth.area_mm2 >= config.smallest_mouth_mm2 and mouth.along_mm > CANAL_TOP_MM


def _patches(index: NDArray[np.int64], chosen: Mask) -> list[NDArray[np.int64]]:
    """Row numbers of the connected patches among the chosen voxels."""
    if not chosen.any():
        return []
    numbers = np.flatnonzero(chosen)
    low = index[numbers].min(axis=0)
    small = np.zeros(index[numbers].max(axis=0) - low + 1, bool)
    small[tuple((index[numbers] - low).T)] = True
    parts, count = ndi.label(small, np.ones((3, 3, 3), bool))
    part = parts[tuple((index[numbers] - low).T)]
    return [numbers[part == k] for k in range(1, count + 1)]


def _over_channel(network: Mask, index: NDArray[np.int64], outward: Points) -> Mask:
    """Which points of an opening lie over the channel itself, not over the shoulder or groove that it ends in.

    Channels leave the bone obliquely: an opening's depth at a point is the mean over directions round its normal.
    """
    normal = _unit(outward.sum(axis=0))
    depth = np.mean([_depth(network, index, -axis) for axis in _cone(normal)], axis=0)
    over: Mask = depth >= CHANNEL_SHARE * np.percentile(depth, 90)
    return over


def _cone(normal: NDArray[np.float64]) -> Points:
    """Make unit vectors: the normal, and rings tilted off it by half of `TILT_DEG` and by all of it."""
    first = _unit(np.cross(normal, np.eye(3)[np.abs(normal).argmin()]))
    second = np.cross(normal, first)
    turn = np.arange(8)[:, None] * np.pi / 4
    ring = np.cos(turn) * first + np.sin(turn) * second
    tilts = np.radians([TILT_DEG / 2, TILT_DEG])
    return np.vstack([normal, *(np.cos(t) * normal + np.sin(t) * ring for t in tilts)])


@njit(cache=True, nogil=True)
def _depth(network, index, step):  # type: ignore[no-untyped-def]
    """How many unit steps from each point stay within the network."""
    depth = np.full(len(index), DEEPEST_STEPS)
    for i in range(len(index)):
        for k in range(DEEPEST_STEPS + 1):
            z = int(np.rint(index[i, 0] + k * step[0]))
            y = int(np.rint(index[i, 1] + k * step[1]))
            x = int(np.rint(index[i, 2] + k * step[2]))
            is_outside = min(z, y, x) < 0 or z >= network.shape[0] or y >= network.shape[1] or x >= network.shape[2]
            if is_outside or not network[z, y, x]:
                depth[i] = k
                break
    return depth


def _mouth(points_lps: Points, place: Points, aspect: str, outward_lps: Points, config: KeepoutConfig) -> Mouth:
    centre = points_lps.mean(axis=0)
    offset = points_lps - centre
    spread = np.linalg.eigvalsh(offset.T @ offset / len(points_lps))
    # a disc of diameter d has variance d^2 / 16 along each of its two axes; the third is its thickness
    width, length = 4.0 * np.sqrt(np.maximum(spread[1:], 0.0))
    side = Side.LEFT if place[:, 1].mean() > 0 else Side.RIGHT
    area = float(np.pi / 4 * width * length)
    outward = _unit(outward_lps.sum(axis=0))
    outer = centre + 0.5 * config.spacing_mm * outward
    along, beside, _ = np.abs(place.mean(axis=0)).tolist()
    return Mouth(side, aspect, outer, along, beside, float(width), area, outward)


def _hidden_mm(width_mm: float, config: KeepoutConfig) -> float:
    """From the network's face to the bone's outer face: how deep the hull's ball sinks in."""
    radius, half = config.hull_mm, min(width_mm / 2, config.hull_mm)
    return radius - float(np.sqrt(radius**2 - half**2))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit


def _merged(mouths: list[Mouth], spacing_mm: float) -> list[Mouth]:
    """Keep the largest opening of each place; a smaller one of its side and aspect within a level's spacing goes."""
    kept: list[Mouth] = []
    for mouth in sorted(mouths, key=lambda m: -m.area_mm2):
        near = [
            k
            for k in kept
            if (k.side, k.aspect) == (mouth.side, mouth.aspect) and abs(k.along_mm - mouth.along_mm) < spacing_mm
        ]
        if not near:
            kept.append(mouth)
    return kept


def assign_levels(mouths: list[Mouth], expected_mm: Mapping[int, float], spacing_mm: float) -> list[Mouth]:
    """Give levels their numbers by the ventral mouths of both sides; dorsal mouths follow the nearest.

    Parameters
    ----------
    mouths : list of Mouth
        From `find_mouths`.
    expected_mm : mapping of level index to float
        Where the fitted shape expects levels along the canal; empty: the first level found is S1.
    spacing_mm : float
        Mouths of the two sides closer than this are of one level.
    """
    ventral = [m.along_mm for m in mouths if m.aspect == "ventral"]
    places = _expected_places(ventral, expected_mm)
    if not places:
        places = dict(enumerate(_level_groups(ventral, spacing_mm)))
    out = _one_each(_levelled([m for m in mouths if m.aspect == "ventral"], places, spacing_mm), places)
    found = {k: [m.along_mm for m in out if m.level == k] for k in places}
    places = {k: float(np.mean(found[k])) if found[k] else places[k] for k in places}
    out += _levelled([m for m in mouths if m.aspect == "dorsal"], places, DORSAL_SHIFT_MM)
    return _one_each(out, places)


def _levelled(mouths: list[Mouth], places: Mapping[int, float], limit_mm: float) -> list[Mouth]:
    levels = [_nearest(places, m.along_mm, limit_mm) for m in mouths]
    pairs = zip(mouths, levels, strict=True)
    return [replace(m, level=k) for m, k in pairs if k is not None and k < len(SACRAL_LEVELS)]


def _expected_places(ventral_mm: list[float], expected_mm: Mapping[int, float]) -> dict[int, float]:
    """Places of the levels by the fitted shape, S4 carried on from S2 and S3, shifted to fit what was found."""
    if not {0, 1, 2} <= set(expected_mm):
        return {}
    places = np.array([expected_mm[0], expected_mm[1], expected_mm[2], 2 * expected_mm[2] - expected_mm[1]])
    off = [v - places[np.abs(places - v).argmin()] for v in ventral_mm]
    places += float(np.clip(np.median(off), -SHIFT_MM, SHIFT_MM)) if off else 0.0
    return dict(enumerate(places.tolist()))


def _level_groups(along_mm: list[float], spacing_mm: float) -> list[float]:
    """Mean places of the levels, cranial first."""
    places = np.sort(np.array(along_mm))
    if not len(places):
        return []
    return [float(g.mean()) for g in np.split(places, np.flatnonzero(np.diff(places) > spacing_mm) + 1)]


def _nearest(places: Mapping[int, float], along_mm: float, limit_mm: float) -> int | None:
    if not places:
        return None
    level = min(places, key=lambda k: abs(places[k] - along_mm))
    return level if abs(places[level] - along_mm) <= limit_mm else None


def _one_each(mouths: list[Mouth], place_mm: Mapping[int, float]) -> list[Mouth]:
    """Of two mouths with one side, aspect and level, the one nearer to the level's place."""
    best: dict[tuple[Side, str, int], Mouth] = {}
    for mouth in sorted(mouths, key=lambda m: abs(m.along_mm - place_mm[m.level])):
        best.setdefault((mouth.side, mouth.aspect, mouth.level), mouth)
    return sorted(best.values(), key=lambda m: (m.side.value, m.level, m.aspect))
