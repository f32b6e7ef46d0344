"""CT numbers of a scene: soft tissue, bone with cortex and trabeculae, metal, table; then blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid
from planner.labels import Label
from planner.segmentation.model import PelvicFrame
from sample_data.closed_forms import Points, coverage
from sample_data.organs import Organ, canal_contents, organs
from sample_data.scene import SACRUM_BOX_MM, Part, Scene
from sample_data.signed_distance import DistanceField
from sample_data.slabs import box_slabs, drawing_from_zyx, whole_slabs
from sample_data.soft_tissue import build_soft_tissue
from sample_data.spec import Kernel

__all__ = ["paint"]

F32 = NDArray[np.float32]

METAL_HU = 9000.0
"""Titanium to steel, before the scanner's limit."""

HIGHEST_HU, LOWEST_HU = 3071, -1024
"""Range of a 12-bit scanner."""

CANAL_FAT_HU = -70.0
"""Epidural and perineural fat."""

SCLEROSIS_HU, SCLEROSIS_MM = 260.0, 3.5
"""Subchondral bone at the SI joint: added to trabeculae within this of the cortex. [P]"""

ENDOSTEAL_HU, ENDOSTEAL_MM = 160.0, 2.2
"""Trabeculae grow denser towards the cortex. [P]"""

CORTEX_EDGE_MM = 0.9
"""Width over which cortex turns to trabeculae. [P]"""

SHAFT_TOP_MM, SHAFT_TAPER_MM, SHAFT_CORTEX_MM, FATTY_MARROW_HU = -85.0, 40.0, 4.0, -40.0
"""Femur: below this height, over this length, the cortex thickens by this and the marrow turns to fat. [P]"""

GRAIN_MM, GRAIN_SHAPE = 1.4, (72, 80, 88)
"""Lattice of the trabecular pattern; repeats beyond."""

BLUR_MM = {Kernel.SOFT: 0.55, Kernel.BONE: 0.30}
"""Standard deviation of the in-plane point spread function."""

BLUR_Z_MM = 0.35
"""Standard deviation of the slice profile beyond its thickness."""

NOISE_GRAIN_MM = {Kernel.SOFT: 0.8, Kernel.BONE: 0.0}
"""Correlation of the noise in the slice."""

NOISE_GAIN = {Kernel.SOFT: 1.0, Kernel.BONE: 2.2}
"""A sharp kernel is noisier."""

TABLE_TOP_LPS_Y_MM, TABLE_CURVE_MM, TABLE_HALF_WIDTH_MM = 102.0, 28.0, 210.0
"""Lowest line of the table top, its curve (sinks by ``(x / curve)^2``), and half its width."""

TABLE_MM, TABLE_SHELL_MM, TABLE_SHELL_HU, TABLE_CORE_HU = 28.0, 2.5, -60.0, -960.0
"""A carbon shell round foam."""

AIR_LIMIT_HU = -700.0
"""The table is drawn where there is nothing else."""


@dataclass(frozen=True)
class BoneQuality:
    """What a bone is filled with."""

    cortex_hu: float
    cortex_mm: float
    trabecular_hu: float
    grain_hu: float


HEALTHY = BoneQuality(1150.0, 1.7, 215.0, 70.0)
POROTIC = BoneQuality(900.0, 1.1, 85.0, 60.0)


def paint(scene: Scene, grid: Grid, drawing: PelvicFrame) -> NDArray[np.int16]:
    """Hounsfield units of a scene on a grid; slices thicker than the pixels are averaged over their thickness."""
    sz, sy, sx = grid.spacing_zyx_mm
    layers = 1 + 2 * round((sz / float(np.sqrt(sy * sx)) - 1) / 2)
    hu = _layered(scene, grid, drawing, max(layers, 1))
    return _scan(hu, grid, scene)


def _layered(scene: Scene, grid: Grid, drawing: PelvicFrame, layers: int) -> F32:
    """Mean of thin layers within each slice."""
    nz = grid.shape_zyx[0]
    matrix = grid.lps_from_zyx.copy()
    matrix[:3, 0] /= layers
    matrix[:3, 3] -= matrix[:3, 0] * (layers - 1) / 2
    fine = Grid((nz * layers, *grid.shape_zyx[1:]), matrix)
    hu = _render(scene, fine, drawing)
    return hu if layers == 1 else hu.reshape(nz, layers, *grid.shape_zyx[1:]).mean(axis=1)


def _render(scene: Scene, grid: Grid, drawing: PelvicFrame) -> F32:
    """CT numbers of a perfect scanner, partial volume included."""
    width = float(np.prod(grid.spacing_zyx_mm) ** (1 / 3))
    hu = np.empty(grid.shape_zyx, np.float32)
    soft = build_soft_tissue(scene)
    for box in whole_slabs(grid):
        piece = grid.crop(box)
        hu[box] = soft.hu(drawing_from_zyx(piece, drawing), piece.shape_zyx, width)
    for organ in organs(scene):
        _draw_organ(hu, organ, grid, drawing, width)
    _open_channels(hu, scene, grid, drawing, width)
    for organ in canal_contents():
        _draw_organ(hu, organ, grid, drawing, width)
    grain = _grain(scene.spec.seed)
    for part in scene.bones():
        _draw_bone(hu, part, scene, grain, (grid, drawing, width))
    for part in scene.metal():
        _draw_organ(hu, Organ(part.box_mm, part.distance, METAL_HU), grid, drawing, width)
    _draw_table(hu, grid)
    return hu


def _draw_organ(hu: F32, organ: Organ, grid: Grid, drawing: PelvicFrame, width: float) -> None:
    for box, points in box_slabs(organ.box_mm, grid, drawing):
        share = coverage(organ.distance(points), width)
        hu[box] += share * (np.float32(organ.hu) - hu[box])


def _open_channels(hu: F32, scene: Scene, grid: Grid, drawing: PelvicFrame, width: float) -> None:
    """Fill canal and foramina with fat, whatever lay there."""
    for box, points in box_slabs(SACRUM_BOX_MM, grid, drawing):
        within = np.maximum(scene.skeleton.voids(points), scene.skeleton.outer_sacrum(points))
        hu[box] += coverage(within, width) * (np.float32(CANAL_FAT_HU) - hu[box])


def _draw_bone(hu: F32, part: Part, scene: Scene, grain: DistanceField, where: tuple[Grid, PelvicFrame, float]) -> None:
    grid, drawing, width = where
    quality = POROTIC if scene.spec.osteoporosis else HEALTHY
    for box, points in box_slabs(part.box_mm, grid, drawing):
        distance = part.distance(points)
        share = coverage(distance, width)
        near = share > 0
        if not near.any():
            continue
        p = Points(points.x[near], points.y[near], points.z[near])
        inside = _bone_hu(distance[near], p, part.label, quality, grain)
        inside += _sclerosis(scene, p, distance[near])
        piece = hu[box]
        piece[near] += share[near] * (inside - piece[near])


def _bone_hu(distance: F32, p: Points, label: Label, quality: BoneQuality, grain: DistanceField) -> F32:
    pattern = _tiled(grain, p)
    thickness: F32 = np.float32(quality.cortex_mm) * (1 + np.float32(0.15) * pattern)
    marrow: F32 = np.float32(quality.trabecular_hu) + np.float32(quality.grain_hu) * pattern
    if label in (Label.LEFT_FEMUR, Label.RIGHT_FEMUR):
        down = np.clip((SHAFT_TOP_MM - p.z) / SHAFT_TAPER_MM, 0, 1).astype(np.float32)
        thickness = thickness + np.float32(SHAFT_CORTEX_MM) * down
        marrow = marrow * (1 - down) + np.float32(FATTY_MARROW_HU) * down
    deep = np.maximum(-distance - thickness, 0)
    marrow = marrow + np.float32(ENDOSTEAL_HU) * np.exp(-deep / np.float32(ENDOSTEAL_MM))
    cortex = np.clip((distance + thickness) / np.float32(CORTEX_EDGE_MM) + np.float32(0.5), 0, 1)
    bone: F32 = (marrow + cortex * (np.float32(quality.cortex_hu) - marrow)).astype(np.float32)
    return bone


def _sclerosis(scene: Scene, p: Points, distance: F32) -> F32:
    """Denser bone below the joint faces."""
    extra = np.zeros_like(distance)
    for joint in scene.skeleton.joints.values():
        left = p.mirrored(joint.side.lateral_x)
        close = (left.x > 25) & (joint.margin_mm(left.y, left.z) < 0)
        if close.any():
            q = Points(left.x[close], left.y[close], left.z[close])
            depth = np.abs(joint.offset_mm(q)) - np.float32(joint.gap / 2)
            extra[close] = SCLEROSIS_HU * np.exp(-np.maximum(depth, 0) / np.float32(SCLEROSIS_MM))
    return np.where(distance < -1.5, extra, 0).astype(np.float32)


def _grain(seed: int) -> DistanceField:
    """Trabecular pattern of unit variance on a lattice that repeats."""
    noise = np.random.default_rng(seed + 2).standard_normal(GRAIN_SHAPE, np.float32)
    coarse = ndi.gaussian_filter(noise, 2.5, mode="wrap")
    mixed = ndi.gaussian_filter(noise, 0.6, mode="wrap") * 2.0 + coarse * 9.0
    return DistanceField((mixed / mixed.std()).astype(np.float32), np.zeros(3), GRAIN_MM)


def _tiled(grain: DistanceField, p: Points) -> F32:
    size = [np.float32((n - 1) * GRAIN_MM) for n in grain.values_mm.shape]
    return grain.at_points(Points(np.mod(p.x, size[2]), np.mod(p.y, size[1]), np.mod(p.z, size[0])))


def _draw_table(hu: F32, grid: Grid) -> None:
    """Draw a hollow, gently curved table top under the patient, fixed to the scanner."""
    low = np.array([-TABLE_HALF_WIDTH_MM, TABLE_TOP_LPS_Y_MM - (TABLE_HALF_WIDTH_MM / TABLE_CURVE_MM) ** 2, -1e4])
    high = np.array([TABLE_HALF_WIDTH_MM, TABLE_TOP_LPS_Y_MM + TABLE_MM, 1e4])
    for box, p in box_slabs((tuple(low), tuple(high)), grid, PelvicFrame(np.eye(4))):
        depth = p.y - np.float32(TABLE_TOP_LPS_Y_MM) + (p.x / np.float32(TABLE_CURVE_MM)) ** 2
        shell = (depth < TABLE_SHELL_MM) | (depth > TABLE_MM - TABLE_SHELL_MM)
        within = (depth > 0) & (depth < TABLE_MM) & (hu[box] < AIR_LIMIT_HU)
        np.copyto(hu[box], np.where(shell, np.float32(TABLE_SHELL_HU), np.float32(TABLE_CORE_HU)), where=within)


def _scan(hu: F32, grid: Grid, scene: Scene) -> NDArray[np.int16]:
    """Blur, add noise, round and clip."""
    spec = scene.spec
    sz, sy, sx = grid.spacing_zyx_mm
    blur = BLUR_MM[spec.kernel]
    ndi.gaussian_filter(hu, (BLUR_Z_MM / sz, blur / sy, blur / sx), output=hu, truncate=3.0)
    rng = np.random.default_rng(spec.seed + 3)
    grain = NOISE_GRAIN_MM[spec.kernel]
    out = np.empty(hu.shape, np.int16)
    for k in range(hu.shape[0]):
        noise = rng.standard_normal(hu.shape[1:], np.float32)
        if grain:
            noise = ndi.gaussian_filter(noise, (grain / sy, grain / sx), truncate=3.0)
            noise /= noise.std()
        value = hu[k] + noise * np.float32(spec.noise_hu * NOISE_GAIN[spec.kernel])
        out[k] = np.clip(np.rint(value), LOWEST_HU, HIGHEST_HU).astype(np.int16)
    return out
