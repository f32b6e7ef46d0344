"""True keep-outs of a sacrum given as a surface: its canal and foramina, found as enclosed empty space.

A place is a keep-out when it lies in the sacrum's closing (radius `CLOSING_MM`) but not in the sacrum, and at least
`ENCLOSED_SHARE` of all directions from it meet the sacrum within `REACH_MM`. That keeps holes and their mouths, and
leaves out grooves, which are open to one half of space. The canal is what a line across the midline reaches without
leaving the keep-out, up to `CANAL_HALF_WIDTH_MM` to each side; the rest are foramina: each
voxel belongs to the nearest of the (at most four) largest channel cores of its side, named from the top.
"""

from __future__ import annotations

import cc3d
import edt
import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.labels import SACRAL_LEVELS, Keepout, Side, foramen_value
from sample_data.signed_distance import DistanceField

__all__ = ["enclosed_share", "keepout_field"]

CLOSING_MM = 13.0
"""Wider than half of the canal's depth (12-16 mm) and of any foramen's width (8.5 +/- 1.6 mm, n = 632)."""

ENCLOSED_SHARE = 0.6
"""A groove sees bone in half of all directions, a rim in about as many, a channel in most [P]."""

REACH_MM = 30.0
"""As far as bone is looked for: the canal's width [P]."""

DIRECTIONS = 96
"""Directions looked along, evenly spread (golden spiral)."""

CANAL_HALF_WIDTH_MM = 15.0
"""Half of the widest sacral canal (31 mm at S1)."""

OPENING_MM = 1.4
"""Thinner keep-outs are skins in grooves, not holes [P]."""

CORE_MM = 2.5
"""A channel's core lies this deep in it; channels of neighbouring levels are apart there [P]."""

CORE_LATERAL_MM = 11.0
"""Cores lie further than this from the midline; nearer it channels merge with the canal [P]."""

RECESS_SHARE = 0.3
"""A topmost core smaller than this share of the largest is the canal's lateral recess, not S1 [P]."""

SMALLEST_CORE_MM3 = 8.0
"""Of a foramen's channel [P]."""

Bytes = NDArray[np.uint8]


def keepout_field(sacrum: DistanceField) -> Bytes:
    """`planner.labels.Keepout` and foramen values at the nodes of the sacrum's lattice, (z, y, x)."""
    solid = sacrum.values_mm < 0
    spacing = sacrum.spacing_mm
    pad = int(np.ceil(CLOSING_MM / spacing)) + 1
    grown = edt.edt(np.pad(~solid, pad, constant_values=True), parallel=1) <= CLOSING_MM / spacing
    hollow = (edt.edt(grown, parallel=1) > CLOSING_MM / spacing)[pad:-pad, pad:-pad, pad:-pad] & ~solid
    share = enclosed_share(solid, hollow, int(REACH_MM / spacing))
    opened = _opened(share >= ENCLOSED_SHARE, OPENING_MM / spacing)
    keep: NDArray[np.bool_] = cc3d.largest_k(opened, k=1, connectivity=6) > 0
    middle = round(float(np.argwhere(solid)[:, 2].mean()))
    return _named(keep, middle, spacing)


def enclosed_share(solid: NDArray[np.bool_], where: NDArray[np.bool_], reach: int) -> NDArray[np.float32]:
    """Share of all directions in which `solid` is met within `reach` nodes, for the nodes `where` asked."""
    share = np.zeros(solid.shape, np.float32)
    _look_around(solid, np.ascontiguousarray(where), _spiral(DIRECTIONS), reach, share)
    return share


def _opened(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    core = edt.edt(mask, parallel=1) > radius
    opened: NDArray[np.bool_] = (edt.edt(~core, parallel=1) <= radius) & mask
    return opened


def _named(keep: NDArray[np.bool_], middle: int, spacing_mm: float) -> Bytes:
    canal = _canal(keep, middle, int(CANAL_HALF_WIDTH_MM / spacing_mm))
    values = np.where(canal, np.uint8(Keepout.CANAL), np.uint8(0))
    beside = np.arange(keep.shape[2])[None, None, :] - middle
    for side in Side:
        _name_foramina(values, keep & ~canal & (beside * side.lateral_x > 0), side, middle, spacing_mm)
    return values


def _canal(keep: NDArray[np.bool_], middle: int, half: int) -> NDArray[np.bool_]:
    canal = np.zeros_like(keep)
    for step in (1, -1):
        run = keep[:, :, middle].copy()
        for i in range(half):
            run &= keep[:, :, middle + step * i]
            canal[:, :, middle + step * i] |= run
    return canal


def _name_foramina(values: Bytes, rest: NDArray[np.bool_], side: Side, middle: int, spacing_mm: float) -> None:
    """Give each voxel of `rest` the level of the nearest channel core."""
    lateral = np.abs(np.arange(rest.shape[2]) - middle) > CORE_LATERAL_MM / spacing_mm
    cores = cc3d.connected_components((edt.edt(rest, parallel=1) > CORE_MM / spacing_mm) & lateral, connectivity=6)
    statistics = cc3d.statistics(cores)
    voxels, centres = statistics["voxel_counts"].astype(int), statistics["centroids"]
    large = [n for n in range(1, len(voxels)) if voxels[n] * spacing_mm**3 >= SMALLEST_CORE_MM3]
    levels = sorted(sorted(large, key=lambda n: -voxels[n])[: len(SACRAL_LEVELS)], key=lambda n: -centres[n][0])
    while levels and voxels[levels[0]] < RECESS_SHARE * max(voxels[n] for n in levels):
        levels = levels[1:]
    if not levels:
        values[rest] = Keepout.CANAL
        return
    distances = np.stack([edt.edt(cores != n, parallel=1)[rest] for n in levels])
    names = np.array([foramen_value(side, level) for level in SACRAL_LEVELS], np.uint8)
    values[rest] = names[distances.argmin(axis=0)]


def _spiral(count: int) -> NDArray[np.float64]:
    """`count` unit vectors spread evenly over the sphere."""
    i = np.arange(count) + 0.5
    height, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    radius = np.sqrt(1 - height**2)
    return np.stack([height, radius * np.cos(turn), radius * np.sin(turn)], axis=1)


@njit(cache=True)
def _look_around(
    solid: NDArray[np.bool_],
    where: NDArray[np.bool_],
    directions: NDArray[np.float64],
    reach: int,
    share: NDArray[np.float32],
) -> None:
    depth, rows, columns = solid.shape
    for k in range(depth):
        for j in range(rows):
            for i in range(columns):
                if not where[k, j, i]:
                    continue
                hits = 0
                for d in range(directions.shape[0]):
                    for step in range(1, reach + 1):
                        z = round(k + directions[d, 0] * step)
                        y = round(j + directions[d, 1] * step)
                        x = round(i + directions[d, 2] * step)
                        if z < 0 or y < 0 or x < 0 or z >= depth or y >= rows or x >= columns:
                            break
                        if solid[z, y, x]:
                            hits += 1
                            break
                share[k, j, i] = hits / directions.shape[0]
