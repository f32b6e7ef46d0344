"""Passages: dark spots of the sacrum's shadow, each a foramen from its ventral to its dorsal mouth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.distance import distance_within
from planner.keepout.canal import CentreLine
from planner.keepout.config import KeepoutConfig
from planner.keepout.mouths import MOUTH_LATERAL_MM, Mouth, on_axis
from planner.keepout.region import SacrumRegion
from planner.keepout.shadow import BESIDE_MM, clearest_ray, look_through, rays_of
from planner.labels import Side
from planner.segmentation.model import PelvicFrame

__all__ = ["Passage", "Spot", "away_from_ray", "find_passages", "find_spots", "mouths_of", "tube_of"]

SOFT_HU = 170.0
"""A passage is nowhere brighter: nerve and fat, with noise and the blur of a narrow wall `[P]`."""

LEAST_DEPTH_HU = 90.0
"""A spot is darker than the least bright way out of it by at least this `[P]`."""

HALF_DEPTH_HU = 200.0
"""A passage ends where its spot has risen half-way to its rim, or by this `[P]`."""

BESIDE_RANGE_MM = (10.0, 30.0)
"""Foramina lie between these distances from the midline; nearer are the canal's recesses `[P]`."""

SPOT_MM2 = (6.0, 300.0)
"""Least and largest area of a spot at half its depth: a foramen, seen through, is 3 to 18 mm wide `[P]`."""

OPEN_RIM = 0.25
"""Largest share of a spot's rim that is the sacrum's edge: what is more open is a notch `[P]`."""

CHANNEL_MM = 11.0
"""A channel reaches no further than this from its own ray `[P]`."""

RIM_MM = 2.5
"""A channel reaches at least this far beyond the straight way through it: it is bent, and dark in its middle `[P]`."""

STRAY_MM, WIDEST_MOUTH_MM = 4.0, 16.0
"""A channel that was followed further from its ray, or is wider, ran into marrow or the canal: S1's ventral mouth is up
to 15 mm wide `[P]`."""

APART_MM = 9.0
"""Of two passages of a side nearer to each other along the canal, the deeper counts: see
`KeepoutConfig.level_spacing_mm`."""

TOP_MM = 8.0
"""Nearer to the canal's upper end are its recesses: S1 lies a pedicle's height below it `[P]`."""

STRAIGHT_MM, LEAST_WIDTH_MM = 12.0, 2.5
"""Its mouths are no further apart sideways, and the straight way through no narrower: a single voxel is noise `[P]`."""

NEAR_STEPS = 5
"""A spot's own ray is looked for this near to its minimum, mm `[P]`."""

BOX_MM = 34.0
"""Half of the room that is looked at round a spot: a ray's half-length, and a channel's reach `[P]`."""

THREADS = 2
"""Both sides are looked through at once; the values are the same for any number."""

Points = NDArray[np.float64]
Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Spot:
    """A minimum of a shadow: row, column, value there, and the value of the least bright way out."""

    row: int
    column: int
    low_hu: float
    rim_hu: float

    @property
    def half_hu(self) -> float:
        """Value that parts the spot from its rim."""
        return self.low_hu + min((self.rim_hu - self.low_hu) / 2, HALF_DEPTH_HU)


@dataclass(frozen=True, eq=False)
class Passage:
    """A foramen, seen straight through.

    Attributes
    ----------
    side : Side
        The patient's side.
    along_mm, beside_mm : float
        Place along the canal and from the midline.
    depth_hu, half_hu : float
        How much darker than the least bright way out, and the value half-way to it.
    width_mm : float
        Of the straight way through.
    ends_index : (2, 3) float64 array
        Where its ray goes out of the sacrum, ventral and dorsal, voxels of the region.
    room : (z, y, x) bool array
        The dark room round its ray.
    """

    side: Side
    along_mm: float
    beside_mm: float
    depth_hu: float
    half_hu: float
    width_mm: float
    ends_index: Points
    room: Mask


def find_passages(image: Field, region: SacrumRegion, axis: CentreLine, frame: PelvicFrame) -> list[Passage]:
    """Find the foramina that the image (`planner.keepout.shadow.image_of`) shows, of both sides, cranial first."""
    with ThreadPoolExecutor(THREADS) as pool:
        sides = pool.map(lambda side: _of_side(side, image, region, axis, frame), Side)
        found = [passage for passages in sides for passage in passages]
    return sorted(found, key=lambda p: (p.side.value, p.along_mm))


def _of_side(side: Side, image: Field, region: SacrumRegion, axis: CentreLine, frame: PelvicFrame) -> list[Passage]:
    origins, axes = rays_of(axis, region, frame, side)
    shadow = look_through(image, region.hull, (origins, axes), BESIDE_MM)
    best: list[Passage] = []
    for spot in sorted(find_spots(shadow), key=lambda s: s.low_hu - s.rim_hu):
        passage = _passage(spot, side, image, region, axis, (origins, axes))
        if passage and all(abs(passage.along_mm - b.along_mm) >= APART_MM for b in best):
            best.append(passage)
    return best


def _passage(
    spot: Spot, side: Side, image: Field, region: SacrumRegion, axis: CentreLine, rays: tuple[Points, Points]
) -> Passage | None:
    """Lay the ray through a spot that keeps farthest from its walls."""
    rows = slice(max(spot.row - NEAR_STEPS, 0), spot.row + NEAR_STEPS + 1)
    columns = slice(max(spot.column - NEAR_STEPS, 0), spot.column + NEAR_STEPS + 1)
    start = rays[0][spot.row] + BESIDE_MM[spot.column] * rays[1][spot.row, 1]
    box = region.grid.box_around(region.grid.to_lps(start), BOX_MM)
    corner = np.array([s.start for s in box], float)
    dark, hull = image[box] <= spot.half_hu, region.hull[box]
    spacing = region.grid.spacing_zyx_mm
    ray = clearest_ray(dark, hull, spacing, (rays[0][rows] - corner, rays[1][rows]), BESIDE_MM[columns])
    if ray is None or axis.along_mm[rows][ray.row] < TOP_MM:
        return None
    ends = ray.ends + corner
    lateral = rays[1][spot.row, 1]
    beside = (ends - rays[0][spot.row]) @ lateral / (lateral @ lateral)
    is_beside = beside.min() >= MOUTH_LATERAL_MM and beside.mean() <= BESIDE_RANGE_MM[1]
    if not is_beside or np.ptp(beside) > STRAIGHT_MM or 2 * ray.clear_mm < LEAST_WIDTH_MM:
        return None
    room = np.zeros(region.bone.shape, bool)
    room[box] = _room(dark & hull, spacing, ray.ends)
    along, depth = float(axis.along_mm[rows][ray.row]), spot.rim_hu - spot.low_hu
    return Passage(side, along, float(beside.mean()), depth, spot.half_hu, 2 * ray.clear_mm, ends, room)


def mouths_of(
    passage: Passage, region: SacrumRegion, axis: CentreLine, frame: PelvicFrame, config: KeepoutConfig
) -> list[Mouth]:
    """Both mouths of a passage, each where its channel's axis leaves the bone."""
    ends = region.grid.to_lps(passage.ends_index)
    ray = _unit(ends[0] - ends[1])
    tubes = passage.room.astype(np.float32)
    area = np.pi / 4 * passage.width_mm**2
    mouths: list[Mouth] = []
    for aspect, end, outward in (("ventral", ends[0], ray), ("dorsal", ends[1], -ray)):
        along, beside, _ = np.abs(axis.coordinates(frame.to_pelvic(end[None]))[0]).tolist()
        mouth = Mouth(passage.side, aspect, end, along, beside, passage.width_mm, area, outward)
        followed = on_axis(mouth, tubes, region.grid, config)
        is_own = away_from_ray(followed.centre_lps, ends) <= STRAY_MM and followed.width_mm <= WIDEST_MOUTH_MM
        mouths.append(followed if is_own else mouth)
    return mouths


def away_from_ray(point_lps: Points, ends_lps: Points) -> float:
    """Distance of a point from the straight line through a passage's ends."""
    ray = _unit(ends_lps[0] - ends_lps[1])
    offset = point_lps - ends_lps[0]
    return float(np.linalg.norm(offset - (offset @ ray) * ray))


def _unit(vector: Points) -> Points:
    unit: Points = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit


def _room(dark: Mask, spacing: Points, ends: Points) -> Mask:
    """Dark places near a ray, connected to it."""
    line = np.zeros(dark.shape, bool)
    line[tuple(_along(ends, dark.shape).T)] = True
    near = distance_within(line, spacing, CHANNEL_MM + float(spacing.max())) <= CHANNEL_MM
    parts, _ = ndi.label(line | (dark & near))
    own: Mask = parts == parts[line][0]
    return own


def tube_of(passage: Passage, region: SacrumRegion) -> Mask:
    """Room of a passage close to its ray: what must be kept out of, whatever the labels say."""
    line = np.zeros(region.bone.shape, bool)
    line[tuple(_along(passage.ends_index, region.bone.shape).T)] = True
    spacing = region.grid.spacing_zyx_mm
    radius = passage.width_mm / 2 + RIM_MM
    tube: Mask = passage.room & (distance_within(line, spacing, radius + float(spacing.max())) <= radius)
    return tube


def _along(ends: Points, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Voxels of a straight line."""
    count = 2 * int(np.ceil(np.linalg.norm(ends[1] - ends[0]))) + 1
    return np.clip(np.round(np.linspace(ends[0], ends[1], count)), 0, np.array(shape) - 1).astype(np.int64)


def find_spots(shadow: NDArray[np.float64]) -> list[Spot]:
    """Find the minima that are dark, deep, of a foramen's size and ringed by bone."""
    return [spot for spot in _minima(shadow) if _is_foramen(spot, shadow)]


def _is_foramen(spot: Spot, shadow: NDArray[np.float64]) -> bool:
    beside = float(BESIDE_MM[spot.column])
    if spot.low_hu > SOFT_HU or spot.rim_hu - spot.low_hu < LEAST_DEPTH_HU:
        return False
    if not BESIDE_RANGE_MM[0] <= beside <= BESIDE_RANGE_MM[1]:
        return False
    parts, _ = ndi.label(shadow <= spot.half_hu, np.ones((3, 3)))
    own = parts == parts[spot.row, spot.column]
    rim = ndi.binary_dilation(own, np.ones((3, 3))) & ~own
    is_ringed = np.isinf(shadow[rim]).mean() <= OPEN_RIM if rim.any() else False
    return bool(SPOT_MM2[0] <= own.sum() <= SPOT_MM2[1] and is_ringed)


def _minima(shadow: NDArray[np.float64]) -> list[Spot]:
    """Minima and the saddle over which each is left for a lower one: the map is flooded from its darkest pixel up."""
    rows, columns = shadow.shape
    values = shadow.ravel()
    parent = np.full(values.size, -1)
    spots: list[Spot] = []

    def root(pixel: int) -> int:
        while parent[pixel] != pixel:
            pixel = int(parent[pixel])
        return pixel

    order = np.argsort(values, kind="stable")
    order = order[np.isfinite(values[order])]
    for pixel in order.tolist():
        row, column = divmod(pixel, columns)
        box = [
            r * columns + c
            for r in range(max(row - 1, 0), min(row + 2, rows))
            for c in range(max(column - 1, 0), min(column + 2, columns))
        ]
        pools = sorted({root(p) for p in box if parent[p] >= 0}, key=lambda p: (values[p], p))
        parent[pixel] = pools[0] if pools else pixel
        for drowned in pools[1:]:
            parent[drowned] = pools[0]
            spots.append(_spot(drowned, values, float(values[pixel]), columns))
    highest = float(values[order[-1]]) if len(order) else 0.0
    never = np.flatnonzero(parent == np.arange(values.size)).tolist()
    spots += [_spot(pixel, values, highest, columns) for pixel in never]
    return sorted(spots, key=lambda s: (s.row, s.column))


def _spot(pixel: int, values: NDArray[np.float64], rim_hu: float, columns: int) -> Spot:
    row, column = divmod(pixel, columns)
    return Spot(row, column, float(values[pixel]), rim_hu)
