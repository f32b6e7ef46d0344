"""At least 40 kinds of malformed input: each is refused in words, or read with the finding that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner import NOTICE
from planner.errors import InputRefusedError
from planner.reading import read_scan

from support.dicom_files import SECRETS
from support.malformed import KINDS, Kind

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_there_are_many_kinds_with_names_of_their_own() -> None:
    assert len(KINDS) >= 40
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_is_met_as_expected(kind: Kind, tmp_path: Path) -> None:
    path = kind.make(tmp_path)
    page = (DOCS / "input-checks.md").read_text(encoding="utf-8")
    if kind.outcome != "refused":
        findings = read_scan(path).findings
        assert kind.outcome in {finding.code for finding in findings}
        assert all(finding.message in page for finding in findings)
        return
    with pytest.raises(InputRefusedError) as refusal:
        read_scan(path)
    error = refusal.value
    assert error.exit_code == 3
    assert "found" in error.what
    assert "expected" in error.what
    assert error.remedy.endswith(".")
    assert not any(secret in str(error) for secret in (*SECRETS, str(tmp_path)))
    assert f"| {kind.name} | {error} |" in page  # the page is what the program says: run script/input_checks.py


def test_the_page_holds_the_notice_and_no_kind_that_is_gone() -> None:
    page = (DOCS / "input-checks.md").read_text(encoding="utf-8")
    assert NOTICE in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| input", "| ---"))]
    assert len(rows) == len(KINDS)
