"""Which part of a scan is worked on, in which voxels, and how labels of it get back onto the input's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding, Level
from planner.grid import Grid, Orientation
from planner.source import ONE, Blocks, block_grid, stored_box
from planner.volume import Box, LabelMap, PlacedLabels

__all__ = ["Place", "choose_blocks", "working_place"]

MOST_VOXELS = 80_000_000
"""Voxels that the stages work on at most [P]: about 2 GB at their peak."""
EVEN_MM, COARSEST_MM = 1.0, 1.25
"""Voxels are averaged alike along all axes up to the first, along single ones up to the second [P].

Navigation protocols ask for 0.75-1.25 mm.
"""
ROUNDING = 1e-6
"""What a spacing may exceed a limit by."""


@dataclass(frozen=True, eq=False)
class Place:
    """How the canonical, cropped grid that the stages work on lies in the input's own grid.

    Attributes
    ----------
    grid : Grid
        The input's own.
    orientation : Orientation
        From it to the canonical grid.
    box : Box
        What is worked on, in the canonical grid; whole blocks.
    blocks : (z, y, x) int
        Voxels of the canonical grid that are averaged to one.
    """

    grid: Grid
    orientation: Orientation
    box: Box
    blocks: Blocks = ONE

    @property
    def working_grid(self) -> Grid:
        """Grid that the stages work on."""
        return block_grid(self.orientation.apply_grid(self.grid).crop(self.box), self.blocks)

    @property
    def stored_blocks(self) -> Blocks:
        """Voxels along each axis of the input's own grid that are averaged to one."""
        first, second, third = (self.blocks[self.orientation.order.index(axis)] for axis in range(3))
        return first, second, third

    def to_input(self, labels: LabelMap) -> PlacedLabels:
        """Labels of the working grid where they lie in the input's own; every voxel of a block has its label."""
        box = stored_box(self.orientation, self.grid, self.box)
        return PlacedLabels(self.grid, box, self.orientation.undo(labels.values), self.stored_blocks)

    def from_input(self, labels: LabelMap) -> LabelMap:
        """Cut labels on the input's own grid to the working grid; of a block, the label of its middle voxel."""
        middles = tuple(slice(s.start + step // 2, s.stop, step) for s, step in zip(self.box, self.blocks, strict=True))
        values = np.ascontiguousarray(self.orientation.apply(labels.values)[middles])
        return LabelMap(values, self.working_grid)

    def findings(self) -> list[Finding]:
        """Say where the scan is finer than what is worked on."""
        if self.blocks == ONE:
            return []
        spacing = " x ".join(f"{mm:.2f}" for mm in self.working_grid.spacing_zyx_mm)
        blocks = " x ".join(map(str, self.blocks))
        message = f"The pelvis was worked on in voxels of {spacing} mm (z, y, x): the mean of {blocks} of the scan's."
        return [Finding("averaged-voxels", Level.NOTE, "both", message)]


def working_place(grid: Grid, box: Box) -> Place:
    """Choose the voxels to work on: the scan's own, or means of whole blocks where a box has too many of them.

    Parameters
    ----------
    grid : Grid
        The input's own.
    box : Box
        Of the pelvis, in the canonical grid; cut to whole blocks.
    """
    orientation = Orientation.to_canonical(grid)
    sizes = np.array([s.stop - s.start for s in box])
    blocks = choose_blocks(orientation.apply_grid(grid).spacing_zyx_mm, sizes)
    z, y, x = (
        slice(s.start, s.start + int(size) // step * step) for s, size, step in zip(box, sizes, blocks, strict=True)
    )
    return Place(grid, orientation, (z, y, x), blocks)


def choose_blocks(spacing_zyx_mm: NDArray[np.float64], sizes: NDArray[np.int_]) -> Blocks:
    """Smallest blocks of which a box has at most `MOST_VOXELS`.

    First blocks that are as wide along every axis as they may be for one width, then the finest axis a voxel at a time.
    """
    widths = sorted({float(n * mm) for mm in spacing_zyx_mm for n in range(1, int(EVEN_MM / mm + ROUNDING) + 1)})
    for width in (0.0, *widths):
        blocks = np.maximum((width / spacing_zyx_mm + ROUNDING).astype(int), 1)
        if np.prod(sizes // blocks) <= MOST_VOXELS:
            return _as_blocks(blocks)
    blocks = np.ones(3, int)
    while np.prod(sizes // blocks) > MOST_VOXELS:
        axis = int(np.argmin(spacing_zyx_mm * blocks))
        if spacing_zyx_mm[axis] * (blocks[axis] + 1) > COARSEST_MM + ROUNDING:
            break
        blocks[axis] += 1
    return _as_blocks(blocks)


def _as_blocks(counts: NDArray[np.int_]) -> Blocks:
    return int(counts[0]), int(counts[1]), int(counts[2])
