"""How far apart the two bones usually lie: a few millimetres in the joint, more in the recess behind it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from planner.labels import Side
from planner.segmentation.model import ShapeFit
from planner.segmentation.shape_model import load_shape_model

__all__ = ["in_recess", "usually_apart_mm"]

USUALLY_APART_MM = 6.5
"""Where the bones of 28 people lie further apart than this on average is recess, in which they have no business to
meet `[P]`."""

NEIGHBOURS, SOFTENING_MM = 3, 0.5
"""Vertices of the fitted shape from which a place is read, weighted by one over their distance and this `[P]`."""

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]


def in_recess(points_lps: Numbers, fit: ShapeFit, side: Side) -> Mask | None:
    """Which points lie where bones usually are far apart; None where no shape was fitted."""
    apart_mm = usually_apart_mm(points_lps, fit, side)
    return None if apart_mm is None else apart_mm > USUALLY_APART_MM


def usually_apart_mm(points_lps: Numbers, fit: ShapeFit, side: Side) -> Numbers | None:
    """Distance of the bones at the same place in the shape model's mean, mm; None where no shape was fitted.

    The fitted vertices say which place it is, the mean of 28 people how far apart the bones are there: what meets in
    this patient alone does not pull it.
    """
    hip = f"{side}_hip"
    means = _apart_in_mean(hip)
    found = [fit.vertices_lps.get(name, np.zeros((0, 3))) for name in ("sacrum", hip)]
    if any(len(vertices) != len(mean) for vertices, mean in zip(found, means, strict=True)):
        return None
    read = [_read(points_lps, vertices, mean) for vertices, mean in zip(found, means, strict=True)]
    return (read[0] + read[1]) / 2


@lru_cache(maxsize=2)
def _apart_in_mean(hip: str) -> tuple[Numbers, Numbers]:
    """Distance of each vertex of the mean sacrum to the mean hip bone, and the other way round."""
    model = load_shape_model()
    bones = model.split(model.mean)
    sacrum, other = cKDTree(bones["sacrum"]), cKDTree(bones[hip])
    return other.query(bones["sacrum"])[0], sacrum.query(bones[hip])[0]


def _read(points_lps: Numbers, vertices_lps: Numbers, values: Numbers) -> Numbers:
    away, near = cKDTree(vertices_lps).query(points_lps, k=NEIGHBOURS)
    weight = 1.0 / (away + SOFTENING_MM)
    result: Numbers = (values[near] * weight).sum(axis=1) / weight.sum(axis=1)
    return result
