"""A long or fine scan that holds the phantom's pelvis, written slice by slice: as large as wanted, one slice in memory.

The phantom is made once at `BASE_MM` and interpolated. Above and below it, its first and last slice go on, and every
slice has noise of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.volume import Volume
from sample_data.dicom_series import SeriesLabels, write_dicom_planes
from sample_data.phantom import make_phantom
from sample_data.spec import PhantomSpec

__all__ = ["long_planes", "write_long_scan"]

BASE_MM = 1.0
"""Voxel of the phantom before it is interpolated."""
PELVIS_SHARE = 0.4
"""Where the phantom's middle lies along the scan, from its caudal end."""
NOISE_HU = 12.0
"""Standard deviation of the noise that is added after interpolation."""
TILE = 64
"""Noise is one tile, this much larger than a slice and shifted at random for each."""
LOWEST_HU, HIGHEST_HU = -1024, 3071
"""Range of a 12-bit scanner."""

Floats = NDArray[np.float32]


def write_long_scan(
    folder: Path, shape_zyx: tuple[int, int, int], spacing_zyx_mm: tuple[float, float, float], *, seed: int = 0
) -> list[Path]:
    """Write a scan of any size as uncompressed DICOM; equal arguments give equal files.

    Parameters
    ----------
    folder : Path
        Made if it does not exist; one file a slice.
    shape_zyx, spacing_zyx_mm : tuple
        Slices, rows, columns; the pelvis needs about 240 x 280 x 380 mm.
    seed : int
        Of the noise.

    Returns
    -------
    list of Path
        The files, from the caudal end.
    """
    grid = Grid.from_spacing(shape_zyx, spacing_zyx_mm)
    labels = SeriesLabels(f"long scan {shape_zyx} {spacing_zyx_mm} {seed}", "Long scan with pelvis phantom")
    return write_dicom_planes(long_planes(grid, seed), grid, folder, labels)


def long_planes(grid: Grid, seed: int = 0) -> Iterator[NDArray[np.int16]]:
    """Slices of an upright grid, from the caudal end."""
    size_mm = np.array(grid.shape_zyx) * grid.spacing_zyx_mm
    phantom = make_phantom(
        PhantomSpec(spacing_zyx_mm=(BASE_MM,) * 3, size_yx_mm=(float(size_mm[1]), float(size_mm[2])), noise_hu=0.0)
    ).volume
    rng = np.random.default_rng(seed)
    tile = rng.normal(0.0, NOISE_HU, np.array(grid.shape_zyx[1:]) + TILE).astype(np.float32)
    middle = (phantom.hu.shape[0] - 1) / 2 - PELVIS_SHARE * size_mm[0] / BASE_MM
    for k in range(grid.shape_zyx[0]):
        plane = _enlarged(_slab(phantom, middle + k * grid.spacing_zyx_mm[0] / BASE_MM), grid)
        j, i = rng.integers(0, TILE, 2)
        plane += tile[j : j + plane.shape[0], i : i + plane.shape[1]]
        yield np.clip(np.rint(plane), LOWEST_HU, HIGHEST_HU).astype(np.int16)


def _slab(phantom: Volume, index: float) -> Floats:
    """Plane between two of the phantom's; beyond its ends, the last."""
    low, weight = _ends(np.array([index]), phantom.hu.shape[0])
    below, above = phantom.hu[low[0]].astype(np.float32), phantom.hu[low[0] + 1].astype(np.float32)
    between: Floats = below + weight[0] * (above - below)
    return between


def _enlarged(plane: Floats, grid: Grid) -> Floats:
    """Interpolate a plane of the phantom to the size of a slice; both share their middle."""
    for axis in (0, 1):
        count, spacing = grid.shape_zyx[1 + axis], grid.spacing_zyx_mm[1 + axis]
        places = (np.arange(count) - (count - 1) / 2) * spacing / BASE_MM + (plane.shape[axis] - 1) / 2
        low, weight = _ends(places, plane.shape[axis])
        weight = weight[:, None] if axis == 0 else weight
        below, above = plane.take(low, axis), plane.take(low + 1, axis)
        plane = below + weight * (above - below)
    return plane


def _ends(places: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], Floats]:
    """Lower neighbour and weight of the upper one, clipped to the array."""
    inside = np.clip(places, 0, count - 1)
    low = np.minimum(inside.astype(np.intp), count - 2)
    return low, (inside - low).astype(np.float32)
