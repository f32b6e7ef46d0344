"""S4 to the coccyx: the part of the sacrum that the shape model does not have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from planner.grid import Grid
from planner.segmentation.model import PelvicFrame

__all__ = ["sacral_tail"]

REACH_DOWN_MM = 110.0
"""The coccyx ends within this below the lower end of S3 [P]."""

HALF_WIDTH_MM, TAPER = 34.0, 0.2
"""Half-width of the sacrum at S3, and how much of it each mm downwards takes away [P]."""

FORWARD_MM, BACKWARD_MM = 45.0, 55.0
"""The tail stays within this in front of and behind the middle of S3's lower end [P]."""

OVERLAP_MM = 10.0
"""The tail begins this far above the shape model's end [P]."""

CLOSE_MM = 3.0
"""Gaps of the cortex up to twice this are bridged before the marrow is filled [P]."""


def sacral_tail(
    sacrum: NDArray[np.bool_], grid: Grid, frame: PelvicFrame, cut_lps: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Bright voxels that grew from the sacrum below the model's end, made solid.

    Parameters
    ----------
    sacrum : (z, y, x) bool array
        The sacrum and all that grew from it.
    grid : Grid
        Of the mask.
    frame : PelvicFrame
        The pelvis's own axes.
    cut_lps : (3,) float64 array
        Middle of the caudal end of the shape model's sacrum.
    """
    tail = np.zeros(sacrum.shape, bool)
    start = frame.to_pelvic(cut_lps)
    low = start - np.array([HALF_WIDTH_MM, FORWARD_MM, REACH_DOWN_MM])
    high = start + np.array([HALF_WIDTH_MM, BACKWARD_MM, OVERLAP_MM])
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    try:
        box = grid.box_around(frame.to_lps(corners), 1.0)
    except ValueError:
        return tail
    index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1)
    place = frame.to_pelvic(grid.to_lps(index)) - start
    depth = -place[..., 2]
    corridor = (np.abs(place[..., 0]) < HALF_WIDTH_MM - TAPER * np.maximum(depth, 0.0)) & (depth > -OVERLAP_MM)
    corridor &= (depth < REACH_DOWN_MM) & (place[..., 1] > -FORWARD_MM) & (place[..., 1] < BACKWARD_MM)
    tail[box] = fill_marrow(sacrum[box] & corridor, grid) & corridor
    return tail


def fill_marrow(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Bridge small gaps of the cortex, then fill what is enclosed slice by slice."""
    radii = np.maximum(np.round(CLOSE_MM / grid.spacing_zyx_mm), 1).astype(int)
    ball = np.ones(2 * radii + 1, bool)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) / r for r in radii), indexing="ij"))
    ball = (offsets**2).sum(axis=0) <= 1.0 + 1e-9
    padded = np.pad(mask, [(int(r), int(r)) for r in radii])
    closed = ndimage.binary_closing(padded, ball)[tuple(slice(int(r), -int(r)) for r in radii)]
    return np.stack([ndimage.binary_fill_holes(s) for s in closed])
