"""Many damaged files through one reader, in a child that is capped: what it dies or hangs of is known by its number."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz.mutate import mutated
from fuzz.targets import TARGETS, Target, answer

__all__ = ["Campaign", "Fault", "replay", "run_campaign"]

MEMORY_BYTES = 512 * 2**20
"""What a reader may ask for on top of what Python and its libraries hold: the files are a few kilobytes."""
LONGEST_S = 20
"""Seconds after which a reader hangs; on a machine that does other things."""


@dataclass(frozen=True)
class Fault:
    """One input that a reader did not answer."""

    target: str
    seed: int
    what: str
    where: str
    data: bytes = field(repr=False)


@dataclass
class Campaign:
    """What came of many inputs."""

    target: str
    tried: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    slowest_s: float = 0.0
    peak_mb: float = 0.0


def run_campaign(name: str, seconds: float, first: int = 0, most: int = 10**9) -> Campaign:
    """Damage files and read them for so many seconds."""
    target = TARGETS[name]
    seeds = target.seeds()
    found = Campaign(name)
    until, number = time.monotonic() + seconds, first
    while time.monotonic() < until and number < first + most:
        number = _in_child(target, seeds, found, (number, first + most, until))
    return found


def damaged(target: Target, seeds: tuple[bytes, ...], number: int) -> bytes:
    """Damaged file of this number."""
    return mutated(seeds[number % len(seeds)], number, text=target.text)


def replay(name: str, data: bytes) -> str:
    """Read one file in a capped child and give its answer; raises what the reader raises."""
    found = Campaign(name)
    _serve(TARGETS[name], iter([(0, data)]), found)
    if found.faults:
        raise AssertionError(f"{found.faults[0].what} {found.faults[0].where}")
    return next(iter(found.answers))


def _in_child(target: Target, seeds: tuple[bytes, ...], found: Campaign, span: tuple[int, int, float]) -> int:
    number, last, until = span
    inputs = _inputs(target, seeds, number, last, until)
    return _serve(target, inputs, found)


def _inputs(
    target: Target, seeds: tuple[bytes, ...], number: int, last: int, until: float
) -> Iterator[tuple[int, bytes]]:
    while number < last and time.monotonic() < until:
        yield number, damaged(target, seeds, number)
        number += 1


def _serve(target: Target, inputs: Iterator[tuple[int, bytes]], found: Campaign) -> int:
    """Hand inputs to a child until they end or the child does; gives the number to go on with."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
    child = context.Process(target=_child, args=(target, theirs, scratch))
    child.start()
    theirs.close()
    number = -1
    try:
        for number, data in inputs:
            ours.send(data)
            started = time.monotonic()
            reply = _reply(ours, child)
            found.tried += 1
            found.slowest_s = max(found.slowest_s, time.monotonic() - started)
            if isinstance(reply, Fault):
                found.faults.append(Fault(target.name, number, reply.what, reply.where, data))
                return number + 1
            word, found.peak_mb = reply[0], max(found.peak_mb, reply[1])
            if word.startswith("!"):
                found.faults.append(Fault(target.name, number, word[1:], reply[2], data))
            else:
                found.answers[word] += 1
    finally:
        ours.close()
        child.kill()
        child.join()
        shutil.rmtree(scratch, ignore_errors=True)
    return number + 1


def _reply(ours: Connection, child: Any) -> Any:
    if not ours.poll(LONGEST_S):
        return Fault("", 0, "hangs", f"more than {LONGEST_S} s", b"")
    try:
        return ours.recv()
    except (EOFError, ConnectionResetError):
        child.join()
        return Fault("", 0, "dies", signal.Signals(-child.exitcode).name if child.exitcode < 0 else "exit", b"")


def _child(target: Target, pipe: Connection, scratch: Path) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warm = scratch / "warm"
    warm.mkdir()
    answer(target, target.seeds()[0], warm)  # what is imported and compiled on first use is not the file's doing
    cap_memory(MEMORY_BYTES)
    base = peak_mb()
    case = scratch / "case"
    while True:
        try:
            data = pipe.recv()
        except EOFError:
            return
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir()
        pipe.send(_told(target, data, case, base))


def _told(target: Target, data: bytes, case: Path, base: float) -> tuple[str, float, str]:
    try:
        word, where = answer(target, data, case), ""
    except BaseException as error:  # codecs of Rust panic outside Exception
        lines = traceback.extract_tb(error.__traceback__)
        ours = [line for line in lines if "/planner/" in line.filename or "/pipelines/" in line.filename]
        where = "; ".join(f"{Path(line.filename).name}:{line.lineno}" for line in [*ours[-2:], lines[-1]])
        word = f"!{type(error).__name__}: {error}"[:300]
    return word, peak_mb() - base, where


def peak_mb() -> float:
    """Most memory that this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cap_memory(more_bytes: int) -> None:
    """Let this process have so many bytes of address space more than it has now."""
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + more_bytes, held + more_bytes))
