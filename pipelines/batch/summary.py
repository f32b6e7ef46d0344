"""``summary.csv``, ``summary.parquet``, ``summary.html`` and ``cohort.csv`` of a batch, each there as a whole."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path

from pipelines.batch.cohort import MEASURES, Distribution, describe
from pipelines.batch.page import page
from pipelines.batch.table import COLUMNS, SIDES, Row, rows_of
from planner import NOTICE

__all__ = ["NO_PARQUET", "cohort_of", "has_parquet", "write_summary"]

NO_PARQUET = "summary.parquet is not written: pip install 'sacroplan[parquet]'"

NUMBERS = {"images", "copies", "damaged", "slices", "seconds", "peak_rss_mb"} | {
    f"{side}_{measure}" for side in SIDES for measure in MEASURES
}
FLAGS = {"complete", "review_only"}


def write_summary(out: Path, cases: Path, keys: Sequence[str], no_ct: Mapping[str, int]) -> list[Row]:
    """Sum a batch up.

    Parameters
    ----------
    out : Path
        Where the files go.
    cases : Path
        The folder of the cases' folders.
    keys : sequence of str
        The cases.
    no_ct : mapping of str to int
        Studies without CT, by their modalities.
    """
    rows = rows_of(cases, keys)
    cohort = cohort_of(rows)
    _write_csv(out / "summary.csv", COLUMNS, rows)
    _write_csv(out / "cohort.csv", tuple(f.name for f in fields(Distribution)), [asdict(one) for one in cohort])
    if has_parquet():
        _write_parquet(out / "summary.parquet", rows)
    _replace(out / "summary.html", page(rows, cohort, no_ct, cases.name, cases).encode())
    return rows


def has_parquet() -> bool:
    """Whether pyarrow is installed: 150 MB for one file, so it is an extra."""
    return find_spec("pyarrow") is not None


def cohort_of(rows: Iterable[Row]) -> list[Distribution]:
    """Sum up each measure over all sides that have it."""
    rows = list(rows)
    found = (
        describe(measure, [value for row in rows for side in SIDES if (value := row[f"{side}_{measure}"]) is not None])
        for measure in MEASURES
    )
    return [one for one in found if one is not None]


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    partial = _beside(path)
    with partial.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# {NOTICE}\n")
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow
    import pyarrow.parquet

    kinds = {**dict.fromkeys(COLUMNS, pyarrow.string())}
    kinds |= {**dict.fromkeys(NUMBERS, pyarrow.float64()), **dict.fromkeys(FLAGS, pyarrow.bool_())}
    schema = pyarrow.schema(list(kinds.items()), metadata={"notice": NOTICE})
    partial = _beside(path)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema), partial)
    partial.replace(path)


def _replace(path: Path, content: bytes) -> None:
    partial = _beside(path)
    partial.write_bytes(content)
    partial.replace(path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial-{os.getpid()}")
