"""Foramina that the labels filled in: dark ways through the label, looked for where the fitted shape expects them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.distance import distance_within
from planner.keepout.canal import CentreLine
from planner.keepout.region import SacrumRegion
from planner.labels import Side
from planner.segmentation.model import Bones
from planner.segmentation.shapes import box_of, padded

__all__ = ["reopened"]

ZONE_MM = 9.0
"""A filled channel is looked for this near to its expected axis: landmarks are up to 7 mm off `[P]`."""

HALF_LENGTH_MM = 20.0
"""Of a channel, from its middle to beyond its mouths: S1's, the longest, is 30 mm long `[P]`."""

SOFT_HU = 50.0
"""Nerve is 30-50 HU, fat -100: a channel's content is not brighter, and is parted from marrow half-way `[P]`."""

BELOW_MARROW_HU = 60.0
"""A channel's content is darker than the sacrum's marrow by at least this, or they cannot be told apart `[P]`."""

BLUR_MM, BLUR_REACH = 0.8, 4.0
"""Standard deviation of the blur that takes the noise out, and of these how far it reaches `[P]`."""

RIM_MM, CORTEX_HU = 1.2, 300.0
"""Of a channel's wall, this much is its own unless as bright as cortex: the image is blurred `[P]`."""

LEAST_MM3 = 60.0
"""Less dark room than this is no channel: 10 mm of a foramen 3 mm wide `[P]`."""

Mask = NDArray[np.bool_]


def reopened(
    region: SacrumRegion, bones: Bones, line: CentreLine, names: Sequence[tuple[Side, str]]
) -> SacrumRegion | None:
    """Open the sacrum where it is dark along the expected channels of `names`; None where the image shows no such room.

    Whether what is opened is a foramen is for the search to say, which asks for a tunnel from the canal to the surface.
    """
    limit = np.minimum((SOFT_HU + region.marrow_hu) / 2, region.marrow_hu - BELOW_MARROW_HU)
    zone = _zone(region, bones, line, names)
    dark = region.bone & zone
    tight = box_of(dark)
    if tight is None:
        return None
    box = padded(tight, BLUR_REACH * BLUR_MM, region.grid)
    blur = BLUR_MM / float(region.grid.spacing_zyx_mm[0])
    dark[box] &= ndi.gaussian_filter(region.hu[box], blur, truncate=BLUR_REACH) < limit
    if dark.sum() * np.prod(region.grid.spacing_zyx_mm) < LEAST_MM3:
        return None
    away = distance_within(dark, region.grid.spacing_zyx_mm, 2 * RIM_MM)
    soft = dark | (region.bone & (away <= RIM_MM) & (region.hu < CORTEX_HU))
    return region.opened(soft)


def _zone(region: SacrumRegion, bones: Bones, line: CentreLine, names: Sequence[tuple[Side, str]]) -> Mask:
    """Voxels near the expected axes of the channels, and near those of their ways to the canal."""
    away = np.ones(region.bone.shape, bool)
    for side, level in names:
        index = np.round(region.grid.to_index(_axis(bones, line, side, level))).astype(int)
        inside = ((index >= 0) & (index < np.array(away.shape))).all(axis=1)
        away[tuple(index[inside].T)] = False
    if away.all():
        return ~away
    near: Mask = distance_within(~away, region.grid.spacing_zyx_mm, ZONE_MM + 1.0) <= ZONE_MM
    return near


def _axis(bones: Bones, line: CentreLine, side: Side, level: str) -> NDArray[np.float64]:
    """Points along a channel's expected axis, square to the canal, and from its middle to the canal."""
    names = [f"{side}_{level.lower()}_{aspect}" for aspect in ("ventral", "dorsal")]
    places = [bones.fit.landmarks_lps[n] for n in names if n in bones.fit.landmarks_lps]
    if not places:
        return np.zeros((0, 3))
    middle = bones.frame.to_pelvic(np.mean(places, axis=0))
    _, left, posterior = line.coordinates(middle[None])[0]
    axes = line.directions(np.eye(3), np.repeat(middle[None], 3, axis=0))
    through = middle + np.arange(-HALF_LENGTH_MM, HALF_LENGTH_MM + 1)[:, None] * axes[:, 2]
    inward = middle - np.linspace(0.0, 1.0, 20)[:, None] * (left * axes[:, 1] + posterior * axes[:, 2])
    return bones.frame.to_lps(np.vstack([through, inward]))
