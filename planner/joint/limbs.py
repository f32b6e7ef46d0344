"""The C of the articular zone: its two limbs, their lengths, width and angle, and thirds along its own length.

The C's middle line is two straight pieces that meet in a corner, fitted to the zone laid flat.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from planner.joint.mesh import Sheet
from planner.joint.model import Joint, Third, Zone

__all__ = ["Limbs", "fit_limbs", "thirds_along_c"]

START_FORWARD_MM = (0.0, 8.0, 16.0)
"""Corners that are tried, so far in front of the zone's centre `[P]`."""

START_SUPERIOR_DEG, START_INFERIOR_DEG = (60.0, 90.0, 120.0), (0.0, -35.0, -70.0)
"""Directions of the limbs that are tried, from posterior towards cranial `[P]`."""

END_PERCENTILE = 98.0
"""Robust end of a limb `[P]`."""

OUTER_PART = (0.5, 0.9)
"""Part of a limb, as shares of its length from the corner, over which its width is taken `[P]`."""

STRIP_MM = 5.0
"""Half-width of the strip along a middle line in which a limb's length is taken `[P]`."""

STEPS = np.linspace(0.0, 1.0, 21)
"""Places along a limb that must lie on the zone."""

MOST_POINTS = 1500
"""So many vertices, evenly spaced over their list, fix the middle line to less than 0.5 mm."""

FEWEST_POINTS = 30
"""A zone of fewer vertices has no limbs `[P]`."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Limbs:
    """The two limbs of one joint's articular zone.

    Attributes
    ----------
    path_lps : (3, 3) float64 array
        Middle line: superior end, corner, inferior end, laid on the zone's mean plane.
    superior_mm, inferior_mm : float
        Length of the zone along each limb's middle line: from its end to the outer edge of the C at the corner.
    width_mm : float
        Mean of both limbs' outer parts.
    angle_deg : float
        Between the middle lines. The corner is wide on its outside and draws them together: 70 degrees for a C whose
        limbs are square to each other.
    """

    path_lps: Numbers
    superior_mm: float
    inferior_mm: float
    width_mm: float
    angle_deg: float


def fit_limbs(joint: Joint) -> Limbs | None:
    """Fit the C; None where the scan cuts the joint off or next to nothing of it is articular."""
    points = joint.vertices_lps[joint.zone == Zone.ARTICULAR]
    if joint.truncated or len(points) < FEWEST_POINTS:
        return None
    sheet = Sheet(joint.vertices_lps, joint.faces)
    centre, axes = _mean_plane(joint, sheet)
    flat = (points - centre) @ axes
    corner, directions = _middle_line(flat[:: max(len(flat) // MOST_POINTS, 1)])
    along, _, limb = _along(flat, corner, directions)
    if not (limb == 0).any() or not (limb == 1).any():
        return None
    ends = np.array([np.percentile(along[limb == k], END_PERCENTILE) for k in (0, 1)])
    area = sheet.vertex_areas_mm2[joint.zone == Zone.ARTICULAR]
    widths = [_width(area[limb == k], along[limb == k], ends[k]) for k in (0, 1)]
    superior, inferior = (_extent(flat - corner, direction) for direction in directions)
    path = np.stack([corner + ends[0] * directions[0], corner, corner + ends[1] * directions[1]])
    angle = float(np.degrees(np.arccos(np.clip(directions[0] @ directions[1], -1.0, 1.0))))
    return Limbs(centre + path @ axes.T, superior, inferior, float(np.mean(widths)), angle)


def _width(area_mm2: Numbers, along_mm: Numbers, end_mm: float) -> float:
    """Width of a limb over its outer part, away from the corner."""
    outer = (along_mm >= OUTER_PART[0] * end_mm) & (along_mm <= OUTER_PART[1] * end_mm)
    return float(area_mm2[outer].sum() / ((OUTER_PART[1] - OUTER_PART[0]) * end_mm))


def _extent(arms_mm: Numbers, direction: Numbers) -> float:
    """Length of the zone along a limb's middle line, from edge to edge."""
    across = arms_mm @ np.array([-direction[1], direction[0]])
    low, high = np.percentile(arms_mm[np.abs(across) <= STRIP_MM] @ direction, (100.0 - END_PERCENTILE, END_PERCENTILE))
    return float(high - low)


def thirds_along_c(joint: Joint, limbs: Limbs) -> NDArray[np.uint8]:
    """`Third` of each vertex by three equal parts of the C's middle line, from its superior end on."""
    lengths = np.linalg.norm(np.diff(limbs.path_lps, axis=0), axis=1)
    directions = np.stack([limbs.path_lps[0] - limbs.path_lps[1], limbs.path_lps[2] - limbs.path_lps[1]])
    directions /= lengths[:, None]
    along, _, limb = _along(joint.vertices_lps, limbs.path_lps[1], directions)
    travelled = lengths[0] + np.where(limb == 0, -along, along)
    bounds = lengths.sum() * np.array([1 / 3, 2 / 3])
    third: NDArray[np.uint8] = (Third.SUPERIOR + np.searchsorted(bounds, travelled)).astype(np.uint8)
    return third


def _mean_plane(joint: Joint, sheet: Sheet) -> tuple[Numbers, Numbers]:
    """Centre and (3, 2) axes of the zone's mean plane: posterior and cranial as far as they lie in it."""
    articular = (joint.zone == Zone.ARTICULAR)[joint.faces].all(axis=1)
    normal = sheet.face_areas_mm2[articular] @ sheet.face_normals()[articular]
    normal /= max(float(np.linalg.norm(normal)), 1e-12)
    cranial = joint.thirds.axis_lps - (joint.thirds.axis_lps @ normal) * normal
    cranial /= np.linalg.norm(cranial)
    posterior = np.cross(normal, cranial)
    posterior *= np.sign(posterior[1]) or 1.0
    return joint.vertices_lps[joint.zone == Zone.ARTICULAR].mean(axis=0), np.stack([posterior, cranial], axis=1)


def _middle_line(flat: Numbers) -> tuple[Numbers, Numbers]:
    """Corner and (2, 2) unit directions, superior limb first.

    Of all pairs of rays, those that are nearest to all points, and all of whose length lies on points.
    """
    tree = cKDTree(flat)

    def misfit(guess: Numbers) -> float:
        corner, directions = guess[:2], _directions(guess)
        along, away, limb = _along(flat, corner, directions)
        ends = [float(along[limb == k].max(initial=0.0)) for k in (0, 1)]
        line = [corner + STEPS[:, None] * end * direction for end, direction in zip(ends, directions, strict=True)]
        return float((away**2).mean() + (tree.query(np.vstack(line))[0] ** 2).mean())

    starts = [
        np.array([-forward, 0.0, *np.radians((up, down))])
        for forward, up, down in product(START_FORWARD_MM, START_SUPERIOR_DEG, START_INFERIOR_DEG)
    ]
    best = min(starts, key=misfit)
    steps = np.vstack([np.zeros(4), np.diag([4.0, 4.0, 0.3, 0.3])])
    options = {"initial_simplex": best + steps, "maxiter": 400, "xatol": 1e-3, "fatol": 1e-4}
    found = minimize(misfit, best, method="Nelder-Mead", options=options).x
    directions = _directions(found)
    return found[:2], directions[np.argsort(-directions[:, 1], kind="stable")]


def _directions(guess: Numbers) -> Numbers:
    return np.stack([np.cos(guess[2:]), np.sin(guess[2:])], axis=1)


def _along(points: Numbers, corner: Numbers, directions: Numbers) -> tuple[Numbers, Numbers, NDArray[np.intp]]:
    """Length along the nearer ray from the corner, distance to that ray, and which ray it is."""
    arms = points - corner
    along = np.maximum(arms @ directions.T, 0.0)
    away = np.linalg.norm(arms[:, None] - along[..., None] * directions, axis=2)
    limb = away.argmin(axis=1)
    rows = np.arange(len(points))
    return along[rows, limb], away[rows, limb], limb
