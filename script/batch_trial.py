"""A batch of 200 small studies, one in ten broken: what came of it, throughput, memory over time, and twenty kills.

Each step keeps what it measured in the work folder; `page` writes it between the marks in ``docs/scaling.md`` and draws
``docs/images/batch_memory.png``. Timings want a machine with nothing else to do.

::

    script/batch_trial                    every step, in this order
    script/batch_trial export             make the export
    script/batch_trial one-core one two   time a ward of it: one worker on one core, one worker, two
    script/batch_trial whole              plan all of it with two workers and watch their memory
    script/batch_trial kills              plan a ward, killed twenty times
    script/batch_trial compare            compare its cases with those of the whole, which was not
    script/batch_trial page               write the page anew from what was measured
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
STUDIES, KILLS = 200, 20
WARD = "ward-01"
"""Part of the export that is timed and killed."""
SAMPLE_S = 1.0
"""Between two looks at the memory."""
LONGEST_LIFE_S = 60.0
"""A run to be killed lives at most so long: a worker starts in about five seconds and plans a study in ten; more than
twice that on a machine that does other things."""
LONGEST_S = 220.0
"""What is timed is timed for so long at most: it has the machine to itself."""
SETTINGS = {
    "usual": """[exports]
dicom = false
""",
    "light": """[exports]
dicom = false
slicer = false
meshes = []
[report]
pdf = false
html = false
[joint]
spacing_mm = 2.0
[keepout]
spacing_mm = 2.0
[fluoroscopy]
pixels = 64
voxel_mm = 4.0
[trajectory.search]
starts = 8
""",
}
"""Usual settings, without the DICOM objects that are 42 of the 57 MB of a case; and some that take half the time."""
VOLATILE = {"batch.json": ("seconds", "peak_rss_mb")}
"""Entries that hold what a run cost."""
CLOCKS = ("manifest.json",)
"""Files with seconds in them."""
COMMAND = (sys.executable, "-c", "from pipelines.cli import main; main()", "batch")


class Trial:
    """The steps, and where they keep what they measured."""

    def __init__(self, work: Path, studies: int) -> None:
        self.work, self.studies = work, studies
        self.export = work / "export"
        work.mkdir(parents=True, exist_ok=True)
        for name, text in SETTINGS.items():
            (work / f"{name}.toml").write_text(text)

    def make(self) -> None:
        """Make the export."""
        from batch_export import write_trial_export

        shutil.rmtree(self.export, ignore_errors=True)
        write_trial_export(self.export, self.studies)

    def time(self, name: str, workers: int, cores: set[int] | None = None) -> None:
        """Plan a ward from nothing and keep its throughput."""
        out = self.work / name
        shutil.rmtree(out, ignore_errors=True)
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores or before)
        load, busy = os.getloadavg()[0], _idle_and_all()
        try:
            _wait(self._start(self.export / WARD, out, workers, "usual"), LONGEST_S)
        finally:
            os.sched_setaffinity(0, before)
        idle, whole = (b - a for a, b in zip(busy, _idle_and_all(), strict=True))
        machine = {"load_before": round(load, 2), "busy": round(1 - idle / whole, 3), "cores": len(before)}
        self._keep(name, {**_throughput(out / "batch.jsonl", workers), **machine, "date": str(datetime.now().date())})

    def whole(self) -> None:
        """Plan everything, watched; goes on where it was stopped."""
        process = self._start(self.export, self.work / "whole", 2, "light")
        watch = psutil.Process(process.pid)
        with (self.work / "memory.csv").open("a") as stream:
            beat = 0
            while process.poll() is None:
                threading.Event().wait(SAMPLE_S)
                beat += 1
                done = len(_finished(self.work / "whole"))
                for pid, kind, resident in _residents(watch):
                    stream.write(f"{beat * SAMPLE_S},{done},{kind},{pid},{resident}\n")
                stream.flush()

    def kills(self) -> None:
        """Kill a run again and again, the whole of it or its head alone; then let it end."""
        out, rng, planned = self.work / "killed", random.Random(STUDIES), []
        shutil.rmtree(out, ignore_errors=True)
        lives: list[float] = []
        twice: list[str] = []
        while len(lives) < KILLS:
            before = _finished(out)
            process = self._start(self.export / WARD, out, 2, "light")
            life = rng.uniform(0.5, LONGEST_LIFE_S)
            try:
                process.wait(life)
            except subprocess.TimeoutExpired:
                _kill(process, everyone=len(lives) % 2 == 0)
            else:  # it came to its end: from nothing again
                twice += [case for case, count in _ended(out).items() if count > 1]
                shutil.rmtree(out)
                continue
            lives.append(round(life, 1))
            half = [c.name for c in (out / "cases").glob("[0-9a-f]*") if not (c / "batch.json").is_file()]
            assert not half, f"half results: {half}"
            planned.append(len(_finished(out) - before))
        _wait(self._start(self.export / WARD, out, 2, "light"))
        twice += [case for case, count in _ended(out).items() if count > 1]
        self._keep("kills", {"lives_s": lives, "finished": planned, "twice": twice})

    def compare(self) -> None:
        """Compare the cases of the killed run with those of the run that was not."""
        kills = json.loads((self.work / "kills.json").read_text())
        cases, files, differ = _differences(self.work / "killed" / "cases", self.work / "whole" / "cases")
        self._keep("kills", {**kills, "cases": cases, "files": files, "differ": differ})

    def page(self) -> None:
        """Write what was measured."""
        from batch_page import write_page

        write_page(self.work, REPOSITORY / "docs")

    def _start(self, export: Path, out: Path, workers: int, settings: str) -> subprocess.Popen[bytes]:
        flags = ["--out", str(out), "--workers", str(workers), "--config", str(self.work / f"{settings}.toml")]
        with (self.work / "log").open("ab") as log:
            return subprocess.Popen([*COMMAND, str(export), *flags], stdout=log, stderr=log, start_new_session=True)

    def _keep(self, name: str, result: dict[str, Any]) -> None:
        (self.work / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(name, json.dumps(result))


def _wait(process: subprocess.Popen[bytes], longest_s: float | None = None) -> None:
    try:
        process.wait(longest_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def _kill(process: subprocess.Popen[bytes], *, everyone: bool) -> None:
    """Kill as a power cut does, or only the process that was started: its workers then find themselves alone."""
    workers = psutil.Process(process.pid).children(recursive=True)
    if everyone:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    psutil.wait_procs(workers, timeout=60)


def _events(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]


def _ended(out: Path) -> Counter[str]:
    """Count how often each case was worked off."""
    return Counter(e["case"] for e in _events(out / "batch.jsonl") if e["event"] in ("planned", "refused"))


def _throughput(log: Path, workers: int) -> dict[str, Any]:
    """Planned cases a minute, from when each worker has ended its first one, to the last."""
    ends = [datetime.fromisoformat(e["time"]) for e in _events(log) if e["event"] == "planned"][workers - 1 :]
    seconds = (ends[-1] - ends[0]).total_seconds()
    planned = len(ends) - 1
    return {"planned": planned, "seconds": round(seconds, 1), "a_minute": round(60 * planned / seconds, 3)}


def _idle_and_all() -> tuple[float, float]:
    times = psutil.cpu_times()
    return times.idle + times.iowait, sum(times) - times.guest - times.guest_nice


def _residents(head: psutil.Process) -> list[tuple[int, str, int]]:
    """Process, what it is, and its resident bytes."""
    found = []
    for process in [head, *head.children(recursive=True)]:
        try:
            line = " ".join(process.cmdline())
            kind = "head" if process.pid == head.pid else "worker" if "spawn_main" in line else "other"
            found.append((process.pid, kind, process.memory_info().rss))
        except psutil.Error:
            continue
    return found


def _finished(out: Path) -> set[str]:
    return {folder.name for folder in (out / "cases").glob("[0-9a-f]*")}


def _compared(cases: Path, names: set[str]) -> dict[Path, Path]:
    """Files of some cases whose bytes must not depend on when and how often the run was started."""
    files = [p for name in names for p in (cases / name).rglob("*") if p.is_file() and p.name not in CLOCKS]
    return {path.relative_to(cases): path for path in files}


def _content(path: Path) -> bytes:
    if path.name not in VOLATILE:
        return path.read_bytes()
    record = json.loads(path.read_text())
    return json.dumps({k: v for k, v in record.items() if k not in VOLATILE[path.name]}, sort_keys=True).encode()


def _differences(one: Path, other: Path) -> tuple[int, int, list[str]]:
    """Count what both runs have, cases and files; name those that only one has, or that are not the same."""
    names = {folder.name for folder in one.iterdir()} & {folder.name for folder in other.iterdir()}
    ours, theirs = _compared(one, names), _compared(other, names)
    same = {name for name in ours.keys() & theirs.keys() if _content(ours[name]) == _content(theirs[name])}
    return len(names), len(ours), sorted(map(str, (ours.keys() | theirs.keys()) - same))


def main() -> None:
    """Take the steps that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build" / "batch-trial")
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("steps", nargs="*")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    trial = Trial(given.work.absolute(), given.studies)
    steps = {
        "export": trial.make,
        "one-core": lambda: trial.time("one-core", 1, {min(os.sched_getaffinity(0))}),
        "one": lambda: trial.time("one", 1),
        "two": lambda: trial.time("two", 2),
        "whole": trial.whole,
        "kills": trial.kills,
        "compare": trial.compare,
        "page": trial.page,
    }
    for step in given.steps or steps:
        started = time.monotonic()
        steps[step]()
        print(f"{step}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
