"""Roll: how a cross-section that is not round lies about the implant's axis.

The search lays it along the mean plane of the joint's middle third. A joint is no plane: once a place is found, the
cross-section is laid along the joint as it is there, and the place is climbed on from.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.joint.model import Joint
from planner.trajectory.kernel import FULLY
from planner.trajectory.scene import joint_normals
from planner.trajectory.search import Climber, Found
from planner.trajectory.task import Task

__all__ = ["with_roll"]

AROUND_MM = 6.0
"""The joint is taken as it is within this of the implant's axis: about the radius of the largest `[P]`."""

Array = NDArray[np.float64]


def with_roll(task: Task, found: Found, taken: Array, guard_mm: float) -> tuple[Task, Found]:
    """Lay a cross-section along the joint as it is at a place, and climb on from there.

    Parameters
    ----------
    task : Task
        The side, with the cross-section along the mean plane of the joint's middle third.
    found : Found
        A place that keeps every constraint.
    taken : (m, 6) float64 array
        Poses to stay distinct from.
    guard_mm : float
        Held back, as in the search.

    Returns
    -------
    (Task, Found)
        The same where the cross-section is round, or where the place no longer keeps every constraint.
    """
    if task.section.corners is None:
        return task, found
    scene = task.scene._replace(numbers=task.scene.numbers.copy())
    scene.part("facing")[:] = _normal_at(task.joint, found)
    turned = replace(task, scene=scene)
    climbed = Climber(turned.guarded(guard_mm), task.config.search, 0.0).climb(found, taken, FULLY)
    return (turned, climbed) if climbed.value >= 0 else (task, found)


def _normal_at(joint: Joint, found: Found) -> Array:
    """Mean normal of the mid-surface round an implant's axis, sacrum to ilium; of all of it where it is not near."""
    away = joint.vertices_lps - found.pose[:3]
    along = np.clip(away @ found.pose[3:], -found.size[1] / 2, found.size[1] / 2)
    near = np.linalg.norm(away - along[:, None] * found.pose[3:], axis=1) <= AROUND_MM
    normals = joint_normals(joint)[near if near.any() else slice(None)].sum(axis=0)
    normal: Array = normals / np.linalg.norm(normals)
    return normal
