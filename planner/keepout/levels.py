"""Which level each passage is: the columns counted from the top, held against where the fitted shape expects them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from planner.keepout.passages import Passage

__all__ = ["group_pairs", "level_of_each"]

PAIR_MM = 8.0
"""The two passages of a level lie this near to each other along the canal `[P]`."""

SHIFT_MM = 10.0
"""The fitted shape is at most this wrong, along the canal, about all levels alike; half of a level is 8 to 10 `[P]`."""

SCALES = (0.75, 0.85, 0.95, 1.05)
"""Levels lie this much closer or wider than on the fitted shape `[P]`."""

LAST_SPACING = 0.85
"""Each level below S3 is this much nearer to the one before `[P]`."""

SKIP_MM, DROP_MM = 6.0, 12.0
"""What leaving a level out, or a passage without a level, counts against misplacement `[P]`."""

USUAL_SPACING_MM = 20.0
"""Between levels along the canal, where the fitted shape does not tell `[P]`."""

ABOVE, BELOW = 1, 1
"""Levels above S1 and below S4 that a passage may be of: a lumbar vertebra that is part of the sacrum, a coccyx."""

LEVELS = 4

Numbers = NDArray[np.float64]


def group_pairs(passages: Sequence[Passage]) -> list[tuple[int, ...]]:
    """Numbers of the passages of each level, cranial first; one number where the other side has none."""
    order = sorted(range(len(passages)), key=lambda i: (passages[i].along_mm, passages[i].side.value))
    groups: list[tuple[int, ...]] = []
    for i in order:
        last = groups[-1] if groups else ()
        is_twin = len(last) == 1 and passages[last[0]].side is not passages[i].side
        if is_twin and passages[i].along_mm - passages[last[0]].along_mm <= PAIR_MM:
            groups[-1] = (last[0], i)
        else:
            groups.append((i,))
    return groups


def level_of_each(passages: Sequence[Passage], expected_mm: Mapping[int, float]) -> list[int | None]:
    """Level of each passage, 0 for S1; below 0 above S1, and None where it is none.

    Parameters
    ----------
    passages : sequence of Passage
        Of both sides.
    expected_mm : mapping of int to float
        Where the fitted shape expects S1, S2 and S3 along the canal; empty: the first passage is of S1.
    """
    groups = group_pairs(passages)
    places = [float(np.mean([passages[i].along_mm for i in group])) for group in groups]
    weights = [len(group) for group in groups]
    chosen = min(_numberings(len(groups)), key=lambda levels: _cost(levels, places, weights, expected_mm))
    out: list[int | None] = [None] * len(passages)
    for group, level in zip(groups, chosen, strict=True):
        for i in group:
            out[i] = level
    return out


def _numberings(count: int, first: int = -ABOVE) -> Iterator[tuple[int | None, ...]]:
    """All ways to give `count` places in a row rising levels, or none."""
    if not count:
        yield ()
        return
    for rest in _numberings(count - 1, first):
        yield (None, *rest)
    for level in range(first, LEVELS + BELOW):
        for rest in _numberings(count - 1, level + 1):
            yield (level, *rest)


def _cost(
    levels: tuple[int | None, ...], places: list[float], weights: list[int], expected_mm: Mapping[int, float]
) -> tuple[float, int]:
    """Misplacement of a numbering, mm, and of equal ones the one that begins highest."""
    known = [(k, s, w) for k, s, w in zip(levels, places, weights, strict=True) if k is not None]
    dropped = sum(w for k, w in zip(levels, weights, strict=True) if k is None)
    if not known:
        return DROP_MM * dropped, 0
    known_mm = np.array([s for _, s, _ in known])
    numbers, weight = np.array([k for k, _, _ in known]), np.array([float(w) for _, _, w in known])
    expected = _expected(numbers, expected_mm, places)
    misplaced = min(float(np.abs(_off(known_mm, expected, scale)) @ weight) for scale in SCALES)
    skipped = int(numbers[-1] - numbers[0] + 1 - len(numbers)) + max(int(numbers[0]), 0)
    return misplaced + SKIP_MM * skipped + DROP_MM * dropped, int(numbers[0])


def _off(places_mm: Numbers, expected_mm: Numbers, scale: float) -> Numbers:
    """Misplacement of levels but for a shift and a scale that they have in common."""
    off = places_mm - (expected_mm[0] + scale * (expected_mm - expected_mm[0]))
    moved: Numbers = off - np.clip(np.median(off), -SHIFT_MM, SHIFT_MM)
    return moved


def _expected(numbers: NDArray[np.int64], expected_mm: Mapping[int, float], places: list[float]) -> Numbers:
    """Places of levels, S1 to S3 as given, carried on at either end."""
    if not {0, 1, 2} <= set(expected_mm):
        return np.asarray(places[0] + USUAL_SPACING_MM * numbers, np.float64)
    known = np.array([expected_mm[k] for k in range(3)])
    above = known[0] + (known[1] - known[0]) * numbers
    below = known[2] + LAST_SPACING * (known[2] - known[1]) * (numbers - 2)
    inside = np.interp(numbers, [0, 1, 2], known)
    return np.asarray(np.where(numbers < 0, above, np.where(numbers > 2, below, inside)), np.float64)
