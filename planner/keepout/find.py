"""From bones to the keep-outs: neural ones from the sacrum's shape and image, soft ones round the joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding, Level
from planner.keepout.agree import Witness, places_of_levels
from planner.keepout.canal import CentreLine, centre_line, tunnels
from planner.keepout.config import KeepoutConfig
from planner.keepout.filled import reopened
from planner.keepout.levels import level_of_each
from planner.keepout.model import Foramen, Keepouts
from planner.keepout.mouths import Mouth, assign_levels, find_mouths
from planner.keepout.paint import on_scan, paint, without_crumbs
from planner.keepout.passages import Passage, find_passages, tube_of
from planner.keepout.region import SacrumRegion, sacrum_region
from planner.keepout.shadow import column_axis, image_of
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

EDGE_MM, PADDING_HU = 5.0, -700.0
"""A mouth expected this near to the scan's end, or to what is darker than any tissue, may lie beyond it `[P]`."""

SAME_MM = 6.0
"""Two searches' mouths are one this near to each other: the straight way through ends up to 5 mm off a mouth `[P]`."""

CHANNEL_MM = 6.0
"""The channel's nearest voxel lies within this of the centre of its mouth `[P]`."""

PLAIN_WIDTH_MM = 4.0
"""A mouth as wide as this is plain to see at 1 mm `[P]`."""

USUAL_PAIRS = (3, 4)
"""Pairs of sacral foramina that are seen in most people: 4 (82 %, OAI, n = 4636), of which the last is often too small
or, in a model's labels, not drawn `[P]`."""

ROOM_FOR_ONE_MM = 30.0
"""Below the last level there is room for another where the sacrum goes on for this long: levels are 13 to 23 mm apart,
and the scan or the labels may end in between `[P]`."""


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
    values = paint(search.network, search.plain, search.region, search.axis, bones.frame, list(search.mouths))
    centres = np.array([m.centre_lps for m in search.mouths]).reshape(-1, 3)
    values = without_crumbs(on_scan(values, search.region, bones.labels), centres, bones.labels.grid)
    mask = LabelMap(values, bones.labels.grid)
    boxes = boxes_of(mask.values)
    foramina = tuple(f for f in (_foramen(m, search) for m in search.mouths) if _is_painted(f, mask, boxes))
    canal = bones.frame.to_lps(search.line.points_pelvic)
    found = Keepouts(mask, foramina, canal)
    return replace(found, findings=_findings(found, search, _beyond_scan(volume, bones)))


@dataclass(frozen=True, eq=False)
class _Search:
    """What one search gave: the network with and without what the labels had filled in, and mouths of known level."""

    region: SacrumRegion
    network: NDArray[np.bool_]
    plain: NDArray[np.bool_]
    line: CentreLine
    axis: CentreLine
    mouths: tuple[Mouth, ...]
    pairs: tuple[int, int]
    places: Mapping[int, float]
    witness: Witness
    filled: tuple[Mouth, ...] = ()

    @property
    def names(self) -> frozenset[Name]:
        return frozenset(_name(m) for m in self.mouths)


def _name(mouth: Mouth) -> Name:
    return mouth.side, SACRAL_LEVELS[mouth.level], mouth.aspect


def _search(region: SacrumRegion, bones: Bones, config: KeepoutConfig) -> _Search | None:
    """Find mouths in the labels and passages in the image, and say of each what the other says of it."""
    network = tunnels(region, bones.frame, config)
    line = centre_line(bones.frame.to_pelvic(region.grid.to_lps(np.argwhere(network))))
    if line is None:
        return None
    axis = column_axis(line, region, bones.frame)
    found = find_mouths(network, region, axis, bones.frame, config)
    image = image_of(region)
    passages = find_passages(image, region, axis, bones.frame)
    expected = _expected(bones, axis)
    levels = level_of_each(passages, expected)
    named = [(k, p) for k, p in zip(levels, passages, strict=True) if k is not None and 0 <= k < len(SACRAL_LEVELS)]
    places = places_of_levels(named, expected)
    witness = Witness(region, axis, bones.frame, config, image, tuple(named))
    own, others = witness.on_passages(found)
    taken = {_name(m) for m in own}
    mouths = (*own, *(m for m in _levelled(others, places, bones, axis, config) if _name(m) not in taken))
    opened, wider = _opened(region, network, named, own)
    pairs = _counts(passages, levels, mouths, axis)
    return _Search(opened, wider, network, line, axis, mouths, pairs, places, witness)


def _opened(
    region: SacrumRegion, network: NDArray[np.bool_], passages: Sequence[tuple[int, Passage]], mouths: Sequence[Mouth]
) -> tuple[SacrumRegion, NDArray[np.bool_]]:
    """Region and network with the channels of the mouths that the labels do not show."""
    unseen = {(m.side, m.level) for m in mouths if m.is_from_image}
    tubes = [tube_of(p, region) for level, p in passages if (p.side, level) in unseen]
    if not tubes:
        return region, network
    soft = np.any(tubes, axis=0)
    return region.opened(soft & region.bone), network | (soft & ~region.lumbar)


def _levelled(
    found: list[Mouth], places: Mapping[int, float], bones: Bones, axis: CentreLine, config: KeepoutConfig
) -> list[Mouth]:
    """Mouths that the labels alone show, where they are expected; a fourth, which not all have, with its channel."""
    named = assign_levels(found, places, config.farthest_mm)
    usual = [m for m in named if m.level < len(EXPECTED_LEVELS) or len(m.axis_lps)]
    return [m for m in usual if _is_where_expected(m, bones, axis, config)]


def _counts(
    passages: Sequence[Passage], levels: Sequence[int | None], mouths: Sequence[Mouth], axis: CentreLine
) -> tuple[int, int]:
    """Count levels seen on either side, not too few where the sacrum ends below them; and those of both sides."""
    either = {k for k in levels if k is not None} | {m.level for m in mouths}
    both = [k for k in either if {p.side for n, p in zip(levels, passages, strict=True) if n == k} == set(Side)]
    last = max((p.along_mm for p in passages), default=0.0)
    goes_on = float(axis.along_mm[-1]) - last > ROOM_FOR_ONE_MM
    return (len(either) if goes_on else max(len(either), USUAL_PAIRS[0])), len(both)


def _with_filled(first: _Search, bones: Bones, config: KeepoutConfig) -> _Search:
    """Search again where the image is open and the labels are not, for what was not found and what only it shows."""
    wanted = {(side, level, aspect) for side in Side for level in EXPECTED_LEVELS for aspect in ASPECTS} - first.names
    unsure = {_name(m) for m in first.mouths if m.is_from_image}
    opened = reopened(first.region, bones, first.line, _foramina_of(wanted | unsure))
    if opened is None:
        return first
    network = tunnels(opened, bones.frame, config)
    found = find_mouths(network, opened, first.axis, bones.frame, config)
    first = replace(first, mouths=tuple(_sharper(m, found) for m in first.mouths))
    named = _levelled(found, first.places, bones, first.axis, config)
    filled = tuple(m for m in named if _name(m) in wanted and first.witness.may_be_open(m))
    region = reopened(first.region, bones, first.line, _foramina_of({_name(m) for m in filled} | unsure))
    if region is None:
        return first
    both = first.network | (network & ~region.bone)
    return replace(first, region=region, network=both, mouths=(*first.mouths, *filled), filled=filled)


def _sharper(mouth: Mouth, found: Sequence[Mouth]) -> Mouth:
    """Give the place of a mouth that only the image shows as the opened labels have it, if they do."""
    if not mouth.is_from_image:
        return mouth
    same = [m for m in found if (m.side, m.aspect) == (mouth.side, mouth.aspect) and len(m.axis_lps)]
    away = [float(np.linalg.norm(m.centre_lps - mouth.centre_lps)) for m in same]
    if not away or min(away) > SAME_MM:
        return mouth
    return replace(same[int(np.argmin(away))], level=mouth.level, trust=mouth.trust, is_from_image=True)


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
    confidence *= mouth.trust
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


def _beyond_scan(volume: Volume, bones: Bones) -> frozenset[Name]:
    """Mouths that the fitted shape expects at the scan's edge or beyond it."""
    names = [(side, level, aspect) for side in Side for level in EXPECTED_LEVELS for aspect in ASPECTS]
    places = {n: bones.fit.landmarks_lps.get(f"{n[0]}_{n[1].lower()}_{n[2]}") for n in names}
    return frozenset(n for n, place in places.items() if place is not None and not _is_scanned(volume, place))


def _is_scanned(volume: Volume, place_lps: NDArray[np.float64]) -> bool:
    """Whether there is tissue, not the scan's end or its padding, all round a place."""
    if not volume.grid.contains(place_lps, EDGE_MM):
        return False
    return bool(volume.hu[volume.grid.box_around(place_lps, EDGE_MM)].min() > PADDING_HU)


def _findings(keepouts: Keepouts, search: _Search, beyond: AbstractSet[Name]) -> tuple[Finding, ...]:
    found = [f for side in Side for f in (*_not_found(keepouts, side, beyond), *_reopened(search, side))]
    fewest, most = search.pairs
    if search.region.whole and not (USUAL_PAIRS[0] <= fewest and most <= USUAL_PAIRS[1]):
        count = most if most > USUAL_PAIRS[1] else fewest
        message = f"{count} levels of sacral foramina were found, 4 are usual: check for a transitional vertebra."
        found.append(Finding("transitional-vertebra", Level.NOTE, "both", message))
    return tuple(found)


def _reopened(search: _Search, side: Side) -> list[Finding]:
    filled = [m for m in search.mouths if m in search.filled or m.is_from_image]
    names = [f"{level} {aspect}" for s, level, aspect in sorted(map(_name, filled), key=str) if s is side]
    if not names:
        return []
    message = f"The labels of the bones had filled in the {side} {', '.join(names)} foramen; it was found in the image."
    return [Finding("foramen-filled", Level.NOTE, side.value, message)]


def _not_found(keepouts: Keepouts, side: Side, beyond: AbstractSet[Name]) -> list[Finding]:
    missing = keepouts.missing(side)
    if not missing:
        return []
    outside = [name for name in missing if (side, *name.split()) in beyond]
    message = f"Not found on the {side}: {', '.join(missing)} foramen. The path's distance to it is not known."
    if outside:
        message += f" Where {', '.join(outside)} should be, the scan ends."
    return [Finding("foramen-not-found", Level.WARN, side.value, message)]


def _nothing(bones: Bones) -> Keepouts:
    empty = LabelMap(np.zeros(bones.labels.values.shape, np.uint8), bones.labels.grid)
    keepouts = Keepouts(empty, (), np.zeros((0, 3)))
    canal = Finding("canal-not-found", Level.WARN, "both", "The sacral canal was not found.")
    missing = (f for side in Side for f in _not_found(keepouts, side, frozenset()))
    return Keepouts(empty, (), np.zeros((0, 3)), (canal, *missing))
