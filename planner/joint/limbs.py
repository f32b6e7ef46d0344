"""The C of the articular zone: its two limbs, their lengths, width and angle, and thirds along its own length.

The C is a band of even width along a middle line of two straight pieces that meet in a corner; laid on the zone's mean
plane so that what it covers differs least from the zone.
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

START_SIZE_MM = (28.0, 40.0, 10.0)
"""Lengths of the middle line's pieces and half-width of the band at the start: those of the published C (J Orthop
Trauma 1993;7:510), which reaches half a width beyond either end."""

LEAST_SIZE_MM = (8.0, 8.0, 5.0)
"""Shorter or narrower is no limb `[P]`."""

CELL_MM, BESIDE_MM = 1.5, 6.0
"""Raster on which band and zone are compared, and how far it goes beyond the zone `[P]`."""

END_PERCENTILE = 99.5
"""Robust end of a limb `[P]`."""

OUTER_PART = (0.5, 0.9)
"""Part of a limb, as shares of its length from the corner, over which its width is taken `[P]`."""

STRIP_MM = 5.0
"""Half-width of the strip along a middle line in which a limb's length is taken `[P]`."""

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
        Between the middle lines.
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
    corner, directions = _middle_line(flat)
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
    posterior *= np.sign(posterior @ joint.posterior_lps) or 1.0
    return joint.vertices_lps[joint.zone == Zone.ARTICULAR].mean(axis=0), np.stack([posterior, cranial], axis=1)


def _middle_line(flat: Numbers) -> tuple[Numbers, Numbers]:
    """Corner and (2, 2) unit directions, superior limb first, of the band that differs least from the zone.

    A cell on which they differ counts by its distance from the band's edge.
    """
    cells, inside = _raster(flat)
    sign = np.where(inside, 1.0, -1.0)

    def misfit(guess: Numbers) -> float:
        beyond = _beyond_mm(cells, guess)
        short = np.maximum(np.array(LEAST_SIZE_MM) - guess[4:], 0.0).sum()
        return float(np.maximum(sign * beyond, 0.0).mean() + short)

    starts = [
        np.array([-forward, 0.0, *np.radians((up, down)), *START_SIZE_MM])
        for forward, up, down in product(START_FORWARD_MM, START_SUPERIOR_DEG, START_INFERIOR_DEG)
    ]
    best = min(starts, key=misfit)
    steps = np.vstack([np.zeros(7), np.diag([4.0, 4.0, 0.3, 0.3, 5.0, 5.0, 2.0])])
    options = {"initial_simplex": best + steps, "maxiter": 1200, "xatol": 1e-3, "fatol": 1e-5, "adaptive": True}
    found = minimize(misfit, best, method="Nelder-Mead", options=options).x
    directions = _directions(found)
    return found[:2], directions[np.argsort(-directions[:, 1], kind="stable")]


def _raster(flat: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """Cells over the zone and round it, and which of them it covers."""
    low, high = flat.min(axis=0) - BESIDE_MM, flat.max(axis=0) + BESIDE_MM
    axes = [np.arange(a, b, CELL_MM) for a, b in zip(low, high, strict=True)]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    return cells, cKDTree(flat).query(cells)[0] <= CELL_MM / 2


def _beyond_mm(points: Numbers, guess: Numbers) -> Numbers:
    """Distance to the edge of the band, negative within it."""
    arms = points - guess[:2]
    along = np.clip(arms @ _directions(guess[:4]).T, 0.0, guess[4:6])
    away = np.linalg.norm(arms[:, None] - along[..., None] * _directions(guess[:4]), axis=2)
    beyond: Numbers = away.min(axis=1) - guess[6]
    return beyond


def _directions(guess: Numbers) -> Numbers:
    return np.stack([np.cos(guess[2:4]), np.sin(guess[2:4])], axis=1)


def _along(points: Numbers, corner: Numbers, directions: Numbers) -> tuple[Numbers, Numbers, NDArray[np.intp]]:
    """Length along the nearer ray from the corner, distance to that ray, and which ray it is."""
    arms = points - corner
    along = np.maximum(arms @ directions.T, 0.0)
    away = np.linalg.norm(arms[:, None] - along[..., None] * directions, axis=2)
    limb = away.argmin(axis=1)
    rows = np.arange(len(points))
    return along[rows, limb], away[rows, limb], limb
