"""The outline that an implant is drawn with, everywhere: pushed along its axis it is the solid that was planned."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ROUND_SIDES", "implant_rim"]

ROUND_SIDES = 48
"""Sides of a round implant: 0.02 mm from round at 12 mm diameter."""

Points = NDArray[np.float64]


def implant_rim(way_lps: ArrayLike, diameter_mm: float, corners_lps: ArrayLike | None = None) -> Points:
    """Give the corners of an implant's outline across its axis.

    Parameters
    ----------
    way_lps : (3,) array-like
        Unit vector of insertion.
    diameter_mm : float
        Of a round implant.
    corners_lps : (k, 3) array-like, optional
        Corners of a section that is not round, as vectors from the axis, see `planner.plan.SectionDocument`.

    Returns
    -------
    (k, 3) float64 array
        Vectors from the axis, counter-clockwise as seen from the tip.
    """
    way = np.asarray(way_lps, float)
    if corners_lps is None:
        across = np.cross(way, np.eye(3)[np.abs(way).argmin()])
        across /= np.linalg.norm(across)
        turn = 2 * np.pi * np.arange(ROUND_SIDES)[:, None] / ROUND_SIDES
        round_rim: Points = diameter_mm / 2 * (np.cos(turn) * across + np.sin(turn) * np.cross(way, across))
        return round_rim
    corners = np.asarray(corners_lps, float)
    turned = np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0) @ way
    return corners if turned > 0 else corners[::-1]
