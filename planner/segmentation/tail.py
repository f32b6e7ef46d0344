"""S4 to the coccyx: the part of the sacrum that the shape model does not have."""

from __future__ import annotations

from itertools import product

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from planner.grid import Grid
from planner.labels import Label
from planner.segmentation.model import PelvicFrame
from planner.volume import Box, Volume

__all__ = ["fill_marrow", "pelvic_places", "sacral_tail"]

REACH_DOWN_MM = 110.0
"""The coccyx ends within this below the lower end of S3 [P]."""

HALF_WIDTH_MM, TAPER = 34.0, 0.2
"""Half-width of the sacrum at S3, and how much of it each mm downwards takes away [P]."""

FORWARD_MM, BACKWARD_MM = 45.0, 55.0
"""The tail stays within this in front of and behind the middle of S3's lower end [P]."""

OVERLAP_MM = 10.0
"""The tail begins this far above the shape model's end [P]."""

TAIL_SHARE, TAIL_HU = 0.5, (70.0, 200.0)
"""The tail is brighter than this share of the median of S3 and what is known below it, between these bounds [P]."""

DILUTED_MM = 2.0
"""In larger voxels the tail's thin cortex is mixed with what lies beside it: its least brightness falls alike [P]."""

MARROW_HU = -60.0
"""Enclosed marrow is brighter than this; fat in the canal is not [P]."""

SMOOTH_MM = 0.5
"""Width of the Gaussian before the thresholds: noise makes bridges [P]."""

WAY_MM = 1.2
"""Half-width of the narrowest canal or foramen that is kept open: S4 foramina are 3 mm wide and more [P]."""

LARGE_VOXEL_MM = 2.5
"""From here on, dilution opens the cortex by single voxels, and an S3 foramen is hardly wider `[P]`."""

CLOSE_MM = 3.0
"""Gaps of the cortex up to twice this are bridged before the marrow is filled [P]."""


def sacral_tail(
    volume: Volume, labels: NDArray[np.uint8], frame: PelvicFrame, cut_lps: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Voxels of S4 to the coccyx: bright, in the corridor below the model's end, and connected to the sacrum; solid.

    Parameters
    ----------
    volume : Volume
        The image.
    labels : (z, y, x) uint8 array
        `planner.labels.Label` values so far; the tail takes only voxels that are background or sacrum.
    frame : PelvicFrame
        The pelvis's own axes.
    cut_lps : (3,) float64 array
        Middle of the caudal end of the shape model's sacrum.
    """
    grid = volume.grid
    tail = np.zeros(grid.shape_zyx, bool)
    start = frame.to_pelvic(cut_lps)
    box = corridor_box(grid, frame, start)
    if box is None:
        return tail
    corridor = in_corridor(grid.crop(box), frame, start) & (labels[box] <= Label.SACRUM)
    smooth = ndimage.gaussian_filter(volume.hu[box].astype(np.float32), SMOOTH_MM / grid.spacing_zyx_mm)
    sacrum = labels[box] == Label.SACRUM
    if not (sacrum & corridor).any():
        return tail
    dilution = min(1.0, DILUTED_MM / float(np.mean(grid.spacing_zyx_mm)))
    floor_hu = float(np.clip(TAIL_SHARE * np.median(smooth[sacrum]), TAIL_HU[0] * dilution, TAIL_HU[1]))
    parts = cc3d.connected_components(corridor & ((smooth > floor_hu) | sacrum), connectivity=6)
    mine = np.unique(parts[sacrum])
    bright = np.isin(parts, mine[mine > 0])
    marrow = fill_marrow(bright, grid) & corridor & (smooth > MARROW_HU) & ~bright
    tail[box] = bright | (marrow & ~soft_ways((smooth <= floor_hu) & ~bright, ~marrow, grid))
    return tail


def soft_ways(soft: NDArray[np.bool_], outside: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Soft voxels that a ball reaches from the outside: canal and foramina, which are not marrow.

    The ball's radius is `WAY_MM`, or a voxel where voxels are large: a gap of the cortex one such voxel wide is no way.
    """
    spacing = tuple(float(s) for s in grid.spacing_zyx_mm)
    mean_mm = float(np.mean(spacing))
    radius_mm = mean_mm if mean_mm > LARGE_VOXEL_MM else WAY_MM
    core = edt.edt(soft, anisotropy=spacing, black_border=False, parallel=1) > radius_mm
    parts = cc3d.connected_components(core, connectivity=6)
    open_parts = np.unique(parts[outside & core])
    reached = np.isin(parts, open_parts[open_parts > 0])
    away = edt.edt(~reached, anisotropy=spacing, black_border=False, parallel=1)
    ways: NDArray[np.bool_] = soft & (away <= radius_mm + 0.5 * max(spacing))
    return ways


def corridor_box(grid: Grid, frame: PelvicFrame, start: NDArray[np.float64]) -> Box | None:
    """Box of the corridor below `start` (pelvic frame), or nothing if it lies outside the scan."""
    low = start - np.array([HALF_WIDTH_MM, FORWARD_MM, REACH_DOWN_MM])
    high = start + np.array([HALF_WIDTH_MM, BACKWARD_MM, OVERLAP_MM])
    corners = np.array(list(product(*zip(low, high, strict=True))))
    try:
        return grid.box_around(frame.to_lps(corners), 1.0)
    except ValueError:
        return None


def in_corridor(grid: Grid, frame: PelvicFrame, start: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Voxels of a grid that lie in the tapering corridor below `start` (pelvic frame)."""
    place = pelvic_places(grid, frame) - start
    depth = -place[..., 2]
    inside: NDArray[np.bool_] = np.abs(place[..., 0]) < HALF_WIDTH_MM - TAPER * np.maximum(depth, 0.0)
    inside &= (depth > -OVERLAP_MM) & (depth < REACH_DOWN_MM)
    inside &= (place[..., 1] > -FORWARD_MM) & (place[..., 1] < BACKWARD_MM)
    return inside


def pelvic_places(grid: Grid, frame: PelvicFrame) -> NDArray[np.float32]:
    """Pelvic coordinates ``(z, y, x, 3)`` of every voxel of a grid."""
    linear = (grid.lps_from_zyx[:3, :3].T @ frame.lps_from_pelvic[:3, :3]).astype(np.float32)
    place = np.broadcast_to(frame.to_pelvic(grid.origin_lps_mm).astype(np.float32), (*grid.shape_zyx, 3)).copy()
    for axis, count in enumerate(grid.shape_zyx):
        steps = np.arange(count, dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        place += steps[..., None] * linear[axis]
    return place


def fill_marrow(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Bridge small gaps of the cortex, then fill what is enclosed slice by slice."""
    radii = np.maximum(np.round(CLOSE_MM / grid.spacing_zyx_mm), 1).astype(int)
    ball = np.ones(2 * radii + 1, bool)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) / r for r in radii), indexing="ij"))
    ball = (offsets**2).sum(axis=0) <= 1.0 + 1e-9
    padded = np.pad(mask, [(int(r), int(r)) for r in radii])
    closed = ndimage.binary_closing(padded, ball)[tuple(slice(int(r), -int(r)) for r in radii)]
    return np.stack([ndimage.binary_fill_holes(s) for s in closed])
