"""The phantom's bones: surfaces of the shape model, with joints, channels, lower sacrum, L5 and femora in closed form.

Everything is in the *drawing frame* of `sample_data.bone_surfaces`: +x left, +y posterior, +z cranial, mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.keepout.model import Foramen
from planner.labels import SACRAL_LEVELS, Side
from sample_data.bone_surfaces import bone_surfaces
from sample_data.closed_forms import Points, Sweep, capsules, ellipsoid, smooth_union
from sample_data.joint_surface import JointSurface
from sample_data.sacral_channels import CANAL, CHANNELS, mouths
from sample_data.signed_distance import DistanceField

__all__ = ["JointSpec", "Skeleton", "build_skeleton"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

PAD_MM = 7.0
"""Depth over which a bone is extended towards the joint in the articular zone. [P]"""

FILLET_MM = 4.0
"""Blend of the closed parts with the shape model's surfaces. [P]"""

BOW_PER_MM = 0.006
"""Transverse bow of the lower sacrum: it is concave ventrally. [P]"""

HIP_JOINT_SPACE_MM = 3.5
"""Between femoral head and socket on CT. [P]"""

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
        socket = ellipsoid(p, centre, np.full(3, radius + HIP_JOINT_SPACE_MM))
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


def build_skeleton(
    spec: JointSpec, coefficients: tuple[float, ...] = (), warp_mm: float = 1.5, *, symmetric: bool = True
) -> Skeleton:
    """Make the bones for given shape coefficients (standard deviations) and a smooth warp of given amplitude."""
    made = bone_surfaces(coefficients, warp_mm, symmetric)
    joints = {side: JointSurface(side, made.heights[side], spec.gap_mm, spec.ventral_extra_mm) for side in Side}
    return Skeleton(made.sacrum, made.hips, joints, made.heads, made.landmarks, spec)
