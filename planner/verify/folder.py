"""Verify a result folder: every check that can be run is run, and what is malformed fails."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from planner.verify.beside import check_injection, check_lateral
from planner.verify.candidate import check_candidate
from planner.verify.case import SIDES, Case, Dowel, read_case
from planner.verify.document import check_document, check_side
from planner.verify.model import Check, Verification

__all__ = ["verify_folder"]

MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What a plan that is not built as the schema says raises in the checks."""


def verify_folder(folder: Path) -> Verification:
    """Re-check ``plan.json`` against ``labels.nii.gz`` and ``keepout.nii.gz``, by other code than the planner's.

    Parameters
    ----------
    folder : Path
        What ``sacroplan plan`` leaves behind.

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
    return Verification(tuple(_all_checks(case)))


def _all_checks(case: Case) -> Iterator[Check]:
    yield from _guarded("both", lambda: check_document(case))
    sides = case.plan.get("sides")
    for side in SIDES if isinstance(sides, dict) else ():
        yield from _guarded(side, lambda side=side: check_side(case, side))  # type: ignore[misc]
        yield from _guarded(side, lambda side=side: _candidates(case, side))  # type: ignore[misc]
        yield from _guarded(side, lambda side=side: check_lateral(case, side))  # type: ignore[misc]
        yield from _guarded(side, lambda side=side: check_injection(case, side))  # type: ignore[misc]


def _candidates(case: Case, side: str) -> Iterator[Check]:
    for claims in case.plan["sides"][side]["candidates"]:
        yield from check_candidate(Dowel(case, side, claims))


def _guarded(side: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Run checks; one that meets what the schema does not allow fails and ends its group."""
    try:
        yield from checks()
    except MALFORMED as error:
        yield Check("well-formed", side, False, f"plan.json is not as the schema says: {type(error).__name__} {error}")
