"""Mouths that labels and image agree on, and what becomes of those that only one of them shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.keepout.canal import CentreLine
from planner.keepout.config import KeepoutConfig
from planner.keepout.mouths import Mouth
from planner.keepout.passages import Passage, away_from_ray, mouths_of
from planner.keepout.region import SacrumRegion
from planner.keepout.shadow import AIR_HU, look_through, rays_of
from planner.labels import SACRAL_LEVELS
from planner.segmentation.model import PelvicFrame

__all__ = ["Witness", "places_of_levels"]

AGREE_MM, NEAR_MM, RAGGED_MM = 6.0, 9.5, 4.0
"""A mouth of the labels is a passage's own this near to its ray, or as near as the second where one can look through
from it too: channels bend, S1's ventral mouth lies 4 mm off the straight way through. An opening whose channel was
not followed must be as near as the third `[P]`."""

EDGE_MM = 6.0
"""This near to the scan's edge one cannot look through `[P]`."""

INWARD_MM = 2.0
"""Looked through is from this deep in a mouth, where its channel is its own `[P]`."""

BONE_HU = 350.0
"""Brighter than this in every direction, what the labels show is no opening: in slices of 3 mm a narrow channel's rim
makes it 300 bright `[P]`."""

FOLLOWED_POINTS = 4
"""A channel that the labels show over 6 mm and more may be bent: it counts though one cannot look through `[P]`."""

NEAR_TRUST, IMAGE_TRUST, LABELS_TRUST = 0.85, 0.7, 0.5
"""Trust in a mouth of the labels that is not so near to its passage's ray, in one that only the image shows, and in one
through which the image shows no way `[P]`."""


@dataclass(frozen=True, eq=False)
class Witness:
    """The image as a witness: what it says of mouths of the labels."""

    region: SacrumRegion
    axis: CentreLine
    frame: PelvicFrame
    config: KeepoutConfig
    image: NDArray[np.float32]
    passages: tuple[tuple[int, Passage], ...]

    def brightest_hu(self, mouth: Mouth) -> float:
        """Least of the brightest points on straight ways through the sacrum from a mouth."""
        place = mouth.centre_lps - INWARD_MM * mouth.outward_lps
        origin = self.region.grid.to_index(place)[None]
        row = self.axis.nearest(self.frame.to_pelvic(place))
        _, axes = rays_of(self.axis, self.region, self.frame, mouth.side)
        low = look_through(self.image, self.region.hull, (origin, axes[row : row + 1]), np.zeros(1))
        return float(low[0, 0])

    def is_at_edge(self, mouth: Mouth) -> bool:
        """Whether a mouth lies at the scan's edge: elsewhere the region has more room round the sacrum."""
        index = self.region.grid.to_index(mouth.centre_lps)
        least = np.minimum(index, np.array(self.region.bone.shape) - 1 - index).min()
        return bool(least * self.region.grid.spacing_zyx_mm[0] < EDGE_MM)

    def is_at_padding(self, mouth: Mouth) -> bool:
        """Whether what was not scanned is as near: there the labels are open because they end."""
        box = self.region.grid.box_around(mouth.centre_lps, EDGE_MM)
        return bool(self.region.hu[box].min() < AIR_HU)

    def agreement(self, mouth: Mouth, passage: Passage) -> float:
        """Distance from a passage's ray, mm; infinite where the mouth is not the passage's own."""
        away = away_from_ray(mouth.centre_lps, self.region.grid.to_lps(passage.ends_index))
        if away <= (AGREE_MM if len(mouth.axis_lps) else RAGGED_MM):
            return away
        if away > NEAR_MM or not len(mouth.axis_lps):
            return float("inf")
        is_open = self.is_at_edge(mouth) or self.brightest_hu(mouth) <= passage.half_hu
        return away if is_open else float("inf")

    def on_passages(self, found: Sequence[Mouth]) -> tuple[list[Mouth], list[Mouth]]:
        """Both mouths of every passage, and those of `found` that are on none but open for all that the image shows.

        Where the labels have a mouth on the passage it is that one, which is the more exact; else the passage's own.
        A mouth whose channel was not followed in the labels is an edge of theirs: the image says where it is.
        """
        own: list[Mouth] = []
        used: set[int] = set()
        for level, passage in self.passages:
            for seen in mouths_of(passage, self.region, self.axis, self.frame, self.config):
                like = (seen.side, seen.aspect)
                same = [i for i, m in enumerate(found) if (m.side, m.aspect) == like and i not in used]
                away = {i: self.agreement(found[i], passage) for i in same}
                used |= {i for i in same if np.isfinite(away[i])}
                best = min(same, key=lambda i: away[i], default=None)
                mouth = replace(seen, trust=IMAGE_TRUST, is_from_image=True)
                if best is not None and np.isfinite(away[best]):
                    place = found[best] if len(found[best].axis_lps) else seen
                    mouth = replace(place, trust=1.0 if away[best] <= AGREE_MM else NEAR_TRUST)
                own.append(replace(mouth, level=level))
        rest = [replace(m, trust=LABELS_TRUST) for i, m in enumerate(found) if i not in used]
        return own, [m for m in rest if self.may_be_open(m)]

    def may_be_open(self, mouth: Mouth) -> bool:
        """Whether a mouth without a passage is not just where labels or scan end, or a pit in bone."""
        if self.is_at_edge(mouth) or self.is_at_padding(mouth):
            return False
        return len(mouth.axis_lps) >= FOLLOWED_POINTS or self.brightest_hu(mouth) <= BONE_HU


def places_of_levels(passages: Sequence[tuple[int, Passage]], expected_mm: Mapping[int, float]) -> dict[int, float]:
    """Place of each level along the canal: its passages', or where the fitted shape expects it, shifted alike."""
    seen = {k: [p.along_mm for level, p in passages if level == k] for k in range(len(SACRAL_LEVELS))}
    places = {k: float(np.mean(mm)) for k, mm in seen.items() if mm}
    shift = float(np.median([places[k] - expected_mm[k] for k in places if k in expected_mm] or [0.0]))
    return {**{k: mm + shift for k, mm in expected_mm.items()}, **places}
