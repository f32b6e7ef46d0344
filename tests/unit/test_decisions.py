"""The record only grows, knows its plan, and shows what was tampered with."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from planner import NOTICE
from planner.decisions import RECORD, Decision, append, read_record
from planner.errors import ConfigError, UnreadableFileError

PLAN = "ab" * 32


def noon():
    return datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def decision(**facts):
    return Decision.model_validate({"side": "left", "verdict": "approved", "name": "A. Tester", **facts})


def test_each_line_says_who_when_what_and_about_which_plan(tmp_path):
    append(tmp_path, decision(changed={"tip_mm": 1.5}), PLAN, noon)
    line = json.loads((tmp_path / RECORD).read_text())
    assert line["schema"] == "sacroplan.review/1"
    assert line["notice"] == NOTICE
    assert (line["name"], line["when"], line["plan_sha256"]) == ("A. Tester", "2026-11-22T12:00:00+00:00", PLAN)
    assert line["changed"] == {"tip_mm": 1.5}


def test_the_record_grows_and_old_lines_stay(tmp_path):
    append(tmp_path, decision(), PLAN, noon)
    first = (tmp_path / RECORD).read_text()
    append(tmp_path, decision(verdict="rejected"), PLAN, noon)
    assert (tmp_path / RECORD).read_text().startswith(first)
    assert [entry.verdict for entry in read_record(tmp_path)] == ["approved", "rejected"]


@pytest.mark.parametrize("damage", ["changed", "removed", "broken"])
def test_a_record_that_was_tampered_with_is_refused(tmp_path, damage):
    for verdict in ("approved", "rejected", "approved"):
        append(tmp_path, decision(verdict=verdict), PLAN, noon)
    lines = (tmp_path / RECORD).read_text().splitlines()
    if damage == "changed":
        lines[1] = lines[1].replace("rejected", "approved")
    elif damage == "removed":
        del lines[1]
    else:
        lines[1] = lines[1][:40]
    (tmp_path / RECORD).write_text("\n".join(lines) + "\n")
    with pytest.raises(UnreadableFileError, match=r"review\.jsonl: line [23] is not as it was written"):
        read_record(tmp_path)
    with pytest.raises(UnreadableFileError):
        append(tmp_path, decision(), PLAN, noon)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"broken_mm": {"neural-clearance": 0.4}}, "cannot be approved"),
        ({"verdict": "overridden", "broken_mm": {"access": 1.0}}, "an override needs a reason"),
        ({"verdict": "comment", "text": " "}, "a comment needs words"),
        ({"name": ""}, "at least 1 character"),
    ],
)
def test_what_is_not_honest_is_no_decision(facts, words):
    with pytest.raises(ValidationError, match=words):
        decision(**facts)


@pytest.mark.parametrize("verdict", ["rejected", "overridden"])
def test_a_broken_placement_can_be_rejected_or_overridden_with_a_reason(verdict):
    assert decision(verdict=verdict, broken_mm={"access": 1.0}, text="old screw").text == "old screw"


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / RECORD).mkdir()
    with pytest.raises((ConfigError, OSError)):
        append(tmp_path, decision(), PLAN, noon)


def test_no_record_is_no_decision(tmp_path):
    assert read_record(tmp_path) == []
