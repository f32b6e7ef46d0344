"""Measure the kernels, one case stage by stage, and how cost grows with the scan.

Each measurement runs in a fresh process and is kept as a file: a run that was stopped goes on where it ended, and what
was measured on other code is measured again. This process imports nothing heavy, because a child's peak memory on Linux
is never below what its parent held when it was started.

::

    script/bench              kernels, and scans of 100, 300 and 1000 slices of 512 x 512 (under ten minutes)
    script/bench --large      also 2000 slices of 1024 x 1024 (4 GB of pixels, written to disk first)
    script/bench --page       write the page anew from what was measured
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
MEASURED = ("planner", "pipelines", "sample_data", "tests/benchmarks")
"""Code whose change makes a measurement out of date."""


class Size(NamedTuple):
    """A scan to be timed, and what it may cost (``goals.md``)."""

    shape_zyx: tuple[int, int, int]
    spacing_zyx_mm: tuple[float, float, float]
    goal_s: float | None = None
    goal_mb: float | None = None

    @property
    def name(self) -> str:
        """Its shape."""
        return "x".join(map(str, self.shape_zyx))


class Cost(NamedTuple):
    """What a child cost: wall-clock and processor seconds, largest resident memory."""

    seconds: float
    cpu_s: float
    peak_mb: float


SIZES = (
    Size((100, 512, 512), (3.0, 0.8, 0.8)),
    Size((300, 512, 512), (1.0, 0.8, 0.8), 12.0, 1500.0),
    Size((1000, 512, 512), (1.0, 0.8, 0.8), 20.0, 2000.0),
)
LARGE = Size((2000, 1024, 1024), (0.5, 0.4, 0.4), 90.0, 4000.0)

WRITE = """
import sys
from pathlib import Path
from sample_data import write_long_scan
write_long_scan(Path(sys.argv[1]), tuple(map(int, sys.argv[2:5])), tuple(map(float, sys.argv[5:8])))
"""
PLAN = "import sys; from pipelines.cli import main; main()"


def main() -> None:
    """Measure what is missing, then write the page."""
    options = parse(sys.argv[1:])
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    if options.again:
        for old in work.glob("*.json"):
            old.unlink()
    code = digest(REPOSITORY)
    sizes = (*SIZES, LARGE) if options.large else SIZES
    if not options.page:
        keep(work / "kernels.json", code, measure_kernels)
        for size in sizes:
            keep(work / f"scan-{size.name}.json", code, lambda size=size: measure_scan(size, work))
    write_page(work, code)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure speed and memory; write docs/performance.md.")
    parser.add_argument("--large", action="store_true", help="also 2000 slices of 1024 x 1024 (needs 9 GB of disk)")
    parser.add_argument("--again", action="store_true", help="measure all anew")
    parser.add_argument("--page", action="store_true", help="only write the page, from what was measured")
    default = Path(tempfile.gettempdir()) / "sacroplan-bench"
    parser.add_argument("--work", type=Path, default=default, help="folder for scans and measurements")
    return parser.parse_args(arguments)


def digest(repository: Path) -> str:
    """Hash of the code that is measured."""
    state = hashlib.sha256()
    for folder in MEASURED:
        for file in sorted((repository / folder).rglob("*.py")):
            state.update(file.relative_to(repository).as_posix().encode() + file.read_bytes())
    return state.hexdigest()


def keep(path: Path, code: str, measure: Callable[[], dict[str, Any]]) -> None:
    """Measure, unless that was done on this very code, and keep the result with the machine it was measured on."""
    if path.is_file() and json.loads(path.read_text())["code"] == code:
        print(f"{path.stem}: measured already", file=sys.stderr)
        return
    print(f"{path.stem} …", file=sys.stderr)
    machine = describe_machine()
    result = {"code": code, "machine": machine, **measure()}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=1))
    partial.rename(path)


def describe_machine() -> dict[str, Any]:
    """Cores, load and software at this moment."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "processor": processor(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def processor() -> str:
    """Model of the processor, as Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines: Iterator[str] = iter(info.read_text().splitlines() if info.is_file() else [])
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def measure_kernels() -> dict[str, Any]:
    """Run the benchmarks of the test tree; best of the rounds, in seconds, by job and tool."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "kernels.json"
        run([
            sys.executable, "-m", "pytest", "-q", "tests/benchmarks", "-o", "python_files=bench_*.py",
            f"--benchmark-json={report}",
        ], {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})  # fmt: skip
        kernels: dict[str, dict[str, float]] = {}
        for entry in json.loads(report.read_text())["benchmarks"]:
            kernels.setdefault(entry["group"], {})[entry["extra_info"]["tool"]] = entry["stats"]["min"]
    return {"kernels": kernels}


def measure_scan(size: Size, work: Path) -> dict[str, Any]:
    """Write a scan, plan on it in a fresh process, and take the stages from its manifest."""
    scan, out = work / f"scan-{size.name}", work / f"plan-{size.name}"
    try:
        if not (scan / "complete").is_file():
            shutil.rmtree(scan, ignore_errors=True)
            run([sys.executable, "-c", WRITE, scan / "dicom", *size.shape_zyx, *size.spacing_zyx_mm])
            (scan / "complete").touch()
        warm_up(work)
        load = round(os.getloadavg()[0], 2)
        cost = run([sys.executable, "-c", PLAN, "plan", scan / "dicom", "--out", out])
        manifest = json.loads((out / "manifest.json").read_text())
        sides = json.loads((out / "plan.json").read_text())["sides"]
        return {
            "load_before": load,
            **cost._asdict(),
            "stages": manifest["stages"],
            "status": {side: entry["status"] for side, entry in sides.items()},
            "read_mb": round(sum(file.stat().st_size for file in (scan / "dicom").iterdir()) / 1e6, 1),
        }
    finally:
        shutil.rmtree(out, ignore_errors=True)
        if (scan / "complete").is_file():
            shutil.rmtree(scan, ignore_errors=True)


def warm_up(work: Path) -> None:
    """Compile what is compiled on first use, which is not what is measured."""
    done = work / "warm"
    if not done.is_file():
        run([sys.executable, "-c", PLAN, "demo", "--out", work / "demo"])
        shutil.rmtree(work / "demo")
        done.touch()


def run(command: Sequence[object], environment: dict[str, str] | None = None) -> Cost:
    """Run a child to its end, and take what that child alone cost.

    Raises
    ------
    SystemExit
        If it fails; its own output says why.
    """
    start = time.perf_counter()
    child = subprocess.Popen(
        list(map(str, command)), cwd=REPOSITORY, stdout=subprocess.DEVNULL, env=os.environ | (environment or {})
    )
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"script/bench: {' '.join(map(str, command[:5]))} … ended with {child.returncode}.")
    peak_mb = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
    return Cost(round(seconds, 2), round(usage.ru_utime + usage.ru_stime, 2), round(peak_mb, 1))


def write_page(work: Path, code: str) -> None:
    """Write the page and the plot in a child, which may be as heavy as it likes."""
    goals = {size.name: [size.goal_s, size.goal_mb] for size in (*SIZES, LARGE)}
    script = REPOSITORY / "script" / "performance_page.py"
    run([sys.executable, script, work, REPOSITORY / "docs", json.dumps(goals), code])


if __name__ == "__main__":
    main()
