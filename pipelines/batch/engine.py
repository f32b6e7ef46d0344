"""Who does the work: Dask, on this machine or on a cluster; or this process alone.

Only names of files travel: every worker reads the pixels of its own case.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Protocol

from pipelines.batch.case import Planner, give_up, plan_study, sweep
from pipelines.batch.model import Outcome, Status, Task
from planner.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["CASE_PEAK_BYTES", "RECORDS", "Dask", "Engine", "InProcess", "connect", "fitting_workers", "local_cluster"]

CASE_PEAK_BYTES = 1600 * 10**6
"""Memory to keep for a case: 1.1 GB at most was measured (``docs/performance.md``), and half as much again [P]."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Feed = Callable[[], "Task | None"]
Done = Callable[[Task, Outcome], None]

CONNECT_TIMEOUT = "10s"

MOST_SPARED = 1000
"""Cases put back because they had not begun, in one run [P]: more, and the workers do not come up at all."""

RECORDS = 50
"""Of each kind that Dask keeps for its developers [P]."""

PREFIX = "plan_study"
"""Of every key: Dask keeps statistics of each prefix for good."""

DIED = "worker-died"
TIMED_OUT = "timed-out"


class Engine(Protocol):
    """Takes tasks from `feed` until it gives None, and tells `done` of each; `done` may make `feed` give more."""

    def __call__(self, feed: Feed, done: Done, planner: Planner) -> None:
        """Work off every task."""
        ...


class InProcess:
    """One case after another, here; a time-out ends the whole process, and the next start goes on."""

    def __call__(self, feed: Feed, done: Done, planner: Planner) -> None:
        """Work off every task."""
        while (task := feed()) is not None:
            done(task, plan_study(task, planner))


class Dask:
    """A Dask cluster; no more cases are handed over than it can begin, so that its scheduler stays small."""

    def __init__(self, client: Client, in_flight: int) -> None:
        self._client = client
        self._in_flight = in_flight
        self._spares = count()

    def __call__(self, feed: Feed, done: Done, planner: Planner) -> None:
        """Work off every task."""
        from distributed import as_completed

        running = as_completed(raise_errors=False)
        tasks: dict[object, Task] = {}
        spared: deque[Task] = deque()
        submissions = count()
        while True:
            while len(tasks) < self._in_flight and (task := spared.popleft() if spared else feed()) is not None:
                key = f"{PREFIX}-{next(submissions)}-{task.key}"
                future = self._client.submit(plan_study, task, planner, key=key)
                tasks[future] = task
                running.add(future)
            if not tasks:
                return
            future = next(running)
            task = tasks.pop(future)
            if future.status == "finished":
                done(task, future.result())
            elif _never_began(task, future) and next(self._spares) < MOST_SPARED:
                spared.append(task)
            else:
                done(task, _buried(task))
            future.release()


def _never_began(task: Task, future: Future[Outcome]) -> bool:
    """Tell a case that waited for a worker while another one killed it: beginning leaves a mark."""
    from distributed import KilledWorker

    return isinstance(future.exception(), KilledWorker) and not task.timeout_mark.exists()


def _buried(task: Task) -> Outcome:
    """Say what a dead worker died of, and clear away what it left."""
    late = task.timeout_mark.is_file() and task.timeout_mark.stat().st_size > 0
    sweep(task.out, task.key)
    message = f"It took more than {task.timeout_s:g} s." if late else "The worker was killed, most likely for memory."
    return give_up(task, Outcome(Status.FAILED, TIMED_OUT if late else DIED, message, passing=True))


def fitting_workers(asked: int | None, available_bytes: int, cores: int) -> int:
    """Give the number of workers whose cases fit into memory together.

    Raises
    ------
    ConfigError
        If not even one fits.
    """
    fit = available_bytes // CASE_PEAK_BYTES
    if fit < 1:
        raise ConfigError(
            f"{available_bytes / 1e9:.1f} GB of memory are free, a case needs up to {CASE_PEAK_BYTES / 1e9:.1f} GB.",
            "End other programs, or use --scheduler with a cluster.",
        )
    return int(min(asked or cores, fit))


def available_memory() -> int:
    """Bytes that are free, within the limit of a container."""
    import psutil
    from distributed.system import MEMORY_LIMIT

    return int(min(psutil.virtual_memory().available, MEMORY_LIMIT))


@contextmanager
def local_cluster(asked: int | None) -> Iterator[Dask]:
    """Start one process a worker, as many as fit into cores and memory."""
    import dask
    from distributed import Client, LocalCluster

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = available_memory()
    workers = fitting_workers(asked, memory, cores)
    threads = str(max(1, cores // workers))
    with (
        dask.config.set(_config(threads)),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory // workers,
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield Dask(client, workers)


def _config(threads: str) -> dict[str, object]:
    return {
        "distributed.worker.memory.target": False,  # nothing to spill: results are short texts
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": 0.95,
        "distributed.scheduler.allowed-failures": 0,  # we count attempts ourselves, and say so in the log
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREAD_VARIABLES, threads),
        # it keeps what it saw for an hour: 300 MB a worker, and 4 MB more with every case
        "distributed.worker.profile.enabled": False,
        # records of messages hold whole tasks: 60 MB, before the longest of them is full
        "distributed.admin.low-level-log-length": RECORDS,
        "distributed.admin.log-length": RECORDS,
        "distributed.admin.system-monitor.log-length": RECORDS,
        "distributed.diagnostics.computations.max-history": RECORDS,
    }


@contextmanager
def connect(address: str) -> Iterator[Dask]:
    """Use a running cluster, whose workers see the export and the results under the same paths.

    Raises
    ------
    ConfigError
        If no scheduler answers.
    """
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_TIMEOUT)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{address}: no Dask scheduler answers.", "Check the address of --scheduler.") from error
    with client:
        yield Dask(client, max(1, sum(client.nthreads().values())))
