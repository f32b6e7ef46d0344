"""From the anatomy and the settings to the arrays that the compiled search reads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from planner.joint.model import Joint, Third
from planner.segmentation.model import Bones
from planner.trajectory.config import Constraints, Score, TrajectoryConfig
from planner.trajectory.kernel import LEAST_THIRD, LIMITS, MOST_THIRD, PARTS, RAMPS, TERMS, Scene
from planner.trajectory.region import Region
from planner.trajectory.section import ROUND, Section

__all__ = ["joint_normals", "make_scene", "outer_edge", "with_guard", "with_slab"]

Points = NDArray[np.float64]


def make_scene(
    region: Region,
    bones: Bones,
    joint: Joint,
    config: TrajectoryConfig,
    section: Section = ROUND,
    notch_lps: Points | None = None,
) -> Scene:
    """Gather what a pose is held against, with the exact limits (no guard).

    The sciatic notch is where it was seen, or else where the fitted shape has it.
    """
    frame, thirds = bones.frame, joint.thirds
    normals = joint_normals(joint)[joint.third == Third.MIDDLE].sum(axis=0)
    parts = {
        "zyx_from_lps": np.linalg.inv(region.grid.lps_from_zyx)[:3].ravel(),
        "axes": np.concatenate([joint.side.lateral_x * frame.left_lps, frame.posterior_lps, frame.cranial_lps]),
        "facing": normals / np.linalg.norm(normals),
        "slab": np.array([*thirds.axis_lps, *thirds.bounds_mm[1:3]]),
        "notch": _notch(bones, joint) if notch_lps is None else notch_lps,
        "limits": _limits(config.constraints, config.score, guard_mm=0.0),
        "ramps": _ramps(config.score),
        "weights": _in_order(config.score.weights),
        "instruments": _instruments(config),
        "shell_mm": np.array([config.instruments.shell_mm]),
        "section": section.numbers,
        "hand": np.array([float(joint.side.lateral_x)]),
    }
    numbers = np.concatenate([parts[name] for name in PARTS])
    return Scene(region.fields.reshape(-1), region.grid.shape_zyx, numbers, section.turns, outer_edge(joint))


def with_guard(scene: Scene, config: TrajectoryConfig, guard_mm: float) -> Scene:
    """Copy the scene with a guard held back from the distances that are sampled."""
    numbers = scene.numbers.copy()
    numbers[LIMITS:RAMPS] = _limits(config.constraints, config.score, guard_mm)
    return scene._replace(numbers=numbers)


def with_slab(scene: Scene, bounds_mm: tuple[float, float]) -> Scene:
    """Copy the scene with another third as the target."""
    numbers = scene.numbers.copy()
    numbers[LEAST_THIRD : MOST_THIRD + 1] = bounds_mm
    return scene._replace(numbers=numbers)


def _notch(bones: Bones, joint: Joint) -> Points:
    point = bones.fit.landmarks_lps.get(f"{joint.side}_sciatic_notch")
    return np.full(3, np.nan) if point is None else np.asarray(point, np.float64)


def _limits(c: Constraints, score: Score, guard_mm: float) -> Points:
    return np.array(
        [
            c.neural_mm + c.segmentation_margin_mm + guard_mm,
            c.cortex_mm + guard_mm,
            c.cortex_mm + guard_mm,
            c.containment_mm + guard_mm,
            c.implant_to_margin_mm + guard_mm,
            c.nibble_mm,
            *c.axial_deg,
            *c.cranial_tilt_deg,
            c.sciatic_notch_mm,
            c.joint_offset_mm,
            c.joint_angle_deg,
            score.entry_radius_mm.zero,
            score.entry_radius_mm.one,
        ]
    )


def _instruments(config: TrajectoryConfig) -> Points:
    tools, stop_mm = config.instruments, config.constraints.instrument_to_margin_mm
    return np.array([tools.cannula_wall_mm, tools.distractor_wall_mm, 0.5 * tools.pin_mm, stop_mm])


def _ramps(score: Score) -> Points:
    ramps = (
        score.clearance_mm,
        score.coplanar_deg,
        score.centred_mm,
        score.articular_share,
        score.bite_difference_mm,
        score.shell_hu,
    )
    return np.array([end for ramp in ramps for end in (ramp.zero, ramp.one)])


def _in_order(weights: Mapping[str, float]) -> Points:
    return np.array([weights[name] for name in TERMS])


def joint_normals(joint: Joint) -> Points:
    """Average the triangles' normals, by area, to a unit normal at each vertex; sacrum to ilium."""
    corners = joint.vertices_lps[joint.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(joint.vertices_lps)
    for corner in range(3):
        np.add.at(normals, joint.faces[:, corner], across)
    unit: Points = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return unit


def outer_edge(joint: Joint) -> Points:
    """Vertices on the longest edge loop of the mid-surface; holes in it are no margin of the joint."""
    edges = np.sort(joint.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    size = len(joint.vertices_lps)
    keys, count = np.unique(edges[:, 0].astype(np.int64) * size + edges[:, 1], return_counts=True)
    open_edges = np.stack(np.divmod(keys[count == 1], size), axis=1)
    if not len(open_edges):
        return np.zeros((0, 3))
    graph = coo_array((np.ones(len(open_edges)), (open_edges[:, 0], open_edges[:, 1])), shape=(size, size))
    _, loop = connected_components(graph, directed=False)
    ends = joint.vertices_lps[open_edges]
    length = np.bincount(loop[open_edges[:, 0]], np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1))
    return np.ascontiguousarray(joint.vertices_lps[np.unique(open_edges[loop[open_edges[:, 0]] == length.argmax()])])
