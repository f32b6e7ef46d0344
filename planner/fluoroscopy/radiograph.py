"""Simulated radiographs: what is left of an X-ray beam behind the patient.

Attenuation follows from CT numbers, ``mu = mu_water (1 + HU / 1000)``, and is summed along each ray by Joseph's method
(IEEE Trans Med Imaging 1982;1:192, 10.1109/TMI.1982.4307572): one sample a plane of voxels that the ray crosses, taken
between the four nearest voxels of that plane. No scatter, no noise, one energy. Outside the scan there is nothing, so a
patient who was cut off by the scan's edge is brighter there than a real radiograph would show.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.fluoroscopy.beam import Beam
from planner.grid import Grid
from planner.volume import Volume

__all__ = ["Absorber", "develop", "take_radiograph"]

WATER_PER_MM = 0.02059
"""Attenuation of water at 60 keV (NIST XCOM, 0.2059 cm2/g), about the mean energy behind a pelvis."""

THREADS = 2
"""Parts of a picture are worked out at once; each pixel is the same however many there are."""

DARKEST, BRIGHTEST = 8.0, 99.7
"""Percentiles of the exposed middle of the picture that become black and white `[P]`."""

MIDDLE = 0.75
"""Share of the detector's width that is taken as its middle `[P]`."""

EVEN_SHARE, EVEN_WIDTH = 0.6, 0.2
"""How much of the mean round each pixel is taken off, and the width of what is round it as a share of the picture:
C-arms even out thick and thin parts in the same way `[P]`."""

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

Picture = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Absorber:
    """The patient as X-rays meet him.

    Attributes
    ----------
    per_mm : (z, y, x) float32 array
        Linear attenuation.
    grid : Grid
        Of the averaged voxels.
    """

    per_mm: NDArray[np.float32]
    grid: Grid

    @classmethod
    def of(cls, volume: Volume, voxel_mm: float) -> Absorber:
        """Average voxels up to about `voxel_mm` and turn them into attenuation; what is left over is lost."""
        spacing = volume.grid.spacing_zyx_mm
        blocks = np.clip(np.rint(voxel_mm / spacing), 1, np.array(volume.grid.shape_zyx) // 2).astype(int)
        per_mm = _attenuation(volume.hu, blocks[0], blocks[1], blocks[2])
        matrix = volume.grid.lps_from_zyx.copy()
        matrix[:3, :3] = matrix[:3, :3] * blocks
        matrix[:3, 3] = volume.grid.to_lps((blocks - 1) / 2)
        depth, height, width = per_mm.shape
        return cls(per_mm, Grid((depth, height, width), matrix))


@njit(cache=True, **OPTIONS)
def _attenuation(hu, deep, high, wide):  # type: ignore[no-untyped-def]
    """Attenuation of blocks of voxels, per mm."""
    shape = (hu.shape[0] // deep, hu.shape[1] // high, hu.shape[2] // wide)
    out = np.empty(shape, np.float32)
    share = 1.0 / (deep * high * wide)
    row = np.empty(shape[2], np.int64)
    for z in range(shape[0]):
        for y in range(shape[1]):
            row[:] = 0
            for dz in range(deep):
                for dy in range(high):
                    line = hu[z * deep + dz, y * high + dy]
                    for x in range(shape[2]):
                        for dx in range(wide):
                            row[x] += line[x * wide + dx]
            for x in range(shape[2]):
                out[z, y, x] = max(0.0, WATER_PER_MM * (1.0 + row[x] * share / 1000.0))
    return out


def take_radiograph(absorber: Absorber, beam: Beam, threads: int = THREADS) -> Picture:
    """Sum the attenuation along each ray.

    Returns
    -------
    (rows, columns) float32 array
        Optical depth, ``-ln(I / I0)``; lowest row first, as seen from the detector.
    """
    to_index = np.linalg.inv(absorber.grid.lps_from_zyx[:3, :3])
    corner, right, up = beam.corner_lps()
    source = absorber.grid.to_index(beam.source_lps)
    start, across, upwards = to_index @ (corner - beam.source_lps), to_index @ right, to_index @ up
    spread = absorber.grid.lps_from_zyx[:3, :3]
    metric = np.ascontiguousarray(spread.T @ spread)
    picture = np.zeros((beam.pixels, beam.pixels), np.float32)
    cuts = np.linspace(0, beam.pixels, 2 * threads + 1).astype(int)

    def cast(part: tuple[int, int]) -> None:
        _cast(absorber.per_mm, source, (start, across, upwards), metric, (part[0], part[1]), picture)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(cast, zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)))
    return picture


@njit(cache=True, **OPTIONS)
def _cast(mu, source, steps, metric, rows, picture):  # type: ignore[no-untyped-def]
    """Fill rows of the picture; `source` and `steps` are in voxels, `metric` gives lengths in mm."""
    start, across, upwards = steps
    flat, (nz, ny, nx), (sz, sy, sx) = mu.ravel(), mu.shape, (source[0], source[1], source[2])
    for row in range(rows[0], rows[1]):
        for column in range(picture.shape[1]):
            z = start[0] + column * across[0] + row * upwards[0]
            y = start[1] + column * across[1] + row * upwards[1]
            x = start[2] + column * across[2] + row * upwards[2]
            if abs(z) >= abs(y) and abs(z) >= abs(x):
                main, total = z, _sum(flat, (nz, ny, nx), (ny * nx, nx, 1), (sz, sy, sx), (z, y, x))
            elif abs(y) >= abs(x):
                main, total = y, _sum(flat, (ny, nz, nx), (nx, ny * nx, 1), (sy, sz, sx), (y, z, x))
            else:
                main, total = x, _sum(flat, (nx, nz, ny), (1, ny * nx, nx), (sx, sz, sy), (x, z, y))
            across_axes = metric[0, 1] * z * y + metric[0, 2] * z * x + metric[1, 2] * y * x
            squared = metric[0, 0] * z * z + metric[1, 1] * y * y + metric[2, 2] * x * x + 2 * across_axes
            picture[row, column] = total * np.sqrt(squared) / abs(main)


@njit(**OPTIONS)
def _sum(flat, shape, strides, source, ray):  # type: ignore[no-untyped-def]
    """Sum of the samples in the planes of the first axis given, which the ray runs along most."""
    b_step, c_step = ray[1] / ray[0], ray[2] / ray[0]
    b_first, c_first = source[1] - source[0] * b_step, source[2] - source[0] * c_step
    first, last = _inside(0.0, shape[0] - 1.0, b_first, b_step, shape[1] - 1.0)
    first, last = _inside(first, last, c_first, c_step, shape[2] - 1.0)
    down, aside = strides[1], strides[2]
    total = 0.0
    for a in range(int(np.ceil(first)), int(np.floor(last)) + 1):
        b, c = b_first + a * b_step, c_first + a * c_step
        j, i = int(b), int(c)
        v, u = np.float32(b - j), np.float32(c - i)
        at = a * strides[0] + j * down + i * aside
        near = flat[at] + u * (flat[at + aside] - flat[at])
        far = flat[at + down] + u * (flat[at + down + aside] - flat[at + down])
        total += near + v * (far - near)
    return total


@njit(**OPTIONS)
def _inside(first, last, start, step, end):  # type: ignore[no-untyped-def]
    """Shorten a range of planes to those in which ``start + plane * step`` lies between 0 and `end`."""
    if step == 0.0:
        return (first, last) if 0.0 <= start <= end else (1.0, 0.0)
    enter, leave = -start / step, (end - start) / step
    if enter > leave:
        enter, leave = leave, enter
    slack = 1e-9  # the ray must not leave the array by a rounding error
    return max(first, enter + slack), min(last, leave - slack)


def develop(depth: Picture) -> Picture:
    """Turn optical depth into the brightness 0-1 of a print, bone bright, exposed for the middle of the picture."""
    around = depth
    for _ in range(2):  # twice a box is nearly a bell
        around = ndi.uniform_filter(around, round(EVEN_WIDTH * len(depth)), mode="nearest")
    even = depth - np.float32(EVEN_SHARE) * around
    margin = round((1 - MIDDLE) / 2 * len(depth))
    middle = (slice(margin, len(depth) - margin),) * 2
    exposed = even[middle][depth[middle] > 0]
    if not exposed.size:
        return np.zeros_like(depth)
    low, high = np.percentile(exposed, [DARKEST, BRIGHTEST])
    brightness: Picture = np.clip((even - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    return brightness
