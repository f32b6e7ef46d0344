"""The batch as one flat table, a row a study that holds CT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.batch.cohort import MEASURES, outliers
from pipelines.batch.record import read_record

__all__ = ["COLUMNS", "SIDES", "Row", "is_outlier", "rows_of"]

Row = dict[str, Any]

SIDES = ("left", "right")
SIDE_COLUMNS = ("status", "grade", "binding", *MEASURES)
COLUMNS = (
    "case", "status", "reason", "message", "images", "copies", "damaged", "series", "slices", "complete",
    "findings", "review_only", *(f"{side}_{name}" for side in SIDES for name in SIDE_COLUMNS), "outliers", "seconds",
    "peak_rss_mb",
)  # fmt: skip
"""Of ``summary.csv`` and ``summary.parquet``."""


def rows_of(cases: Path, keys: Iterable[str]) -> list[Row]:
    """Read every case's record; a case without one has not been reached."""
    rows = [_row(key, read_record(cases / key)) for key in sorted(keys)]
    flags = {row["case"]: list[str]() for row in rows}
    for name, case in _far_off(rows):
        flags[case].append(name)
    return [{**row, "outliers": "; ".join(flags[row["case"]])} for row in rows]


def is_outlier(row: Row, side: str, measure: str) -> bool:
    """Whether a figure of a side lies far off those of all others."""
    return f"{side} {measure} (" in (row["outliers"] or "")


def _row(key: str, record: Mapping[str, Any] | None) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    if record is None:
        return {**row, "case": key, "status": "left", "reason": "not-reached"}
    chosen: Mapping[str, Any] = next((one for one in record["series"] if one["chosen"]), {})
    findings = record.get("findings", [])
    row |= {name: record.get(name) for name in ("case", "status", "reason", "message", "complete")}
    row |= {name: record["files"][name] for name in ("images", "copies", "damaged")}
    row |= {"series": chosen.get("key"), "slices": chosen.get("slices")}
    row |= {"findings": "; ".join(sorted({code for code, _, _ in findings}))}
    row |= {"review_only": any(level in ("review-only", "refuse") for _, level, _ in findings)}
    row |= {name: record.get(name) for name in ("seconds", "peak_rss_mb")}
    for side in SIDES:
        entry = record.get("sides", {}).get(side, {})
        row |= {f"{side}_{name}": entry.get(name) for name in SIDE_COLUMNS}
    return row


def _far_off(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Give each outlier's column and case; left and right are judged together."""
    rows = list(rows)
    for measure in MEASURES:
        values = {
            f"{side} {row['case']}": row[f"{side}_{measure}"]
            for row in rows
            for side in SIDES
            if row[f"{side}_{measure}"] is not None
        }
        for name, score in outliers(values).items():
            side, case = name.split()
            yield f"{side} {measure} (z {score:+.1f})", case
