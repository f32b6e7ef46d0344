"""Volumes: Hounsfield units and labels on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid, Orientation

__all__ = ["Box", "LabelMap", "PlacedLabels", "Volume"]

Box = tuple[slice, slice, slice]


def _frozen(array: NDArray[Any], dtype: type[np.generic], grid: Grid) -> NDArray[Any]:
    if array.dtype != dtype:
        raise TypeError(f"expected {np.dtype(dtype)}, found {array.dtype}")
    if array.shape != grid.shape_zyx:
        raise ValueError(f"array of shape {array.shape} on a grid of shape {grid.shape_zyx}")
    view = array.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, eq=False)
class Volume:
    """CT numbers on a grid.

    Attributes
    ----------
    hu : (z, y, x) int16 array
        Hounsfield units; read-only.
    grid : Grid
        Where the voxels lie.
    """

    hu: NDArray[np.int16]
    grid: Grid

    def __post_init__(self) -> None:
        object.__setattr__(self, "hu", _frozen(self.hu, np.int16, self.grid))

    def crop(self, box: Box) -> Volume:
        """Contiguous copy of a box, so that the whole scan can be let go."""
        return Volume(np.ascontiguousarray(self.hu[box]), self.grid.crop(box))

    def canonical(self) -> tuple[Volume, Orientation]:
        """Return the volume with axes cranial, posterior, left (C-contiguous), and how it was turned."""
        orientation = Orientation.to_canonical(self.grid)
        hu = np.ascontiguousarray(orientation.apply(self.hu))
        return Volume(hu, orientation.apply_grid(self.grid)), orientation


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels on a grid.

    Attributes
    ----------
    values : (z, y, x) uint8 array
        `planner.labels.Label` or `planner.labels.Keepout` values; read-only.
    grid : Grid
        Where the voxels lie.
    """

    values: NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _frozen(self.values, np.uint8, self.grid))

    def crop(self, box: Box) -> LabelMap:
        """Contiguous copy of a box."""
        return LabelMap(np.ascontiguousarray(self.values[box]), self.grid.crop(box))


@dataclass(frozen=True, eq=False)
class PlacedLabels:
    """Labels of one box of a grid; everywhere else is background.

    Attributes
    ----------
    grid : Grid
        The whole grid.
    box : Box
        Where the labels lie in it.
    values : (z, y, x) uint8 array
        One value a block of voxels.
    blocks : tuple of int
        Voxels along each axis that share a value.
    """

    grid: Grid
    box: Box
    values: NDArray[np.uint8]
    blocks: tuple[int, int, int] = (1, 1, 1)

    def __post_init__(self) -> None:
        sizes = tuple(count * step for count, step in zip(self.values.shape, self.blocks, strict=True))
        if sizes != tuple(s.stop - s.start for s in self.box):
            raise ValueError(f"labels of {sizes} voxels in a box of {self.box}")

    def planes(self) -> Iterator[NDArray[np.uint8]]:
        """Give the whole planes of the grid that the box meets, one after another."""
        _, rows, columns = self.grid.shape_zyx
        for layer in self.values:
            plane = np.zeros((rows, columns), np.uint8)
            single = self.blocks[1:] == (1, 1)
            plane[self.box[1:]] = layer if single else layer.repeat(self.blocks[1], 0).repeat(self.blocks[2], 1)
            for _ in range(self.blocks[0]):
                yield plane

    def whole(self) -> LabelMap:
        """Put the labels onto the whole grid; for small ones."""
        values = np.zeros(self.grid.shape_zyx, np.uint8)
        for k, plane in enumerate(self.planes(), start=self.box[0].start):
            values[k] = plane
        return LabelMap(values, self.grid)
