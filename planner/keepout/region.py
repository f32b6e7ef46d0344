"""The sacrum on an isotropic grid: its bone, and the room within its hull that is not bone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.distance import distance_within
from planner.grid import Grid
from planner.keepout.config import KeepoutConfig
from planner.labels import Label
from planner.resampling import resampled_on
from planner.segmentation.model import Bones
from planner.segmentation.shapes import boxes_of
from planner.volume import Box, Volume

__all__ = ["SacrumRegion", "sacrum_region"]

MARGIN_MM = 11.0
"""Room kept round the sacrum: the mouths' surroundings, and more than the radius of the hull's ball."""

CRANIAL_MARGIN_MM = 20.0
"""Room kept above it: the canal goes on to L5."""

DEEP_MM = 4.0
"""Deeper in the sacrum there is marrow, not cortex `[P]`."""

BLUR_MM = 1.0
"""What is bright this near to the sacrum is its own cortex, blurred: channels are not thinner by it `[P]`."""

THREADS = 2
"""What does not depend on each other runs side by side; the values are the same for any number."""

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

    @property
    def hull(self) -> Mask:
        """The sacrum with its foramina."""
        return self.bone | self.room

    def opened(self, soft: Mask) -> SacrumRegion:
        """Take some of the bone for none."""
        room, canal_room = self.room | soft, self.canal_room | soft
        return replace(self, bone=self.bone & ~soft, room=room, canal_room=canal_room)


def sacrum_region(volume: Volume, bones: Bones, config: KeepoutConfig) -> SacrumRegion | None:
    """Crop, resample and open; None where there is no sacrum."""
    labels, grid = bones.labels.values, bones.labels.grid
    tight = boxes_of(labels).get(Label.SACRUM)
    if tight is None:
        return None
    box = _with_margins(tight, grid)
    coarse = grid.crop(box)
    fine = coarse.resampled(config.spacing_mm)
    with ThreadPoolExecutor(THREADS) as pool:
        outside = pool.submit(_outside_mm, labels[box] == Label.SACRUM, coarse, fine)
        hu = resampled_on(volume.hu[box], coarse, fine)
        solid, deep = outside.result() < 0, outside.result() < -DEEP_MM
        lumbar = resampled_on(labels[box] == Label.LUMBAR, coarse, fine) > 0.5
        lumbar |= (hu > config.bone_hu) & (outside.result() > BLUR_MM)
        lumbar &= ~solid
        hulls = pool.map(lambda radius: _closed(solid, fine, radius), (config.hull_mm, config.canal_hull_mm))
        room, canal_room = (hull & ~solid & ~lumbar for hull in hulls)
    marrow_hu = float(np.median(hu[deep])) if deep.any() else float("nan")
    whole = all(s.start > 0 and s.stop < n for s, n in zip(tight, labels.shape, strict=True))
    return SacrumRegion(box, fine, solid, lumbar, room, canal_room, whole, hu, marrow_hu)


def _outside_mm(mask: Mask, coarse: Grid, fine: Grid) -> NDArray[np.float32]:
    """Distance to the label's surface, half a voxel from the outermost centres, as far as it matters."""
    half = np.float32(0.5 * coarse.spacing_zyx_mm.min())
    reach_mm = DEEP_MM + float(coarse.spacing_zyx_mm.max())
    inside, distance = (distance_within(m, coarse.spacing_zyx_mm, reach_mm) for m in (~mask, mask))
    distance -= half
    np.subtract(half, inside, out=distance, where=mask)
    return resampled_on(distance, coarse, fine)


def _closed(mask: Mask, grid: Grid, radius_mm: float) -> Mask:
    """Close by a ball; what lies beyond the array is like its border."""
    reach_mm = radius_mm + float(grid.spacing_zyx_mm.max())
    grown = distance_within(mask, grid.spacing_zyx_mm, reach_mm) <= radius_mm
    closed: Mask = distance_within(~grown, grid.spacing_zyx_mm, reach_mm) > radius_mm
    return closed


def _with_margins(box: Box, grid: Grid) -> Box:
    low = np.ceil(MARGIN_MM / grid.spacing_zyx_mm).astype(int)
    high = np.ceil(np.array([CRANIAL_MARGIN_MM, MARGIN_MM, MARGIN_MM]) / grid.spacing_zyx_mm).astype(int)
    ends = zip(box, low, high, grid.shape_zyx, strict=True)
    z, y, x = (slice(max(s.start - int(a), 0), min(s.stop + int(b), n)) for s, a, b, n in ends)
    return z, y, x
