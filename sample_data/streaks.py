"""Streaks of metal in a made CT, by what causes them: projections through metal that read too low.

In each slice the metal's projections are worked out; beam hardening and starved detectors make the measured projection
fall short by an amount that grows with the square of the metal's thickness. That shortfall, reconstructed by filtered
back-projection, is the streak image: dark between two pieces of metal, bright and dark rays round one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.transform import iradon, radon, resize

__all__ = ["add_streaks"]

STREAK_CELL_MM = 2.5
"""Streaks are worked out on cells of this size: they are coarse [P]."""

STREAK_VIEWS = 120
"""Projections over half a turn; few enough to leave rays, as real streaks do [P]."""

SHORTFALL_PER_MM = 0.0007
"""Share of a projection lost per mm of metal in its way: 5 % behind a 70 mm hip stem and cup [P]."""

METAL_PER_MM = 7000.0
"""Attenuation of metal in HU: titanium about 8,000, steel above 12,000."""

F32 = NDArray[np.float32]


def add_streaks(hu: F32, metal: NDArray[np.bool_], spacing_yx_mm: tuple[float, float]) -> None:
    """Add to `hu` (z, y, x) the streaks of the `metal` in each slice, in place."""
    for k in np.flatnonzero(metal.any(axis=(1, 2))):
        hu[k] += _streaks(metal[k], spacing_yx_mm)


def _streaks(metal: NDArray[np.bool_], spacing_yx_mm: tuple[float, float]) -> F32:
    shape = [max(8, round(n * s / STREAK_CELL_MM)) for n, s in zip(metal.shape, spacing_yx_mm, strict=True)]
    side = max(shape)
    coarse = resize(  # type: ignore[no-untyped-call]
        metal.astype(np.float64), shape, order=1, anti_aliasing=True
    )
    square = np.zeros((side, side))
    square[: shape[0], : shape[1]] = coarse
    angles = np.linspace(0.0, 180.0, STREAK_VIEWS, endpoint=False)
    thickness_mm = radon(square, angles, circle=False) * STREAK_CELL_MM  # type: ignore[no-untyped-call]
    shortfall = -SHORTFALL_PER_MM * METAL_PER_MM * thickness_mm**2 / STREAK_CELL_MM
    image = iradon(shortfall, angles, output_size=side, circle=False)  # type: ignore[no-untyped-call]
    whole = resize(image[: shape[0], : shape[1]], metal.shape, order=1)  # type: ignore[no-untyped-call]
    result: F32 = whole.astype(np.float32)
    return result
