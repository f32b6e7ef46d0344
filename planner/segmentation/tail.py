"""S4 to the coccyx: the part of the sacrum that the shape model does not have."""

from __future__ import annotations

from itertools import product

import cc3d
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from planner.grid import Grid
from planner.labels import Label
from planner.segmentation.model import PelvicFrame
from planner.segmentation.shapes import away_from, close_gaps, fill_holes_by_slice
from planner.volume import Box, Volume

__all__ = ["fill_marrow", "pelvic_places", "sacral_tail", "tail_box"]

REACH_DOWN_MM = 110.0
"""The coccyx ends within this below the lower end of S3 [P]."""

HALF_WIDTH_MM, TAPER = 50.0, 0.35
"""Half-width of the sacrum at S3, and how much of it each mm downwards takes away [P]."""

FRONT_DEPTH_MM = (-30.0, -10.0, 0.0, 10.0, 20.0, 40.0, 90.0, 110.0)
FRONT_MM = (60.0, 52.0, 36.0, 10.0, 2.0, 2.0, 22.0, 30.0)
"""How far in front of the middle of S3's lower end the tail may lie, by the depth below it: filled rectum and bladder
lie farther. The most of five pelves (HuBMAP, FracSegNet, TotalSegmentator's test scan), a few mm wider [P]."""

BACKWARD_MM = 60.0
"""The tail stays within this behind the middle of S3's lower end [P]."""

OVERLAP_MM = 30.0
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

NARROW_MM = 2.5
"""Ways go on this far into soft voxels narrower than that: the canal may be flat [P]."""

SOFT_HU, NOISE_WIDTHS, NORMAL_MAD = (0.0, 120.0), 2.0, 1.4826
"""Muscle lies between these; how many standard deviations of its noise bone is above it `[P]`; and the standard
deviation of a normal distribution in terms of its median absolute deviation."""

BLUR_VOXELS = 1.6
"""The blurred edge of another bone reaches this far `[P]`."""

CLOSE_MM = 3.0
"""Gaps of the cortex up to twice this are bridged before the marrow is filled [P]."""


def sacral_tail(
    volume: Volume,
    labels: NDArray[np.uint8],
    shut: NDArray[np.bool_],
    frame: PelvicFrame,
    cut_lps: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Voxels of S4 to the coccyx: bright, in the corridor below the model's end, and connected to the sacrum; solid.

    Looks at all it is given: cut to `tail_box` first.

    Parameters
    ----------
    volume : Volume
        The image.
    labels : (z, y, x) uint8 array
        `planner.labels.Label` values so far; the tail takes only voxels that are background or sacrum.
    shut : (z, y, x) bool array
        Never taken: the joint spaces, and what lies too far from the drawn surfaces beside them.
    frame : PelvicFrame
        The pelvis's own axes.
    cut_lps : (3,) float64 array
        Middle of the caudal end of the shape model's sacrum.
    """
    grid = volume.grid
    sacrum = labels == Label.SACRUM
    corridor = in_corridor(grid, frame, frame.to_pelvic(cut_lps)) & (sacrum | open_place(labels, shut, grid))
    if not (sacrum & corridor).any():
        return np.zeros(grid.shape_zyx, bool)
    smooth = ndimage.gaussian_filter(volume.hu.astype(np.float32), SMOOTH_MM / grid.spacing_zyx_mm)
    dilution = min(1.0, DILUTED_MM / float(np.mean(grid.spacing_zyx_mm)))
    floor_hu = float(np.clip(TAIL_SHARE * np.median(smooth[sacrum]), TAIL_HU[0] * dilution, TAIL_HU[1]))
    floor_hu = max(floor_hu, muscle_top(smooth[corridor & ~sacrum]))
    open_bright = corridor & ((smooth > floor_hu) | sacrum)
    parts, count = cc3d.connected_components(open_bright, connectivity=6, return_N=True)
    mine = np.zeros(count + 1, bool)
    mine[parts[sacrum & corridor]] = True
    bright = mine[parts]
    marrow = fill_marrow(bright, grid) & corridor & (smooth > MARROW_HU) & ~bright
    tail: NDArray[np.bool_] = bright | (marrow & ~soft_ways((smooth <= floor_hu) & ~bright, ~marrow, grid))
    return tail


def muscle_top(smooth: NDArray[np.float32]) -> float:
    """HU that the noise of muscle hardly ever exceeds."""
    soft = smooth[(smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1])]
    if not len(soft):
        return SOFT_HU[0]
    middle = float(np.median(soft))
    return middle + NOISE_WIDTHS * NORMAL_MAD * float(np.median(np.abs(soft - middle)))


def open_place(labels: NDArray[np.uint8], shut: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Voxels without a label that lie clear of the other bones' blurred edges."""
    blur_mm = BLUR_VOXELS * float(np.mean(grid.spacing_zyx_mm))
    clear: NDArray[np.bool_] = (away_from(labels > Label.SACRUM, grid, blur_mm + 1.0) > blur_mm) & (labels == 0) & ~shut
    return clear


def soft_ways(soft: NDArray[np.bool_], outside: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Soft voxels that a ball reaches from the outside: canal and foramina, which are not marrow.

    The ball's radius is `WAY_MM`, or a voxel where voxels are large: a gap of the cortex one such voxel wide is no way.
    """
    mean_mm = float(np.cbrt(np.prod(grid.spacing_zyx_mm)))
    radius_mm = max(mean_mm, WAY_MM)
    core = away_from(~soft, grid, radius_mm + 1.0) > radius_mm
    parts, count = cc3d.connected_components(core, connectivity=6, return_N=True)
    reached = np.zeros(count + 1, bool)
    reached[parts[outside & core]] = True
    reach_mm = radius_mm + 0.5 * float(grid.spacing_zyx_mm.max())
    ways: NDArray[np.bool_] = soft & (away_from(reached[parts], grid, reach_mm + 1.0) <= reach_mm)
    steps = round(NARROW_MM / mean_mm)
    if steps > 0:
        ways = ndimage.binary_dilation(ways, iterations=steps, mask=soft)
    return ways


def tail_box(grid: Grid, frame: PelvicFrame, cut_lps: NDArray[np.float64]) -> Box | None:
    """Box of the tail's corridor, or nothing if it lies outside the scan."""
    start = frame.to_pelvic(cut_lps)
    low = start - np.array([HALF_WIDTH_MM, max(FRONT_MM), REACH_DOWN_MM])
    high = start + np.array([HALF_WIDTH_MM, BACKWARD_MM, OVERLAP_MM])
    corners = np.array(list(product(*zip(low, high, strict=True))))
    try:
        return grid.box_around(frame.to_lps(corners), 1.0)
    except ValueError:
        return None


def in_corridor(grid: Grid, frame: PelvicFrame, start: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Voxels of a grid that lie in the tapering corridor below `start` (pelvic frame)."""
    pelvic_from_zyx = np.linalg.inv(frame.lps_from_pelvic) @ grid.lps_from_zyx
    pelvic_from_zyx[:3, 3] -= start
    limits = np.array([HALF_WIDTH_MM, TAPER, OVERLAP_MM, REACH_DOWN_MM, BACKWARD_MM])
    front = np.interp(np.arange(-OVERLAP_MM, REACH_DOWN_MM + 1.0), FRONT_DEPTH_MM, FRONT_MM)
    inside: NDArray[np.bool_] = _in_corridor(grid.shape_zyx, pelvic_from_zyx, limits, front)
    return inside


@njit(cache=True)
def _in_corridor(shape, pelvic_from_zyx, limits, front):  # type: ignore[no-untyped-def]
    inside = np.zeros(shape, np.bool_)
    m = pelvic_from_zyx
    for z in range(shape[0]):
        for y in range(shape[1]):
            for x in range(shape[2]):
                depth = -(m[2, 0] * z + m[2, 1] * y + m[2, 2] * x + m[2, 3])
                if depth <= -limits[2] or depth >= limits[3]:
                    continue
                behind = m[1, 0] * z + m[1, 1] * y + m[1, 2] * x + m[1, 3]
                if behind <= -front[int(depth + limits[2])] or behind >= limits[4]:
                    continue
                across = m[0, 0] * z + m[0, 1] * y + m[0, 2] * x + m[0, 3]
                inside[z, y, x] = abs(across) < limits[0] - limits[1] * max(depth, 0.0)
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
    filled: NDArray[np.bool_] = fill_holes_by_slice(close_gaps(mask, CLOSE_MM, grid))
    return filled
