"""A pelvis CT made from formulas, with the truth that it was made from. Research use only. Not for clinical use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from planner.grid import Grid
from planner.keepout.model import Foramen
from planner.labels import Keepout, Side, foramen_value
from planner.segmentation.model import PelvicFrame
from planner.segmentation.shape_model import load_shape_model
from planner.volume import LabelMap, Volume
from sample_data.bone_surfaces import drawing_shift
from sample_data.closed_forms import Points
from sample_data.joint_surface import JointSurface
from sample_data.sacral_channels import CANAL
from sample_data.scene import SACRUM_BOX_MM, Scene, build_scene
from sample_data.slabs import box_slabs
from sample_data.spec import Kernel, PhantomSpec
from sample_data.tissue import paint

__all__ = ["JointTruth", "Kernel", "Phantom", "PhantomSpec", "make_phantom"]

F64 = NDArray[np.float64]

ORIGIN_LPS_MM = (7.0, -12.0, -640.0)
"""Where the drawing frame's origin lies in the scanner: somewhere, as in any real scan."""

FIELD_CENTRE_Y_MM = -5.0
"""Centre of the field of view in the drawing frame."""

ROTATION_CENTRE_MM = (0.0, 0.0, 20.0)
"""Point of the drawing frame that stays in place when the pelvis is turned."""

KEEPOUT_BEYOND_BONE_MM = 0.5
"""A foramen ends where its channel leaves the sacrum by this much."""


@dataclass(frozen=True, eq=False)
class JointTruth:
    """The analytic joint of one side, in LPS.

    Attributes
    ----------
    surface : JointSurface
        The closed form, in the drawing frame.
    frame : PelvicFrame
        The drawing frame in LPS.
    """

    surface: JointSurface
    frame: PelvicFrame

    def _yz(self, points_lps: F64) -> tuple[F64, F64]:
        local = self.frame.to_pelvic(points_lps)
        return local[..., 1], local[..., 2]

    def mid_surface_lps(self, step_mm: float = 1.0, beyond_mm: float = 0.0) -> F64:
        """Points ``(n, 3)`` of the mid-surface over the articular zone and `beyond_mm` round it."""
        sheet = self.surface.sheet(step_mm, beyond_mm)
        return self.frame.to_lps(sheet * (self.surface.side.lateral_x, 1, 1))

    def offset_mm(self, points_lps: F64) -> F64:
        """Signed distance of points ``(..., 3)`` to the mid-surface, positive towards the ilium."""
        local = self.frame.to_pelvic(points_lps) * (self.surface.side.lateral_x, 1, 1)
        result: F64 = self.surface.offset_mm(Points.of(local)).astype(float)
        return result

    def gap_mm(self, points_lps: F64) -> F64:
        """Distance between the faces at points ``(..., 3)`` near the mid-surface."""
        return self.surface.gap_mm(*self._yz(points_lps))

    def zone(self, points_lps: F64) -> NDArray[np.uint8]:
        """`planner.joint.model.Zone` at points ``(..., 3)`` near the mid-surface."""
        return self.surface.zone(*self._yz(points_lps))

    def thirds_bounds_mm(self) -> F64:
        """Bounds of the thirds along ``frame.cranial_lps``, as in `planner.joint.model.Thirds`."""
        axis = self.frame.cranial_lps
        return self.surface.bounds_mm() + float(self.frame.lps_from_pelvic[:3, 3] @ axis)


@dataclass(frozen=True, eq=False)
class Phantom:
    """A made CT and its truth.

    Attributes
    ----------
    spec : PhantomSpec
        What was asked.
    volume : Volume
        Hounsfield units.
    labels, keepout : LabelMap
        Contract values on the volume's grid: what is at each voxel's centre.
    joints : mapping of Side to JointTruth
        The joints.
    foramina : tuple of Foramen
        Both mouths of every open foramen: centre where the channel's axis leaves the bone, width its diameter.
    canal_lps : (n, 3) float64 array
        Centre line of the sacral canal, cranial first.
    landmarks_lps : mapping of str to (3,) float64 array
        The shape model's landmarks on this phantom.
    frame : PelvicFrame
        The shape model's pelvic frame in LPS.
    """

    spec: PhantomSpec
    volume: Volume
    labels: LabelMap
    keepout: LabelMap
    joints: Mapping[Side, JointTruth]
    foramina: tuple[Foramen, ...]
    canal_lps: F64
    landmarks_lps: Mapping[str, F64]
    frame: PelvicFrame


def make_phantom(spec: PhantomSpec | None = None) -> Phantom:
    """Make a phantom; the default one if nothing is asked."""
    spec = spec or PhantomSpec()
    scene = build_scene(spec)
    drawing = _drawing_frame(spec)
    grid = _grid(spec)
    labels, keepout = _label(scene, grid, drawing)
    volume = Volume(paint(scene, grid, drawing), grid)
    return Phantom(
        spec,
        volume,
        LabelMap(labels, grid),
        LabelMap(keepout, grid),
        {side: JointTruth(joint, drawing) for side, joint in scene.skeleton.joints.items()},
        _foramina(scene, drawing),
        drawing.to_lps(np.insert(CANAL.path_yz_mm, 0, 0.0, axis=1)),
        {name: drawing.to_lps(place) for name, place in scene.skeleton.landmarks.items()},
        _pelvic_frame(drawing),
    )


def _drawing_frame(spec: PhantomSpec) -> PelvicFrame:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", spec.rotation_deg, degrees=True).as_matrix()
    centre = np.asarray(ROTATION_CENTRE_MM)
    matrix[:3, 3] = np.asarray(ORIGIN_LPS_MM) + centre - matrix[:3, :3] @ centre
    return PelvicFrame(matrix)


def _pelvic_frame(drawing: PelvicFrame) -> PelvicFrame:
    """Give the model's frame: the drawing frame, shifted."""
    matrix = drawing.lps_from_pelvic.copy()
    matrix[:3, 3] = drawing.to_lps(drawing_shift(load_shape_model()))
    return PelvicFrame(matrix)


def _grid(spec: PhantomSpec) -> Grid:
    size = np.array([spec.z_range_mm[1] - spec.z_range_mm[0], *spec.size_yx_mm])
    spacing = np.array(spec.spacing_zyx_mm)
    shape = np.maximum(np.round(size / spacing).astype(int), 1)
    half_yx = (shape[1:] - 1) / 2 * spacing[1:]
    first = np.array([-half_yx[1], FIELD_CENTRE_Y_MM - half_yx[0], spec.z_range_mm[0]])
    return Grid.from_spacing((int(shape[0]), int(shape[1]), int(shape[2])), spacing, ORIGIN_LPS_MM + first)


def _label(scene: Scene, grid: Grid, drawing: PelvicFrame) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    labels = np.zeros(grid.shape_zyx, np.uint8)
    keepout = np.zeros(grid.shape_zyx, np.uint8)
    for part in scene.bones():
        for box, points in box_slabs(part.box_mm, grid, drawing):
            labels[box][part.distance(points) < 0] = part.label
    for box, points in box_slabs(SACRUM_BOX_MM, grid, drawing):
        _mark_voids(scene, points, keepout[box])
    return labels, keepout


def _mark_voids(scene: Scene, points: Points, keepout: NDArray[np.uint8]) -> None:
    skeleton = scene.skeleton
    within = skeleton.outer_sacrum(points) < KEEPOUT_BEYOND_BONE_MM
    for side, level in skeleton.open_levels():
        keepout[(skeleton.foramen(points, side, level) < 0) & within] = foramen_value(side, level)
    keepout[skeleton.canal(points) < 0] = Keepout.CANAL


def _foramina(scene: Scene, drawing: PelvicFrame) -> tuple[Foramen, ...]:
    return tuple(
        Foramen(f.side, f.level, f.aspect, drawing.to_lps(f.centre_lps), f.width_mm, f.confidence)
        for f in scene.skeleton.mouths()
    )
