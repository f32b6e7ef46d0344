"""The sacrum looked through: where a straight ray from front to back meets no bone.

Foramina lie in two curved columns beside the canal, and a ventral mouth, its channel and the dorsal mouth of its level
let a straight ray through. Marrow as dark as a foramen does not: cortex lies before and behind it. The shadow is a map
of each side, along the canal and beside it, of the least that a ray's brightest point has over all its directions. It
is read from the image; of the labels only the outer shape is used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.distance import distance_within
from planner.keepout.canal import CentreLine
from planner.keepout.region import SacrumRegion
from planner.labels import Side
from planner.segmentation.model import PelvicFrame

__all__ = ["AIR_HU", "BESIDE_MM", "Ray", "clearest_ray", "column_axis", "image_of", "look_through", "rays_of"]

BESIDE_MM = np.arange(6.0, 36.0)
"""Distances from the midline that are looked through, each millimetre: foramina lie at 10 to 28 `[P]`."""

PITCHES_DEG = np.arange(-50.0, 51.0, 10.0)
"""Turns of the rays in the sagittal plane, off square to the canal `[P]`."""

YAWS_DEG = np.arange(-36.0, 37.0, 12.0)
"""Turns of the rays sideways `[P]`."""

FINE_PITCHES_DEG, FINE_YAWS_DEG = np.arange(-55.0, 56.0, 5.0), np.arange(-42.0, 43.0, 6.0)
"""The same, where a passage's own ray is looked for `[P]`."""

WIDEST_MM = 9.0
"""Half-width of the widest passage `[P]`."""

HALF_MM = 26
"""Half-length of a ray: the sacrum is up to 45 mm thick beside the canal `[P]`."""

LEAST_STEPS = 4
"""A ray that runs in the sacrum for less than this, mm, grazes its edge `[P]`."""

BLUR_VOXELS = 0.6
"""Standard deviation of the blur that takes the noise out of the image `[P]`."""

AIR_HU, NOT_SEEN_HU = -700.0, 1000.0
"""Darker is no tissue but the scan's padding: nothing is seen through it."""

STRIP_MM, SLAB_MM, SLAB_VOXELS = 12.0, 5.0, 60
"""Below the canal's end its axis follows the middle of the sacrum's own midline strip: half-width of the strip, and
height and least size of its slabs `[P]`."""

TAIL_MM = 25.0
"""What is shorter below the canal's end is the end of the labels, and turns the axis forward `[P]`."""

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]
Field = NDArray[np.float32]


def column_axis(line: CentreLine, region: SacrumRegion, frame: PelvicFrame) -> CentreLine:
    """Carry the canal's line on below its end through the sacrum's own middle."""
    end = line.points_pelvic[-1]
    points = frame.to_pelvic(region.grid.to_lps(np.argwhere(region.bone)))
    below = points[(np.abs(points[:, 0] - end[0]) < STRIP_MM) & (points[:, 2] < end[2])]
    slabs = np.floor((end[2] - below[:, 2]) / SLAB_MM).astype(int)
    middles: list[Points] = []
    for slab in range(int(slabs.max(initial=-1)) + 1):
        own = below[slabs == slab]
        if len(own) < SLAB_VOXELS:
            break
        middles.append(own.mean(axis=0))
    is_tail = len(middles) * SLAB_MM >= TAIL_MM
    return line.carried_on(np.array(middles)) if is_tail else line


def image_of(region: SacrumRegion) -> Field:
    """Hounsfield units without noise; what was not scanned is as bright as bone."""
    seen = np.where(region.hu < AIR_HU, np.float32(NOT_SEEN_HU), region.hu)
    image: Field = ndi.gaussian_filter(seen, BLUR_VOXELS)
    return image


def rays_of(axis: CentreLine, region: SacrumRegion, frame: PelvicFrame, side: Side) -> tuple[Points, Points]:
    """Give origins ``(n, 3)`` on the axis, voxels, and the steps of a millimetre caudal, lateral, posterior there."""
    points = axis.points_pelvic
    turn = frame.lps_from_pelvic[:3, :3].T @ region.grid.directions_lps.T / region.grid.spacing_zyx_mm[0]
    axes = axis.axes * np.array([1.0, side.lateral_x, 1.0])[:, None]
    return region.grid.to_index(frame.to_lps(points)), axes @ turn


def look_through(image: Field, inside: Mask, rays: tuple[Points, Points], beside_mm: Points) -> NDArray[np.float64]:
    """Least of the rays' brightest points, ``(n, len(beside_mm))``; infinite where no ray runs through the sacrum."""
    turns = np.radians(PITCHES_DEG), np.radians(YAWS_DEG)
    low: NDArray[np.float64] = _look(image, inside, rays, beside_mm, turns)[0]
    return low


class Ray(NamedTuple):
    """A way through.

    Attributes
    ----------
    row, column : int
        Its origin and its place beside it.
    clear_mm : float
        How far it keeps from what is not dark.
    ends : (2, 3) float64 array
        Where it leaves the sacrum, ventral and dorsal, voxels.
    """

    row: int
    column: int
    clear_mm: float
    ends: Points


def clearest_ray(
    dark: Mask, inside: Mask, spacing_zyx_mm: Points, rays: tuple[Points, Points], beside_mm: Points
) -> Ray | None:
    """Find the ray that keeps farthest from what is not dark; None where every ray meets some of it."""
    away = distance_within(~dark, spacing_zyx_mm, float(spacing_zyx_mm.max()) + WIDEST_MM)
    turns = np.radians(FINE_PITCHES_DEG), np.radians(FINE_YAWS_DEG)
    low, best = _look(-away, inside, rays, beside_mm, turns)
    row, column = divmod(int(low.argmin()), low.shape[1])
    if not low[row, column] < 0:
        return None
    start = rays[0][row] + beside_mm[column] * rays[1][row, 1]
    ray = start + np.arange(-HALF_MM, HALF_MM + 1)[:, None] * best[row, column]
    index = np.clip(np.round(ray).astype(int), 0, np.array(dark.shape) - 1)
    within = np.flatnonzero(inside[tuple(index.T)])
    return Ray(row, column, -float(low[row, column]), ray[[within[-1], within[0]]])


@njit(cache=True, nogil=True)
def _look(image, inside, rays, beside, turns):  # type: ignore[no-untyped-def]
    origins, axes = rays
    pitches, yaws = turns
    low = np.full((len(origins), len(beside)), np.inf)
    best = np.zeros((len(origins), len(beside), 3))
    for i in range(len(origins)):
        for j in range(len(beside)):
            start = origins[i] + beside[j] * axes[i, 1]
            for pitch in pitches:
                for yaw in yaws:
                    caudal, lateral = np.sin(pitch) * np.cos(yaw), np.sin(yaw)
                    forward = np.cos(pitch) * np.cos(yaw)
                    step = caudal * axes[i, 0] + lateral * axes[i, 1] - forward * axes[i, 2]
                    top = _brightest(image, inside, start, step, low[i, j])
                    if top < low[i, j]:
                        low[i, j] = top
                        best[i, j] = step
    return low, best


@njit(cache=True, nogil=True)
def _brightest(image, inside, start, step, limit):  # type: ignore[no-untyped-def]
    """Brightest point of a ray within the sacrum, or infinity: at `limit`, at the scan's edge, grazing the bone."""
    top, count, was_inside, was_out = -np.inf, 0, False, False
    for k in range(-HALF_MM, HALF_MM + 1):
        z = int(np.floor(start[0] + k * step[0] + 0.5))
        y = int(np.floor(start[1] + k * step[1] + 0.5))
        x = int(np.floor(start[2] + k * step[2] + 0.5))
        if z < 0 or y < 0 or x < 0 or z >= image.shape[0] or y >= image.shape[1] or x >= image.shape[2]:
            if was_inside:
                return np.inf
            was_out = True
            continue
        is_inside = inside[z, y, x]
        if is_inside and was_out and not was_inside:
            return np.inf
        was_out, was_inside = False, is_inside
        if is_inside:
            count += 1
            if image[z, y, x] > top:
                top = image[z, y, x]
                if top >= limit:
                    return np.inf
    return top if count >= LEAST_STEPS else np.inf
