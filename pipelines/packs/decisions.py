"""What was decided on review, for a pack: verdicts, reasons and placements, without the names and times of people."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from planner import NOTICE
from planner.decisions import Entry, last_decisions, read_record
from planner.plan import FindingDocument, PlanDocument

__all__ = ["DECISIONS", "decisions_of", "told_of", "write_decisions"]

DECISIONS = "decisions.json"
KEPT_BACK = {"schema_name", "notice", "name", "when", "plan_sha256", "before_sha256"}
LEVELS: dict[str, Literal["note", "warn", "review-only"]] = {
    "approved": "note",
    "overridden": "warn",
    "rejected": "review-only",
}


def decisions_of(folder: Path) -> list[Entry]:
    """Read the last decision of each side about the plan as it lies in a result folder.

    Raises
    ------
    planner.errors.UnreadableFileError
        If the record was changed by other hands.
    """
    own = hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest()
    return [entry for entry in last_decisions(read_record(folder)).values() if entry.plan_sha256 == own]


def told_of(document: PlanDocument, decisions: list[Entry]) -> PlanDocument:
    """Put decisions first among the findings, so that report, structured report and plan carry them."""
    told = [_told(one) for one in decisions]
    return document.model_copy(update={"findings": [*told, *document.findings]})


def write_decisions(path: Path, decisions: list[Entry]) -> None:
    """Write what was decided on each side, and where the implant was put."""
    content: dict[str, Any] = {
        "schema": "sacroplan.decisions/1",
        "notice": NOTICE,
        "decisions": [one.model_dump(mode="json", exclude=KEPT_BACK) for one in decisions],
    }
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _told(entry: Entry) -> FindingDocument:
    code, level = f"review-{entry.verdict}", LEVELS[entry.verdict]
    return FindingDocument(code=code, level=level, side=entry.side, message=_said(entry))


def _said(entry: Entry) -> str:
    broken = f", which breaks {', '.join(sorted(entry.broken_mm))}" if entry.broken_mm else ""
    moved = f"; it was changed against the proposal, see {DECISIONS}" if entry.changed else ""
    reason = f": {entry.text.strip()}" if entry.text.strip() else ""
    return f"On review a person has {entry.verdict} the placement{broken}{moved}{reason}."
