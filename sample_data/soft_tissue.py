"""Everything that is not bone: skin, fat, muscle layers, cavity with bowel, bladder and vessels. Drawing frame, mm.

The large shapes are closed forms sampled on a coarse lattice and read back between its nodes; the organs are in
`sample_data.organs`.
"""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.labels import Side
from sample_data.closed_forms import Points, capsules, coverage, smooth_union
from sample_data.scene import Scene
from sample_data.signed_distance import DistanceField, sample_affine

__all__ = ["SoftTissue", "build_soft_tissue"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

LATTICE_MM = 4.0
LATTICE_LOW_MM = np.array([-216.0, -184.0, -176.0])
LATTICE_SHAPE = (84, 88, 109)
"""Lattice of the large shapes: spacing, first node, and nodes along z, y, x."""

AIR_HU, FAT_HU, MUSCLE_HU = -1000.0, -102.0, 56.0
"""CT numbers of the large shapes."""

HIP_LAYERS_MM = (12.0, 27.0, 44.0)
"""Distance from the hip bone of the fat planes between the gluteal muscles. [P]"""

BONE_TO_SKIN_MM = 14.0
"""The body's outline gives way to a wide pelvis so that at least this much covers it. [P]"""

DERMIS_MM, DERMIS_HU = 1.6, 10.0
"""Skin."""

GLUTEAL_END_MM, GLUTEAL_END_SLOPE = -50.0, 1.2
"""Below this height the layers round the hip bone give way to the thigh's muscles. [P]"""

FLOOR_MM, FLOOR_SLOPE = -76.0, 0.22
"""Pelvic floor: its height under the middle, and its rise towards the coccyx. [P]"""

PLANE_MM = 1.1
"""Half thickness of the fat planes between muscles. [P]"""

LOOSE_PLANE_MM = 1.6
"""How much the thickness of a fat plane varies. [P]"""

TEXTURE_MM, TEXTURE_HU = 5.0, 7.0
"""Grain of the soft tissue's own unevenness. [P]"""

PSOAS = [
    (37, -16, 135, 43, -24, 85, 15, 18),
    (43, -24, 85, 58, -44, 30, 18, 16),
    (58, -44, 30, 82, -70, -30, 15, 14),
    (82, -70, -30, 92, -62, -70, 14, 13),
    (92, -62, -70, 112, -24, -115, 12, 9),
]

THIGH = (
    [
        (112, -88, -10, 104, -112, -140, 11, 10),  # sartorius
        (128, -66, -10, 146, -62, -150, 12, 10),  # tensor fasciae latae
        (52, -88, -88, 78, -66, -130, 13, 14),  # pectineus
        (30, -40, -122, 64, -30, -170, 16, 24),  # adductor magnus
        (60, -52, -88, 104, -12, -72, 11, 9),  # obturator externus
        (66, 30, -118, 82, 42, -170, 13, 17),  # semitendinosus
        (120, -46, -100, 122, -44, -170, 17, 21),  # vastus intermedius
        (104, 58, -70, 128, 40, -150, 22, 20),  # gluteus maximus
    ],
    [
        (98, -72, -35, 116, -88, -150, 12, 19),  # rectus femoris
        (34, -70, -108, 66, -66, -160, 14, 18),  # adductor longus
        (94, 28, -118, 104, 34, -170, 13, 17),  # biceps femoris
        (146, -22, -90, 148, -24, -170, 15, 19),  # vastus lateralis
        (24, -58, -112, 28, -52, -170, 8, 10),  # gracilis
        (66, 60, -60, 96, 64, -140, 24, 20),  # gluteus maximus, medial part
    ],
)
"""Muscles of the left thigh, in two sets so that neighbours keep a fat plane between them."""

ERECTOR = [(16, 58, 62, 24, 44, 140, 14, 24), (40, 40, 86, 46, 26, 140, 12, 19), (14, 74, 10, 14, 64, 60, 7, 12)]


@dataclass(frozen=True, eq=False)
class SoftTissue:
    """The large shapes as fields.

    Attributes
    ----------
    skin, lean, cavity, hips, muscles, thigh, other_thigh : DistanceField
        Body; what lies under the subcutaneous fat; peritoneal and pelvic cavity; distance from the hip bones;
        iliopsoas and erector; muscles of the thigh in two sets.
    texture : DistanceField
        Smooth noise of unit variance.
    """

    skin: DistanceField
    lean: DistanceField
    cavity: DistanceField
    hips: DistanceField
    muscles: DistanceField
    thigh: DistanceField
    other_thigh: DistanceField
    texture: DistanceField

    def hu(self, frame_from_zyx: F64, shape_zyx: tuple[int, int, int], width_mm: float) -> F32:
        """CT numbers of a slab without bones and organs, air round it."""
        body = sample_affine(self.skin, frame_from_zyx, shape_zyx)
        inside = body < 2 * width_mm

        def read(field: DistanceField) -> F32:
            return sample_affine(field, frame_from_zyx, shape_zyx, inside)

        texture, hips = read(self.texture), read(self.hips)
        planes = np.full(shape_zyx, np.float32(99))
        for layer in HIP_LAYERS_MM:
            np.minimum(planes, np.abs(hips - np.float32(layer) - 2 * texture), out=planes)
        for field in (self.muscles, self.thigh, self.other_thigh):
            np.minimum(planes, np.abs(read(field)), out=planes)
        planes -= np.float32(PLANE_MM) + np.float32(LOOSE_PLANE_MM) * texture
        fat = np.maximum(coverage(planes, width_mm), coverage(read(self.cavity), width_mm))
        fat = np.maximum(fat, 1 - coverage(read(self.lean), width_mm))
        out = np.float32(MUSCLE_HU) + fat * np.float32(FAT_HU - MUSCLE_HU) + texture * np.float32(TEXTURE_HU)
        dermis = np.abs(body + np.float32(DERMIS_MM / 2)) - np.float32(DERMIS_MM / 2)
        out += coverage(dermis, width_mm) * np.float32(DERMIS_HU - FAT_HU)
        return (AIR_HU + coverage(body, width_mm) * (out - np.float32(AIR_HU))).astype(np.float32)


def build_soft_tissue(scene: Scene) -> SoftTissue:
    """Sample the large shapes for a scene."""
    p = _lattice_points()
    bone = _far_distance(scene, p)
    hips = bone + np.float32(GLUTEAL_END_SLOPE) * np.maximum(GLUTEAL_END_MM - p.z, 0)
    skin = smooth_union(_skin(p), bone - np.float32(BONE_TO_SKIN_MM), 8.0)
    lean = skin + _fat_thickness(p)
    psoas = capsules(Points(np.abs(p.x), p.y, p.z), PSOAS)
    erector = capsules(Points(np.abs(p.x), p.y, p.z), ERECTOR)
    thigh = [capsules(Points(np.abs(p.x), p.y, p.z), rows) for rows in THIGH]
    cavity = _cavity(p, lean, hips, psoas)
    fields = (skin, lean, cavity, hips, np.minimum(psoas, erector), *thigh, _texture(scene.spec.seed))
    return SoftTissue(*(DistanceField(np.ascontiguousarray(f, np.float32), LATTICE_LOW_MM, LATTICE_MM) for f in fields))


def _lattice_points() -> Points:
    matrix = np.zeros((4, 4))
    matrix[[2, 1, 0], [0, 1, 2]] = LATTICE_MM
    matrix[:3, 3] = LATTICE_LOW_MM
    return Points.of_grid(matrix, LATTICE_SHAPE)


def _far_distance(scene: Scene, p: Points) -> F32:
    """Distance from the hip bones, also where the bones' own fields end."""
    near = np.minimum(*(scene.skeleton.hip_fields[side].at_points(p) for side in Side))
    far = edt.edt(np.ascontiguousarray(near > 0), anisotropy=(LATTICE_MM,) * 3, parallel=1) - np.float32(LATTICE_MM / 2)
    smooth: F32 = ndi.gaussian_filter(far, 1.2).astype(np.float32)
    share = np.clip((far - 8) / 8, 0, 1).astype(np.float32)
    mixed: F32 = near * (1 - share) + smooth * share
    return mixed


def _level(z: F32, heights: list[float], values: list[float]) -> F32:
    smooth: F32 = ndi.gaussian_filter1d(np.interp(z, heights, values).astype(np.float32), 3.0, axis=0)
    return smooth


def _skin(p: Points) -> F32:
    """Distance to the skin: a superellipse in each slice, cleft between the buttocks."""
    heights = [-180.0, -130.0, -90.0, -50.0, 0.0, 40.0, 80.0, 130.0]
    half_width = _level(p.z, heights, [168, 174, 178, 178, 172, 164, 156, 152])
    front = _level(p.z, heights, [-112, -112, -112, -118, -126, -130, -132, -132])
    back = _level(p.z, heights, [88, 96, 106, 112, 108, 98, 92, 90])
    middle, half_depth = (front + back) / np.float32(2), (back - front) / np.float32(2)
    value = ((np.abs(p.x) / half_width) ** 2.5 + (np.abs(p.y - middle) / half_depth) ** 2.5) ** np.float32(0.4)
    body: F32 = (value - 1) * np.float32(115)
    depth = _level(p.z, [-180, -90, -50, -10, 25, 60], [80, 55, 38, 20, 4, -10])
    open_ = p.y - (back - depth)
    sheet: F32 = np.hypot(p.x, np.maximum(-open_, 0)) - np.maximum(open_, 0) * np.float32(0.22) - np.float32(1)
    result: F32 = -smooth_union(-body, sheet, 8.0)
    return result


def _fat_thickness(p: Points) -> F32:
    """Subcutaneous fat: thickest behind and at the flanks."""
    behind = np.clip(p.y / 90, 0, 1)
    side = np.clip(np.abs(p.x) / 170, 0, 1) ** 2
    result: F32 = (np.float32(15) + 13 * behind + 9 * side * (1 - np.clip((p.z - 60) / 60, 0, 1))).astype(np.float32)
    return result


def _cavity(p: Points, lean: F32, hips: F32, psoas: F32) -> F32:
    """Distance to the peritoneal and pelvic cavity, which is filled with fat."""
    half = _level(p.z, [-95, -60, -20, 20, 60, 130], [40, 52, 66, 96, 116, 122])
    back = _level(p.z, [-95, -60, -20, 10, 40, 70, 130], [20, 44, 50, 24, 6, 8, 12])
    front = _level(p.z, [-95, -70, -45, -10, 130], [-66, -74, -88, -116, -129])
    middle, depth = (front + back) / 2, (back - front) / 2
    ring = ((np.abs(p.x) / half) ** 3 + (np.abs(p.y - middle) / depth) ** 3) ** np.float32(1 / 3)
    floor = np.float32(FLOOR_MM) - p.z + np.float32(FLOOR_SLOPE) * p.y - (p.x / 14) ** 2 * np.float32(0.8)
    tube = (ring - 1) * np.minimum(half, depth)
    walls: list[NDArray[np.floating]] = [tube, lean + 11, 12 - hips, -psoas, _before_spine(p), floor]
    outside: F32 = -walls[0].astype(np.float32)
    for wall in walls[1:]:
        outside = smooth_union(outside, -wall.astype(np.float32), 10.0)
    return -outside


def _before_spine(p: Points) -> F32:
    """Distance into the column and the sacrum's ventral face, so that the cavity stays before them."""
    ventral = capsules(
        p, [(0, -12, 130, 0, -8, 60, 31, 33), (0, -8, 60, 0, 32, 24, 33, 34), (0, 32, 24, 0, 66, -18, 34, 24)]
    )
    result: F32 = -ventral
    return result


def _texture(seed: int) -> F32:
    noise = np.random.default_rng(seed).standard_normal(LATTICE_SHAPE, np.float32)
    smooth = ndi.gaussian_filter(noise, TEXTURE_MM / LATTICE_MM)
    result: F32 = smooth / smooth.std()
    return result
