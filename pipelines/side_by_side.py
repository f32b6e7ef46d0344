"""Independent jobs at the end of a case, one process a core: drawing holds Python's lock, so threads would not help.

The standard library's process pool is not used: its manager thread can miss the end of the work (seen on Python
3.11.2) and then waits for ever. Here no thread takes part.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

__all__ = ["run_side_by_side"]

T = TypeVar("T")

MOST_PROCESSES = 4
"""More are not worth their memory for a dozen pictures."""

MOST_JOBS = 256
"""Their numbers are handed out as single bytes."""


def run_side_by_side(jobs: Sequence[Callable[[], T]], processes: int | None = None) -> list[T]:
    """Run jobs that do not depend on each other; their results in their order.

    Forked processes see the case's volumes without a copy. Where a fork is not safe (other threads run, as in a viewer
    or a cluster's worker; not Linux), all jobs run here, one after another; and so do those of a process that was
    killed, most likely for memory.

    Parameters
    ----------
    jobs : sequence of callable
        Each may write files of its own; what it returns must pickle.
    processes : int, optional
        At most so many at once; below 2 nothing is forked. Without it one a core that this process may use.

    Raises
    ------
    Exception
        What the first job that failed raised.
    """
    processes = min(processes or len(os.sched_getaffinity(0)), MOST_PROCESSES, len(jobs)) if _may_fork() else 1
    if processes < 2 or len(jobs) > MOST_JOBS:
        return [job() for job in jobs]
    answers = _answers(jobs, processes)
    for _, error in (answers[k] for k in sorted(answers)):
        if error is not None:
            raise error
    return [answers[k][0] if k in answers else job() for k, job in enumerate(jobs)]


def _may_fork() -> bool:
    alone = threading.active_count() == 1 and not multiprocessing.current_process().daemon
    return alone and sys.platform == "linux"


def _answers(jobs: Sequence[Callable[[], T]], processes: int) -> dict[int, tuple[T, Exception | None]]:
    """Gather the result or error of each job by its number; those of a process that died are left out."""
    context = multiprocessing.get_context("fork")
    numbers, given = os.pipe()
    os.write(given, bytes(range(len(jobs))))
    os.close(given)
    readers: list[Any] = []
    workers = []
    for _ in range(processes):
        answer, writer = context.Pipe(duplex=False)
        workers.append(context.Process(target=_work, args=(jobs, numbers, writer)))
        workers[-1].start()
        writer.close()
        readers.append(answer)
    os.close(numbers)
    answers = {}
    while readers:
        for ready in wait(readers):
            reader: Any = ready
            try:
                number, result, error = reader.recv()
                answers[number] = result, error
            except EOFError:
                readers.remove(reader)
    for worker in workers:
        worker.join()
    return answers


def _work(jobs: Sequence[Callable[[], object]], numbers: int, writer: Connection) -> None:
    """Take the next number that no other process has taken, until there is none."""
    while number := os.read(numbers, 1):
        try:
            writer.send((number[0], jobs[number[0]](), None))
        except Exception as error:
            writer.send((number[0], None, error))
