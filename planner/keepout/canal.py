"""The network of neural tunnels, and the canal's centre line as its axis of coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from planner.distance import distance_within
from planner.keepout.config import KeepoutConfig
from planner.keepout.enclosure import CANAL_AXES, ESCAPES, FORAMEN_AXES, ring_steps, ringed
from planner.keepout.region import SacrumRegion
from planner.segmentation.model import PelvicFrame
from planner.segmentation.shapes import box_of, padded

__all__ = ["CentreLine", "centre_line", "tunnels"]

MIDLINE_MM = 8.0
"""Half-width of the strip round the midline in which the canal's centre is taken: the canal is 10-30 mm wide `[P]`."""

SLAB_MM = 1.0
"""Step of the centre line."""

SMOOTHING_MM = 4.0
"""Standard deviation of the smoothing of the centre line `[P]`."""

SHORTEST_STEP_MM = 5.0
"""A place nearer to the line's end than this does not tell where it goes on to `[P]`."""

BEND_MM = 15.0
"""The line's direction at its upper end is taken over this length `[P]`."""

THIN_TOP = 0.7
"""The line begins where the network is at least this share as roomy as it mostly is: above the first lamina only its
front is walled in, and its centre strays forward `[P]`."""

SHORTEST_MM = 15.0
"""A shorter centre line is no canal `[P]`."""

CANAL_PART_MM3 = 300.0
"""A smaller part at the midline is a pit between spinous processes, not the canal on `[P]`."""

STRAIT_MM = 10.0
"""Half of the length over which the flat canal may be thinner than the network's thinnest part `[P]`."""

Points = NDArray[np.float64]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


def tunnels(region: SacrumRegion, frame: PelvicFrame, config: KeepoutConfig) -> Mask:
    """Room that bone rings along the canal or along a foramen: the largest connected network."""
    spacing = float(region.grid.spacing_zyx_mm[0])
    rings = [ring_steps(axes, frame.lps_from_pelvic, region.grid.directions_lps) for axes in (FORAMEN_AXES, CANAL_AXES)]
    network = _ringed(region.bone, region.room, rings[0], round(config.foramen_reach_mm / spacing))
    # L5's arch closes the canal above the first lamina of the sacrum
    walls = region.bone | region.lumbar
    network |= _ringed(walls, region.canal_room & ~walls & ~network, rings[1], round(config.canal_reach_mm / spacing))
    tight = box_of(network)
    if tight is None:
        return network
    box = padded(tight, 3 * spacing, region.grid)
    closed = ndi.binary_closing(network[box], ndi.generate_binary_structure(3, 1), iterations=2)
    network[box] |= closed & region.canal_room[box]
    index = np.argwhere(network)
    left = np.zeros(network.shape, np.float32)
    left[tuple(index.T)] = frame.to_pelvic(region.grid.to_lps(index))[:, 0]
    return _without_skins(network, left, config.thinnest_mm, spacing)


def _ringed(walls: Mask, room: Mask, rings: Points, reach: int) -> Mask:
    points = np.argwhere(room)
    inside = np.zeros(room.shape, bool)
    inside[tuple(points[ringed(walls, points, rings, reach, ESCAPES)].T)] = True
    return inside


def _without_skins(network: Mask, left_mm: NDArray[np.float32], thinnest_mm: float, spacing_mm: float) -> Mask:
    """Keep the largest part that a ball of `thinnest_mm` fits through, and the canal on beyond its straits."""
    spacing = np.full(3, spacing_mm)
    thick = distance_within(~network, spacing, thinnest_mm + spacing_mm) > thinnest_mm
    parts = cc3d.connected_components(thick, connectivity=6)
    numbers, left = parts[thick], left_mm[thick]
    if not len(numbers):
        return np.zeros(network.shape, bool)
    counts = np.bincount(numbers)[1:]
    middles = np.bincount(numbers, left)[1:] / np.maximum(counts, 1)
    largest = int(counts.argmax()) + 1
    middle = float(middles[largest - 1])
    beyond = (counts * spacing_mm**3 >= CANAL_PART_MM3) & (np.abs(middles - middle) < MIDLINE_MM)
    core = np.isin(parts, [largest, *(np.flatnonzero(beyond) + 1)])
    away = distance_within(core, spacing, STRAIT_MM + spacing_mm)
    strait = (np.abs(left_mm - middle) < MIDLINE_MM) & (away <= STRAIT_MM)
    kept: Mask = network & (strait | (away <= thinnest_mm + spacing_mm))
    return cc3d.largest_k(kept, k=1, connectivity=6) > 0


@dataclass(frozen=True, eq=False)
class CentreLine:
    """The canal's centre line, cranial first, and coordinates round it.

    Attributes
    ----------
    points_pelvic : (n, 3) float64 array
        In the pelvic frame, mm.
    """

    points_pelvic: Points

    @cached_property
    def along_mm(self) -> NDArray[np.float64]:
        """Arc length of each point from the cranial end."""
        steps = np.linalg.norm(np.diff(self.points_pelvic, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def axes(self) -> Points:
        """Unit vectors at each point, ``(n, 3, 3)``: caudal along the line, left and posterior."""
        tangent, side, posterior = self._frames
        return np.stack([tangent, side * np.sign(side[:, :1]), posterior], axis=1)

    @cached_property
    def _frames(self) -> tuple[Points, Points, Points]:
        tangent = np.gradient(self.points_pelvic, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        posterior = np.array([0.0, 1.0, 0.0]) - tangent * tangent[:, 1:2]
        posterior /= np.linalg.norm(posterior, axis=1, keepdims=True)
        return tangent, np.cross(tangent, posterior), posterior

    def carried_on(self, places_pelvic: Points) -> CentreLine:
        """Carry the line on through those of the places, cranial first, that lie well beyond its caudal end."""
        end = self.points_pelvic[-1]
        beyond = places_pelvic[places_pelvic[:, 2] < end[2] - SHORTEST_STEP_MM]
        if not len(beyond):
            return self
        corners = np.vstack([end, beyond])
        pieces = [
            np.linspace(a, b, max(round(float(np.linalg.norm(b - a)) / SLAB_MM), 1) + 1)[1:]
            for a, b in pairwise(corners)
        ]
        points = np.vstack([self.points_pelvic, *pieces])
        seam = max(len(self.points_pelvic) - round(2 * SMOOTHING_MM / SLAB_MM), 0)
        return CentreLine(np.vstack([points[:seam], _smooth(points)[seam:]]))

    def upward(self, length_mm: float) -> CentreLine:
        """Go on from the upper end, half-way between the line's own direction there and straight up.

        Behind the lumbosacral disc the canal turns from the sacrum's slope into the lumbar spine's.
        """
        reach = min(round(BEND_MM / SLAB_MM), len(self.points_pelvic) - 1)
        own = self.points_pelvic[0] - self.points_pelvic[reach]
        up = own / np.linalg.norm(own) + [0.0, 0.0, 1.0]
        steps = np.arange(length_mm, -SLAB_MM / 2, -SLAB_MM)
        return CentreLine(self.points_pelvic[0] + steps[:, None] * up / np.linalg.norm(up))

    def nearest(self, point_pelvic: Points) -> int:
        """Give the number of the nearest point."""
        return int(np.linalg.norm(self.points_pelvic - point_pelvic, axis=1).argmin())

    def coordinates(self, points_pelvic: Points) -> Points:
        """``(along, left, posterior)`` in mm of points ``(n, 3)``; the line goes on straight beyond its ends."""
        _, nearest = cKDTree(self.points_pelvic).query(points_pelvic)
        offset = points_pelvic - self.points_pelvic[nearest]
        tangent, side, posterior = (axis[nearest] for axis in self._frames)
        left = np.einsum("ij,ij->i", offset, side * np.sign(side[:, :1]))
        along = self.along_mm[nearest] + np.einsum("ij,ij->i", offset, tangent)
        return np.stack([along, left, np.einsum("ij,ij->i", offset, posterior)], axis=1)

    def directions(self, vectors_pelvic: Points, points_pelvic: Points) -> Points:
        """Components ``(along, left, posterior)`` of vectors at points."""
        _, nearest = cKDTree(self.points_pelvic).query(points_pelvic)
        tangent, side, posterior = (axis[nearest] for axis in self._frames)
        axes = np.stack([tangent, side * np.sign(side[:, :1]), posterior], axis=1)
        components: Points = np.einsum("nij,nj->ni", axes, vectors_pelvic)
        return components


def centre_line(points_pelvic: Points) -> CentreLine | None:
    """Centres of the network's midline strip, slab by slab; None where that is too short to be a canal."""
    if len(points_pelvic) < SHORTEST_MM:
        return None
    strip = points_pelvic[np.abs(points_pelvic[:, 0] - _middle(points_pelvic)) < MIDLINE_MM]
    slab = np.floor(strip[:, 2] / SLAB_MM).astype(np.int64)
    levels, count = np.unique(slab, return_counts=True)
    run = _below_thin_top(*_roomiest_run(levels[count >= 4], count[count >= 4]))
    if len(run) * SLAB_MM < SHORTEST_MM:
        return None
    centres = np.array([strip[slab == k].mean(axis=0) for k in run[::-1]])
    return CentreLine(_smooth(centres))


def _smooth(points: Points) -> Points:
    smooth: Points = ndi.gaussian_filter1d(points, SMOOTHING_MM / SLAB_MM, axis=0, mode="nearest")
    return smooth


def _middle(points_pelvic: Points) -> NDArray[np.float64]:
    """Left coordinate of the midline at each point: a straight line through the network, which is symmetric."""
    left, height = points_pelvic[:, 0], points_pelvic[:, 2] - points_pelvic[:, 2].mean()
    slope, offset = np.polyfit(height, left, 1) if np.ptp(height) > SHORTEST_MM else (0.0, left.mean())
    middle: NDArray[np.float64] = offset + slope * height
    return middle


def _roomiest_run(levels: Counts, count: Counts) -> tuple[Counts, Counts]:
    """Find the run of levels without a gap that holds the most: pits along the tail are long but small."""
    if not len(levels):
        return levels, count
    cuts = np.flatnonzero(np.diff(levels) > 2) + 1
    runs = list(zip(np.split(levels, cuts), np.split(count, cuts), strict=True))
    return max(runs, key=lambda run: int(run[1].sum()))


def _below_thin_top(levels: Counts, count: Counts) -> Counts:
    """Levels of a run, caudal first, without those above the highest that is roomy."""
    roomy = count >= THIN_TOP * np.median(count[-round(2 * SHORTEST_MM / SLAB_MM) :])
    return levels[: int(np.flatnonzero(roomy)[-1]) + 1] if roomy.any() else levels
