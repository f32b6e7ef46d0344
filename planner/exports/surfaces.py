"""Surfaces: bones out of their labels, implants as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from planner.outline import implant_rim
from planner.volume import Box, LabelMap

__all__ = ["Surface", "bone_surface", "implant_surface"]

SMOOTH_CELLS = 0.5
"""Standard deviation of the smoothing, in cells [P]: takes off the steps of voxels, and 1 to 2 % of a ball of 20 mm."""

EMPTY_CELLS = 2
"""Empty cells round a bone, so that its surface closes where the scan ends."""

HALF = 0.5
"""Share of bone in a cell at which the surface runs."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles in LPS mm.

    Attributes
    ----------
    vertices_lps : (n, 3) float32 array
        Corners.
    faces : (m, 3) int32 array
        Seen from outside, each runs counter-clockwise.
    """

    vertices_lps: NDArray[np.float32]
    faces: NDArray[np.int32]


def bone_surface(labels: LabelMap, value: int, box: Box, cell_mm: float) -> Surface:
    """Draw the surface of one label, in cells of about `cell_mm`.

    Parameters
    ----------
    labels : LabelMap
        On the working grid.
    value : int
        The label.
    box : Box
        That holds every voxel of it.
    cell_mm : float
        Whole voxels are averaged to cells of about this width; finer than a voxel it does not get.
    """
    from skimage.measure import marching_cubes  # takes a third of a second to import

    steps = np.maximum(np.rint(cell_mm / labels.grid.spacing_zyx_mm), 1).astype(int)
    mask = labels.values[box] == value
    smooth = ndimage.gaussian_filter(_shares(mask, steps), SMOOTH_CELLS, mode="constant")
    if smooth.max() <= HALF:  # a few voxels of a bone at the scan's edge fill no cell by half
        steps = np.ones(3, int)
        smooth = _shares(mask, steps)
    corners, faces, _, _ = marching_cubes(smooth, HALF, allow_degenerate=False)  # type: ignore[no-untyped-call]
    first = np.array([side.start for side in box]) - EMPTY_CELLS * steps + (steps - 1) / 2
    points = labels.grid.to_lps(corners.astype(np.float64) * steps + first)
    if np.linalg.det(labels.grid.lps_from_zyx[:3, :3]) > 0:  # (z, y, x) of LPS is left-handed: others turn round
        faces = faces[:, ::-1]
    return Surface(points.astype(np.float32), np.ascontiguousarray(faces, np.int32))


def _shares(mask: NDArray[np.bool_], steps: NDArray[np.int_]) -> NDArray[np.float32]:
    """Share of each cell that the mask fills, with empty cells round it."""
    cells = -(-np.array(mask.shape) // steps)
    sums = np.zeros(cells * steps, np.uint16)
    sums[: mask.shape[0], : mask.shape[1], : mask.shape[2]] = mask
    for axis, step in enumerate(steps):
        parts = np.moveaxis(sums, axis, 0)
        sums = np.moveaxis(sum(parts[k::step] for k in range(1, step)) + parts[::step], 0, axis)
    return np.pad((sums / np.float32(steps.prod())).astype(np.float32), EMPTY_CELLS)


def implant_surface(
    entry_lps: ArrayLike, tip_lps: ArrayLike, diameter_mm: float, corners_lps: ArrayLike | None = None
) -> Surface:
    """Build a closed cylinder from the centres of its end faces, or a prism; see `planner.outline.implant_rim`."""
    entry, tip = np.asarray(entry_lps, float), np.asarray(tip_lps, float)
    rim = implant_rim((tip - entry) / np.linalg.norm(tip - entry), diameter_mm, corners_lps)
    here, count = np.arange(len(rim)), len(rim)
    after = (here + 1) % count
    near, far = np.full(count, 2 * count), np.full(count, 2 * count + 1)
    faces = [(here, after, here + count), (after, after + count, here + count), (after, here, near),
             (here + count, after + count, far)]  # fmt: skip
    vertices = np.concatenate([entry + rim, tip + rim, [entry], [tip]])
    return Surface(vertices.astype(np.float32), np.concatenate([np.stack(f, 1) for f in faces]).astype(np.int32))
