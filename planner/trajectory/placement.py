"""How likely a misplaced implant breaches: the plan is moved as operators move it, many times, without chance.

The tip is moved by an isotropic normal error in three dimensions, whose length is ``sigma * sqrt(8 / pi)`` in the mean
(Maxwell), and the axis turned about the tip by a normal error in two, ``sigma * sqrt(pi / 2)`` in the mean (Rayleigh).
The outlines err too: all structures come nearer, or go farther, by a normal error whose 95th percentile is that of the
bones' outlines at the joint. The points are Sobol sequences through the normal distribution's inverse, scrambled
several times; the scatter of those replicates is the standard error.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, qmc

from planner.trajectory.config import Constraints, PlacementModel, PlacementModels
from planner.trajectory.kernel import Scene, breached
from planner.trajectory.model import PlacementError

__all__ = ["breach_probability"]

MAXWELL_MEAN = math.sqrt(8 / math.pi)
"""Mean length of a standard normal vector in three dimensions."""

RAYLEIGH_MEAN = math.sqrt(math.pi / 2)
"""Mean length of a standard normal vector in two dimensions."""

NORMAL_P95 = 1.96
"""95th percentile of the size of a standard normal number."""

REPLICATES = 8
"""Scramblings, which share the points [P]."""

SEED = 1
"""Of the first scrambling: fixed, so that the same plan gives the same figure."""

Array = NDArray[np.float64]


def breach_probability(
    scene: Scene,
    pose: Array,
    size: tuple[float, float],
    models: PlacementModels,
    constraints: Constraints,
    outline_error_mm: float = 0.0,
) -> PlacementError:
    """Share of placements that breach, under both error models, and its standard error.

    A breach is an implant nearer to a neural structure than the absolute floor, through the ventral or outer iliac
    cortex, or past the anterior margin.
    """
    normal = _normal_points(models.log2_samples)
    floors = np.array([constraints.neural_floor_mm, 0.0, 0.0, 0.0])
    nearer = normal[:, 5] * (outline_error_mm / NORMAL_P95)
    shares = [
        breached(scene, _placed(scene, pose, size[1], model, normal), nearer, size, floors)
        .reshape(REPLICATES, -1)
        .mean(axis=1)
        for model in (models.navigated, models.fluoroscopic)
    ]
    navigated, fluoroscopic = (float(share.mean()) for share in shares)
    spread = [float(share.std(ddof=1)) / math.sqrt(REPLICATES) for share in shares]
    return PlacementError(navigated, fluoroscopic, spread[0], spread[1])


@cache
def _normal_points(log2_samples: int) -> Array:
    """Give standard normal points ``(n, 6)``, one replicate after the other."""
    each = log2_samples - int(math.log2(REPLICATES))
    drawn = [qmc.Sobol(6, scramble=True, rng=SEED + k).random_base2(each) for k in range(REPLICATES)]
    points: Array = norm.ppf(np.vstack(drawn))
    points.setflags(write=False)
    return points


def _placed(scene: Scene, pose: Array, length: float, model: PlacementModel, normal: Array) -> Array:
    """Poses ``(n, 6)`` that placements end in; errors are laid out in the pelvis's axes, so that they turn with it."""
    direction = pose[3:]
    axes = scene.part("axes").reshape(3, 3)
    tip = pose[:3] + 0.5 * length * direction + normal[:, :3] @ axes * (model.mean_mm / MAXWELL_MEAN)
    u = np.cross(direction, scene.part("facing"))
    u /= np.linalg.norm(u)
    across = np.stack([u, np.cross(direction, u)])
    turned = direction + np.tan(normal[:, 3:5] * math.radians(model.mean_deg / RAYLEIGH_MEAN)) @ across
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    poses: Array = np.hstack([tip - 0.5 * length * turned, turned])
    return poses
