"""How likely a misplaced implant breaches: the plan is moved as operators move it, many times, without chance.

The tip is moved by an isotropic normal error in three dimensions, whose length is ``sigma * sqrt(8 / pi)`` in the mean
(Maxwell), and the axis turned about the tip by a normal error in two, ``sigma * sqrt(pi / 2)`` in the mean (Rayleigh).
The points are a Sobol sequence through the normal distribution's inverse.
"""

from __future__ import annotations

import math

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

SEED = 1
"""Of the Sobol sequence's scrambling: fixed, so that the same plan gives the same figure."""

Array = NDArray[np.float64]


def breach_probability(
    scene: Scene, pose: Array, size: tuple[float, float], models: PlacementModels, constraints: Constraints
) -> PlacementError:
    """Share of placements that breach, under both error models.

    A breach is an implant nearer to a neural structure than the absolute floor, through the ventral or outer iliac
    cortex, or past the anterior margin.
    """
    normal = _normal_points(models.log2_samples)
    floors = np.array([constraints.neural_floor_mm, 0.0, 0.0, 0.0])
    shares = [
        float(breached(scene, _placed(scene, pose, size[1], model, normal), size, floors))
        for model in (models.navigated, models.fluoroscopic)
    ]
    return PlacementError(navigated=shares[0], fluoroscopic=shares[1])


def _normal_points(log2_samples: int) -> Array:
    """Give standard normal points ``(n, 5)``."""
    points: Array = norm.ppf(qmc.Sobol(5, scramble=True, rng=SEED).random_base2(log2_samples))
    return points


def _placed(scene: Scene, pose: Array, length: float, model: PlacementModel, normal: Array) -> Array:
    """Poses ``(n, 6)`` that placements end in; errors are laid out in the pelvis's axes, so that they turn with it."""
    direction = pose[3:]
    axes = scene.part("axes").reshape(3, 3)
    tip = pose[:3] + 0.5 * length * direction + normal[:, :3] @ axes * (model.mean_mm / MAXWELL_MEAN)
    u = np.cross(direction, scene.part("facing"))
    u /= np.linalg.norm(u)
    across = np.stack([u, np.cross(direction, u)])
    turned = direction + np.tan(normal[:, 3:] * math.radians(model.mean_deg / RAYLEIGH_MEAN)) @ across
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    poses: Array = np.hstack([tip - 0.5 * length * turned, turned])
    return poses
