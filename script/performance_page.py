"""The page ``docs/performance.md`` and its plot, from what `script/bench` measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from planner import NOTICE

__all__ = ["kernel_rows", "page", "plot", "scan_rows", "stage_rows"]

OURS = "sacroplan"
BEHIND = 0.95
"""A rival that needs less than this share of our time is faster; between, the two are level."""
INK, GOAL_INK = "#1f5a94", "#b5482a"

Result = Mapping[str, Any]
Goals = Mapping[str, Sequence[float | None]]


def main() -> None:
    """Write both files from the arguments: work folder, docs folder, goals, digest of the code."""
    work, docs, goals, code = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
    results = {path.stem: json.loads(path.read_text()) for path in sorted(work.glob("*.json"))}
    plot(results, goals, docs / "images" / "scaling.png")
    (docs / "performance.md").write_text(page(results, goals, code), encoding="utf-8")


def scans(results: Mapping[str, Result]) -> list[tuple[str, Result]]:
    """Name and result of each scan, smallest first."""
    found = [(name.removeprefix("scan-"), result) for name, result in results.items() if name.startswith("scan-")]
    return sorted(found, key=lambda item: [int(n) for n in item[0].split("x")])


def to_plan_s(result: Result) -> float:
    """Seconds from files to plan: all stages, without writing results and pictures."""
    return float(sum(stage["seconds"] for stage in result["stages"]))


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Lay out a Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def against(value: float, goal: float | None, unit: str) -> str:
    """Say a goal and whether it is met."""
    return "-" if goal is None else f"<= {goal:g} {unit}: {'met' if value <= goal else 'missed'}"


def scan_rows(results: Mapping[str, Result], goals: Goals) -> Iterator[Sequence[str]]:
    """Give one row a scan."""
    for name, result in scans(results):
        goal_s, goal_mb = goals.get(name, (None, None))
        seconds = to_plan_s(result)
        yield [
            name.replace("x", " x "),
            f"{result['read_mb']:.0f}",
            f"{seconds:.1f}",
            against(seconds, goal_s, "s"),
            f"{result['seconds']:.1f}",
            f"{result['cpu_s']:.1f}",
            f"{result['peak_mb']:.0f}",
            against(result["peak_mb"], goal_mb, "MB"),
            ", ".join(f"{side} {status}" for side, status in result["status"].items()),
            f"{result['machine']['cores']}",
            f"{result['load_before']:.2f}",
        ]


def stage_rows(results: Mapping[str, Result]) -> Iterator[Sequence[str]]:
    """Give one row a stage, a pair of columns a scan."""
    found = scans(results)
    for k, stage in enumerate(found[0][1]["stages"]):
        cells = [stage["name"]]
        for _, result in found:
            cells += [f"{result['stages'][k]['seconds']:.2f}", f"{result['stages'][k]['peak_rss_mb']:.0f}"]
        yield cells


def kernel_rows(kernels: Mapping[str, Mapping[str, float]]) -> Iterator[Sequence[str]]:
    """Give one row a job: our milliseconds, and each rival's time over ours."""
    for job, tools in kernels.items():
        ours = tools[OURS]
        rivals = {name: seconds / ours for name, seconds in tools.items() if name != OURS}
        told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in rivals.items())
        faster = [name for name, ratio in rivals.items() if ratio < BEHIND]
        yield [job, f"{ours * 1000:.1f}", told, ", ".join(faster) or "none"]


def page(results: Mapping[str, Result], goals: Goals, code: str) -> str:
    """Compose ``docs/performance.md``."""
    found = scans(results)
    stale = [name for name, result in results.items() if result["code"] != code]
    machine = next(iter(results.values()))["machine"]
    kernels = results.get("kernels", {"kernels": {}})
    card = "GPU used" if any("GPU" in tools for tools in kernels["kernels"].values()) else "no GPU"
    stages = ["stage", *(cell for name, _ in found for cell in (f"{name}: s", "peak MB"))]
    scan_head = [
        "slices x rows x columns", "files, MB", "files to plan, s", "goal", "whole command, s",
        "CPU s", "peak MB", "goal",
        "outcome", "cores", "load before",
    ]  # fmt: skip
    parts = [
        "# Performance",
        NOTICE,
        "Written by `script/bench`"
        + (" (`--large` for the largest)" if len(found) > 3 else "")
        + f". {machine['processor']}, {machine['cores']} cores, Python {machine['python']}, {card}, {machine['date']}. "
        "The load is the machine's load average just before: seconds above a load of about 0.5 are too long. "
        "CPU s is the processor time of the whole command, over all cores: other programs move it less.",
    ]
    if stale:
        parts.append(f"**Measured on earlier code**: {', '.join(stale)}.")
    parts += [
        "## How cost grows with the scan",
        "Phantoms in scans of any length (`sample_data/long_scan.py`): uncompressed DICOM, both sides planned, each in "
        "a fresh process whose peak memory the system tells. Files are in the page cache. Compiled kernels are cached; "
        "the first run on a machine compiles for about a minute more.",
        table(scan_head, scan_rows(results, goals)),
        "![Seconds and peak memory by the size of the scan](images/scaling.png)",
        "## Stages",
        "Peak MB is the process's high-water mark at the end of the stage.",
        table(stages, stage_rows(results)),
    ]
    if "kernels" in results:
        parts += [
            "## Kernels beside libraries",
            f"`tests/benchmarks`, one thread, same run, load {kernels['machine']['load']:.2f} before. Every tool does "
            "the same job with the same result, which is asserted. The ratio is the library's time over ours: above 1 "
            "we are faster. Not listed: posing and judging implants (`planner/trajectory/kernel.py`), which no library "
            "does, and the depth limits of carving, without which it is timed.",
            table(["job", "ours, ms", "library's time / ours", "faster than ours"], kernel_rows(kernels["kernels"])),
        ]
    return "\n\n".join(parts) + "\n"


def plot(results: Mapping[str, Result], goals: Goals, path: Path) -> None:
    """Draw seconds and peak memory against the voxels of the scan."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = scans(results)
    voxels = [_millions(name) for name, _ in found]
    figure = Figure(figsize=(9.0, 4.0), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    measured = ([to_plan_s(result) for _, result in found], [result["peak_mb"] for _, result in found])
    titles = ("From files to plan, s", "Peak memory, MB")
    for panel, values, which, title in zip(panels, measured, (0, 1), titles, strict=True):
        panel.plot(voxels, values, "o-", color=INK, label="measured")
        aims = [(v, aim) for v, (name, _) in zip(voxels, found, strict=True) if (aim := goals[name][which])]
        panel.plot(
            [v for v, _ in aims],
            [aim for _, aim in aims],
            "_",
            color=GOAL_INK,
            markersize=18,
            markeredgewidth=2,
            label="goal",
        )
        for v, value, (name, _) in zip(voxels, values, found, strict=True):
            text = name.replace("x", " x ")
            panel.annotate(text, (v, value), (0, 8), textcoords="offset points", ha="center", fontsize=7)
        panel.set(title=title, xlabel="million voxels in the scan", xscale="log")
        panel.set_xticks(voxels, [f"{v:.0f}" for v in voxels])
        panel.minorticks_off()
        panel.set_ylim(0, 1.25 * max(*values, *(aim for _, aim in aims)))
        panel.margins(x=0.15)
        panel.grid(alpha=0.3)
        panel.legend(loc="upper left", fontsize=8)
    figure.supxlabel(NOTICE, fontsize=8, color="#555555")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _millions(name: str) -> float:
    slices, rows, columns = map(int, name.split("x"))
    return slices * rows * columns / 1e6


if __name__ == "__main__":
    main()
