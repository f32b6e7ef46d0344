"""The phantom's bones: surfaces of the shape model, with joints, channels, lower sacrum, L5 and femora in closed form.

The *drawing frame* is the pelvic frame of the shape model, moved so that the mean sacrum has its vertices' centroid at
`SACRUM_CENTROID_MM`; +x left, +y posterior, +z cranial, mm. Closed forms are drawn on the mean shape; for other
shapes the sacrum is laid on the mean one, the joints are fitted anew and the femora ride on the acetabula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.keepout.model import Foramen
from planner.labels import SACRAL_LEVELS, Side
from planner.segmentation.landmarks import fit_sphere
from planner.segmentation.shape_model import ShapeModel, load_shape_model, similarity
from sample_data.closed_forms import Points, Sweep, capsules, ellipsoid, smooth_union
from sample_data.joint_surface import FIT_BOX_YZ_MM, JointSurface, fit_height
from sample_data.sacral_channels import CANAL, CHANNELS, mouths
from sample_data.signed_distance import DistanceField, surface_distance

__all__ = ["JointSpec", "Skeleton", "build_skeleton"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SACRUM_CENTROID_MM = (0.0, 27.2, 27.8)
"""Centroid of the mean sacrum's vertices in the drawing frame."""

FIELD_SPACING_MM = 1.5
"""Lattice of the bones' distance fields; the interpolated field is the definition of the surface."""

FIELD_MARGIN_MM = 18.0
"""The fields reach this far beyond the bones."""

SURFACE_BLUR_MM = 0.9
"""Smoothing of the fields: takes the atlas's facets and notches off."""

WARP_LENGTH_MM = 55.0
"""Wave length / 2 pi of the warp that leaves the shape model's span. [P]"""

PAD_MM = 7.0
"""Depth over which a bone is extended towards the joint in the articular zone. [P]"""

FILLET_MM = 4.0
"""Blend of the closed parts with the shape model's surfaces. [P]"""

BOW_PER_MM = 0.006
"""Transverse bow of the lower sacrum: it is concave ventrally. [P]"""

ARTICULAR_CARTILAGE_MM = 3.5
"""Hip joint space on CT. [P]"""

JOINT_BOX_MM = ((20.0, -15.0, -20.0), (75.0, 75.0, 70.0))
"""Where the bones are cut at the joint; on its rim they lie apart."""

BRIDGE_RADIUS_MM = 7.0
"""Of the bone that bridges an ankylosed joint, in the sagittal projection. [P]"""

LOWER_SACRUM = Sweep(
    np.array([(50, 9), (57, -2), (62, -14), (65, -27), (65, -40), (62, -50), (56, -60), (48, -67)], float),
    np.array([40, 42, 36, 29, 19, 12, 8.5, 5.5]),
    np.array([10, 11, 10, 8.5, 7, 5.5, 4.5, 4.0]),
)
"""S3 to the coccyx, where the atlas has no sacrum: tapering, curving ventrally."""

CREST = [(0, 64, 12, 0, 68, 2, 4.5, 4.0), (0, 70, -4, 0, 74, -16, 4.0, 3.5), (0, 74, -18, 0, 74, -24, 3.0, 2.5)]
"""Median sacral crest below S2."""

MESH_CHANNELS = [
    (19.5, 18, 21, 19.5, 33, 36, 8.5, 7.5),
    (19.5, 40, 7, 18.5, 51, 15, 8.0, 7.0),
    (13, 34, 26, 13, 50, 14, 5.0, 5.0),
    (21, 19, 33, 20, 27, 40, 7.5, 7.0),
]
"""Capsules that fill the atlas's own foramina (left side) before the closed-form ones are opened."""

BRIDGE_YZ_MM = (34.0, 8.0)
"""Centre of the ankylosing bridge in the sagittal projection: within the inferior limb."""


@dataclass(frozen=True)
class JointSpec:
    """What is asked of the joints."""

    gap_mm: float = 1.7
    ventral_extra_mm: float = 0.0
    ankylosis: frozenset[Side] = frozenset()
    filled: frozenset[tuple[Side, str]] = frozenset()


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Bones as signed distances in the drawing frame.

    Attributes
    ----------
    sacrum_field : DistanceField
        Upper sacrum of the shape model.
    hip_fields : mapping of Side to DistanceField
        Hip bones of the shape model.
    joints : mapping of Side to JointSurface
        The closed-form joints.
    heads : mapping of Side to (centre, radius)
        Femoral heads; centres in the drawing frame, mm.
    landmarks : mapping of str to (3,) float64 array
        Bony landmarks of the shape model, in the drawing frame; the foramina are `mouths`.
    spec : JointSpec
        What was asked.
    """

    sacrum_field: DistanceField
    hip_fields: Mapping[Side, DistanceField]
    joints: Mapping[Side, JointSurface]
    heads: Mapping[Side, tuple[F64, float]]
    landmarks: Mapping[str, F64]
    spec: JointSpec

    def outer_sacrum(self, p: Points) -> F32:
        """Distance to the sacrum with joints carved, canal and foramina still closed."""
        bone = self.sacrum_field.at_points(p)
        bone = smooth_union(bone, capsules(Points(np.abs(p.x), p.y, p.z), MESH_CHANNELS), 2.0)
        bone = smooth_union(bone, _canal_fill(p), 2.0)
        bowed = Points(p.x, p.y + np.float32(BOW_PER_MM) * p.x**2, p.z)
        bone = smooth_union(bone, LOWER_SACRUM.distance(bowed), 6.0)
        bone = smooth_union(bone, capsules(p, CREST), FILLET_MM)
        for joint in self.joints.values():
            bone = _face(bone, p.mirrored(joint.side.lateral_x), joint, sacral=True)
        return bone

    def canal(self, p: Points) -> F32:
        """Distance to the sacral canal."""
        return CANAL.distance(p)

    def foramen(self, p: Points, side: Side, level: str) -> F32:
        """Distance to the channel of one level."""
        return CHANNELS[level].distance(p.mirrored(side.lateral_x))

    def open_levels(self) -> list[tuple[Side, str]]:
        """Channels that are not filled with bone."""
        return [(side, level) for side in Side for level in SACRAL_LEVELS if (side, level) not in self.spec.filled]

    def voids(self, p: Points) -> F32:
        """Distance to the union of the canal and the open foramina."""
        void = self.canal(p)
        for side, level in self.open_levels():
            void = np.minimum(void, self.foramen(p, side, level))
        return void

    def sacrum(self, p: Points) -> F32:
        """Distance to the sacrum and coccyx."""
        result: F32 = np.maximum(self.outer_sacrum(p), -self.voids(p))
        return result

    def hip(self, p: Points, side: Side) -> F32:
        """Distance to a hip bone."""
        bone = self.hip_fields[side].at_points(p)
        bone = _face(bone, p.mirrored(side.lateral_x), self.joints[side], sacral=False)
        centre, radius = self.heads[side]
        socket = ellipsoid(p, centre, np.full(3, radius + ARTICULAR_CARTILAGE_MM))
        return np.maximum(bone, -socket)

    def bridge(self, p: Points, side: Side) -> F32:
        """Distance to the bone that bridges an ankylosed joint."""
        joint = self.joints[side]
        q = p.mirrored(side.lateral_x)
        across = np.abs(joint.offset_mm(q)) - np.float32(joint.gap / 2 + 1.0)
        rim = np.hypot(q.y - BRIDGE_YZ_MM[0], q.z - BRIDGE_YZ_MM[1]) - np.float32(BRIDGE_RADIUS_MM)
        result: F32 = np.maximum(across, rim).astype(np.float32)
        return result

    def mouths(self) -> tuple[Foramen, ...]:
        """Both mouths of every open channel, centres in the drawing frame."""
        return tuple(
            mouth for side, level in self.open_levels() for mouth in mouths(self.outer_sacrum, side, level).values()
        )


def _canal_fill(p: Points) -> F32:
    """Fill the atlas's own canal within the bone, from below the S1 endplate."""
    wide = Sweep(CANAL.path_yz_mm[2:7], CANAL.half_width_mm[2:7] + 2.5, CANAL.half_depth_mm[2:7] + 2.0)
    return wide.distance(p)


def _face(bone: F32, left: Points, joint: JointSurface, *, sacral: bool) -> F32:
    """Extend a bone to the joint in the articular zone and cut it at mid-surface -+ half the gap."""
    (x0, y0, z0), (x1, y1, z1) = JOINT_BOX_MM
    near = (left.x > x0) & (left.x < x1) & (left.y > y0) & (left.y < y1) & (left.z > z0) & (left.z < z1)
    if not near.any():
        return bone
    q = Points(left.x[near], left.y[near], left.z[near])
    towards = joint.offset_mm(q) * np.float32(1 if sacral else -1)
    depth = -towards - joint.cut_mm(q.y, q.z)
    wedge = (joint.margin_mm(q.y, q.z) + depth) * np.sqrt(0.5)
    pad = np.maximum(wedge, np.abs(depth - PAD_MM / 2) - PAD_MM / 2).astype(np.float32)
    out = bone.copy()
    faced = smooth_union(bone[near], pad, FILLET_MM)
    out[near] = np.maximum(faced, -depth.astype(np.float32))
    return out


@dataclass(frozen=True, eq=False)
class _Surfaces:
    """What does not depend on the joints' gap: surfaces of the shape model and what is fitted to them."""

    sacrum: DistanceField
    hips: Mapping[Side, DistanceField]
    heights: Mapping[Side, F64]
    heads: Mapping[Side, tuple[F64, float]]
    landmarks: Mapping[str, F64]


def build_skeleton(
    spec: JointSpec, coefficients: tuple[float, ...] = (), warp_mm: float = 1.5, *, symmetric: bool = True
) -> Skeleton:
    """Make the bones for given shape coefficients (standard deviations) and a smooth warp of given amplitude."""
    made = _surfaces(coefficients, warp_mm, symmetric)
    joints = {side: JointSurface(side, made.heights[side], spec.gap_mm, spec.ventral_extra_mm) for side in Side}
    return Skeleton(made.sacrum, made.hips, joints, made.heads, made.landmarks, spec)


@lru_cache(maxsize=2)
def _surfaces(coefficients: tuple[float, ...], warp_mm: float, symmetric: bool) -> _Surfaces:
    model = load_shape_model()
    vertices = _drawn(model, np.asarray(coefficients, float))
    vertices = vertices + _warp(vertices, warp_mm)
    fields = {
        name: _smoothed(surface_distance(part, model.faces_of(name), FIELD_SPACING_MM, FIELD_MARGIN_MM))
        for name, part in model.split(vertices).items()
    }
    sacrum, hips = fields["sacrum"], {side: fields[f"{side}_hip"] for side in Side}
    heads = {side: _head(vertices[model.regions[f"{side}_acetabulum"]]) for side in Side}
    landmarks = {n: v for n, v in model.landmarks_on(vertices).items() if not n.endswith(("ventral", "dorsal"))}
    if not symmetric:
        heights = {side: _fit_joint(sacrum, hips[side], side) for side in Side}
        return _Surfaces(sacrum, hips, heights, heads, landmarks)
    sacrum = _own_mean(sacrum)
    left = _mean_field(hips[Side.LEFT], hips[Side.RIGHT])
    height = _fit_joint(sacrum, left, Side.LEFT)
    return _Surfaces(
        sacrum,
        {Side.LEFT: left, Side.RIGHT: _mirror_field(left)},
        dict.fromkeys(Side, height),
        _symmetric_heads(heads),
        _symmetric_landmarks(landmarks),
    )


def drawing_shift(model: ShapeModel) -> F64:
    """Move from the model frame to the drawing frame."""
    shift: F64 = np.asarray(SACRUM_CENTROID_MM) - model.mean[model.span("sacrum")].mean(axis=0)
    shift[0] = 0.0
    return shift


def _drawn(model: ShapeModel, coefficients: F64) -> F64:
    """Vertices in the drawing frame, laid so that the sacrum sits on the mean sacrum."""
    mean = model.mean + drawing_shift(model)
    if not len(coefficients):
        return mean
    shape = model.reconstruct(coefficients)
    span = model.span("sacrum")
    _, rotation, _ = similarity(shape[span], mean[span])
    turned: F64 = shape @ rotation.T
    turned += mean[span].mean(axis=0) - turned[span].mean(axis=0)
    return turned


def _warp(p: F64, amplitude_mm: float) -> F64:
    """Left-right symmetric displacement that is no combination of the model's modes."""
    y, z = p[:, 1] / WARP_LENGTH_MM, p[:, 2] / WARP_LENGTH_MM
    side = np.tanh(p[:, 0] / WARP_LENGTH_MM)
    along_x = side * np.sin(1.3 * y + 0.4) * np.cos(z)
    along_y = np.cos(1.1 * z + 0.7) * np.cos(2 * side)
    along_z = np.sin(y - 0.9) * np.cos(side)
    result: F64 = amplitude_mm * np.stack([along_x, along_y, along_z], axis=1)
    return result


def _smoothed(field: DistanceField) -> DistanceField:
    blurred = ndi.gaussian_filter(field.values_mm, SURFACE_BLUR_MM / field.spacing_mm, truncate=3)
    return DistanceField(blurred, field.origin_mm, field.spacing_mm)


def _mirror_field(field: DistanceField) -> DistanceField:
    origin = field.origin_mm.copy()
    origin[0] = -(field.origin_mm[0] + (field.values_mm.shape[2] - 1) * field.spacing_mm)
    return DistanceField(np.ascontiguousarray(field.values_mm[:, :, ::-1]), origin, field.spacing_mm)


def _nodes(origin_mm: F64, spacing_mm: float, shape_zyx: tuple[int, int, int]) -> Points:
    lattice = np.diag([spacing_mm] * 3 + [1.0])[[2, 1, 0, 3]]
    lattice[:3, 3] = origin_mm
    return Points.of_grid(lattice, shape_zyx)


def _mean_field(field: DistanceField, other: DistanceField) -> DistanceField:
    """Mean of a field and another's mirror image, on the first one's lattice."""
    nz, ny, nx = field.values_mm.shape
    p = _nodes(field.origin_mm, field.spacing_mm, (nz, ny, nx))
    mean = (field.values_mm + other.at_points(Points(-p.x, p.y, p.z))) / np.float32(2)
    return DistanceField(mean, field.origin_mm, field.spacing_mm)


def _own_mean(field: DistanceField) -> DistanceField:
    """Mean of a field and its own mirror image, on a lattice that mirrors onto itself."""
    nz, ny, nx = field.values_mm.shape
    reach = max(-field.origin_mm[0], field.origin_mm[0] + (nx - 1) * field.spacing_mm)
    half = int(np.ceil(reach / field.spacing_mm))
    origin = np.array([-half * field.spacing_mm, *field.origin_mm[1:]])
    p = _nodes(origin, field.spacing_mm, (nz, ny, 2 * half + 1))
    mean = (field.at_points(p) + field.at_points(Points(-p.x, p.y, p.z))) / np.float32(2)
    return DistanceField(mean, origin, field.spacing_mm)


def _fit_joint(sacrum: DistanceField, hip: DistanceField, side: Side) -> F64:
    """Fit the height function to the places equidistant from the two bones."""
    (y_low, y_high), (z_low, z_high) = FIT_BOX_YZ_MM
    z, y, x = np.meshgrid(
        np.arange(z_low, z_high + 1, 1.5), np.arange(y_low, y_high + 1, 1.5), np.arange(20, 76, 0.5), indexing="ij"
    )
    p = Points(*(v.astype(np.float32) for v in (x * side.lateral_x, y, z)))
    near, far = sacrum.at_points(p), hip.at_points(p)
    crossing = (near - far)[:, :, :-1] < 0
    crossing &= (near - far)[:, :, 1:] >= 0
    first = crossing.argmax(axis=2)
    found = crossing.any(axis=2)
    k, j = np.nonzero(found)
    i = first[found]
    low, high = (near - far)[k, j, i], (near - far)[k, j, i + 1]
    lateral = x[k, j, i] + 0.5 * (-low / (high - low))
    weight = 1 / (1 + np.maximum(near + far, 0)[k, j, i].astype(float)) ** 1.5
    return fit_height(lateral, y[k, j, 0], z[k, j, 0], weight)


def _head(socket: F64) -> tuple[F64, float]:
    centre, radius = fit_sphere(socket)
    return centre, radius - ARTICULAR_CARTILAGE_MM + 2.0


def _symmetric_heads(heads: Mapping[Side, tuple[F64, float]]) -> dict[Side, tuple[F64, float]]:
    (left, a), (right, b) = heads[Side.LEFT], heads[Side.RIGHT]
    flip = np.array([-1.0, 1.0, 1.0])
    centre = (left + right * flip) / 2
    return {Side.LEFT: (centre, (a + b) / 2), Side.RIGHT: (centre * flip, (a + b) / 2)}


def _symmetric_landmarks(landmarks: Mapping[str, F64]) -> dict[str, F64]:
    flip = np.array([-1.0, 1.0, 1.0])
    swap = {"left": "right", "right": "left"}
    twin = {name: "_".join(swap.get(part, part) for part in name.split("_")) for name in landmarks}
    return {name: (place + landmarks[twin[name]] * flip) / 2 for name, place in landmarks.items()}
