"""The way from the side, as data for the engine of `planner.trajectory`: region, limits, score and cross-section.

The engine holds a prism among distance fields against limits. For a lateral rod that prism is the *held part*: from
where the rod lies wholly in the ilium to its tip. Limits that belong to the posterior way (thirds, access between the
bones, in the joint) or that the trials keep by themselves (angles) are set so wide that they never bind; the rest are
those of `LateralConfig`. Fields are measured on
every voxel or on every second or third, for speed; the rods found are measured exactly, on all voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

from planner.implants import Implant
from planner.joint.model import Joint
from planner.labels import Side
from planner.lateral.config import LateralConfig
from planner.trajectory.config import Constraints, Score, TrajectoryConfig
from planner.trajectory.kernel import Scene
from planner.trajectory.region import FIELDS, REACH_MM, make_region
from planner.trajectory.scene import joint_normals, make_scene, with_guard, with_slab
from planner.trajectory.section import section_of
from planner.trajectory.task import Anatomy, Task
from planner.volume import Box, LabelMap, Volume

__all__ = ["Corridor", "make_corridor"]

LATERAL_MM, MEDIAL_MM, MARGIN_MM = 30.0, 34.0, 13.0
"""Region round the joint: the ilium's outer wall lies within the first of it, the rods' tips within the second; and
more than `REACH_MM` all round."""

COARSE_MM = 1.65
"""Voxels of the search are at most this wide where the scan's are smaller."""

NEVER = 1e6
"""A limit that nothing reaches."""

QUALITY = 0.2
"""Share of bone quality in what the engine scores; the rest is clearance `[P]`."""

TIP_MM = 1.0
"""Bone ahead of the tip `[P]`; canal and foramina ahead of it are kept away from by the neural limit."""

EVENED = 12
"""Rounds in which each vertex's normal takes on its neighbours': about 3 mm on a mesh of 1 mm `[P]`."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Corridor:
    """What lateral rods are searched in.

    Attributes
    ----------
    task : Task
        Of the engine, on the coarse voxels.
    config : LateralConfig
        The approach.
    scene : Scene
        With the guard.
    normals : (n, 3) float64 array
        Of the joint's vertices, from the ilium to the sacrum, evened out over some millimetres.
    vertices : cKDTree
        The joint's vertices.
    """

    task: Task
    config: LateralConfig
    scene: Scene
    normals: Points
    vertices: cKDTree

    def nearest(self, points_lps: Points) -> NDArray[np.intp]:
        """Vertex of the mid-surface that is nearest to each point."""
        found: NDArray[np.intp] = np.asarray(self.vertices.query(points_lps)[1])
        return found

    @property
    def side(self) -> Side:
        """The patient's side."""
        return self.task.side

    def guarded(self, guard_mm: float) -> Corridor:
        """Copy with more or less held back."""
        return replace(self, scene=with_guard(self.scene, self.task.config, guard_mm))

    def direction(self, to_anterior_deg: float, tilt_deg: float) -> Points:
        """Give the unit vector to medial, turned to anterior and to cranial."""
        frame = self.task.anatomy.bones.frame
        turn, tilt = np.radians(to_anterior_deg), np.radians(tilt_deg)
        medial, anterior = -self.side.lateral_x * frame.left_lps, -frame.posterior_lps
        level = np.cos(turn) * medial + np.sin(turn) * anterior
        direction: Points = np.cos(tilt) * level + np.sin(tilt) * frame.cranial_lps
        return direction


def make_corridor(anatomy: Anatomy, implant: Implant, config: LateralConfig, trajectory: TrajectoryConfig) -> Corridor:
    """Measure the region beside one joint, and gather the approach's limits."""
    settings = _settings(config, trajectory)
    coarse = _thinned(anatomy, _box(anatomy))
    bones, joint = coarse.bones, coarse.joint
    whole = tuple(slice(0, size) for size in coarse.volume.grid.shape_zyx)
    region = make_region(coarse.volume, bones, joint, coarse.keepouts, settings.constraints, whole)  # type: ignore[arg-type]
    region.fields[..., FIELDS.index("outer_iliac_cortex")] = REACH_MM  # rods come through it
    section = section_of(implant)
    notch = anatomy.landmarks_lps.get(f"{joint.side}_sciatic_notch")
    scene = make_scene(region, bones, joint, settings, section, notch)
    scene = with_slab(scene, (-NEVER, NEVER))._replace(rim=np.zeros((0, 3)))
    scene.part("facing")[:] = bones.frame.cranial_lps  # the cross-section stands upright
    task = Task(coarse, region, scene, section, implant, settings)
    vertices = cKDTree(joint.vertices_lps)
    return Corridor(task, config, task.guarded(settings.search.guard_mm), _even_normals(joint), vertices)


def _even_normals(joint: Joint) -> Points:
    """Give unit normals from the ilium to the sacrum: of a patch, not of a triangle."""
    ends = joint.faces[:, [0, 1, 1, 2, 2, 0, 1, 0, 2, 1, 0, 2]].reshape(-1, 2)
    size = len(joint.vertices_lps)
    neighbours = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size)).tocsr()
    normals = -joint_normals(joint)
    for _ in range(EVENED):
        normals = normals + neighbours @ normals
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return normals


def _settings(config: LateralConfig, trajectory: TrajectoryConfig) -> TrajectoryConfig:
    """Give the engine's settings: shared limits, the approach's own, and those of the posterior way out of the way."""
    changes = {
        "cortex_mm": config.cortex_mm,
        "containment_mm": config.containment_mm,
        "closing_mm": config.closing_mm,
        "implant_to_margin_mm": TIP_MM,
        "nibble_mm": NEVER,
        "axial_deg": (-NEVER, NEVER),
        "cranial_tilt_deg": (-NEVER, NEVER),
        "joint_offset_mm": NEVER,
        "joint_angle_deg": NEVER,
    }
    nothing = dict.fromkeys(Score().weights, 0.0)
    score = {**nothing, "clearance": 1 - QUALITY, "bone_quality": QUALITY, "clearance_mm": config.score.clearance_mm}
    return trajectory.model_copy(
        update={
            "constraints": Constraints.model_validate({**trajectory.constraints.model_dump(), **changes}),
            "score": trajectory.score.model_copy(update=score),
        }
    )


def _box(anatomy: Anatomy) -> Box:
    joint = anatomy.joint
    lateral = joint.side.lateral_x * anatomy.bones.frame.left_lps
    ends = [joint.vertices_lps + LATERAL_MM * lateral, joint.vertices_lps - MEDIAL_MM * lateral]
    return anatomy.volume.grid.box_around(np.vstack(ends), MARGIN_MM)


def _thinned(anatomy: Anatomy, box: Box) -> Anatomy:
    """Keep every voxel of a box, or every second or third along an axis, up to `COARSE_MM`."""
    fine = anatomy.volume.grid.crop(box)
    steps = np.maximum(1, np.floor(COARSE_MM / fine.spacing_zyx_mm)).astype(int)
    every = tuple(slice(part.start, part.stop, step) for part, step in zip(box, steps.tolist(), strict=True))
    grid = fine.resampled(steps * fine.spacing_zyx_mm)
    bones, keepouts = anatomy.bones, anatomy.keepouts
    return Anatomy(
        Volume(np.ascontiguousarray(anatomy.volume.hu[every]), grid),
        replace(bones, labels=LabelMap(np.ascontiguousarray(bones.labels.values[every]), grid)),
        anatomy.joint,
        replace(keepouts, mask=LabelMap(np.ascontiguousarray(keepouts.mask.values[every]), grid)),
        anatomy.landmarks_lps,
    )
