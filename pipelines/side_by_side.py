"""Independent jobs at the end of a case, one process a core: drawing holds Python's lock, so threads would not help."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

__all__ = ["run_side_by_side"]

T = TypeVar("T")

MOST_PROCESSES = 4
"""More are not worth their memory for a dozen pictures."""

_inherited: Sequence[Callable[[], object]] = ()
"""The jobs, in a forked process alone."""


def run_side_by_side(jobs: Sequence[Callable[[], T]], processes: int | None = None) -> list[T]:
    """Run jobs that do not depend on each other; their results in their order.

    Forked processes see the case's volumes without a copy. Where a fork is not safe (other threads run, as in a viewer
    or a cluster's worker; not Linux) or a process is killed, the jobs run here, one after another.

    Parameters
    ----------
    jobs : sequence of callable
        Each may write files of its own; what it returns must pickle.
    processes : int, optional
        At most so many at once; below 2 nothing is forked. Without it one a core that this process may use.
    """
    processes = min(processes or len(os.sched_getaffinity(0)), MOST_PROCESSES, len(jobs)) if _may_fork() else 1
    if processes < 2:
        return [job() for job in jobs]
    context = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(processes, context, initializer=_inherit, initargs=(jobs,)) as pool:
            return list(pool.map(_run, range(len(jobs))))  # type: ignore[arg-type]
    except BrokenProcessPool:  # killed, most likely for memory: one process may still do
        return [job() for job in jobs]


def _may_fork() -> bool:
    alone = threading.active_count() == 1 and not multiprocessing.current_process().daemon
    return alone and sys.platform == "linux"


def _inherit(jobs: Sequence[Callable[[], object]]) -> None:
    global _inherited  # a forked process has no other way to be handed what does not pickle
    _inherited = jobs


def _run(index: int) -> object:
    return _inherited[index]()
