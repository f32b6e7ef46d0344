"""``docs/reliability.md`` from what was counted; what was found and fixed is written by hand, below."""

# ruff: noqa: E501  # rows of a page
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["page"]

UNTIMED = ("guided", "long")
"""Sections that are not part of the short run."""

PLACE = re.compile(r"/\S+/out\b")
"""Where a fault was inflicted, on the machine of that day."""

FIXED = (
    ("A DICOM element that states 4 GB in a file of 1.5 kB took 4 GB of memory (also in DICOMDIR and SEG)",
     "the parser is asked for no more than the file has (`planner.dicom.parsing`)"),
    ("A deflated DICOM data set was inflated in one go, whatever came out",
     "inflated piece by piece first, at most 128 MB"),
    ("A JPEG-LS stream that says 20000 x 20000 in a slice of 32 x 40 took 1.5 GB",
     "the code stream's own size is compared with the header's before it is decoded (`planner.dicom.codestreams`)"),
    ("Codecs wrote panics and backtraces to stderr", "kept off it while a frame is decoded"),
    ("Zip directories with odd offsets or empty names raised `OSError` and `IndexError`; LZMA and bzip2 were read",
     "refused in words; only stored and deflated members are unpacked"),
    ("A DICOMDIR that names a file with a NUL byte raised `ValueError`", "such a name is passed over"),
    ("A NIfTI whose voxels vanish when they are rounded raised `ValueError`", "refused: a geometry that is no grid"),
    ("A SEG with damaged numbers or without segments raised `BytesLengthException` or `AttributeError`",
     "refused: a damaged file"),
    ("Two runs that ended on one folder at once: the second one called it a defect; killed between two renames, the "
     "earlier result was left under a hidden name", "folders change places in one step, or the next run puts it back"),
    ("A review that was begun while the case was planned again was overwritten", "looked for again before the swap"),
    ("What a killed process had written stayed beside the result", "the next run there clears it up, told by a lock"),
    ("A folder was readable by all while it was written", "0700 until it is whole"),
    ("A full disk, a failing share or a closed pipe was called a defect of this program", "told in words, exit code 1"),
    ("A slice that a failing share did not give was taken for a file of another kind, and left out without a word",
     "errors of disk and network are told from damage (`planner.devices`)"),
    ("Memory that ran out while a frame was decoded was called a damaged frame", "told as no memory"),
    ("Cone-beam CT, MR and other offsets and slopes passed as Hounsfield units unless they broke a bound",
     "peaks of soft tissue and air must lie where CT has them (`hu-calibration`); `cone-beam` by header"),
    ("A scan with a spacing far from cubes (micrometres, axes mixed up) ended in an `IndexError` where the pelvis is "
     "looked for", "room for every turn of the model; refused as no pelvis, with what of it would be in the scan"),
    ("A refusal repeated what a damaged header had for a unit: 60 kB of pixels, and the header behind them (found by "
     "atheris)", "only terms of the standard are repeated"),
    ("Threads that could not be started for want of memory were called a defect", "told as no memory"),
    ("A named pipe given as a scan was waited for, for ever", "refused: a pipe or device"),
    ("Workers of a batch held 300 MB that were no case's, and 4 to 20 MB more after each case",
     "Dask's profiler is off, and the allocator gives back what is freed (`docs/scaling.md`)"),
    ("A header that was mirrored left to right was read without a word", "`seen-from-head`"),
)  # fmt: skip
"""What was found while this was made, and what became of it."""

LEFT = (
    "A stalled share was made by a hook that sleeps while a file is opened, a failing one by errors raised there: no "
    "real share was at hand. `plan` waits for a stalled share until it is stopped (Ctrl-C); a batch ends a case by its "
    "time limit.",
    "Memory was capped by address space (`RLIMIT_AS`), not by a container that kills.",
    "The clock was made to jump inside the process (`time`), not on the system.",
    "Power cuts were not tried: files are not synced before a folder takes its place.",
    "Voxels mirrored left to right under a plausible header are not told from a patient. Nothing in the pelvis alone "
    "tells; the report's list begins with the right side.",
    "Leftovers of killed runs are known by locks; on a file system without them nothing is cleared up.",
)
"""What this page does not show."""

INTRO = """
Damaged files, faults of the machine, one scan told in many ways, mistakes, many plans in one process. The tables are
written by `script/torture`; what each run counted is in `tests/fuzz/measured.json`. Its sections, but for coverage and
the long run, took {minutes:.0f} minutes here, on two cores that did other work too; less than 15 on idle ones is what
they are made for, and was not timed. Malformed series one by one: [`input-checks.md`](input-checks.md).
"""


def page(measured: dict[str, Any], notice: str) -> str:
    """Give the whole page."""
    short = [name for name in WRITERS if name in measured and name not in UNTIMED]
    minutes = sum(measured[name]["seconds"] for name in short) / 60
    parts = ["# Reliability", "", notice, INTRO.format(minutes=minutes)]
    for name, write in WRITERS.items():
        if name in measured:
            parts += [*write(measured[name]), "", _when(measured[name]), ""]
    missing = [name for name in WRITERS if name not in measured]
    if missing:
        parts += ["## Not measured yet", "", f"Sections without a complete run: {', '.join(missing)}.", ""]
    parts += ["## What was found and fixed", "", "| found | fixed |", "| --- | --- |"]
    parts += [f"| {found} | {fixed} |" for found, fixed in FIXED]
    parts += ["", "## What is left", "", *(f"- {line}" for line in LEFT)]
    return "\n".join(parts) + "\n"


def _when(found: dict[str, Any]) -> str:
    return f"Commit {found['commit']}, {found['machine']}, {found['seconds']} s."


def _fuzz(found: dict[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    tried, failed = sum(row["tried"] for row in rows), sum(len(row["faults"]) for row in rows)
    yield "## Damaged files"
    yield ""
    yield (
        f"{tried} files, made of valid ones by up to six changes of bits, bytes, numbers, words or lines "
        f"(`tests/fuzz/mutate.py`), each read in a process that may have 512 MB more than it starts with. "
        f"**{tried - failed} were read or refused in words**; {failed} crashed, hung, or raised something else."
    )
    yield ""
    yield "| file | tried | read | refused | longest, s | memory, MB | not answered |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        read = row["answers"].get("read", 0)
        refused = sum(row["answers"].values()) - read
        cells = (row["target"], row["tried"], read, refused, row["slowest_s"], row["peak_mb"], len(row["faults"]))
        yield "| " + " | ".join(map(str, cells)) + " |"


def _crowd(found: dict[str, Any]) -> Iterator[str]:
    yield "## A folder of very many files"
    yield ""
    yield (
        f"Four slices among {found['files']} other files: {found['slices']} slices read in {found['seconds']} s, "
        f"{found['more_mb']} MB more than the process began with."
    )


def _guided(found: dict[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    yield "## Damaged files, led by coverage"
    yield ""
    yield (
        f"atheris (libFuzzer) followed the coverage of our readers, pydicom, zipfile and tomllib: "
        f"{sum(row['tried'] for row in rows)} files, places that did not answer: "
        f"{sum(len(row.get('faults', ())) for row in rows)}."
    )
    yield ""
    yield "| file | tried | not answered |"
    yield "| --- | --- | --- |"
    for row in rows:
        unanswered = "; ".join(fault["where"] for fault in row.get("faults", ())) or 0
        yield f"| {row['target']} | {'died' if row.get('died') else row['tried']} | {unanswered} |"


def _faults(found: dict[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    injected, survived = (sum(row[key] for row in rows) for key in ("injected", "survived"))
    yield "## Faults of the machine"
    yield ""
    yield (
        f"{injected} faults, **{survived} survived**: exit code and words as expected, the earlier or the new "
        "result whole in its place, nothing half-written beside it."
    )
    yield ""
    yield "| fault | injected | survived | what is said |"
    yield "| --- | --- | --- | --- |"
    for row in rows:
        words = PLACE.sub("DIR", row["words"].removeprefix("sacroplan: "))
        yield f"| {row['name']} | {row['injected']} | {row['survived']} | {words} |"


def _determinism(found: dict[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    alike = sum(row["sha256"] == rows[0]["sha256"] for row in rows)
    yield "## One scan told in many ways"
    yield ""
    yield (
        f"{alike} of {len(rows)} ways give the same `plan.json` to the byte (where the file has its axes in another order, less the "
        "order of its shape and spacing): " + "; ".join(r["name"] for r in rows) + "."
    )
    yield ""
    words = ", ".join(f"{mm:g} mm where the scan is {how}" for how, mm in found["moved_mm"].items())
    yield f"Ends of implants and mouths of foramina lie, at most, {words} from where they should."


def _golden(found: dict[str, Any]) -> Iterator[str]:
    yield "## The same plan on each commit"
    yield ""
    yield (
        f"{found['cases']} plans of the phantom are kept in `tests/fuzz/golden.json`; {found['failures']} differ. "
        "Processors and libraries round differently, so a hash is kept for each platform (processor features, system, "
        "Python, libraries); on a platform that is not in the table, statuses, words and figures must agree with those "
        "kept beside the hashes (0.2 mm, 0.3 degrees, 0.02 of scores and shares). A changed hash fails the tests and "
        "says what to do: `script/torture golden --write`."
    )


def _plausible(found: dict[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    told = sum(row["outcome"] != "not told" for row in rows)
    yield "## Wrong but plausible"
    yield ""
    yield (
        f"{len(rows)} scans, {told} refused or flagged, as of the bone stage. Notes are left out. None of the 89 scans of "
        "[`accuracy.md`](accuracy.md), three of them real, is told `hu-calibration`, `cone-beam` or `seen-from-head`."
    )
    yield ""
    yield "| mistake | met with | words |"
    yield "| --- | --- | --- |"
    for row in rows:
        yield f"| {row['mistake']} | {row['outcome']} | {row['words']} |"


def _long(found: dict[str, Any]) -> Iterator[str]:
    yield "## Many plans in one process"
    yield ""
    yield (
        f"{found['plans']} plans of the smallest phantom that runs every stage, coarse settings, one in ten written. "
        f"Memory (median): {found['rss_mb_first']} MB in the first fifth when warm, {found['rss_mb_last']} MB in the "
        f"last, {found['rss_mb_most']} MB at most. Open files: {found['files_first']} after the first plan, "
        f"{found['files_last']} after the last. Processes left: {found['children_most']}, temporary files: "
        f"{found['temporary_most']}, leftovers beside results: {found['leftovers_most']}. Different plans: "
        f"{found['different_plans']}."
    )


WRITERS = {
    "fuzz": _fuzz,
    "crowd": _crowd,
    "guided": _guided,
    "faults": _faults,
    "determinism": _determinism,
    "golden": _golden,
    "plausible": _plausible,
    "long": _long,
}
