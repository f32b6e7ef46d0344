"""Faces by intensity: the gap as a dark slab between bright ones, blurred by the scanner.

Across the gap, at distance `t` from the mid-surface towards the ilium, the scan reads

    I(t) = L + (S - L) P((a - t) / s) + (H - L) P((t - b) / s)

with the faces at `a` and `b`, bone of `S` and `H` HU behind them, `L` in the gap, and the Gaussian integral `P` of the
scanner's blur `s`. The slopes fix `S` and `H` where the cortex is too thin to show its true height; the depth of the dip
fixes ``b - a`` where the gap is thinner than the blur. With `s` and `L` known, four numbers are fitted to each profile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from planner.joint.config import JointConfig
from planner.joint.sampling import sample_at
from planner.joint.sheet import Measured
from planner.volume import Volume

__all__ = ["GapFit", "Profiles", "fit_gaps", "sample_profiles"]

STEP_MM = 0.25
"""Between samples of a profile: a quarter of a voxel, so that none is left out."""

REACH_MM = 7.0
"""Half-length of a profile: half the widest gap that is fitted, and a cortex."""

AVERAGE_MM = 1.2
"""Profiles are averaged with their neighbours' on the sheet within about this: noise falls, the bend of the faces
over it stays below 0.1 mm `[P]`."""

CORTEX_MM = 2.0
"""The peak of the subchondral bone lies no deeper than this behind its label's face `[P]`."""

SIGMAS_MM = (0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2)
"""Blurs that are tried; that with the smallest residual over the joint is the scanner's `[P]`."""

TRIAL_PROFILES = 300
"""So many profiles, evenly spaced over the sheet, choose the blur."""

CONTRAST_HU = 150.0
"""Bone that stands out less from the gap bears no edge `[P]`."""

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
    good : (n,) bool array
        Fits that are believed.
    sigma_mm : float
        The scanner's blur.
    """

    sacrum_at_mm: Numbers
    hip_at_mm: Numbers
    dip: Numbers
    lowest_hu: Numbers
    good: Mask
    sigma_mm: float


def sample_profiles(volume: Volume, measured: Measured) -> Profiles:
    """Read the scan along the line from face to face through each vertex, averaged over the sheet."""
    steps = round(REACH_MM / STEP_MM)
    at_mm = np.arange(-steps, steps + 1) * STEP_MM
    points = measured.sheet.vertices_lps[:, None] + at_mm[None, :, None] * measured.across_lps[:, None]
    raw = sample_at(volume.hu, volume.grid, points)
    return Profiles(measured.sheet.smooth(raw, measured.sheet.rings(AVERAGE_MM)), at_mm)


def fit_gaps(profiles: Profiles, measured: Measured, config: JointConfig) -> GapFit:
    """Fit the blurred slab to every profile, the blur first."""
    start = -measured.sacrum_mm, measured.hip_mm
    every = max(len(profiles.hu) // TRIAL_PROFILES, 1)
    few = slice(None, None, every)

    def misfit(sigma: float) -> float:
        fitted = _fit(profiles.hu[few], profiles.at_mm, start[0][few], start[1][few], sigma, config.gap_hu)
        return float(np.median(fitted[:, 4]))

    sigma = min(SIGMAS_MM, key=misfit)
    fitted = _fit(profiles.hu, profiles.at_mm, *start, sigma, config.gap_hu)
    faces, residual, contrast = fitted[:, :2], fitted[:, 4], np.minimum(fitted[:, 2], fitted[:, 3]) - config.gap_hu
    near = np.abs(faces - np.stack(start, axis=1)).max(axis=1) <= config.shift_limit_mm
    good = near & (residual < RESIDUAL * contrast) & (contrast > CONTRAST_HU) & (faces[:, 1] > faces[:, 0])
    return GapFit(faces[:, 0], faces[:, 1], fitted[:, 5], fitted[:, 6], good, sigma)


@njit(cache=True)
def _integral(x):  # type: ignore[no-untyped-def]
    return 0.5 * math.erfc(-x * 0.7071067811865476)


@njit(cache=True)
def _peak(profile, low, high):  # type: ignore[no-untyped-def]
    best = low
    for k in range(low, high + 1):
        if profile[k] > profile[best]:
            best = k
    return best


@njit(cache=True)
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


@njit(cache=True)
def _refine(profile, at_mm, low, high, guess, sigma, gap_hu):  # type: ignore[no-untyped-def]
    """Levenberg-Marquardt over faces and bone values; returns the root mean square residual."""
    damping, last = 1e-2, 1e30
    jacobian = np.empty(4)
    for _ in range(25):
        normal, right, total = np.zeros((4, 4)), np.zeros(4), 0.0
        for k in range(low, high + 1):
            u, v = (guess[0] - at_mm[k]) / sigma, (at_mm[k] - guess[1]) / sigma
            pu, pv = _integral(u), _integral(v)
            scale = 0.3989422804014327 / sigma
            jacobian[0] = (guess[2] - gap_hu) * scale * math.exp(-0.5 * u * u)
            jacobian[1] = -(guess[3] - gap_hu) * scale * math.exp(-0.5 * v * v)
            jacobian[2], jacobian[3] = pu, pv
            off = profile[k] - gap_hu - (guess[2] - gap_hu) * pu - (guess[3] - gap_hu) * pv
            total += off * off
            for i in range(4):
                right[i] += jacobian[i] * off
                for j in range(4):
                    normal[i, j] += jacobian[i] * jacobian[j]
        if abs(last - total) < 1e-6 * total:
            break
        last = total
        for i in range(4):
            normal[i, i] *= 1.0 + damping
            normal[i, i] += 1e-9
        if not _solve(normal, right):
            break
        guess[0] += min(max(right[0], -0.5), 0.5)
        guess[1] += min(max(right[1], -0.5), 0.5)
        guess[2] = min(max(guess[2] + right[2], gap_hu + 20.0), 3000.0)
        guess[3] = min(max(guess[3] + right[3], gap_hu + 20.0), 3000.0)
        if guess[1] < guess[0]:
            guess[0] = guess[1] = 0.5 * (guess[0] + guess[1])
    return math.sqrt(last / (high - low + 1))


@njit(cache=True)
def _fit(profiles, at_mm, sacrum_at, hip_at, sigma, gap_hu):  # type: ignore[no-untyped-def]
    """Fit each profile; columns: faces (2), bone values (2), residual, dip, lowest HU."""
    out = np.empty((len(profiles), 7))
    step, middle, last = at_mm[1] - at_mm[0], len(at_mm) // 2, len(at_mm) - 1
    for i in range(len(profiles)):
        profile = profiles[i]
        back = max(int(middle + (sacrum_at[i] - CORTEX_MM) / step), 0)
        front = min(int(middle + (hip_at[i] + CORTEX_MM) / step) + 1, last)
        low = _peak(profile, back, min(max(middle, back), last))
        high = _peak(profile, max(min(middle, front), 0), front)
        lowest = profile[low]
        for k in range(low, high + 1):
            lowest = min(lowest, profile[k])
        weaker = min(profile[low], profile[high])
        guess = np.array([sacrum_at[i], hip_at[i], profile[low], profile[high]])
        residual = 1e30
        if high - low >= 4:
            residual = _refine(profile, at_mm, low, high, guess, sigma, gap_hu)
        out[i, :4] = guess
        out[i, 4] = residual
        out[i, 5] = (weaker - lowest) / max(weaker - gap_hu, 1.0)
        out[i, 6] = lowest
    return out
