"""Faces by intensity: the gap as a dark slab between two cortices, blurred by the scanner.

Across the gap, at distance `t` from the mid-surface towards the ilium, the scan reads

    I(t) = L + (S - L) P((a - t) / s) - (S - m) P((a - c - t) / s)
             + (H - L) P((t - b) / s) - (H - n) P((t - b - c) / s)

with the faces at `a` and `b`, cortices of `S` and `H` HU and thickness `c`, marrow of `m` and `n` behind them, `L` in
the gap, and the Gaussian integral `P` of the scanner's blur `s`. Marrow and gap are read from the profile, `s` and `c`
are one pair for the joint, and four numbers are fitted to each profile: where the gap is thinner than the blur, the
depth of the dip fixes ``b - a``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.joint.config import JointConfig
from planner.joint.mesh import Sheet
from planner.joint.sampling import sample_at
from planner.joint.sheet import Measured
from planner.volume import Volume

__all__ = ["GapFit", "Profiles", "fit_gaps", "fit_slabs", "lowest_between", "sample_profiles"]

STEP_MM = 0.25
"""Between samples of a profile: a quarter of a voxel, so that none is left out."""

REACH_MM = 7.0
"""Half-length of a profile: half the widest gap that is fitted, and a cortex."""

AVERAGE_MM = 1.2
"""Profiles are averaged with their neighbours' on the sheet within about this: noise falls, the bend of the faces
over it stays below 0.1 mm `[P]`."""

CORTEX_MM = 2.0
"""The peak of the subchondral bone lies no deeper than this behind its label's face `[P]`."""

SIGMAS_MM = (0.45, 0.55, 0.65, 0.75, 0.9, 1.1, 1.35)
"""Blurs that are tried: sharp kernel and thin slices to soft kernel and thick ones."""

CORTICES_MM = (1.4, 1.8, 2.3, 2.9)
"""Thicknesses of the subchondral plate that are tried with each `[P]`."""

FINER = (0.93, 1.0, 1.07)
"""Factors by which the best pair is varied: blur and cortex trade against each other, and a step of a third in
either moves the gap by 0.3 mm."""

MARROW_MM = 4.5
"""Depth behind the face at which marrow is read: behind the thickest plate `[P]`."""

GAP_WIDE_MM, GAP_SHARE = 2.5, 0.05
"""Gaps wider than this show their own HU; where so much of the joint is that wide, they tell the gap's HU `[P]`."""

PLAIN_DEG = 30.0
"""Faces that diverge by less are parallel enough for the blur to be read from them `[P]`."""

GAP_HU_RANGE = (-60.0, 110.0)
"""Fat, fluid, ligament, cartilage: anything darker is gas, anything brighter is not seen pure."""

TRIAL_PROFILES = 200
"""So many profiles, evenly spaced over the sheet, choose the blur."""

CONTRAST_HU = 150.0
"""Bone that stands out less from the gap bears no edge `[P]`."""

SHALLOWEST_DIP = 0.15
"""A dark line shallower than this share of the bone's contrast has no edges to find `[P]`."""

RESIDUAL = 0.15
"""Root mean square residual, as a share of the contrast, above which a fit is not believed `[P]`."""

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Profiles:
    """Intensity across the gap.

    Attributes
    ----------
    hu : (n, m) float64 array
        One profile a vertex, averaged with its neighbours'.
    at_mm : (m,) float64 array
        Distance from the vertex towards the ilium.
    """

    hu: Numbers
    at_mm: Numbers


@dataclass(frozen=True, eq=False)
class GapFit:
    """The fitted slabs.

    Attributes
    ----------
    sacrum_at_mm, hip_at_mm : (n,) float64 arrays
        Faces, as distances from the vertex towards the ilium.
    dip : (n,) float64 array
        Depth of the dark line as a share of the bone's contrast: 1 open, 0 bridged.
    lowest_hu : (n,) float64 array
        Darkest sample between the faces.
    gap_hu : (n,) float64 array
        Taken for the gap's own HU.
    good : (n,) bool array
        Fits that are believed.
    sigma_mm, cortex_mm : float
        The scanner's blur and the thickness of the cortices.
    """

    sacrum_at_mm: Numbers
    hip_at_mm: Numbers
    dip: Numbers
    lowest_hu: Numbers
    gap_hu: Numbers
    good: Mask
    sigma_mm: float
    cortex_mm: float


def sample_profiles(volume: Volume, sheet: Sheet, across_lps: Numbers) -> Profiles:
    """Read the scan along the lines across a sheet through its vertices, averaged over the sheet."""
    steps = round(REACH_MM / STEP_MM)
    at_mm = np.arange(-steps, steps + 1) * STEP_MM
    points = sheet.vertices_lps[:, None] + at_mm[None, :, None] * across_lps[:, None]
    raw = sample_at(volume.hu, volume.grid, points)
    averaged = sheet.smooth(raw, sheet.rings(AVERAGE_MM))
    return Profiles(averaged, at_mm.astype(np.float64))


def fit_gaps(profiles: Profiles, measured: Measured, config: JointConfig) -> GapFit:
    """Fit the blurred slab to every profile; blur and cortex, one pair for the joint, first."""
    start = np.stack([-measured.sacrum_mm, measured.hip_mm], axis=1)
    lowest = lowest_between(profiles, start)
    gap_hu = np.minimum(_gap_hu(measured, lowest, config), lowest)
    few = _trial(measured, config)

    def misfit(pair: tuple[float, float]) -> float:
        return float(np.median(_fit(profiles.hu[few], profiles.at_mm, start[few], gap_hu[few], pair, 0.0)[:, 4]))

    blur, cortex = min(product(SIGMAS_MM, CORTICES_MM), key=misfit)
    pair = min(((blur * f, cortex * g) for f, g in product(FINER, FINER)), key=misfit)
    fitted, good = fit_slabs(profiles, start, gap_hu, pair, config.shift_limit_mm)
    return GapFit(fitted[:, 0], fitted[:, 1], fitted[:, 5], lowest, gap_hu, good, *pair)


def fit_slabs(
    profiles: Profiles, start: Numbers, gap_hu: Numbers, pair: tuple[float, float], limit_mm: float
) -> tuple[Numbers, Mask]:
    """Fit each profile from the faces `start` on, with one blur and cortex; columns as of `_fit`, and which to believe.

    A fit is believed that ends within `limit_mm` of its start. None is tried where a cortex cannot be seen.
    """
    fitted = _fit(profiles.hu, profiles.at_mm, start, gap_hu, pair, CONTRAST_HU)
    faces, contrast = fitted[:, :2], np.minimum(fitted[:, 2], fitted[:, 3]) - gap_hu
    near = np.abs(faces - start).max(axis=1) <= limit_mm
    good = near & (fitted[:, 4] < RESIDUAL * contrast) & (contrast > CONTRAST_HU) & (faces[:, 1] > faces[:, 0])
    return fitted, good & (fitted[:, 5] > SHALLOWEST_DIP)


def lowest_between(profiles: Profiles, faces_mm: Numbers) -> Numbers:
    """Darkest sample of each profile between the cortices' peaks at the given faces, HU."""
    lowest: Numbers = _lowest(profiles.hu, profiles.at_mm, faces_mm)
    return lowest


def _trial(measured: Measured, config: JointConfig) -> NDArray[np.int64]:
    """Profiles that choose blur and cortex: of the plain part of the joint, evenly spaced over it."""
    plain = np.flatnonzero(_plain(measured, config))
    chosen = plain if len(plain) else np.arange(len(measured.gap_mm))
    return chosen[:: max(len(chosen) // TRIAL_PROFILES, 1)]


def _plain(measured: Measured, config: JointConfig) -> Mask:
    """Where the faces are near and parallel, as the slab's model takes them to be."""
    plain: Mask = (measured.gap_mm < config.articular_gap_mm) & (measured.opening_deg < PLAIN_DEG)
    return plain


def _gap_hu(measured: Measured, lowest: Numbers, config: JointConfig) -> float:
    """HU within the gap: where it is wide enough to be seen pure, else the configured value."""
    wide = (measured.gap_mm > GAP_WIDE_MM) & _plain(measured, config)
    if wide.mean() < GAP_SHARE:
        return config.gap_hu
    return float(np.clip(np.median(lowest[wide]), *GAP_HU_RANGE))


@njit(cache=True, nogil=True)
def _integral(x):  # type: ignore[no-untyped-def]
    return 0.5 * math.erfc(-x * 0.7071067811865476)


@njit(cache=True, nogil=True)
def _peak(profile, low, high):  # type: ignore[no-untyped-def]
    best = low
    for k in range(low, high + 1):
        if profile[k] > profile[best]:
            best = k
    return best


@njit(cache=True, nogil=True)
def _solve(normal, right):  # type: ignore[no-untyped-def]
    """Solve a small system in place by elimination with pivoting; False where it is singular."""
    n = len(right)
    for i in range(n):
        pivot = i
        for r in range(i + 1, n):
            if abs(normal[r, i]) > abs(normal[pivot, i]):
                pivot = r
        if abs(normal[pivot, i]) < 1e-12:
            return False
        for c in range(n):
            normal[i, c], normal[pivot, c] = normal[pivot, c], normal[i, c]
        right[i], right[pivot] = right[pivot], right[i]
        for r in range(n):
            if r != i:
                factor = normal[r, i] / normal[i, i]
                for c in range(i, n):
                    normal[r, c] -= factor * normal[i, c]
                right[r] -= factor * right[i]
    for i in range(n):
        right[i] /= normal[i, i]
    return True


@njit(cache=True, nogil=True)
def _side(u, behind, guess, gap_hu, marrow_hu, sigma):  # type: ignore[no-untyped-def]
    """One cortex's share of the model, and its slopes with the face and the cortex's HU."""
    scale = 0.3989422804014327 / sigma
    front, back = _integral(u), _integral(behind)
    value = (guess - gap_hu) * front - (guess - marrow_hu) * back
    slope = (guess - gap_hu) * math.exp(-0.5 * u * u) - (guess - marrow_hu) * math.exp(-0.5 * behind * behind)
    return value, slope * scale, front - back


@njit(cache=True, nogil=True)
def _refine(hu, at_mm, guess, fixed):  # type: ignore[no-untyped-def]
    """Levenberg-Marquardt over faces and cortices in place; returns the root mean square residual."""
    gap_hu, marrow_s, marrow_h, sigma, cortex = fixed
    damping, last = 1e-2, 1e30
    jacobian = np.empty(4)
    for _ in range(25):
        normal, right, total = np.zeros((4, 4)), np.zeros(4), 0.0
        for k in range(len(hu)):
            u, v = (guess[0] - at_mm[k]) / sigma, (at_mm[k] - guess[1]) / sigma
            left, jacobian[0], jacobian[2] = _side(u, u - cortex / sigma, guess[2], gap_hu, marrow_s, sigma)
            other, slope, jacobian[3] = _side(v, v - cortex / sigma, guess[3], gap_hu, marrow_h, sigma)
            jacobian[1] = -slope
            off = hu[k] - gap_hu - left - other
            total += off * off
            for i in range(4):
                right[i] += jacobian[i] * off
                for j in range(4):
                    normal[i, j] += jacobian[i] * jacobian[j]
        if abs(last - total) < 1e-5 * total:
            break
        last = total
        for i in range(4):
            normal[i, i] = normal[i, i] * (1.0 + damping) + 1e-9
        if not _solve(normal, right):
            break
        for i in range(2):
            guess[i] += min(max(right[i], -0.5), 0.5)
            guess[i + 2] = min(max(guess[i + 2] + right[i + 2], gap_hu + 20.0), 3000.0)
        if guess[1] < guess[0]:
            guess[0] = guess[1] = 0.5 * (guess[0] + guess[1])
    return math.sqrt(last / len(hu))


@njit(cache=True, nogil=True)
def _peaks(hu, at_mm, faces):  # type: ignore[no-untyped-def]
    """Find the samples of the two cortices' peaks, sacral and iliac, either side of the middle of the faces."""
    step, zero, last = at_mm[1] - at_mm[0], len(at_mm) // 2, len(at_mm) - 1
    middle = min(max(zero + round(0.5 * (faces[0] + faces[1]) / step), 0), last)
    back = min(max(int(zero + (faces[0] - CORTEX_MM) / step), 0), middle)
    front = max(min(int(zero + (faces[1] + CORTEX_MM) / step) + 1, last), middle)
    return _peak(hu, back, middle), _peak(hu, middle, front)


@njit(cache=True, nogil=True)
def _lowest(profiles, at_mm, faces):  # type: ignore[no-untyped-def]
    """Darkest sample between the peaks of each profile."""
    out = np.empty(len(profiles))
    for i in range(len(profiles)):
        low, high = _peaks(profiles[i], at_mm, faces[i])
        out[i] = profiles[i, low : high + 1].min()
    return out


@njit(cache=True, nogil=True)
def _fit(profiles, at_mm, faces, gap_hu, pair, least_hu):  # type: ignore[no-untyped-def]
    """Fit each profile whose peaks both stand out by `least_hu`; columns: faces (2), cortices (2), residual, dip."""
    out = np.empty((len(profiles), 6))
    step, middle, last = at_mm[1] - at_mm[0], len(at_mm) // 2, len(at_mm) - 1
    beyond = int(0.5 / step)
    for i in range(len(profiles)):
        hu = profiles[i]
        low, high = _peaks(hu, at_mm, faces[i])
        guess = np.array([faces[i, 0], faces[i, 1], hu[low], hu[high]])
        weaker, lowest = min(hu[low], hu[high]), hu[low : high + 1].min()
        residual = 1e30
        if high - low >= 4 and weaker - gap_hu[i] >= least_hu:
            marrow_s = hu[max(int(middle + (faces[i, 0] - MARROW_MM) / step), 0)]
            marrow_h = hu[min(int(middle + (faces[i, 1] + MARROW_MM) / step), last)]
            first, stop = max(low - beyond, 0), min(high + beyond + 1, last + 1)
            fixed = (gap_hu[i], min(marrow_s, hu[low]), min(marrow_h, hu[high]), pair[0], pair[1])
            residual = _refine(hu[first:stop], at_mm[first:stop], guess, fixed)
        out[i, :4] = guess
        out[i, 4] = residual
        out[i, 5] = (weaker - lowest) / max(weaker - gap_hu[i], 1.0)
    return out
