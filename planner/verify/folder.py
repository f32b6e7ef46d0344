"""Verify a result folder: every check that can be run is run, and what is malformed fails."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from planner.verify.beside import check_injection, check_lateral
from planner.verify.candidate import check_candidate
from planner.verify.case import SIDES, Case, Dowel, read_case
from planner.verify.document import check_document, check_side
from planner.verify.joint import check_articular_share, check_surface
from planner.verify.model import Check, Verification
from planner.verify.moved import Moved
from planner.verify.placement import check_placement
from planner.verify.scan import PathOnScan, Voxels, check_hu, check_scan_grid
from planner.verify.surroundings import surroundings_of

__all__ = ["verify_folder"]

MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What a plan that is not built as the schema says raises in the checks."""


NO_SURFACE = "articular zones, breach probabilities and safe entry radius: the joint's surface is not beside the plan"
"""Why claims that rest on it are not checked."""

NO_SCAN = "HU along the paths and in the shells: no scan was given"
"""Why claims that rest on it are not checked."""


def verify_folder(folder: Path, scan: Voxels | None = None) -> Verification:
    """Re-check ``plan.json`` against the label files and the joints' surfaces, by other code than the planner's.

    Parameters
    ----------
    folder : Path
        What ``sacroplan plan`` leaves behind.
    scan : Voxels, optional
        What was planned on; without it HU are not checked.

    Returns
    -------
    Verification
        Every check, in a fixed order. A file that cannot be read is a failed check, not an error.
    """
    try:
        case = read_case(folder)
    except (OSError, EOFError, RuntimeError, ValueError, zlib.error) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        return Verification((Check("files", "both", False, f"cannot be read: {reason}"),))
    return Verification(tuple(_all_checks(case, scan)))


def _all_checks(case: Case, scan: Voxels | None) -> Iterator[Check]:
    yield from _guarded("both", lambda: check_document(case))
    sides = case.plan.get("sides")
    for side in SIDES if isinstance(sides, dict) else ():
        yield from _guarded(side, lambda side=side: check_side(case, side))  # type: ignore[misc]
        yield from _guarded(side, lambda side=side: _candidates(case, side))  # type: ignore[misc]
        yield from _guarded(side, lambda side=side: _placements(case, side))  # type: ignore[misc]
        yield from _guarded(side, lambda side=side: check_lateral(case, side))  # type: ignore[misc]
        yield from _guarded(side, lambda side=side: check_injection(case, side))  # type: ignore[misc]
    yield from _guarded("both", lambda: _scan(case, scan))


def _dowels(case: Case, side: str) -> list[Dowel]:
    return [Dowel(case, side, claims) for claims in case.plan["sides"][side]["candidates"]]


def _candidates(case: Case, side: str) -> Iterator[Check]:
    for dowel in _dowels(case, side):
        yield from check_candidate(dowel)


def _placements(case: Case, side: str) -> Iterator[Check]:
    """Check what rests on the joint's surface, too."""
    dowels = _dowels(case, side)
    if not dowels:
        return
    around = surroundings_of(case, side, dowels)
    if around is None:
        yield Check("placement", side, True, f"not checked: {NO_SURFACE}", checked=False)
        return
    yield from check_surface(around, side)
    for dowel in dowels:
        yield check_articular_share(dowel, around)
        yield from check_placement(Moved(dowel, around))


def _scan(case: Case, scan: Voxels | None) -> Iterator[Check]:
    """Check what rests on the scan."""
    if scan is None:
        yield Check("hu", "both", True, f"not checked: {NO_SCAN}", checked=False)
        return
    on_grid = check_scan_grid(case, scan)
    yield on_grid
    for side in SIDES if on_grid.passed else ():
        for dowel in _dowels(case, side):
            yield from check_hu(PathOnScan(dowel, scan), case.surfaces.get(side))


def _guarded(side: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Run checks; one that meets what the schema does not allow fails and ends its group."""
    try:
        yield from checks()
    except MALFORMED as error:
        yield Check("well-formed", side, False, f"plan.json is not as the schema says: {type(error).__name__} {error}")
