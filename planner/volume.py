"""Volumes: Hounsfield units and labels on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding
from planner.grid import Grid, Orientation

__all__ = ["LabelMap", "Scan", "Volume"]

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
class Scan:
    """What a reader found: one volume on the input's own grid, and what must be said of it.

    Attributes
    ----------
    volume : Volume
        On the input's own grid and orientation.
    sha256 : str
        Of the pixel values and geometry, whatever the file format or the order of the files.
    findings : tuple of Finding
        Slice spacing, resampling, repaired parts.
    description : dict
        Facts that identify no one: ``format``, ``modality``, ``kernel``, ``slice_thickness_mm``, ``patient_position``,
        ``slices``, ``transfer_syntax``, ``resampled``.
    """

    volume: Volume
    sha256: str
    findings: tuple[Finding, ...]
    description: dict[str, Any]
