"""From bones to the neural keep-outs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.findings import Finding, Level
from planner.keepout.canal import CentreLine, centre_line, tunnels
from planner.keepout.config import KeepoutConfig
from planner.keepout.model import Foramen, Keepouts
from planner.keepout.mouths import Mouth, assign_levels, count_levels, find_mouths
from planner.keepout.paint import on_scan, paint
from planner.keepout.region import SacrumRegion, sacrum_region
from planner.labels import SACRAL_LEVELS, Side, foramen_value
from planner.segmentation.model import Bones
from planner.volume import LabelMap, Volume

__all__ = ["find_keepouts"]

ASPECTS = ("ventral", "dorsal")

CHANNEL_MM = 6.0
"""The channel's nearest voxel lies within this of the centre of its mouth `[P]`."""

PLAIN_WIDTH_MM = 4.0
"""A mouth as wide as this is plain to see at 1 mm `[P]`."""

USUAL_PAIRS = (3, 4)
"""Pairs of sacral foramina that are seen in most people: 4 (82 %, OAI, n = 4636), of which the last is often too small
or, in a model's labels, not drawn `[P]`."""


def find_keepouts(volume: Volume, bones: Bones, config: KeepoutConfig) -> Keepouts:
    """Find the sacral canal and the foramina S1-S4 of both sides.

    Parameters
    ----------
    volume : Volume
        Canonical CT, Hounsfield units, on the grid of ``bones.labels``.
    bones : Bones
        Labels, pelvic frame and fitted shape model.
    config : KeepoutConfig
        Thresholds.

    Returns
    -------
    Keepouts
        A foramen that is not found is left out and reported, never invented.
    """
    region = sacrum_region(volume, bones, config)
    if region is None:
        return _nothing(bones)
    network = tunnels(region, bones.frame, config)
    points = bones.frame.to_pelvic(region.grid.to_lps(np.argwhere(network)))
    line = centre_line(points)
    if line is None:
        return _nothing(bones)
    axis = line.carried_on(_expected_canal(bones))
    found = find_mouths(network, region, axis, bones.frame, config)
    named = assign_levels(found, _expected(bones, axis), config.level_spacing_mm)
    mouths = [m for m in named if _is_where_expected(m, bones, axis, config)]
    values = paint(network, region, line, bones.frame, mouths)
    mask = LabelMap(on_scan(values, region, bones.labels), bones.labels.grid)
    foramina = tuple(f for f in (_foramen(m, mouths) for m in mouths) if _is_painted(f, mask))
    canal = bones.frame.to_lps(line.points_pelvic)
    keepouts = Keepouts(mask, foramina, canal)
    return Keepouts(mask, foramina, canal, _findings(keepouts, region, count_levels(found, config.level_spacing_mm)))


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


def _foramen(mouth: Mouth, mouths: list[Mouth]) -> Foramen:
    """Confidence: half for the opening itself by its width, the rest for its partners across and behind `[P]`."""
    twin = any(m.level == mouth.level and m.aspect == mouth.aspect and m.side is not mouth.side for m in mouths)
    through = any(m.level == mouth.level and m.aspect != mouth.aspect and m.side is mouth.side for m in mouths)
    confidence = 0.5 * min(mouth.width_mm / PLAIN_WIDTH_MM, 1.0) + 0.25 * twin + 0.25 * through
    return Foramen(
        mouth.side, SACRAL_LEVELS[mouth.level], mouth.aspect, mouth.centre_lps, mouth.width_mm, round(confidence, 3)
    )


def _is_painted(foramen: Foramen, mask: LabelMap) -> bool:
    """Whether the mask holds the foramen's channel at its mouth: a mouth without a channel is no finding."""
    index = np.argwhere(mask.values == foramen_value(foramen.side, foramen.level))
    if not len(index):
        return False
    away = np.linalg.norm(mask.grid.to_lps(index) - foramen.centre_lps, axis=1)
    return bool(away.min() <= CHANNEL_MM)


def _findings(keepouts: Keepouts, region: SacrumRegion, pairs: int) -> tuple[Finding, ...]:
    found = [f for side in Side for f in _not_found(keepouts, side)]
    if region.whole and pairs not in USUAL_PAIRS:
        message = f"{pairs} levels of sacral foramina were found, 4 are usual: check for a transitional vertebra."
        found.append(Finding("transitional-vertebra", Level.NOTE, "both", message))
    return tuple(found)


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
