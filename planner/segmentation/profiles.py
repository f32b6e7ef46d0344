"""Read the scan along the normals of a surface and find the bone's edge there, between the voxels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.backends.gpu import find_card
from planner.volume import Volume

__all__ = ["NO_DATA", "EdgeSearch", "find_edges", "find_gap_edges", "read_profiles"]

NO_DATA = -10000.0
"""Value of a sample outside the scan."""

GAP_REACH_MM = 6.0
"""The facing bone of a joint lies within this of an edge [P]."""

THREADS, THREADED_SAMPLES = 2, 100_000
"""Threads that read profiles, from this many samples on; each sample is the same for any number."""

Points = NDArray[np.float64]


@dataclass(frozen=True)
class EdgeSearch:
    """How an edge is looked for along a normal.

    Attributes
    ----------
    reach_mm : float
        How far to both sides.
    step_mm : float
        Between samples; the slope is taken over two steps to each side.
    least_hu : float
        Smallest fall of HU from inside to outside that is an edge.
    enough_hu : float
        Falls above this are equal, so that a brighter edge further off does not win.
    gas_hu : float
        Bone does not border on less than this: gas, air or padding.
    """

    reach_mm: float
    step_mm: float = 0.75
    least_hu: float = 60.0
    enough_hu: float = 350.0
    gas_hu: float = -400.0


def read_profiles(volume: Volume, points_lps: Points, normals_lps: Points, offsets_mm: Points) -> NDArray[np.float32]:
    """HU ``(n, len(offsets))`` at ``point + offset * normal`` (trilinear); `NO_DATA` outside the scan."""
    start = volume.grid.to_index(points_lps)
    direction = volume.grid.to_index(points_lps + normals_lps) - start
    card = find_card()
    by_card = card.read(volume, start, direction, offsets_mm, NO_DATA) if card else None
    if by_card is not None:
        return by_card
    result = np.empty((len(start), len(offsets_mm)), np.float32)
    if result.size < THREADED_SAMPLES:
        _read(volume.hu, start, direction, offsets_mm, result)
        return result
    parts = [slice(k * len(start) // THREADS, (k + 1) * len(start) // THREADS) for k in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:  # the kernel holds no lock
        list(pool.map(lambda part: _read(volume.hu, start[part], direction[part], offsets_mm, result[part]), parts))
    return result


@njit(cache=True)
def _trilinear(hu, z, y, x):  # type: ignore[no-untyped-def]
    nz, ny, nx = hu.shape
    if z < 0 or y < 0 or x < 0 or z > nz - 1 or y > ny - 1 or x > nx - 1:
        return NO_DATA
    k, j, i = min(int(z), nz - 2), min(int(y), ny - 2), min(int(x), nx - 2)
    c, b, a = z - k, y - j, x - i
    low = (hu[k, j, i] * (1 - a) + hu[k, j, i + 1] * a) * (1 - b) + (
        hu[k, j + 1, i] * (1 - a) + hu[k, j + 1, i + 1] * a
    ) * b
    high = (hu[k + 1, j, i] * (1 - a) + hu[k + 1, j, i + 1] * a) * (1 - b) + (
        hu[k + 1, j + 1, i] * (1 - a) + hu[k + 1, j + 1, i + 1] * a
    ) * b
    return low * (1 - c) + high * c


@njit(cache=True)
def _fall(p, s):  # type: ignore[no-untyped-def]
    return 0.5 * (p[s - 1] + p[s - 2] - p[s + 1] - p[s + 2])


@njit(cache=True)
def _steepest(p, s):  # type: ignore[no-untyped-def]
    """Place of the steepest fall next to sample `s`, between samples (parabola)."""
    last = len(p) - 4
    low, high = max(s - 2, 3), min(s + 2, last)
    while s > low and _fall(p, s - 1) > _fall(p, s):
        s -= 1
    while s < high and _fall(p, s + 1) > _fall(p, s):
        s += 1
    if s < 3 or s > last:
        return float(s)
    a, b, c = _fall(p, s - 1), _fall(p, s), _fall(p, s + 1)
    bend = a - 2.0 * b + c
    return s + (min(max(0.5 * (a - c) / bend, -0.5), 0.5) if bend < 0.0 else 0.0)


@njit(cache=True, nogil=True)
def _read(hu, start, direction, offsets, out):  # type: ignore[no-untyped-def]
    for v in range(start.shape[0]):
        for s in range(offsets.shape[0]):
            t = offsets[s]
            out[v, s] = _trilinear(
                hu,
                start[v, 0] + t * direction[v, 0],
                start[v, 1] + t * direction[v, 1],
                start[v, 2] + t * direction[v, 2],
            )


def find_edges(
    volume: Volume, points_lps: Points, normals_lps: Points, search: EdgeSearch
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the strongest near edge from bright inside to dark outside on each normal.

    Returns
    -------
    offset_mm : (n,) float64 array
        Signed place of the edge along the normal; 0 where none.
    strength : (n,) float64 array
        Fall of HU, clipped to ``enough_hu``; 0 where there is no edge or no data.
    """
    half = int(np.ceil(search.reach_mm / search.step_mm))
    offsets = (np.arange(-half - 2, half + 3) * search.step_mm).astype(np.float64)
    profiles = read_profiles(volume, points_lps, normals_lps, offsets)
    place, strength = _edges(profiles, half, 0, search.least_hu, search.enough_hu, search.gas_hu)
    return place * search.step_mm, strength


def find_gap_edges(
    volume: Volume, points_lps: Points, normals_lps: Points, search: EdgeSearch
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the near flank of the dark gap of a joint on each normal; returns like `find_edges`.

    An edge counts by the smaller of its fall and the rise to the facing bone within `GAP_REACH_MM` beyond it, so that
    neither the marrow side of the facing cortex nor an open soft tissue edge draws the surface across the joint.
    """
    half = int(np.ceil(search.reach_mm / search.step_mm))
    beyond = int(np.ceil(GAP_REACH_MM / search.step_mm))
    offsets = (np.arange(-half - 2, half + beyond + 3) * search.step_mm).astype(np.float64)
    profiles = read_profiles(volume, points_lps, normals_lps, offsets)
    place, strength = _edges(profiles, half, beyond, 0.5 * search.least_hu, search.enough_hu, search.gas_hu)
    return place * search.step_mm, strength


@njit(cache=True, nogil=True)
def _edges(profiles, half, beyond, least, enough, gas):  # type: ignore[no-untyped-def]
    """Find the edge of most value; ``beyond`` samples after it the rise to a facing bone counts with it."""
    n = profiles.shape[0]
    place, strength = np.zeros(n), np.zeros(n)
    for v in range(n):
        p = profiles[v]
        best = 0.0
        for s in range(2, 2 * half + 3):
            if min(p[s - 2], p[s + 1], p[s + 2]) < gas:
                continue
            fall = _fall(p, s)
            if fall < least:
                continue
            rise, low = 0.0, p[s + 1]
            for b in range(s + 2, s + beyond):
                low = min(low, p[b])
                rise = max(rise, p[b + 1] - low)
            t = s - 2 - half
            value = (min(fall, enough) + min(fall, rise, enough)) * (1.0 - 0.6 * (t / (half + 1.0)) ** 2)
            if value > best:
                best = value
                place[v] = s
                strength[v] = min(fall, enough)
        if best > 0.0:
            place[v] = _steepest(p, int(place[v])) - 2 - half
    return place, strength
