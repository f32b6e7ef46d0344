"""What `script/batch_trial` measured, written between two marks in ``docs/scaling.md``, and memory as a plot."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.batch.table import rows_of
from planner import NOTICE

__all__ = ["write_page"]

OPEN, CLOSE = "<!-- batch trial -->", "<!-- end of batch trial -->"
MB = 1e6
SETTLED = 0.2
"""Share of the cases after which a worker has loaded what it needs."""
SMALL_MB = 80
"""Dask's own helpers stay below."""
INKS = ("#1f5a94", "#b5482a", "#6a6a6a")

BEFORE = (
    ("as glibc does by itself, usual settings", "851", "1246 after 18", "holes in what was freed: some 20 a case"),
    ("`malloc_trim` after each case", "543-571", "664-700 after 8", "holes in small heaps, and Dask's profiler"),
    ("and large blocks mapped on their own, two heaps (`pipelines/batch/memory.py`)", "770", "970 after 50",
     "Dask's profiler alone, which keeps for an hour what it saw: 300 at once, 4 more a case"),
)  # fmt: skip
"""What a worker held after its first case and later, MB, before each cause was found; what it was."""
HEAD_BEFORE = (
    "The batch's own process had grown too, to 433 MB over some 2,000 cases of 300 files: Dask's records of messages "
    "hold whole tasks. They are kept short now: 374 MB after 1,000 such cases that take no time, 376 after 4,000."
)

Samples = dict[tuple[str, str], list[tuple[float, float, float]]]
"""Seconds, cases ended and MB of each process, by what it is and its number."""


def write_page(work: Path, docs: Path) -> None:
    """Write what was measured; what was not is left out."""
    page = docs / "scaling.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(OPEN)
    _, _, after = rest.partition(CLOSE)
    kept = {path.stem: json.loads(path.read_text()) for path in work.glob("*.json")}
    samples = read_samples(work / "memory.csv")
    plot(samples, docs / "images" / "batch_memory.png")
    parts = [*_export(work / "whole"), *_throughput(kept), *_memory(samples), *_kills(kept.get("kills"))]
    page.write_text(before + "\n".join([OPEN, "", *parts, CLOSE]) + after, encoding="utf-8")


def _export(out: Path) -> Iterator[str]:
    rows = rows_of(out / "cases", [folder.name for folder in (out / "cases").iterdir() if folder.name[0] != "."])
    events = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    finished = [event["statuses"] for event in events if event["event"] == "finished"]
    ends = Counter(f"{row['status']}: {row['reason']}" if row["reason"] else row["status"] for row in rows)
    if finished:
        ends["no CT"] = finished[-1].get("no-ct", 0)
    planned = [row for row in rows if row["status"] == "planned"]
    findings = Counter(code for row in planned for code in row["findings"].split("; ") if code)
    size = sum(path.stat().st_size for path in (out / "cases").rglob("*") if path.is_file()) / len(planned) / MB
    yield "### 200 studies, one in ten broken"
    yield ""
    yield (
        "`script/batch_trial` makes 200 studies of phantoms, 33 slices of 100 x 140, no two alike, every seventh sent "
        "twice, every fifth with a second series; cut pixels, cut headers, missing slices, two phases, MR for CT. "
        "Two workers; settings that take half the time of the usual ones (coarser meshes of the joints, fewer starts, "
        f"figures but no reports, {size:.0f} MB a case)."
    )
    if not finished:
        yield f"**The run was not at its end when this was written: {len(rows)} studies had ended.**"
    yield ""
    yield from _table(("ended as", "studies"), sorted(ends.items(), key=lambda item: -item[1]))
    yield "Findings: " + ", ".join(f"{name} {count}" for name, count in findings.most_common()) + "."
    yield ""
    yield "![The page of this batch](images/batch_summary.png)"
    yield ""
    yield "![Its cases, sorted by clearance](images/batch_cases.png)"
    yield ""


def _throughput(kept: Mapping[str, Any]) -> Iterator[str]:
    words = {
        "one-core": "one worker on one core",
        "one": "one worker that may use both cores",
        "two": "two workers",
    }
    found = {name: kept[name] for name in words if name in kept}
    if len(found) < 2:
        return
    base = found["one-core"]["a_minute"]
    yield "### Throughput"
    yield ""
    yield (
        "Planned cases a minute from when each worker had ended its first one; a ward of 20 of these studies, usual "
        "settings, two cores, the heavy jobs of others held back. "
        f"Two workers do **{found['two']['a_minute'] / base:.2f} times** what one does."
    )
    yield ""
    rows = [
        (words[name], one["planned"], one["seconds"], f"{one['a_minute']:.2f}", f"{one['a_minute'] / base:.2f}",
         f"{100 * one['busy']:.0f} %", one["load_before"])
        for name, one in found.items()
    ]  # fmt: skip
    yield from _table(("", "cases", "seconds", "a minute", "ratio", "cores busy", "load before"), rows)


def _memory(samples: Samples) -> Iterator[str]:
    yield "### Memory over time"
    yield ""
    rows = []
    for name, (_, ended, mb) in named_lives(samples):
        done = ended - ended[0]
        late = done >= SETTLED * done[-1]
        slope = np.polyfit(done[late], mb[late], 1)[0]
        first, last = (mb[part].max() for part in (_quarter(done, 0), _quarter(done, 3)))
        rows.append((name, f"{mb.max():.0f}", f"{first:.0f}", f"{last:.0f}", f"{100 * slope:+.1f}"))
    studies = max(done[-1] - done[0] for _, (_, done, _) in named_lives(samples))
    yield (
        f"Resident memory, looked at every second, of one run over {studies:.0f} studies; MB. The slope is a line "
        "through all looks after the first fifth."
    )
    yield ""
    names = ("", "most", "most in the first quarter of cases", "most in the last quarter", "slope, MB in 100 cases")
    yield from _table(names, rows)
    yield "![Resident memory of both workers](images/batch_memory.png)"
    yield ""
    yield "It was not flat before, and each time no case was kept:"
    yield ""
    yield from _table(("before, MB in a worker", "after a case", "later", "what it was"), BEFORE)
    yield HEAD_BEFORE
    yield ""


def _quarter(done: np.ndarray, which: int) -> np.ndarray:
    return (done >= done[-1] * which / 4) & (done <= done[-1] * (which + 1) / 4)


def _kills(kills: Mapping[str, Any] | None) -> Iterator[str]:
    if not kills:
        return
    lives_s = kills["lives_s"]
    yield "### Killed and started again"
    yield ""
    yield (
        f"The same ward, killed by SIGKILL {len(lives_s)} times after {min(lives_s):g} to {max(lives_s):g} s at "
        f"random, every other time the head alone, and then let end: {sum(kills['finished'])} cases had ended before "
        f"the last kill, {len(kills['twice'])} of all were planned twice, and of {kills['files']} files of "
        f"{kills['cases']} cases {len(kills['differ'])} differ from those of the run that was not killed (times and "
        "memory in `batch.json` and `manifest.json` left aside)."
    )
    yield ""


def _table(heads: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "| " + " | ".join("---" for _ in heads) + " |"
    for row in rows:
        yield "| " + " | ".join(map(str, row)) + " |"
    yield ""


def read_samples(path: Path) -> Samples:
    """Read what was sampled."""
    samples: Samples = {}
    for line in path.read_text().splitlines():
        seconds, done, kind, pid, resident = line.split(",")
        samples.setdefault((kind, pid), []).append((float(seconds), float(done), int(resident) / MB))
    return samples


def named_lives(samples: Samples) -> list[tuple[str, np.ndarray]]:
    """Seconds, cases and MB, as rows, of the processes that worked; those of a moment are left out."""
    longest = max(len(one) for one in samples.values())
    found = [(kind, np.array(one).T) for (kind, _), one in sorted(samples.items()) if len(one) > longest / 2]
    workers = [one for kind, one in found if kind == "worker" and one[2].max() > SMALL_MB]
    heads = [("batch itself", one) for kind, one in found if kind == "head"]
    return [*((f"worker {number}", one) for number, one in enumerate(workers, 1)), *heads]


def plot(samples: Samples, path: Path) -> None:
    """Draw the workers' memory against the cases that had ended."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.add_subplot()
    cases = 0.0
    for ink, (name, (seconds, done, mb)) in zip(INKS, named_lives(samples), strict=True):
        axes.plot(seconds / 60, mb, color=ink, lw=0.8, label=name)
        cases = max(cases, done[-1] - done[0])
    axes.set(xlabel="minutes of work", ylabel="resident memory, MB", ylim=(0, None), xlim=(0, None))
    axes.set_title(f"{cases:.0f} cases, two workers", loc="left", fontsize=10)
    axes.legend(loc="lower right", frameon=False, ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.995, 0.985, NOTICE, ha="right", va="top", fontsize=7, color="#666")
    figure.savefig(path, dpi=110)
