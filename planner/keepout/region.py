"""The sacrum on an isotropic grid: its bone, and the room within its hull that is not bone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid
from planner.joint.label_distance import label_distance, resample
from planner.keepout.config import KeepoutConfig
from planner.labels import Label
from planner.segmentation.model import Bones
from planner.volume import Box, Volume

__all__ = ["SacrumRegion", "sacrum_region"]

MARGIN_MM = 8.0
"""Room kept round the sacrum: the mouths' surroundings."""

CRANIAL_MARGIN_MM = 20.0
"""Room kept above it: the canal goes on to L5."""

DEEP_MM = 4.0
"""Deeper in the sacrum there is marrow, not cortex `[P]`."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SacrumRegion:
    """The surroundings of the sacrum.

    Attributes
    ----------
    box : tuple of slice
        Where in the scan.
    grid : Grid
        Isotropic, from the first voxel of `box`.
    bone : (z, y, x) bool array
        Sacrum.
    lumbar : (z, y, x) bool array
        L5 and above, and whatever else reads as bone.
    room, canal_room : (z, y, x) bool arrays
        Not bone, and inside the sacrum's hull: tight for the foramina, wide for the canal.
    whole : bool
        The scan does not cut the sacrum.
    hu : (z, y, x) float32 array
        Hounsfield units.
    marrow_hu : float
        Median deep in the sacrum; NaN where it is nowhere deep.
    """

    box: Box
    grid: Grid
    bone: Mask
    lumbar: Mask
    room: Mask
    canal_room: Mask
    whole: bool
    hu: NDArray[np.float32]
    marrow_hu: float


def sacrum_region(volume: Volume, bones: Bones, config: KeepoutConfig) -> SacrumRegion | None:
    """Crop, resample and open; None where there is no sacrum."""
    labels, grid = bones.labels.values, bones.labels.grid
    sacrum = labels == Label.SACRUM
    box = _box_of(sacrum, grid)
    if box is None:
        return None
    coarse = grid.crop(box)
    fine = coarse.resampled(config.spacing_mm)
    outside_mm = resample(label_distance(sacrum[box], coarse), coarse, fine)
    solid = outside_mm < 0
    hu = resample(volume.hu[box], coarse, fine)
    lumbar = resample(labels[box] == Label.LUMBAR, coarse, fine) > 0.5
    lumbar |= hu > config.bone_hu
    lumbar &= ~solid
    free = ~solid & ~lumbar
    room = _closed(solid, fine, config.hull_mm) & free
    canal_room = _closed(solid, fine, config.canal_hull_mm) & free
    deep = hu[outside_mm < -DEEP_MM]
    marrow_hu = float(np.median(deep)) if deep.size else float("nan")
    return SacrumRegion(box, fine, solid, lumbar, room, canal_room, not _touches_border(sacrum), hu, marrow_hu)


def _closed(mask: Mask, grid: Grid, radius_mm: float) -> Mask:
    grown = _distance(mask, grid) <= radius_mm
    closed: Mask = _distance(~grown, grid) > radius_mm
    return closed


def _distance(mask: Mask, grid: Grid) -> NDArray[np.float32]:
    """Distance in mm to the nearest voxel centre of `mask`; the array's border is open."""
    spacing = tuple(float(s) for s in grid.spacing_zyx_mm)
    distance: NDArray[np.float32] = edt.edt(~mask, anisotropy=spacing, black_border=False, parallel=1)
    return distance


def _box_of(mask: Mask, grid: Grid) -> Box | None:
    boxes: list[Any] = ndi.find_objects(mask.view(np.uint8), max_label=1)
    found = boxes[0]
    if found is None:
        return None
    low = np.ceil(MARGIN_MM / grid.spacing_zyx_mm).astype(int)
    high = np.ceil(np.array([CRANIAL_MARGIN_MM, MARGIN_MM, MARGIN_MM]) / grid.spacing_zyx_mm).astype(int)
    ends = zip(found, low, high, mask.shape, strict=True)
    spans = [slice(max(s.start - int(a), 0), min(s.stop + int(b), n)) for s, a, b, n in ends]
    return spans[0], spans[1], spans[2]


def _touches_border(mask: Mask) -> bool:
    ends = (0, -1)
    return any(bool(mask.take(end, axis=axis).any()) for axis in range(3) for end in ends)
