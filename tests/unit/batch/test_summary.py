"""``summary.csv``, ``summary.parquet`` and ``cohort.csv``: the same rows, typed, with the notice, there as a whole."""

from __future__ import annotations

import csv
import math

import pytest

from pipelines.batch import summary
from pipelines.batch.model import Outcome, Status, Study
from pipelines.batch.record import record_of, write_record
from pipelines.batch.summary import FLAGS, NUMBERS, write_summary
from pipelines.batch.table import COLUMNS
from planner import NOTICE

STUDY = Study("1.2", ("a", "b"), ("c",), 1, {"PT": 3}, "content")
PLAN = {
    "findings": [("metal", "review-only", "left")],
    "complete": True,
    "sides": {"left": {"status": "planned", "grade": "green", "gap_median_mm": 1.75, "score": 0.9}},
    "seconds": 9.5,
    "peak_rss_mb": 958.0,
}


@pytest.fixture
def cases(tmp_path):
    """One planned, one refused with a comma and a quote in its reason."""
    ends = (Outcome(Status.PLANNED), Outcome(Status.REFUSED, "geometry", 'Slices "3", 4 are missing.'))
    for key, end, plan in zip("ab", ends, (PLAN, {}), strict=True):
        (tmp_path / "cases" / key).mkdir(parents=True)
        write_record(tmp_path / "cases" / key, record_of(key, STUDY, end, [], plan))
    return tmp_path / "cases"


@pytest.fixture
def rows(cases):
    return write_summary(cases.parent, cases, ["b", "a", "c"], {})


def test_a_row_a_case_in_order(rows):
    assert [(row["case"], row["status"], row["reason"]) for row in rows] == [
        ("a", "planned", ""), ("b", "refused", "geometry"), ("c", "left", "not-reached"),
    ]  # fmt: skip
    assert (rows[0]["images"], rows[0]["copies"], rows[0]["damaged"]) == (2, 1, 1)
    assert (rows[0]["review_only"], rows[0]["complete"], rows[0]["left_gap_median_mm"]) == (True, True, 1.75)


def test_the_csv_is_the_rows(cases, rows):
    first, *rest = (cases.parent / "summary.csv").read_text().splitlines()
    assert first == f"# {NOTICE}"
    read = list(csv.DictReader(rest))
    assert read == [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    assert tuple(read[0]) == COLUMNS


def test_the_parquet_is_the_rows_with_types_and_the_notice(cases, rows):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an extra: sacroplan[parquet]")
    table = parquet.read_table(cases.parent / "summary.parquet")
    assert table.schema.metadata[b"notice"].decode() == NOTICE
    assert tuple(table.column_names) == COLUMNS
    types = {name: str(table.schema.field(name).type) for name in COLUMNS}
    assert {name for name, kind in types.items() if kind == "double"} == NUMBERS
    assert {name for name, kind in types.items() if kind == "bool"} == FLAGS
    assert set(types.values()) == {"double", "bool", "string"}
    assert table.to_pylist() == rows


def test_without_pyarrow_the_rest_is_written(cases, monkeypatch):
    monkeypatch.setattr(summary, "find_spec", lambda name: None)
    write_summary(cases.parent, cases, ["a"], {})
    names = sorted(path.name for path in cases.parent.iterdir())
    assert names == ["cases", "cohort.csv", "summary.csv", "summary.html"]


def test_the_cohort_sums_up_what_there_is(cases, rows):
    lines = (cases.parent / "cohort.csv").read_text().splitlines()
    assert lines[0] == f"# {NOTICE}"
    (gap,) = [row for row in csv.DictReader(lines[1:]) if row["measure"] == "gap_median_mm"]
    assert gap["count"] == "1"
    assert math.isclose(float(gap["median"]), 1.75)


def test_nothing_half_written_is_left(cases, rows):
    assert not list(cases.parent.glob(".*"))
