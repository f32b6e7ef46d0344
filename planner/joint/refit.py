"""Faces where labels are too wrong for the profile to be fitted from them: looked for where the joint runs on.

Labels leak. A patch of one bone then lies in the soft tissue of the gap or in the other bone's cortex, the sheet lies
some millimetres beside the joint, and no profile there shows two cortices with a dark line between. From the rim of
such a patch inwards, a strip at a time, mid-surface and gap of the believed profiles are continued over it; the scan is
read anew across the sheet so laid, and what is believed there is continued in its turn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.joint.correct import PARALLEL_DEG
from planner.joint.mesh import Sheet
from planner.joint.profiles import GapFit, Profiles, fit_slabs, lowest_between, sample_profiles
from planner.joint.sheet import Measured
from planner.volume import Volume

__all__ = ["Seen", "fit_again"]

STRIP_MM, STRIPS = 4.0, 5
"""The sheet is continued by the first at a time, and so often: patches in which labels err are 10 to 20 mm wide,
and are entered from all sides. Its direction is averaged over as much: a ripple over less would tilt what is laid on
from it by more than the sheet bends `[P]`."""

NARROWEST_MM, WIDEST_MM = 0.5, 8.0
"""Gaps that are continued: narrower ones start from the first; across wider ones a profile does not reach behind both
cortices."""

AROUND = 2
"""Rings about what is laid anew whose profiles are averaged with it, see `planner.joint.profiles.AVERAGE_MM`."""

LIMIT_MM = 0.7
"""A face that ends further from where its neighbours' put it is another edge `[P]`."""

SURROUNDED_MM, SURROUNDED_SHARE = 2.5, 0.3
"""Where so large a share of the neighbours within the first was laid anew, the rest is laid with them, believed or
not: the labels are wrong there `[P]`."""

PER_VERTEX = ("sacrum_at_mm", "hip_at_mm", "dip", "lowest_hu", "gap_hu", "good")
"""What of a fit is one value a vertex."""

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """A sheet, what the scan shows across it, and the slabs that were fitted to that."""

    measured: Measured
    profiles: Profiles
    fit: GapFit

    @property
    def known(self) -> Mask:
        """Vertices whose fit is believed and whose line across is a profile of both faces."""
        known: Mask = self.fit.good & (self.measured.opening_deg < PARALLEL_DEG)
        return known


def fit_again(volume: Volume, seen: Seen) -> Seen:
    """Lay the sheet anew where its profiles failed and those beside did not, and fit them there."""
    sheet = seen.measured.sheet
    strip = sheet.rings(STRIP_MM)
    fresh, anew = seen.known, np.zeros(len(sheet.vertices_lps), bool)
    for _ in range(STRIPS):
        seen, fresh = _laid_anew(volume, seen, sheet.grow(fresh, strip) & ~seen.known, strip)
        anew |= fresh
    share = sheet.smooth(anew.astype(np.float64), sheet.rings(SURROUNDED_MM))
    return _laid_anew(volume, seen, ~seen.known & (share >= SURROUNDED_SHARE), strip, keep_all=True)[0]


def _laid_anew(volume: Volume, seen: Seen, todo: Mask, strip: int, *, keep_all: bool = False) -> tuple[Seen, Mask]:
    """Continue the known sheet over `todo` and look there; give also which vertices lie anew."""
    anew = np.zeros_like(todo)
    if not todo.any() or not seen.known.any():
        return seen, anew
    laid, reached = _continued(seen, strip)
    todo = todo & (laid.gap_mm < WIDEST_MM)
    part, kept = laid.sheet.take(reached & laid.sheet.grow(todo, AROUND))
    rows = np.flatnonzero(todo[kept])
    if not len(rows):
        return seen, anew
    averaged = sample_profiles(volume, part, laid.across_lps[kept])
    fit = _fit(Profiles(averaged.hu[rows], averaged.at_mm), laid.gap_mm[kept[rows]] / 2, seen.fit)
    chosen = np.ones_like(fit.good) if keep_all else fit.good
    at = kept[rows[chosen]]
    anew[at] = True
    profiles = Profiles(_put(seen.profiles.hu, at, averaged.hu[rows[chosen]]), averaged.at_mm)
    columns: dict[str, Any] = {
        name: _put(getattr(seen.fit, name), at, getattr(fit, name)[chosen]) for name in PER_VERTEX
    }
    return Seen(seen.measured.where(anew, laid), profiles, replace(seen.fit, **columns)), anew


def _continued(seen: Seen, strip: int) -> tuple[Measured, Mask]:
    """Continue the known sheet by so many rings, and where it reaches.

    Each vertex is moved onto the plane through its neighbours' places: square to it, so that vertices do not crowd.
    """
    measured, fit = seen.measured, seen.fit
    sheet = measured.sheet
    middle, half = (fit.sacrum_at_mm + fit.hip_at_mm) / 2, (fit.hip_at_mm - fit.sacrum_at_mm) / 2
    placed = sheet.vertices_lps + middle[:, None] * measured.across_lps
    normals = _unit(sheet.smooth(_normals(Sheet(placed, sheet.faces), seen.known), strip))
    known = seen.known & normals.any(axis=1)
    values = np.column_stack([placed, normals, half, measured.opening_deg])
    carried, reached = sheet.spread(values, known, strip)
    across = _unit(carried[:, 3:6])
    off = np.einsum("ij,ij->i", carried[:, :3] - sheet.vertices_lps, across)
    half = np.maximum(carried[:, 6], NARROWEST_MM / 2)
    vertices = sheet.vertices_lps + off[:, None] * across
    return Measured(sheet.moved(vertices), half, half, across, carried[:, 7]), reached


def _normals(sheet: Sheet, known: Mask) -> Numbers:
    """Areas of the known triangles about each vertex, as vectors; zero where there is none."""
    inside = known[sheet.faces].all(axis=1)
    corners = sheet.vertices_lps[sheet.faces[inside]]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    at, n = sheet.faces[inside].ravel(), len(known)
    return np.stack([np.bincount(at, np.repeat(column, 3), n) for column in areas.T], axis=1)


def _unit(vectors: Numbers) -> Numbers:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Numbers = vectors / np.where(length > 0, length, 1.0)
    return unit


def _fit(profiles: Profiles, half_mm: Numbers, first: GapFit) -> GapFit:
    """Fit the slab from faces `half_mm` either side of the sheet, with the joint's own blur, cortex and gap."""
    start = np.stack([-half_mm, half_mm], axis=1)
    lowest = lowest_between(profiles, start)
    gap_hu = np.minimum(first.gap_hu.max(), lowest)
    fitted, good = fit_slabs(profiles, start, gap_hu, (first.sigma_mm, first.cortex_mm), LIMIT_MM)
    return GapFit(fitted[:, 0], fitted[:, 1], fitted[:, 5], lowest, gap_hu, good, first.sigma_mm, first.cortex_mm)


def _put(old: NDArray[Any], at: NDArray[np.int64], new: NDArray[Any]) -> NDArray[Any]:
    result = old.copy()
    result[at] = new
    return result
