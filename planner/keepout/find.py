"""From bones to the keep-outs: neural ones from the sacrum's shape and image, soft ones round the joints."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding, Level
from planner.keepout.canal import CentreLine, centre_line, tunnels
from planner.keepout.config import KeepoutConfig
from planner.keepout.filled import reopened
from planner.keepout.model import Foramen, Keepouts
from planner.keepout.mouths import Mouth, assign_levels, count_levels, find_mouths
from planner.keepout.paint import on_scan, paint
from planner.keepout.region import SacrumRegion, sacrum_region
from planner.keepout.soft import SoftTissue, find_soft_tissue
from planner.labels import SACRAL_LEVELS, Keepout, Side, foramen_value
from planner.segmentation.model import Bones
from planner.segmentation.shapes import boxes_of
from planner.volume import Box, LabelMap, Volume

__all__ = ["find_keepouts"]

ASPECTS = ("ventral", "dorsal")

EXPECTED_LEVELS = SACRAL_LEVELS[:3]
"""Levels that everybody has."""

Name = tuple[Side, str, str]
"""Side, level and aspect."""

FILLED_TRUST = 0.7
"""Confidence in a mouth that the labels did not show, against one that they did `[P]`."""

UNFOLLOWED_TRUST = 0.8
"""Confidence in a mouth whose channel has no axis, against one that has: its opening may be ragged `[P]`."""

CHANNEL_MM = 6.0
"""The channel's nearest voxel lies within this of the centre of its mouth `[P]`."""

PLAIN_WIDTH_MM = 4.0
"""A mouth as wide as this is plain to see at 1 mm `[P]`."""

USUAL_PAIRS = (3, 4)
"""Pairs of sacral foramina that are seen in most people: 4 (82 %, OAI, n = 4636), of which the last is often too small
or, in a model's labels, not drawn `[P]`."""


def find_keepouts(
    volume: Volume, bones: Bones, config: KeepoutConfig, landmarks_lps: Mapping[str, NDArray[np.float64]] | None = None
) -> Keepouts:
    """Find the sacral canal, the foramina S1-S4 of both sides, and the soft keep-outs round the joints.

    Parameters
    ----------
    volume : Volume
        Canonical CT, Hounsfield units, on the grid of ``bones.labels``.
    bones : Bones
        Labels, pelvic frame and fitted shape model.
    config : KeepoutConfig
        Thresholds.
    landmarks_lps : mapping of str to (3,) array, optional
        Landmarks that the scan shows, for the sciatic notches; the fitted shape's where not given.

    Returns
    -------
    Keepouts
        A foramen that is not found is left out and reported, never invented.
    """
    with ThreadPoolExecutor(1) as pool:
        soft = pool.submit(find_soft_tissue, volume, bones, _notches(bones, landmarks_lps or {}), config)
        neural = _neural(volume, bones, config)
        return _with_soft(neural, soft.result())


def _notches(bones: Bones, seen: Mapping[str, NDArray[np.float64]]) -> dict[Side, NDArray[np.float64]]:
    places = {**bones.fit.landmarks_lps, **seen}
    return {side: places[f"{side}_sciatic_notch"] for side in Side if f"{side}_sciatic_notch" in places}


def _with_soft(neural: Keepouts, soft: SoftTissue | None) -> Keepouts:
    """Add the soft keep-outs where nothing neural is."""
    if soft is None:
        return neural
    values = neural.mask.values.copy()
    part = values[soft.box]
    part[soft.mask & (part == Keepout.NONE)] = Keepout.SOFT
    return replace(neural, mask=LabelMap(values, neural.mask.grid), soft_ml=soft.volumes_ml)


def _neural(volume: Volume, bones: Bones, config: KeepoutConfig) -> Keepouts:
    region = sacrum_region(volume, bones, config)
    search = region and _search(region, bones, config)
    if not search:
        return _nothing(bones)
    search = _with_filled(search, bones, config)
    values = paint(search.network, search.plain, search.region, search.line, bones.frame, list(search.mouths))
    mask = LabelMap(on_scan(values, search.region, bones.labels), bones.labels.grid)
    boxes = boxes_of(mask.values)
    foramina = tuple(f for f in (_foramen(m, search) for m in search.mouths) if _is_painted(f, mask, boxes))
    canal = bones.frame.to_lps(search.line.points_pelvic)
    return Keepouts(mask, foramina, canal, _findings(Keepouts(mask, foramina, canal), search))


@dataclass(frozen=True, eq=False)
class _Search:
    """What one search gave: the network with and without what the labels had filled in, and mouths of known level."""

    region: SacrumRegion
    network: NDArray[np.bool_]
    plain: NDArray[np.bool_]
    line: CentreLine
    mouths: tuple[Mouth, ...]
    pairs: int
    filled: tuple[Mouth, ...] = ()

    @property
    def names(self) -> frozenset[Name]:
        return frozenset(_name(m) for m in self.mouths)


def _name(mouth: Mouth) -> Name:
    return mouth.side, SACRAL_LEVELS[mouth.level], mouth.aspect


def _search(region: SacrumRegion, bones: Bones, config: KeepoutConfig) -> _Search | None:
    network = tunnels(region, bones.frame, config)
    line = centre_line(bones.frame.to_pelvic(region.grid.to_lps(np.argwhere(network))))
    if line is None:
        return None
    axis = line.carried_on(_expected_canal(bones))
    found = find_mouths(network, region, axis, bones.frame, config)
    named = assign_levels(found, _expected(bones, axis), config.level_spacing_mm)
    mouths = tuple(m for m in named if _is_where_expected(m, bones, axis, config))
    return _Search(region, network, network, line, mouths, count_levels(found, config.level_spacing_mm))


def _with_filled(first: _Search, bones: Bones, config: KeepoutConfig) -> _Search:
    """Look for what was not found in the image itself, and add what is a tunnel from the canal to the surface there."""
    wanted = {(side, level, aspect) for side in Side for level in EXPECTED_LEVELS for aspect in ASPECTS} - first.names
    opened = reopened(first.region, bones, first.line, _foramina_of(wanted))
    again = opened and _search(opened, bones, config)
    if not again:
        return first
    filled = tuple(m for m in again.mouths if _name(m) in wanted)
    region = reopened(first.region, bones, first.line, _foramina_of({_name(m) for m in filled}))
    if region is None:
        return first
    network = first.network | (again.network & ~region.bone)
    return _Search(region, network, first.network, first.line, (*first.mouths, *filled), first.pairs, filled)


def _foramina_of(names: AbstractSet[Name]) -> list[tuple[Side, str]]:
    return sorted({(side, level) for side, level, _ in names})


def _expected(bones: Bones, line: CentreLine) -> dict[int, float]:
    """Where along the canal the fitted shape expects each level's ventral mouths."""
    expected = {}
    for number, level in enumerate(SACRAL_LEVELS):
        names = [f"{side}_{level.lower()}_ventral" for side in Side]
        places = [bones.fit.landmarks_lps[n] for n in names if n in bones.fit.landmarks_lps]
        if places:
            expected[number] = float(line.coordinates(bones.frame.to_pelvic(np.array(places)))[:, 0].mean())
    return expected


def _expected_canal(bones: Bones) -> NDArray[np.float64]:
    """Where the fitted shape expects the canal at each level: amid the four mouths. Pelvic frame, cranial first."""
    places = bones.fit.landmarks_lps
    levels = [
        [places.get(f"{side}_{level.lower()}_{aspect}") for side in Side for aspect in ASPECTS]
        for level in SACRAL_LEVELS
    ]
    middles = [
        np.mean([p for p in four if p is not None], axis=0) for four in levels if not any(p is None for p in four)
    ]
    return bones.frame.to_pelvic(np.array(middles).reshape(-1, 3))


def _is_where_expected(mouth: Mouth, bones: Bones, axis: CentreLine, config: KeepoutConfig) -> bool:
    """Whether the fitted shape expects a mouth of that name so near, along the canal; of S4 it expects none."""
    name = f"{mouth.side}_{SACRAL_LEVELS[mouth.level].lower()}_{mouth.aspect}"
    if name not in bones.fit.landmarks_lps:
        return True
    place = axis.coordinates(bones.frame.to_pelvic(bones.fit.landmarks_lps[name][None]))
    return abs(mouth.along_mm - float(place[0, 0])) <= config.farthest_mm


def _foramen(mouth: Mouth, search: _Search) -> Foramen:
    """Confidence: half for the opening by its width, the rest for its partners across and behind `[P]`."""
    side, level, aspect = _name(mouth)
    twin, through = (side.other, level, aspect), (side, level, *(a for a in ASPECTS if a != aspect))
    partners = (twin in search.names) + (through in search.names)
    confidence = 0.5 * min(mouth.width_mm / PLAIN_WIDTH_MM, 1.0) + 0.25 * partners
    confidence *= FILLED_TRUST if mouth in search.filled else 1.0
    confidence *= 1.0 if len(mouth.axis_lps) else UNFOLLOWED_TRUST
    return Foramen(side, level, aspect, mouth.centre_lps, mouth.width_mm, round(confidence, 3), mouth.axis_lps)


def _is_painted(foramen: Foramen, mask: LabelMap, boxes: Mapping[int, Box]) -> bool:
    """Whether the mask holds the foramen's channel at its mouth: a mouth without a channel is no finding."""
    value = foramen_value(foramen.side, foramen.level)
    if value not in boxes:
        return False
    part = mask.crop(boxes[value])
    away = np.linalg.norm(part.grid.to_lps(np.argwhere(part.values == value)) - foramen.centre_lps, axis=1)
    return bool(away.min() <= CHANNEL_MM)


def _findings(keepouts: Keepouts, search: _Search) -> tuple[Finding, ...]:
    found = [f for side in Side for f in (*_not_found(keepouts, side), *_reopened(search, side))]
    if search.region.whole and search.pairs not in USUAL_PAIRS:
        message = (
            f"{search.pairs} levels of sacral foramina were found, 4 are usual: check for a transitional vertebra."
        )
        found.append(Finding("transitional-vertebra", Level.NOTE, "both", message))
    return tuple(found)


def _reopened(search: _Search, side: Side) -> list[Finding]:
    names = [f"{level} {aspect}" for s, level, aspect in map(_name, search.filled) if s is side]
    if not names:
        return []
    message = f"The labels of the bones had filled in the {side} {', '.join(names)} foramen; it was found in the image."
    return [Finding("foramen-filled", Level.NOTE, side.value, message)]


def _not_found(keepouts: Keepouts, side: Side) -> list[Finding]:
    missing = keepouts.missing(side)
    if not missing:
        return []
    message = f"Not found on the {side}: {', '.join(missing)} foramen. The path's distance to it is not known."
    return [Finding("foramen-not-found", Level.WARN, side.value, message)]


def _nothing(bones: Bones) -> Keepouts:
    empty = LabelMap(np.zeros(bones.labels.values.shape, np.uint8), bones.labels.grid)
    keepouts = Keepouts(empty, (), np.zeros((0, 3)))
    canal = Finding("canal-not-found", Level.WARN, "both", "The sacral canal was not found.")
    return Keepouts(empty, (), np.zeros((0, 3)), (canal, *(f for side in Side for f in _not_found(keepouts, side))))
