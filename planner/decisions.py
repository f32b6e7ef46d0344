"""What was decided, by whom, when and about which plan: a line a decision, appended to the result folder.

Each line holds the SHA-256 of the one before it, so that a line that was changed or taken out shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from planner import NOTICE
from planner.errors import ConfigError, UnreadableFileError

__all__ = ["RECORD", "Decision", "Entry", "Verdict", "append", "last_decisions", "read_record"]

RECORD = "review.jsonl"
"""Beside ``plan.json``."""

SCHEMA: Literal["sacroplan.review/1"] = "sacroplan.review/1"

Verdict = Literal["approved", "rejected", "overridden", "comment"]
Point = tuple[float, float, float]


class Decision(BaseModel):
    """What one person decides about one side.

    An overridden placement breaks constraints, and is used in spite of that for the reason given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    side: Literal["left", "right"]
    verdict: Verdict
    name: str = Field(min_length=1)
    text: str = ""
    candidate: int | None = None
    grade: Literal["green", "amber", "red"] | None = None
    entry_lps_mm: Point | None = None
    tip_lps_mm: Point | None = None
    diameter_mm: float | None = None
    length_mm: float | None = None
    changed: dict[str, float] = {}
    broken_mm: dict[str, float] = {}
    clearance_mm: dict[str, float] = {}
    limits_changed: dict[str, float] = {}
    repainted: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _honest(self) -> Decision:
        if self.broken_mm and self.verdict == "approved":
            raise ValueError("a placement that breaks a constraint cannot be approved: reject it, or override it")
        if self.verdict == "overridden" and not self.text.strip():
            raise ValueError("an override needs a reason")
        if self.verdict == "comment" and not self.text.strip():
            raise ValueError("a comment needs words")
        return self


class Entry(Decision):
    """A decision as it stands in the record."""

    schema_name: Literal["sacroplan.review/1"] = Field(default=SCHEMA, alias="schema")
    notice: Literal["Research use only. Not for clinical use."] = NOTICE  # type: ignore[assignment]
    when: str
    plan_sha256: str
    before_sha256: str

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


def _now() -> datetime:
    return datetime.now(UTC)


def append(folder: Path, decision: Decision, plan_sha256: str, clock: Callable[[], datetime] = _now) -> Entry:
    """Write a decision behind those that are there.

    Raises
    ------
    planner.errors.UnreadableFileError
        If the record was changed by other hands.
    planner.errors.ConfigError
        If the folder cannot be written to.
    """
    before = read_record(folder)
    last = _sha256(_line(before[-1])) if before else ""
    when = clock().isoformat(timespec="seconds")
    entry = Entry(**decision.model_dump(), when=when, plan_sha256=plan_sha256, before_sha256=last)
    try:
        with (folder / RECORD).open("a", encoding="utf-8") as file:
            file.write(_line(entry) + "\n")
    except OSError as error:
        raise ConfigError(f"{RECORD} cannot be written ({error.strerror}).", "Make the folder writable.") from error
    return entry


def read_record(folder: Path) -> list[Entry]:
    """Read all decisions, the first first; empty where there are none.

    Raises
    ------
    planner.errors.UnreadableFileError
        If a line is not as it was written.
    """
    path = folder / RECORD
    if not path.exists():
        return []
    entries: list[Entry] = []
    before = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as error:
            raise _damaged(number) from error
        if entry.before_sha256 != before or _line(entry) != line:
            raise _damaged(number)
        entries.append(entry)
        before = _sha256(line)
    return entries


def last_decisions(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Give the last entry of each side that is no comment."""
    return {entry.side: entry for entry in entries if entry.verdict != "comment"}


def _damaged(number: int) -> UnreadableFileError:
    return UnreadableFileError(
        f"{RECORD}: line {number} is not as it was written.", "Restore the file from a copy, or move it away."
    )


def _line(entry: Entry) -> str:
    return json.dumps(entry.model_dump(mode="json", by_alias=True), sort_keys=True)


def _sha256(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
