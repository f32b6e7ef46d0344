"""Faults of the machine, one after another: each in a forked process that writes a result while it happens.

What must hold after each: exit code and words are those expected, the folder holds the earlier result or the new one,
whole, and nothing else lies beside it.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.cli import guarded
from pipelines.place_of_result import complete_or_absent
from pipelines.results import write_case
from planner.case import Case, CaseSettings, plan_case
from planner.reading import read_scan

from fuzz.campaign import cap_memory
from fuzz.long_run import COARSE

__all__ = ["FAULTS", "Tally", "inflict"]

LONGEST_S = 120
"""Seconds after which a process that meets a fault hangs."""
EVENTS = ("open", "os.mkdir", "os.rename", "os.chmod", "os.rmdir", "os.remove", "shutil.rmtree")
"""Audit events just before which a process is killed."""
KILLS, STALLS, PAIRS = 25, 8, 4
"""How often."""
TMPFS_KB = (4, 64, 256, 1024, 2048, 4096)
"""Sizes of file systems that fill up."""
FILE_KB = (1, 16, 128, 1024)
"""Largest files that are allowed."""
MEMORY_MB = (8, 32, 64, 128, 256)
"""Memory on top of what is held when a plan begins."""


@dataclass
class Tally:
    """What came of one kind of fault."""

    name: str
    injected: int = 0
    survived: int = 0
    words: str = ""
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class End:
    """How a process ended."""

    code: int
    said: str


def in_child(work: Callable[[], object], folder: Path) -> End:
    """Run as the command line does, in a forked process."""
    told = folder / "told"
    child = os.fork()
    if child == 0:
        descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        signal.alarm(LONGEST_S)
        code = 99
        try:
            code = guarded(lambda: work() and None)
            sys.stderr.flush()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return End(code, told.read_text(encoding="utf-8", errors="replace") if told.exists() else "")


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a complete result."""
    return all((folder / name).is_file() for name in ("plan.json", "labels.nii.gz", "keepout.nii.gz", "manifest.json"))


def alone(parent: Path) -> bool:
    """Whether nothing half-written lies beside the result."""
    return not [path for path in parent.iterdir() if path.name.startswith(".")]


class Judge:
    """Counts faults of one kind."""

    def __init__(self, name: str) -> None:
        self.tally = Tally(name)

    def __call__(self, end: End, expected: tuple[int, ...], words: str, *, held: bool) -> None:
        self.tally.injected += 1
        clear = "Traceback" not in end.said and "defect" not in end.said and (end.code == 0 or words in end.said)
        if end.code in expected and clear and held:
            self.tally.survived += 1
        else:
            self.tally.failures += (f"exit {end.code}, held {held}: {end.said.strip()[-200:]}",)
        if end.code > 0 and end.said:
            self.tally.words = end.said.strip().splitlines()[-1]


def disk_full(case: Case, folder: Path) -> Tally:
    """A file system of a few kilobytes, empty and with an earlier result; needs root."""
    judge = Judge("disk full (a small tmpfs)")
    for size in TMPFS_KB if os.geteuid() == 0 else ():
        with mounted(folder / "disk", f"size={size}k") as disk:
            end = in_child(partial(write_case, case, disk / "out", figures=False), folder)
            held = alone(disk) and (is_whole(disk / "out") or not (disk / "out").exists())
            judge(end, (0, 1, 2), "No space left", held=held)
    return judge.tally


def file_too_large(case: Case, folder: Path) -> Tally:
    """A limit on the size of files, as a quota; an earlier result lies there."""
    judge = Judge("quota: files may not grow (RLIMIT_FSIZE)")
    write_case(case, folder / "out", figures=False)
    before = tree(folder / "out")
    for size in FILE_KB:

        def write(size: int = size) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size * 1024, size * 1024))
            write_case(case, folder / "out", figures=False)

        end = in_child(write, folder)
        judge(end, (0, 1), "no room left", held=alone(folder) and (end.code == 0 or tree(folder / "out") == before))
    return judge.tally


def read_only(case: Case, folder: Path) -> Tally:
    """A file system that may only be read; needs root to be made."""
    judge = Judge("read-only output")
    for options in ("ro", "ro,size=1m") if os.geteuid() == 0 else ():
        with mounted(folder / "disk", options) as disk:
            end = in_child(partial(write_case, case, disk / "out", figures=False), folder)
            judge(end, (2,), "cannot be written", held=True)
    return judge.tally


def killed(case: Case, folder: Path) -> Tally:
    """SIGKILL just before a random event on the disk; an earlier result lies there, and the next run clears up."""
    judge = Judge("killed at a random point (SIGKILL)")
    write_case(case, folder / "out", figures=False)
    rng = random.Random(7)
    for _ in range(KILLS):
        number = rng.randrange(1, 120)

        def write(number: int = number) -> None:
            seen = 0

            def hook(event: str, _: object) -> None:
                nonlocal seen
                if event in EVENTS:
                    seen += 1
                if event in EVENTS and seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            write_case(case, folder / "out", figures=False)

        end = in_child(write, folder)
        whole = is_whole(folder / "out")
        with complete_or_absent(folder / "out") as scratch:
            for path in (folder / "out").iterdir():
                if path.is_file():
                    (scratch / path.name).write_bytes(path.read_bytes())
        judge(end, (0, -signal.SIGKILL), "", held=whole and alone(folder))
    return judge.tally


def no_memory(case: Case, folder: Path) -> Tally:
    """A cap on memory when a plan begins."""
    judge = Judge("out of memory (RLIMIT_AS)")
    source = case.anatomy.volume
    for more in MEMORY_MB:

        def plan(more: int = more) -> None:
            cap_memory(more * 2**20)
            write_case(plan_case(source, CaseSettings(config=COARSE)), folder / "out", figures=False)

        end = in_child(plan, folder)
        held = alone(folder) and (is_whole(folder / "out") or not (folder / "out").exists())
        judge(end, (0, 1), "not enough memory", held=held)
    return judge.tally


def clock_jumps(case: Case, folder: Path) -> Tally:
    """The clock jumps by hours, back and forth, at every look at it."""
    judge = Judge("the clock jumps")
    write_case(case, folder / "out", figures=False)
    before = (folder / "out" / "plan.json").read_bytes()
    for seed in range(3):

        def write(seed: int = seed) -> None:
            rng = random.Random(seed)
            true = time.time
            time.time = lambda: true() + rng.uniform(-1e6, 1e6)
            time.perf_counter = lambda: rng.uniform(-1e6, 1e6)
            time.monotonic = lambda: rng.uniform(0, 1e6)
            write_case(case, folder / "out", figures=False)

        end = in_child(write, folder)
        judge(end, (0,), "", held=alone(folder) and (folder / "out" / "plan.json").read_bytes() == before)
    return judge.tally


def two_at_once(case: Case, folder: Path) -> Tally:
    """Two runs write the same folder at the same time."""
    judge = Judge("two runs on one folder")
    for number in range(PAIRS):
        out = folder / f"pair{number}"
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                os._exit(guarded(partial(write_case, case, out, figures=False)))
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        judge(End(max(codes), ""), (0,), "", held=is_whole(out) and alone(folder))
    return judge.tally


def share_fails(case: Case, folder: Path) -> Tally:
    """A share answers with an input/output error at a random file."""
    judge = Judge("a share fails (EIO, ESTALE, ETIMEDOUT)")
    series = _series(case, folder)
    rng, slices = random.Random(3), len(list(series.iterdir()))
    for number in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT) * 3:
        at = rng.randrange(1, slices)
        end = in_child(partial(_failing, series, number, at), folder)
        judge(end, (1,), "disk or network share failed", held=True)
    return judge.tally


def share_stalls(case: Case, folder: Path) -> Tally:
    """A share hangs while a file is opened: for a while, or until the user gives up (Ctrl-C)."""
    judge = Judge("a share stalls")
    series = _series(case, folder)
    rng, slices = random.Random(4), len(list(series.iterdir()))
    os.mkfifo(series / "pipe.dcm")
    os.mkfifo(folder / "lone")
    for number in range(STALLS):
        at = rng.randrange(1, slices)
        end = in_child(partial(_stalling, series, at, ends=number % 2 == 0), folder)
        judge(end, (0,) if number % 2 == 0 else (130,), "stopped", held=alone(folder))
    end = in_child(lambda: read_scan(folder / "lone"), folder)
    judge(end, (3,), "found", held=True)
    return judge.tally


def _series(case: Case, folder: Path) -> Path:
    from sample_data import write_dicom_series

    write_dicom_series(case.anatomy.volume, folder / "dicom")
    return folder / "dicom"


def _failing(series: Path, number: int, at: int) -> None:
    _at_open(series, at, lambda: _raise(OSError(number, os.strerror(number))))
    read_scan(series).load()


def _raise(error: Exception) -> None:
    raise error


def _stalling(series: Path, at: int, *, ends: bool) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has it ignored
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))

    def stall() -> None:
        if not ends:  # the user gives up while it stalls
            signal.setitimer(signal.ITIMER_REAL, 0.3)
        time.sleep(0.3 if ends else LONGEST_S)

    _at_open(series, at, stall)
    read_scan(series).load()


def _at_open(series: Path, at: int, act: Callable[[], None]) -> None:
    """Do something when the n-th file of a series is opened, and never again."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event == "open" and str(arguments[0]).startswith(str(series)) and str(arguments[0]).endswith(".dcm"):
            seen += 1
            if seen == at:
                act()

    sys.addaudithook(hook)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """Give a file system in memory."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


FAULTS = (
    disk_full, file_too_large, read_only, killed, no_memory, clock_jumps, two_at_once, share_fails, share_stalls,
)  # fmt: skip
"""All kinds."""


def inflict(case: Case, folder: Path, names: tuple[str, ...] = ()) -> Iterator[Tally]:
    """Inflict every kind of fault, each in a folder of its own."""
    for fault in FAULTS:
        if not names or fault.__name__ in names:
            place = folder / fault.__name__
            place.mkdir()
            yield fault(case, place)
