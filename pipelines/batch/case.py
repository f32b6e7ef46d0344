"""One study in a worker: its files by number, planned, and its folder there as a whole or not at all."""

from __future__ import annotations

import faulthandler
import os
import re
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from pipelines.batch.disk import FULL, blaming_the_disk
from pipelines.batch.memory import give_back, keep_tidy
from pipelines.batch.model import Outcome, Status, Study, Task
from pipelines.batch.record import RECORD, measures_of, record_of, write_record
from pipelines.batch.thumbnail import write_thumbnail
from pipelines.results import complete_or_absent
from planner.case import CaseSettings
from planner.devices import is_no_memory
from planner.dicom.series import SeriesReport
from planner.errors import BackendError, InputRefusedError, SacroplanError

__all__ = ["Planner", "give_up", "link_files", "plan_and_write", "plan_study", "sweep"]

Planner = Callable[[Path, CaseSettings, Path], object]
"""Plans a folder of links into a result folder."""

PACKAGES = ("planner", "pipelines", "sample_data")


def plan_and_write(source: Path, settings: CaseSettings, folder: Path) -> None:
    """Plan a case and write its folder: the planner of every batch but a test's."""
    from pipelines.results import write_case
    from planner.case import plan_case

    write_case(plan_case(source, settings), folder)


def plan_study(task: Task, planner: Planner = plan_and_write) -> Outcome:
    """Plan one study, and leave a folder that says how it ended; no exception leaves this function."""
    keep_tidy()
    start = time.perf_counter()
    try:
        with _limited(task):
            outcome = _plan(task, planner)
    except Exception as error:
        outcome = _explain(error)
        if outcome.status is not Status.STOPPED:
            outcome = give_up(task, outcome)
    give_back()
    return Outcome(outcome.status, outcome.reason, outcome.message, outcome.passing, time.perf_counter() - start)


def give_up(task: Task, outcome: Outcome, series: list[SeriesReport] | None = None) -> Outcome:
    """Record a study without a plan.

    Returns
    -------
    Outcome
        `outcome`, or that the disk is full.
    """
    try:
        with _folder(task) as partial:
            write_record(partial, record_of(task.key, task.study, outcome, series or [], {}))
    except (OSError, SacroplanError) as error:
        return Outcome(Status.STOPPED, "cannot-write", f"The results cannot be written ({type(error).__name__}).")
    return outcome


def _plan(task: Task, planner: Planner) -> Outcome:
    from planner.reading import list_series

    series: list[SeriesReport] = []
    outcome = Outcome(Status.PLANNED)
    with _folder(task) as partial, blaming_the_disk(partial):
        links = link_files(task.study, task.root, partial / "input")
        try:
            series = list_series(links, resample=task.settings.resample)
            planner(links, task.settings, partial / "result")
        except InputRefusedError as error:
            outcome = _explain(error)
        else:
            _move_up(partial / "result", partial)
        shutil.rmtree(links)
        plan = measures_of(partial) if outcome.status is Status.PLANNED else {}
        write_thumbnail(partial)
        write_record(partial, record_of(task.key, task.study, outcome, series, plan))
        _to_disk(partial)
    return outcome


@contextmanager
def _folder(task: Task) -> Iterator[Path]:
    with complete_or_absent(task.folder, is_ours=lambda folder: (folder / RECORD).is_file()) as partial:
        yield partial


def link_files(study: Study, root: Path, folder: Path) -> Path:
    """Link a study's CT files under numbers: their own names may name a patient, and messages name files.

    Files of one folder stay in one folder, so that a damaged slice beside a series is seen as what it is.
    """
    parents: dict[str, Path] = {}
    for number, name in enumerate(sorted((*study.images, *study.damaged)), start=1):
        parent = parents.setdefault(str(PurePath(name).parent), folder / f"{len(parents) + 1:04d}")
        parent.mkdir(parents=True, exist_ok=True)
        (parent / f"{number:06d}.dcm").symlink_to(root / name)
    return folder


def _move_up(inner: Path, outer: Path) -> None:
    for path in sorted(inner.iterdir()):
        path.rename(outer / path.name)
    inner.rmdir()


def _to_disk(folder: Path) -> None:
    """Wait until the files are on the disk: after a power cut a name must not lead to half a file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


@contextmanager
def _limited(task: Task) -> Iterator[None]:
    """End this process when the case takes too long: nothing gentler stops compiled code."""
    with task.timeout_mark.open("w") as mark:
        faulthandler.dump_traceback_later(task.timeout_s, exit=True, file=mark)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            task.timeout_mark.unlink(missing_ok=True)


def _explain(error: Exception) -> Outcome:
    if isinstance(error, InputRefusedError):
        return Outcome(Status.REFUSED, _kebab(error), str(error))
    if isinstance(error, OSError) and error.errno in FULL:
        return Outcome(Status.STOPPED, "disk-full", "The disk is full.")
    if is_no_memory(error):
        return Outcome(Status.FAILED, "memory", "There was not enough memory for this scan.", passing=True)
    if isinstance(error, SacroplanError):
        return Outcome(Status.FAILED, _kebab(error), str(error), passing=isinstance(error, BackendError))
    return Outcome(Status.FAILED, "defect", f"{type(error).__name__} at {_place(error)}.")


def _kebab(error: Exception) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__.removesuffix("Error")).lower()


def _place(error: Exception) -> str:
    """Where in our own code; the exception's words may hold a patient's data."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if set(PurePath(f.filename).parts) & {*PACKAGES}]
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def sweep(out: Path, key: str = "*") -> None:
    """Remove what a killed worker has left of a case, or of every case."""
    for pattern in (f".{key}.partial-*", f".{key}.earlier-*"):
        for folder in out.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
    for mark in out.glob(f".{key}.timeout"):
        mark.unlink(missing_ok=True)
