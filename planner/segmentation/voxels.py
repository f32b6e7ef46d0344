"""From surfaces to solid labels: what the surfaces enclose, corrected by the image within a narrow band."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.labels import Label, Side
from planner.segmentation.border import settle_border
from planner.segmentation.carving import carve
from planner.segmentation.config import SegmentationConfig
from planner.segmentation.flood import flood
from planner.segmentation.freeform import Surfaces
from planner.segmentation.model import BONE_NAMES, PelvicFrame
from planner.segmentation.neighbours import femoral_heads, lumbar_box, lumbar_seed
from planner.segmentation.profiles import read_profiles
from planner.segmentation.rasterise import fill_surface
from planner.segmentation.shapes import (
    away_from,
    box_of,
    boxes_of,
    enclosing_planes,
    fill_holes,
    padded,
    part_sizes,
    touching_parts,
)
from planner.segmentation.tail import fill_marrow, pelvic_places, sacral_tail, tail_box
from planner.volume import Box, Volume

__all__ = ["Places", "label_voxels"]

HIPS = (Label.LEFT_HIP, Label.RIGHT_HIP)

FEMORA = {Side.LEFT: Label.LEFT_FEMUR, Side.RIGHT: Label.RIGHT_FEMUR}

DORSAL = np.array([0.0, 0.84, 0.54])
"""Direction square through the sacrum to its back, pelvic frame."""

BODY_DEPTH_MM = 28.0
"""Behind the centre of the S1 endplate by this along `DORSAL`, the processes begin [P]."""

TOP_MM = 5.0
"""Farther up than this above the centre of the S1 endplate, processes belong to L5 [P]."""

AXES = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))
"""Shapes that spread a row along each array axis."""

CRUMB_SHARE = 0.01
"""Parts of a bone smaller than this share of its largest part are dropped [P]."""

HOLLOW_MM3 = 100.0
"""Smallest hollow of the marrow that is filled though it leaks [P]."""

GAS_HU = -200
"""Nothing below this is bone: gas, air, padding outside the field of view."""

BRIGHTEST_HU = 1200.0
"""Brightness is not told apart above this: dense cortex."""

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Places:
    """Where the fitted shape expects things, LPS mm.

    Attributes
    ----------
    frame : PelvicFrame
        The pelvis's own axes.
    sockets : dict of Side to (n, 3) float64 array
        Vertices of each acetabulum.
    endplate_lps, cut_lps : (3,) float64 arrays
        Centre of the S1 endplate and of the model's caudal end of the sacrum.
    """

    frame: PelvicFrame
    sockets: dict[Side, NDArray[np.float64]]
    endplate_lps: NDArray[np.float64]
    cut_lps: NDArray[np.float64]


def label_voxels(volume: Volume, surfaces: Surfaces, places: Places, config: SegmentationConfig) -> Labels:
    """Label a cropped canonical volume; looks only at the box of the bones."""
    box = bone_box(volume.grid, surfaces, places, config)
    labels = np.zeros(volume.grid.shape_zyx, np.uint8)
    labels[box] = label_box(volume.crop(box), surfaces, places, config)
    return labels


def bone_box(grid: Grid, surfaces: Surfaces, places: Places, config: SegmentationConfig) -> Box:
    """Box of the drawn surfaces, with what lies within reach of them, L5's body and the tail of the sacrum."""
    margin = farthest(config) + 2.0 * float(grid.spacing_zyx_mm.max())
    drawn = grid.box_around(np.vstack([surfaces.vertices[name] for name in BONE_NAMES]), margin)
    more = (lumbar_box(grid, places.frame, places.endplate_lps), tail_box(grid, places.frame, places.cut_lps))
    boxes = [drawn, *(box for box in more if box is not None)]
    z, y, x = (slice(min(b[i].start for b in boxes), max(b[i].stop for b in boxes)) for i in range(3))
    return z, y, x


def label_box(volume: Volume, surfaces: Surfaces, places: Places, config: SegmentationConfig) -> Labels:
    """Label the box of the bones.

    Order: enclosed voxels; soft voxels open to the outside are carved off; bright voxels next to a bone are shared out
    among pelvis, L5 and femora by brightness; what lies too far from the drawn surfaces is given back, but for the tail
    of the sacrum; then the border of each bone is settled, and hollows of the hip bones are filled.
    """
    labels = drawn = enclosed(surfaces, volume.grid)
    labels[volume.hu < GAS_HU] = 0
    outside = away_from(labels > 0, volume.grid, farthest(config) + 1.0)
    joints = joint_space(labels, volume.grid, config)
    labels = carve(volume.hu, labels, joints, volume.grid, config)
    seeds = labels.copy()
    for side, head in femoral_heads(volume, places.sockets).items():
        head.paint(seeds, volume.grid, FEMORA[side])
    lumbar_seed(volume, seeds, places.frame, places.endplate_lps)
    levels = bone_levels(volume, surfaces, config)
    grown = flood(volume.hu, seeds, (volume.hu > min(levels)) & ~joints, (min(levels), BRIGHTEST_HU))
    for value, level in enumerate(levels, start=1):
        grown[(grown == value) & (labels == 0) & (volume.hu <= level)] = 0
    del seeds
    reach = within_reach(grown, outside, volume.grid, places, config) | fragments(volume.hu, grown, outside, config)
    pelvis = np.where((grown <= Label.RIGHT_HIP) & reach, grown, 0)
    others = solid(np.where(grown > Label.RIGHT_HIP, grown, 0).astype(np.uint8), volume.grid)
    result = np.where(pelvis > 0, pelvis, others).astype(np.uint8)
    tail = np.zeros(result.shape, bool)
    box = tail_box(volume.grid, places.frame, places.cut_lps)
    if box is not None:
        shut = joints[box] | (outside[box] > config.far_mm) & above_cut(volume.grid.crop(box), places)
        tail[box] = sacral_tail(volume.crop(box), result[box], shut, places.frame, places.cut_lps)
    result[tail] = Label.SACRUM
    settled = tidy(settle_border(volume.hu, result, (outside == 0) | tail, joints, volume.grid, config))
    return fill_hollows(settled, drawn, volume.grid)


def bone_levels(volume: Volume, surfaces: Surfaces, config: SegmentationConfig) -> list[float]:
    """Threshold of each bone of the pelvis, HU."""
    levels = []
    for name in BONE_NAMES:
        points = surfaces.vertices[name][surfaces.strength[name] > 0]
        edge = read_profiles(volume, points, np.zeros_like(points), np.zeros(1)) if len(points) else np.zeros((1, 1))
        levels.append(float(np.clip(config.bone_share * np.median(edge), *config.bone_hu)))
    return levels


def within_reach(
    grown: Labels, outside: NDArray[np.float32], grid: Grid, places: Places, config: SegmentationConfig
) -> Mask:
    """Voxels near enough to the drawn surfaces; farther behind the sacrum, where its processes are not in the model."""
    near: Mask = outside <= config.add_mm
    far = (grown == Label.SACRUM) & ~near & (outside <= config.dorsal_mm)
    box = box_of(far)
    if box is not None:
        behind = pelvic_places(grid.crop(box), places.frame) - places.frame.to_pelvic(places.endplate_lps)
        near[box] |= far[box] & (behind @ DORSAL.astype(np.float32) > BODY_DEPTH_MM) & (behind[..., 2] < TOP_MM)
    return near


def above_cut(grid: Grid, places: Places) -> Mask:
    """Voxels above the end of the model's sacrum, where its surfaces tell how far the bone may reach."""
    pelvic_from_zyx = np.linalg.inv(places.frame.lps_from_pelvic) @ grid.lps_from_zyx
    z, y, x = (np.arange(n, dtype=np.float32).reshape(shape) for n, shape in zip(grid.shape_zyx, AXES, strict=True))
    up = pelvic_from_zyx[2].astype(np.float32)
    height = up[0] * z + up[1] * y + up[2] * x + up[3]
    above: Mask = height > np.float32(places.frame.to_pelvic(places.cut_lps)[2])
    return above


def fragments(hu: NDArray[np.int16], grown: Labels, outside: NDArray[np.float32], config: SegmentationConfig) -> Mask:
    """Parts that hang on a hip bone farther out, too bright for enhanced vessels, too uneven for a filled bladder."""
    found = np.zeros(grown.shape, bool)
    far = ((grown == HIPS[0]) | (grown == HIPS[1])) & (outside > config.add_mm) & (outside <= config.far_mm)
    box = box_of(far)
    if box is None:
        return found
    parts = cc3d.connected_components(far[box], connectivity=6)
    inside = parts > 0
    number, values = parts[inside], hu[box][inside].astype(np.float64)
    voxels = np.maximum(np.bincount(number), 1)
    bright = np.bincount(number, values > config.far_hu) / voxels
    mean_hu = np.bincount(number, values) / voxels
    spread_hu = np.sqrt(np.maximum(np.bincount(number, values**2) / voxels - mean_hu**2, 0.0))
    found[box] = ((bright > 0.5) & (spread_hu > config.uneven_hu))[parts] & inside
    return found


def enclosed(surfaces: Surfaces, grid: Grid) -> Labels:
    """Voxels inside each surface; those inside two are left open."""
    labels = np.zeros(grid.shape_zyx, np.uint8)
    twice = np.zeros(grid.shape_zyx, bool)
    for value, name in enumerate(BONE_NAMES, start=1):
        inside, box = fill_surface(surfaces.vertices[name], surfaces.faces[name], grid)
        twice[box] |= inside & (labels[box] > 0)
        labels[box][inside] = value
    labels[twice] = 0
    return labels


def farthest(config: SegmentationConfig) -> float:
    """How far outside the drawn surfaces anything may be labelled, mm."""
    return max(config.add_mm, config.dorsal_mm, config.far_mm)


def joint_space(labels: Labels, grid: Grid, config: SegmentationConfig) -> Mask:
    """Voxels between two bones of the pelvis, and just within them, that lie closer to both than ``joint_mm``."""
    shut = np.zeros(labels.shape, bool)
    tight = box_of(labels == Label.SACRUM)
    if tight is None:
        return shut
    box = padded(tight, config.joint_mm, grid)
    hip = (labels[box] == HIPS[0]) | (labels[box] == HIPS[1])
    if hip.any():
        reach_mm = config.joint_mm
        to_sacrum = away_from(labels[box] == Label.SACRUM, grid, reach_mm)
        shut[box] = to_sacrum + away_from(hip, grid, reach_mm) < reach_mm
    return shut


def solid(labels: Labels, grid: Grid) -> Labels:
    """Fill the marrow of vertebrae and femora."""
    filled = labels.copy()
    for value, box in boxes_of(labels).items():
        filled[box][fill_marrow(labels[box] == value, grid) & (labels[box] == 0)] = value
    return filled


def tidy(labels: Labels) -> Labels:
    """Drop crumbs: parts of a bone smaller than a hundredth of its largest part; fill enclosed holes."""
    result = np.zeros_like(labels)
    for value, box in boxes_of(labels).items():
        mask = labels[box] == value
        parts, count = touching_parts(mask)
        sizes = part_sizes(parts, count)
        kept = fill_holes((sizes >= CRUMB_SHARE * sizes.max())[parts] & mask)
        result[box][kept & (mask | (labels[box] == 0))] = value
    return result


def fill_hollows(labels: Labels, drawn: Labels, grid: Grid) -> Labels:
    """Fill hollows of the hip bones that leak: a crack, a pinhole, an end of the scan.

    A hollow is what a bone encloses in all three planes, or in two of them and within its drawn surface. So is a
    channel askew to all three: the sacrum, whose canal and foramina can be, is left as it is.
    """
    least = math.ceil(HOLLOW_MM3 / float(np.prod(grid.spacing_zyx_mm)))

    def hollows(value: int, box: Box) -> Mask:
        planes = enclosing_planes(labels[box] == value)
        hollow = ((planes == 3) | (planes == 2) & (drawn[box] == value)) & (labels[box] == 0)
        return cc3d.dust(hollow, threshold=least, connectivity=6, in_place=True).astype(np.bool_, copy=False)

    filled = labels.copy()
    boxes = {value: box for value, box in boxes_of(labels).items() if value in HIPS}
    with ThreadPoolExecutor() as pool:  # the kernels hold no lock
        for value, hollow in zip(boxes, pool.map(hollows, boxes, boxes.values()), strict=True):
            filled[boxes[value]][hollow] = value
    return filled
