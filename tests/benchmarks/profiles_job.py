"""The joint's intensity profiles: a blurred slab fitted to each, by the kernel and by scipy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import erfc

from planner.joint.profiles import REACH_MM, STEP_MM, _fit

__all__ = ["fit_by_kernel", "fit_by_scipy"]

PROFILES = 400
SIGMA_MM, CORTEX_MM = 0.75, 1.8
GAP_HU, MARROW_HU, NOISE_HU = 40.0, 220.0, 10.0
Numbers = NDArray[np.float64]


def model(parameters: Numbers, at_mm: Numbers) -> Numbers:
    """Two cortices before marrow on both sides of a gap, blurred: the model that the kernel fits."""
    near, far, sacral, iliac = parameters
    hu = np.full_like(at_mm, GAP_HU)
    for distance, cortex in ((near - at_mm, sacral), (at_mm - far, iliac)):
        front = 0.5 * erfc(-distance / SIGMA_MM / np.sqrt(2))
        back = 0.5 * erfc(-(distance - CORTEX_MM) / SIGMA_MM / np.sqrt(2))
        hu += (cortex - GAP_HU) * front - (cortex - MARROW_HU) * back
    return hu


@cache
def profiles() -> tuple[Numbers, Numbers, Numbers]:
    """Noisy profiles of known slabs, their samples' places, and starting faces half a millimetre off."""
    rng = np.random.default_rng(2)
    steps = round(REACH_MM / STEP_MM)
    at_mm = np.arange(-steps, steps + 1) * STEP_MM
    gaps = rng.uniform(1.5, 3.5, PROFILES)
    truth = np.stack([-gaps / 2, gaps / 2, rng.uniform(500, 900, PROFILES), rng.uniform(500, 900, PROFILES)], axis=1)
    hu = np.stack([model(row, at_mm) for row in truth]) + rng.normal(0, NOISE_HU, (PROFILES, len(at_mm)))
    return hu, at_mm, truth[:, :2] + rng.uniform(-0.5, 0.5, (PROFILES, 2))


def fit_by_kernel() -> Callable[[], Numbers]:
    hu, at_mm, faces = profiles()
    gap = np.full(PROFILES, GAP_HU)
    return lambda: _fit(hu, at_mm, faces, gap, (SIGMA_MM, CORTEX_MM), 0.0)[:, :2]


def fit_by_scipy() -> Callable[[], Numbers]:
    hu, at_mm, faces = profiles()
    inside = np.abs(at_mm) <= 4.0

    def fit(row: Numbers, start: Numbers) -> Numbers:
        guess = np.array([*start, 700.0, 700.0])
        found = least_squares(lambda p: model(p, at_mm[inside]) - row[inside], guess, method="lm")
        return found.x[:2]

    return lambda: np.stack([fit(row, start) for row, start in zip(hu, faces, strict=True)])
