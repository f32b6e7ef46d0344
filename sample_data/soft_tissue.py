"""Everything that is not bone: skin, fat, muscle layers, cavity with bowel, bladder and vessels. Drawing frame, mm.

The large shapes are closed forms sampled on a coarse lattice and read back between its nodes; organs are drawn exactly.
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

GLUTEAL_END_MM, GLUTEAL_END_SLOPE = -50.0, 1.2
"""Below this height the layers round the hip bone give way to the thigh's muscles. [P]"""

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

THIGH = [
    (112, -88, -10, 104, -112, -140, 11, 10),  # sartorius
    (98, -72, -35, 116, -88, -150, 12, 19),  # rectus femoris
    (128, -66, -10, 146, -62, -150, 12, 10),  # tensor fasciae latae
    (52, -88, -88, 78, -66, -130, 13, 14),  # pectineus
    (34, -70, -108, 66, -58, -160, 15, 20),  # adductor longus
    (30, -40, -122, 70, -28, -170, 16, 24),  # adductor magnus
    (60, -52, -88, 104, -12, -72, 11, 9),  # obturator externus
    (66, 22, -118, 88, 40, -170, 15, 20),  # hamstrings
    (132, -20, -90, 136, -24, -170, 16, 20),  # vastus lateralis
]

ERECTOR = [(16, 58, 62, 24, 44, 140, 14, 24), (40, 40, 86, 46, 26, 140, 12, 19), (14, 74, 10, 14, 64, 60, 7, 12)]


@dataclass(frozen=True, eq=False)
class SoftTissue:
    """The large shapes as fields, and the organs.

    Attributes
    ----------
    skin, lean, cavity, hips, muscles, groups : DistanceField
        Body; what lies under the subcutaneous fat; peritoneal and pelvic cavity; distance from the hip bones;
        iliopsoas and erector; muscles of the thigh.
    texture : DistanceField
        Smooth noise of unit variance.
    scene : Scene
        For the organs' options.
    """

    skin: DistanceField
    lean: DistanceField
    cavity: DistanceField
    hips: DistanceField
    muscles: DistanceField
    groups: DistanceField
    texture: DistanceField
    scene: Scene

    def hu(self, frame_from_zyx: F64, shape_zyx: tuple[int, int, int], width_mm: float) -> F32:
        """CT numbers of a slab without bones and organs, air round it."""
        read = [sample_affine(f, frame_from_zyx, shape_zyx) for f in (self.texture, self.cavity, self.hips)]
        texture, cavity, hips = read
        planes = np.full(shape_zyx, np.float32(99))
        for layer in HIP_LAYERS_MM:
            np.minimum(planes, np.abs(hips - np.float32(layer) - 2 * texture), out=planes)
        for field in (self.muscles, self.groups):
            np.minimum(planes, np.abs(sample_affine(field, frame_from_zyx, shape_zyx)), out=planes)
        planes -= np.float32(PLANE_MM) + np.float32(LOOSE_PLANE_MM) * texture
        fat = np.maximum(coverage(planes, width_mm), coverage(cavity, width_mm))
        fat = np.maximum(fat, 1 - coverage(sample_affine(self.lean, frame_from_zyx, shape_zyx), width_mm))
        out = np.float32(MUSCLE_HU) + fat * np.float32(FAT_HU - MUSCLE_HU) + texture * np.float32(TEXTURE_HU)
        body = sample_affine(self.skin, frame_from_zyx, shape_zyx)
        out += coverage(np.abs(body + np.float32(0.8)) - np.float32(0.8), width_mm) * np.float32(110)
        inside = coverage(body, width_mm)
        result: F32 = np.float32(AIR_HU) + inside * (out - np.float32(AIR_HU))
        return result


def build_soft_tissue(scene: Scene) -> SoftTissue:
    """Sample the large shapes for a scene."""
    p = _lattice_points()
    hips = _far_distance(scene, p) + GLUTEAL_END_SLOPE * np.maximum(GLUTEAL_END_MM - p.z, 0)
    skin = _skin(p)
    lean = skin + _fat_thickness(p)
    psoas = capsules(Points(np.abs(p.x), p.y, p.z), PSOAS)
    erector = capsules(Points(np.abs(p.x), p.y, p.z), ERECTOR)
    groups = capsules(Points(np.abs(p.x), p.y, p.z), THIGH)
    cavity = _cavity(p, lean, hips, psoas)
    fields = (skin, lean, cavity, hips, np.minimum(psoas, erector), groups, _texture(scene.spec.seed))
    return SoftTissue(*(DistanceField(np.ascontiguousarray(f, np.float32), LATTICE_LOW_MM, LATTICE_MM) for f in fields), scene)


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
    return near * (1 - share) + smooth * share


def _level(z: F32, heights: list[float], values: list[float]) -> F32:
    result: F32 = np.interp(z, heights, values).astype(np.float32)
    return ndi.gaussian_filter1d(result, 3.0, axis=0)


def _skin(p: Points) -> F32:
    """Distance to the skin: a superellipse in each slice, cleft between the buttocks."""
    heights = [-180.0, -130.0, -90.0, -50.0, 0.0, 40.0, 80.0, 130.0]
    half_width = _level(p.z, heights, [168, 174, 178, 178, 172, 164, 156, 152])
    front = _level(p.z, heights, [-112, -112, -112, -118, -126, -130, -132, -132])
    back = _level(p.z, heights, [88, 96, 106, 112, 108, 98, 92, 90])
    middle, half_depth = (front + back) / 2, (back - front) / 2
    value = ((np.abs(p.x) / half_width) ** 2.5 + (np.abs(p.y - middle) / half_depth) ** 2.5) ** np.float32(0.4)
    body = (value - 1) * np.float32(115)
    depth = _level(p.z, [-180, -90, -50, -10, 25, 60], [80, 55, 38, 20, 4, -10])
    sheet = np.hypot(p.x, np.maximum(back - depth - p.y, 0)) - np.maximum(p.y - (back - depth), 0) * np.float32(0.22) - 1
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
    half = _level(p.z, [-95, -60, -20, 20, 60, 130], [38, 48, 62, 92, 112, 118])
    back = _level(p.z, [-95, -60, -20, 10, 40, 70, 130], [10, 40, 48, 20, 2, 4, 8])
    front = _level(p.z, [-95, -70, -45, -10, 130], [-62, -70, -84, -112, -125])
    walls = [np.abs(p.x) - half, p.y - back, front - p.y, lean + 11, 12 - hips, -psoas, _before_spine(p), np.float32(-84) - p.z]
    cavity = walls[0]
    for wall in walls[1:]:
        cavity = -smooth_union(-cavity, -wall, 10.0)
    return cavity


def _before_spine(p: Points) -> F32:
    """Distance into the column and the sacrum's ventral face, so that the cavity stays before them."""
    ventral = capsules(p, [(0, -12, 130, 0, -8, 60, 31, 33), (0, -8, 60, 0, 32, 24, 33, 34), (0, 32, 24, 0, 66, -18, 34, 24)])
    result: F32 = -ventral
    return result


def _texture(seed: int) -> F32:
    noise = np.random.default_rng(seed).standard_normal(LATTICE_SHAPE, np.float32)
    smooth = ndi.gaussian_filter(noise, TEXTURE_MM / LATTICE_MM)
    result: F32 = smooth / smooth.std()
    return result
