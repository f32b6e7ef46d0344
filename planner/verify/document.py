"""Checks of the document as a whole, and of each side's entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from planner.verify.case import HIPS, SACRUM, SIDES, Case, Dowel, least_distance, point
from planner.verify.model import Check

__all__ = ["check_document", "check_side"]

SCHEMA = "sacroplan.plan/1"
"""The only schema that these checks know."""

NOTICE = "Research use only. Not for clinical use."
"""Must stand in every plan, word for word."""

STATUS = ("planned", "unverified", "no-safe-path", "not-planned")
"""Words that a side's status may be."""

MOST_CANDIDATES = 3
"""Candidates a side at most."""

DISTINCT_MM, DISTINCT_DEG = 5.0, 5.0
"""Two candidates differ by at least one of these: centres, axes."""

MIDLINE_MM = 20.0
"""Each hip bone's centre lies at least this far to its own side of the sacrum's (Corridor Finder)."""

MOUTHS = tuple(f"S{level} {aspect}" for level in (1, 2, 3) for aspect in ("ventral", "dorsal"))
"""Foramina without which a plan is unverified."""

FORAMEN_VALUE = {"left": 11, "right": 21}
"""Value of the S1 foramen in ``keepout.nii.gz``; S2-S4 follow."""

MOUTH_MM = 8.0
"""A foramen's mouth lies this near to its own voxels."""

CANAL, CANAL_MM = 1, 5.0
"""Value of the canal in ``keepout.nii.gz``, and how near its line lies to its voxels: two in slices of 3 mm."""

ROUNDING = 0.01
"""Figures in a plan are rounded to less."""


def check_document(case: Case) -> Iterator[Check]:
    """Check schema, notice, sides, grids and which side is which."""
    plan = case.plan
    schema, notice = plan.get("schema"), plan.get("notice")
    yield Check("schema", "both", schema == SCHEMA, f"found {schema!r}, expected {SCHEMA!r}")
    yield Check("notice", "both", notice == NOTICE, f"found {notice!r}")
    sides = sorted(plan["sides"])
    yield Check("sides", "both", sides == sorted(SIDES), f"found {sides}")
    yield Check("one-grid", "both", case.labels.same_grid(case.keepout), "labels and keep-outs on one grid")
    shape = list(case.labels.shape_zyx)
    yield Check("input-grid", "both", list(plan["input"]["shape_zyx"]) == shape, f"labels of shape {shape}")
    yield _laterality(case)
    yield _canal(case)


def _canal(case: Case) -> Check:
    """Check that the canal that a plan rests on is in the keep-outs, along all of its line."""
    there = case.keepout.points(case.keepout.values == CANAL)
    proposes = any(entry["candidates"] for entry in case.plan["sides"].values())
    line = case.plan.get("canal_lps_mm") or []
    away = max((least_distance(point(place)[None], there) for place in line), default=0.0)
    found = len(there) > 0 or not (proposes or line)
    words = f"{len(there)} voxels of the canal, its line at most {away:.1f} mm from one"
    return Check("canal", "both", found and away <= CANAL_MM, words)


def _laterality(case: Case) -> Check:
    """Left of the patient is +x in LPS, unless the scan's header is said to be wrong."""
    x = {value: float(centre @ case.axes[0]) for value, centre in case.centroids.items()}
    if SACRUM not in x:
        return Check("laterality", "both", False, "there is no sacrum")
    away = {
        side: (1 if side == "left" else -1) * float(x[value] - x[SACRUM]) for side, value in HIPS.items() if value in x
    }
    words = ", ".join(f"{side} hip bone {mm:.0f} mm to its side of the sacrum" for side, mm in away.items())
    return Check("laterality", "both", bool(away) and min(away.values()) >= MIDLINE_MM, words or "no hip bone")


def check_side(case: Case, side: str) -> Iterator[Check]:
    """Check status, reason, number of candidates, that they differ, and the foramina that the status rests on."""
    entry: Mapping[str, Any] = case.plan["sides"][side]
    status, count = entry["status"], len(entry["candidates"])
    yield Check("status", side, status in STATUS, f"found {status!r}")
    proposes = status in ("planned", "unverified")
    right_count = 1 <= count <= MOST_CANDIDATES if proposes else count == 0
    yield Check("candidates", side, right_count, f"{count} with status {status!r}")
    yield Check("reason", side, status == "planned" or bool(entry["reason"]), "given unless planned")
    if proposes:
        ranks = [claims["rank"] for claims in entry["candidates"]]
        yield Check("ranks", side, ranks == list(range(1, count + 1)), f"found {ranks}")
        dowels = [Dowel(case, side, claims) for claims in entry["candidates"]]
        yield from (_distinct(a, b) for a, b in combinations(dowels, 2))
        yield from _foramina(case, side, entry)


def _distinct(one: Dowel, other: Dowel) -> Check:
    apart = float(np.linalg.norm(one.centre - other.centre))
    angle = float(np.degrees(np.arccos(np.clip(one.direction @ other.direction, -1, 1))))
    passed = apart >= DISTINCT_MM - ROUNDING or angle >= DISTINCT_DEG - ROUNDING
    words = f"{one.name} and {other.name}: {apart:.1f} mm, {angle:.1f} degrees apart"
    return Check("distinct", one.side, passed, words)


def _foramina(case: Case, side: str, entry: Mapping[str, Any]) -> Iterator[Check]:
    found = {f"{f['level']} {f['aspect']}" for f in entry["foramina"]}
    missing = [mouth for mouth in MOUTHS if mouth not in found]
    words = f"not found: {', '.join(missing)}" if missing else "S1-S3 found, ventral and dorsal"
    yield Check("foramina", side, not missing or entry["status"] == "unverified", words)
    for foramen in entry["foramina"]:
        value = FORAMEN_VALUE[side] + int(foramen["level"][1:]) - 1
        centre = point(foramen["centre_lps_mm"])[None]
        near = case.keepout.around(centre, 2 * MOUTH_MM)
        away = least_distance(centre, near.points(near.values == value))
        if away > MOUTH_MM:
            words = f"{foramen['level']} {foramen['aspect']}: no voxel of value {value} within {MOUTH_MM:g} mm"
            yield Check("foramen-voxels", side, False, words)
