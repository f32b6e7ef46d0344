"""The keep-out values: the canal within its own ellipse, the foramina beside it."""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.distance import distance_within
from planner.grid import Grid
from planner.keepout.canal import CentreLine
from planner.keepout.mouths import Mouth
from planner.keepout.region import SacrumRegion
from planner.labels import SACRAL_LEVELS, Keepout, Side, foramen_value
from planner.resampling import nearest_on
from planner.segmentation.model import PelvicFrame
from planner.segmentation.shapes import boxes_of
from planner.volume import LabelMap

__all__ = ["on_scan", "paint", "without_crumbs"]

MOUTH_MARGIN_MM = 1.5
"""The mask reaches this far out of each mouth `[P]`."""

ENVELOPE_MM = 12.0
"""The canal's half-width at a foramen is that at the pedicles within this distance above or below `[P]`."""

LATERAL_MM = 45.0
"""Farther from the midline nothing neural lies in the sacrum: S1's ventral mouth, the outermost, ends at about 37 mm
(centre 28, half of 18). What the search follows there are holes of the labels in the ala `[P]`."""

STRIP_MM = 4.0
"""Half-width of the midline strip that holds nothing but canal `[P]`."""

ABOVE_MM = 16.0
"""The canal goes on this far above the sacrum's first lamina, where L5 may be outside the scan or unlabelled `[P]`."""

TOP_MM = 10.0
"""Length of the canal's upper end whose size is carried upward `[P]`."""

ELLIPSE = 1.5
"""Scale of the canal's ellipse, squared: a rectangle's corner lies at 2 `[P]`."""

CRUMB_MM3, CRUMB_MM = 60.0, 6.0
"""Less room than the first is no channel, see `planner.keepout.filled.LEAST_MM3`; a channel that only touches none
holds a mouth, or lies this near to one `[P]`."""

Values = NDArray[np.uint8]
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]


def paint(
    network: Mask, plain: Mask, region: SacrumRegion, line: CentreLine, frame: PelvicFrame, mouths: list[Mouth]
) -> Values:
    """`Keepout` and foramen values on the region's grid; `plain` is the network without what the labels filled in."""
    spacing = region.grid.spacing_zyx_mm
    near = distance_within(network, spacing, MOUTH_MARGIN_MM + float(spacing.max())) <= MOUTH_MARGIN_MM
    index = np.argwhere(near & ~region.bone & ~region.lumbar)
    pelvic = frame.to_pelvic(region.grid.to_lps(index))
    place = line.coordinates(pelvic)
    # the canal's own size is not that of channels opened beside it
    size = _CanalSize(place[(place[:, 0] >= 0) & plain[tuple(index.T)]], line)
    upper = line.upward(ABOVE_MM)
    # above the sacrum the search strays forward, into the disc
    kept = (place[:, 0] >= 0) | (place[:, 2] >= 0) | size.above(upper.coordinates(pelvic), ELLIPSE)
    kept &= np.abs(place[:, 1]) <= LATERAL_MM
    index, place = index[kept], place[kept]
    value = np.full(len(index), Keepout.CANAL, np.uint8)
    for side in Side:
        own = size.beside(place) & (place[:, 1] * side.lateral_x > 0)
        value[own] = _levels_of(place[own, 0], [m for m in mouths if m.side is side], side)
    values = np.zeros(network.shape, np.uint8)
    values[_upper_canal(region, upper, frame, size)] = Keepout.CANAL
    values[tuple(index.T)] = value
    return values


class _CanalSize:
    """Half-width and half-depth of the canal along its centre line, from the network's voxels."""

    def __init__(self, place: Numbers, line: CentreLine) -> None:
        self._length = int(line.along_mm[-1])
        window = 2 * round(ENVELOPE_MM) + 1
        left, posterior = np.abs(place[:, 1]), np.abs(place[:, 2])
        strip = left < STRIP_MM
        depth = self._widest(place[strip, 0], posterior[strip])
        self._depth: Numbers = np.maximum(ndi.median_filter(depth, window, mode="nearest"), 1.0)
        at_depth = posterior < self._depth[self._bins(place[:, 0])]
        # foramina widen the network at their levels: the canal itself is its lower envelope
        width = ndi.minimum_filter1d(self._widest(place[at_depth, 0], left[at_depth]), window, mode="nearest")
        self._width: Numbers = np.maximum(ndi.gaussian_filter1d(width, ENVELOPE_MM / 2, mode="nearest"), STRIP_MM)

    def _bins(self, along_mm: Numbers) -> NDArray[np.int64]:
        bins: NDArray[np.int64] = np.clip(np.round(along_mm), 0, self._length).astype(np.int64)
        return bins

    def _widest(self, along_mm: Numbers, values: Numbers) -> Numbers:
        widest = np.zeros(self._length + 1)
        np.maximum.at(widest, self._bins(along_mm), values)
        return widest

    def beside(self, place: Numbers) -> Mask:
        """Voxels outside the canal's ellipse and not beyond its ends."""
        bins = self._bins(place[:, 0])
        reach = (place[:, 1] / self._width[bins]) ** 2 + (place[:, 2] / self._depth[bins]) ** 2
        within = (place[:, 0] > -ENVELOPE_MM) & (place[:, 0] < self._length + ENVELOPE_MM)
        result: Mask = (reach > ELLIPSE) & within & (np.abs(place[:, 1]) > STRIP_MM)
        return result

    def above(self, place: Numbers, ellipse: float = 1.0) -> Mask:
        """Voxels within the upper end's ellipse, in coordinates of the line that goes on upward from it."""
        top = slice(0, round(TOP_MM))
        width, depth = np.median(self._width[top]), np.median(self._depth[top])
        inside = (place[:, 1] / width) ** 2 + (place[:, 2] / depth) ** 2 <= ellipse
        result: Mask = inside & (place[:, 0] > 0)
        return result


def _upper_canal(region: SacrumRegion, upper: CentreLine, frame: PelvicFrame, size: _CanalSize) -> Mask:
    """Find the canal above the sacrum, through whatever is not bone."""
    free = ~region.bone & ~region.lumbar
    box = region.grid.box_around(frame.to_lps(upper.points_pelvic), ABOVE_MM)
    index = np.argwhere(free[box]) + [s.start for s in box]
    place = upper.coordinates(frame.to_pelvic(region.grid.to_lps(index)))
    inside = size.above(place) & (place[:, 0] <= upper.along_mm[-1])
    mask = np.zeros(free.shape, bool)
    mask[tuple(index[inside].T)] = True
    return mask


def _levels_of(along_mm: Numbers, mouths: list[Mouth], side: Side) -> Values:
    """Value of the level that is nearest along the canal; canal where the side has no mouth at all."""
    levels = sorted({m.level for m in mouths})
    if not levels:
        return np.full(len(along_mm), Keepout.CANAL, np.uint8)
    places = np.array([np.mean([m.along_mm for m in mouths if m.level == k]) for k in levels])
    values = np.array([foramen_value(side, SACRAL_LEVELS[k]) for k in levels], np.uint8)
    nearest: Values = values[np.abs(along_mm[:, None] - places).argmin(axis=1)]
    return nearest


def on_scan(values: Values, region: SacrumRegion, labels: LabelMap) -> Values:
    """Nearest value at each voxel of the scan."""
    out = np.zeros(labels.values.shape, np.uint8)
    coarse = labels.grid.crop(region.box)
    out[region.box] = nearest_on(values, region.grid, coarse)
    return out


def without_crumbs(values: Values, mouths_lps: Numbers, grid: Grid) -> Values:
    """Take out small parts of foramina that neither touch other neural voxels nor hold a mouth.

    They are pits of the labels, far aside in the ala, whose thin way to a channel is lost between the scan's voxels.
    """
    boxes = boxes_of(values).values()
    if not boxes:
        return values
    box = tuple(slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
    part, corner = values[box], np.array([s.start for s in box])
    parts, count = cc3d.connected_components(part > 0, connectivity=26, return_N=True)
    mm3 = np.bincount(parts.ravel(), minlength=count + 1) * float(np.prod(grid.spacing_zyx_mm))
    for number in np.flatnonzero(mm3 < CRUMB_MM3).tolist():
        own = parts == number
        places = grid.to_lps(np.argwhere(own) + corner)
        away = np.linalg.norm(places[:, None] - mouths_lps, axis=2)
        if number and not (part[own] == Keepout.CANAL).any() and away.min(initial=np.inf) > CRUMB_MM:
            part[own] = Keepout.NONE
    return values
