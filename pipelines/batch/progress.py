"""The bar on stderr: files first, then studies with their rate and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from pipelines.batch.run import Watcher

if TYPE_CHECKING:
    from pipelines.batch.index import IndexCounts
    from pipelines.batch.model import Outcome

__all__ = ["pace", "progress"]


def pace(ended: int, left: int, seconds: float) -> str:
    """Tell rate and time left.

    Parameters
    ----------
    ended : int
        Cases that ended in this run: those of earlier ones took no time.
    left : int
        Cases to come.
    seconds : float
        Since the first began.
    """
    if not ended or seconds <= 0:
        return ""
    return f"{60 * ended / seconds:.1f} a minute, {timedelta(seconds=round(left * seconds / ended))} left"


@contextmanager
def progress(clock: Callable[[], float] = time.monotonic) -> Iterator[Watcher]:
    """Show a bar while the block runs; the watcher moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[pace]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        files = bar.add_task("files", total=None, pace="")
        cases = bar.add_task("studies", total=None, pace="", visible=False)
        ended, start = 0, clock()

        def on_case(outcome: Outcome, now: bool) -> None:
            nonlocal ended
            ended += now
            bar.advance(cases)
            left = int((bar.tasks[cases].total or 0) - bar.tasks[cases].completed)
            bar.update(cases, pace=pace(ended, left, clock() - start))

        def on_indexed(counts: IndexCounts, studies: int) -> None:
            nonlocal start
            start = clock()
            bar.update(files, total=bar.tasks[files].completed)
            bar.update(cases, total=studies, visible=True)
            bar.reset(cases, total=studies)

        yield Watcher(lambda: bar.advance(files), on_indexed, on_case)
