"""Checks of the joint's surface: that it lies between the bones, and how much of an axis is articular by its zones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from planner.verify.case import Dowel
from planner.verify.model import Check
from planner.verify.surface import ARTICULAR
from planner.verify.surroundings import Surroundings

__all__ = ["check_articular_share", "check_surface"]

OFFSET_MM = 1.5
"""The image moves the surface from the middle between the labels by this at most."""

BETWEEN_SHARE = 0.9
"""So much of the articular surface near the implants lies between the bones, give or take a voxel."""

ARTICULAR_REACH_MM = 6.0
"""A place farther from the articular surface than this is not articular."""

STATION_MM = 2.0
"""Spacing of places on the axis, at most; one of them may count otherwise."""

ZONE_VOXELS = 3.0
"""Half diagonals of a voxel by which zones may end elsewhere: the search has them in voxels of twice the size."""

Points = NDArray[np.float64]


def check_surface(around: Surroundings, side: str) -> Iterator[Check]:
    """Check the surface against the bones."""
    near = around.joint.vertices_lps[around.joint.zone == ARTICULAR]
    index, last = around.image.index_zyx(near), np.array(around.image.values.shape) - 1
    near = near[((index >= 0) & (index <= last)).all(axis=1)]
    if not len(near):
        yield Check("joint-surface", side, False, "no articular surface near the implants")
        return
    sacrum, hip = around.sample(near, "sacrum", "hip")
    limit = OFFSET_MM + around.image.half_diagonal_mm
    share = float((np.abs(sacrum - hip) / 2 <= limit).mean())
    words = f"{share:.0%} of it at most {limit:.1f} mm off the middle between the bones"
    yield Check("joint-surface", side, share >= BETWEEN_SHARE, words)


def check_articular_share(dowel: Dowel, around: Surroundings) -> Check:
    """Share of the axis whose nearest surface is articular."""
    count = 2 * (dowel.stations(STATION_MM) // 2) + 1
    along = np.linspace(-0.5, 0.5, count) * dowel.length
    articular, ligamentous = around.joint.distances(dowel.centre + along[:, None] * dowel.direction)
    beyond = np.maximum(articular - ARTICULAR_REACH_MM, articular - ligamentous)
    slack = ZONE_VOXELS * around.image.half_diagonal_mm
    least, most = (float((beyond <= off).sum() + place) / count for off, place in ((-slack, -1), (slack, 1)))
    share = float(dowel.claims["articular_share"])
    words = f"{share:.2f} claimed, from {max(least, 0):.2f} to {min(most, 1):.2f} by the zones of the surface"
    return Check("articular-zones", dowel.side, least <= share <= most, f"{dowel.name}: {words}")
