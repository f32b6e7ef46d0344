"""Femora and the last lumbar vertebra for pelves that are given without them, placed by the bones that are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.labels import Keepout, Label, Side
from planner.segmentation.landmarks import fit_sphere
from sample_data.closed_forms import Points
from sample_data.neighbours import Femur, Vertebra
from sample_data.sacral_holes import enclosed_share, keepout_field
from sample_data.signed_distance import DistanceField

__all__ = ["Endplate", "add_neighbours", "find_endplate", "find_head"]

COARSE = 4
"""The head is looked for on every fourth node of the hip bone's lattice [P]."""

SOCKET_MM = (19.0, 31.0)
"""Distance from a femoral head's centre to the socket: an adult's radius and cartilage, with room."""

CARTILAGE_MM = 2.5
"""Between the head and the socket (two layers)."""

SOCKET_HEIGHT = (0.25, 0.6)
"""Share of the hip bone's height at which the head's centre is looked for."""

FIT_BANDS_MM = (6.0, 6.0, 5.0, 5.0, 4.0, 4.0, 3.0, 3.0, 2.0, 2.0)
"""Rounds of the fit of a sphere to the socket: surface this near the last sphere counts [P]."""

BEST_SHARE = 0.97
"""The head's centre is the mean of the places enclosed at least this share as well as the best [P]."""

DISC_MM, VERTEBRA_MM, LORDOSIS_DEG = 10.0, 27.0, 12.0
"""Height of the last disc and of L5's body, and how much less L5 is tilted than the endplate under it."""

MIDLINE_MM = 5.0
"""Half width of the slab in which the endplate is measured [P]."""

BELOW_TOP_MM = 15.0
"""The canal's front wall is looked for this far below the top of the body [P]."""

FEMUR_BELOW_MM = 100.0
"""Length of the femur below its head's centre; the scan ends before it."""

FEMORA = {Side.LEFT: Label.LEFT_FEMUR, Side.RIGHT: Label.RIGHT_FEMUR}

LATTICE_MM = 1.0
"""Of the neighbours: smooth shapes need no finer one [P]."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Endplate:
    """The first sacral endplate in the midsagittal plane.

    Attributes
    ----------
    centre_lps : (3,) float64 array
        Its middle.
    tilt_deg : float
        Of its normal, from cranial towards ventral.
    """

    centre_lps: Vector
    tilt_deg: float


def _grid(field: DistanceField, step: int = 1) -> Grid:
    shape = tuple(-(-n // step) for n in field.values_mm.shape)
    return Grid.from_spacing((shape[0], shape[1], shape[2]), field.spacing_mm * step, field.origin_mm)


def find_head(hip: DistanceField) -> tuple[Vector, float]:
    """Find the centre and the radius of the femoral head.

    The place most enclosed by the bone, at a head's distance from it and at a socket's height, is the start; a sphere
    fitted to the bone's surface round it (again and again, to what lies ever nearer the last one) is the socket.
    """
    coarse = np.ascontiguousarray(hip.values_mm[::COARSE, ::COARSE, ::COARSE])
    where = (coarse > SOCKET_MM[0]) & (coarse < SOCKET_MM[1])
    low, high = (int(share * len(coarse)) for share in SOCKET_HEIGHT)
    where[:low] = where[high:] = False
    share = enclosed_share(coarse < 0, where, int(SOCKET_MM[1] / (hip.spacing_mm * COARSE)) + 1)
    centre = _grid(hip, COARSE).to_lps(np.argwhere(share >= BEST_SHARE * share.max())).mean(axis=0)
    surface = _grid(hip).to_lps(np.argwhere(np.abs(hip.values_mm) < hip.spacing_mm / 2))
    radius = (SOCKET_MM[0] + SOCKET_MM[1]) / 2
    for band in FIT_BANDS_MM:
        away = np.linalg.norm(surface - centre, axis=1) - radius
        centre, radius = fit_sphere(surface[np.abs(away) < band])
    return centre, radius - CARTILAGE_MM


def find_endplate(sacrum: DistanceField, keepouts: NDArray[np.uint8]) -> Endplate:
    """Find the endplate: the top of the midsagittal bone in front of the canal."""
    bone = np.argwhere(sacrum.values_mm < 0)
    middle_x = sacrum.origin_mm[0] + sacrum.spacing_mm * bone[:, 2].mean()
    columns = (
        np.abs(sacrum.origin_mm[0] + sacrum.spacing_mm * np.arange(sacrum.values_mm.shape[2]) - middle_x) < MIDLINE_MM
    )
    slab = (sacrum.values_mm[:, :, columns] < 0).mean(axis=2) > 0.5
    canal = (keepouts[:, :, columns] == Keepout.CANAL).any(axis=2)
    rows, lines = slab.shape
    front = np.where(canal.any(axis=1), canal.argmax(axis=1), lines)
    body = slab & (np.arange(lines)[None, :] < front[:, None])
    used = np.flatnonzero(body.any(axis=0))
    tops = rows - 1 - body[::-1][:, used].argmax(axis=0)
    corner = used[np.argmax(tops - used)]
    near_top = canal[tops.max() - int(BELOW_TOP_MM / sacrum.spacing_mm) : tops.max() + 1].any(axis=0)
    inside = (used >= corner) & (used < (near_top.argmax() if near_top.any() else lines))
    slope, height = np.polyfit(used[inside], tops[inside], 1)
    y = float(used[inside].mean())
    place = sacrum.origin_mm + sacrum.spacing_mm * np.array([0.0, y, slope * y + height])
    return Endplate(np.array([middle_x, place[1], place[2]]), float(np.degrees(np.arctan(slope))))


def add_neighbours(bones: Mapping[Label, DistanceField]) -> dict[Label, DistanceField]:
    """Add L5 and both femora to a sacrum and two hip bones; where they would meet, the given bones win."""
    sacrum = bones[Label.SACRUM]
    added = dict(bones)
    added[Label.LUMBAR] = _vertebra(find_endplate(sacrum, keepout_field(sacrum)))
    for side, label in FEMORA.items():
        centre, radius = find_head(bones[side.hip])
        added[label] = _femur(side, centre, radius)
    return added


def _vertebra(endplate: Endplate) -> DistanceField:
    tilt = np.deg2rad(endplate.tilt_deg)
    rise = DISC_MM + VERTEBRA_MM / 2
    centre = endplate.centre_lps + rise * np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    bone = Vertebra((centre[1], centre[2]), endplate.tilt_deg - LORDOSIS_DEG, VERTEBRA_MM / 2)
    grid = Grid.from_spacing((75, 120, 115), LATTICE_MM, np.round(centre - [57.0, 35.0, 40.0]))
    points = Points.of_grid(grid.lps_from_zyx, grid.shape_zyx)
    return DistanceField(
        bone.distance(Points(points.x - np.float32(centre[0]), points.y, points.z)), grid.origin_lps_mm, LATTICE_MM
    )


def _femur(side: Side, centre: Vector, radius: float) -> DistanceField:
    mirrored = centre * [side.lateral_x, 1.0, 1.0]
    medial = -35.0 if side is Side.LEFT else -80.0
    low = np.round(centre + np.array([medial, -40.0, -FEMUR_BELOW_MM]))
    grid = Grid.from_spacing((int(FEMUR_BELOW_MM) + 40, 85, 116), LATTICE_MM, low)
    points = Points.of_grid(grid.lps_from_zyx, grid.shape_zyx).mirrored(side.lateral_x)
    return DistanceField(Femur(mirrored, radius).distance(points), grid.origin_lps_mm, LATTICE_MM)
