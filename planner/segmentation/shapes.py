"""Shapes of masks, by distance maps and connected components: fast at any radius."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from planner.distance import distance_within
from planner.grid import Grid
from planner.volume import Box

__all__ = [
    "away_from",
    "box_of",
    "boxes_of",
    "centres_of",
    "close_gaps",
    "enclosing_planes",
    "fill_holes",
    "fill_holes_by_slice",
    "padded",
    "part_sizes",
    "touching_parts",
]

SMALL_VOXELS = 4096
"""cc3d (4.1) fails on some arrays a voxel or three wide; below this scipy is as fast."""

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]


def away_from(mask: Mask, grid: Grid, reach_mm: float) -> NDArray[np.float32]:
    """Distance of each voxel's centre to the nearest of the mask, mm; `reach_mm` where it is that far or farther."""
    return distance_within(mask, grid.spacing_zyx_mm, reach_mm)


def boxes_of(labels: Labels) -> dict[int, Box]:
    """Smallest box of each label that occurs."""
    bounds = _bounds(labels)
    return {
        value: tuple(slice(int(b[0]), int(b[1])) for b in bounds[value])  # type: ignore[misc]
        for value in range(1, 256)
        if bounds[value, 0, 1] > 0
    }


def box_of(mask: Mask) -> Box | None:
    """Smallest box of a mask; nothing where it is empty."""
    return boxes_of(mask.view(np.uint8)).get(1)


def padded(box: Box, margin_mm: float, grid: Grid) -> Box:
    """Box with a margin, cut to the grid."""
    pad = np.ceil(margin_mm / grid.spacing_zyx_mm).astype(int)
    sides = zip(box, pad, grid.shape_zyx, strict=True)
    z, y, x = (slice(max(s.start - int(p), 0), min(s.stop + int(p), n)) for s, p, n in sides)
    return z, y, x


def close_gaps(mask: Mask, radius_mm: float, grid: Grid) -> Mask:
    """Close by a ball; what lies beyond the array is empty."""
    pad = [(int(np.ceil(radius_mm / s)) + 1,) * 2 for s in grid.spacing_zyx_mm]
    reach_mm = radius_mm + float(grid.spacing_zyx_mm.max())
    grown = distance_within(np.pad(mask, pad), grid.spacing_zyx_mm, reach_mm) <= radius_mm
    closed = distance_within(~grown, grid.spacing_zyx_mm, reach_mm) > radius_mm
    return np.ascontiguousarray(closed[tuple(slice(a, n - a) for (a, _), n in zip(pad, closed.shape, strict=True))])


def fill_holes(mask: Mask) -> Mask:
    """Add background that no path of faces joins to the array's border."""
    parts, count = cc3d.connected_components(~mask, connectivity=6, return_N=True)
    is_open = np.zeros(count + 1, bool)
    for axis in range(3):
        for end in (0, -1):
            is_open[np.unique(parts.take(end, axis=axis))] = True
    is_open[0] = False
    filled: Mask = ~is_open[parts]
    return filled


def enclosing_planes(mask: Mask) -> NDArray[np.uint8]:
    """Count, for each voxel, the array planes through it in which the mask encloses it or holds it: 0 to 3.

    A channel along an array axis leaves the mask in both planes along it, and so counts 1; a hollow with one small leak
    counts 3 but for the planes through the leak. So does a channel that runs askew to all three planes.
    """
    planes = np.zeros(mask.shape, np.uint8)
    for axis in range(mask.ndim):
        within: Mask = fill_holes_by_slice(np.ascontiguousarray(np.moveaxis(mask, axis, 0)))
        planes += np.moveaxis(within, 0, axis)
    return planes


def touching_parts(mask: Mask) -> tuple[NDArray[Any], int]:
    """Count and number the parts of a mask whose voxels touch by faces, edges or corners; 0 is the background."""
    if mask.size < SMALL_VOXELS:
        parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
        return parts, int(count)
    parts, count = cc3d.connected_components(mask, connectivity=26, return_N=True)
    return parts, int(count)


@njit(cache=True)
def part_sizes(parts, count):  # type: ignore[no-untyped-def]
    """Voxels of each part ``1 ... count``; nothing at 0, the background."""
    sizes = np.zeros(count + 1, np.int64)
    flat = parts.ravel()
    for v in range(len(flat)):
        sizes[flat[v]] += 1
    sizes[0] = 0
    return sizes


def centres_of(labels: Labels) -> dict[int, NDArray[np.float64]]:
    """Mean index ``(z, y, x)`` of the voxels of each label that occurs."""
    sums = _index_sums(labels)
    return {value: sums[value, :3] / sums[value, 3] for value in range(1, 256) if sums[value, 3] > 0}


@njit(cache=True)
def _index_sums(labels):  # type: ignore[no-untyped-def]
    """Sum z, y and x over the voxels of every label, and count them."""
    nz, ny, nx = labels.shape
    sums = np.zeros((256, 4), np.int64)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                label = labels[z, y, x]
                if label:
                    sums[label, 0] += z
                    sums[label, 1] += y
                    sums[label, 2] += x
                    sums[label, 3] += 1
    return sums


@njit(cache=True)
def _bounds(labels):  # type: ignore[no-untyped-def]
    """First and one past the last index of every label on each axis."""
    nz, ny, nx = labels.shape
    bounds = np.zeros((256, 3, 2), np.int64)
    bounds[:, 0, 0], bounds[:, 1, 0], bounds[:, 2, 0] = nz, ny, nx
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                label = labels[z, y, x]
                if label == 0:
                    continue
                box = bounds[label]
                if z < box[0, 0]:
                    box[0, 0] = z
                box[0, 1] = z + 1
                if y < box[1, 0]:
                    box[1, 0] = y
                if y >= box[1, 1]:
                    box[1, 1] = y + 1
                if x < box[2, 0]:
                    box[2, 0] = x
                if x >= box[2, 1]:
                    box[2, 1] = x + 1
    return bounds


@njit(cache=True, nogil=True)
def fill_holes_by_slice(mask):  # type: ignore[no-untyped-def]
    """Add background of each slice ``mask[z]`` that no path of faces within the slice joins to its border."""
    nz, ny, nx = mask.shape
    filled = np.ones((nz, ny, nx), np.bool_)
    stack = np.empty(ny * nx, np.int64)
    for z in range(nz):
        plane, shut = mask[z], filled[z]
        _see_in(plane, shut)
        for y in range(1, ny - 1):
            for x in range(1, nx - 1):
                if shut[y, x] and not plane[y, x] and _is_shore(shut, y, x):
                    _drain(plane, shut, y, x, stack)
    return filled


@njit(cache=True, nogil=True)
def _see_in(mask, filled):  # type: ignore[no-untyped-def]
    """Open what is seen from the four sides: most of the outside, without a flood."""
    ny, nx = mask.shape
    for y in range(ny):
        for step in (1, -1):
            x = 0 if step > 0 else nx - 1
            while 0 <= x < nx and not mask[y, x]:
                filled[y, x] = False
                x += step
    for x in range(nx):
        for step in (1, -1):
            y = 0 if step > 0 else ny - 1
            while 0 <= y < ny and not mask[y, x]:
                filled[y, x] = False
                y += step


@njit(cache=True, nogil=True)
def _is_shore(filled, y, x):  # type: ignore[no-untyped-def]
    """Whether a neighbour is open."""
    return not (filled[y - 1, x] and filled[y + 1, x] and filled[y, x - 1] and filled[y, x + 1])


@njit(cache=True, nogil=True)
def _drain(mask, filled, y, x, stack):  # type: ignore[no-untyped-def]
    """Open background from a place on; it never comes to the border, which is seen from its side."""
    nx = mask.shape[1]
    filled[y, x] = False
    stack[0], count = y * nx + x, 1
    while count > 0:
        count -= 1
        j, i = stack[count] // nx, stack[count] % nx
        for d in range(4):
            b = j + (d == 0) - (d == 1)
            a = i + (d == 2) - (d == 3)
            if not mask[b, a] and filled[b, a]:
                filled[b, a] = False
                stack[count] = b * nx + a
                count += 1
