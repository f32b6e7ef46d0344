"""A whole batch: index, decide what is left to do, have it done, sum up."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.batch.case import Planner, plan_and_write, sweep
from pipelines.batch.engine import Engine
from pipelines.batch.files import export_root
from pipelines.batch.identity import case_key, settings_digest
from pipelines.batch.index import Index, IndexCounts, open_index
from pipelines.batch.log import EventLog
from pipelines.batch.model import Outcome, Status, Study, Task
from pipelines.batch.record import read_record
from pipelines.batch.summary import write_summary
from planner.case import CaseSettings
from planner.errors import ConfigError
from planner.implants import load_catalogue

__all__ = ["BatchOptions", "BatchReport", "Watcher", "finished_as", "open_batch", "run_batch"]

CASES, INDEX, LOG = "cases", "index.sqlite", "batch.jsonl"
DEFAULT_TIMEOUT_S = 1800.0
"""Longest case [P]: twenty times what 1000 slices take."""
DEFAULT_RETRIES = 1


@dataclass(frozen=True)
class BatchOptions:
    """How a batch runs.

    Attributes
    ----------
    settings : CaseSettings
        What every case is planned with.
    timeout_s : float
        Longest that a case may take.
    retries : int
        More attempts after a death, a time-out or want of memory.
    retry_failed : bool
        Plan what has failed before once more.
    """

    settings: CaseSettings = field(default_factory=CaseSettings)
    timeout_s: float = DEFAULT_TIMEOUT_S
    retries: int = DEFAULT_RETRIES
    retry_failed: bool = False


@dataclass
class Watcher:
    """Told of progress; by default says nothing.

    Attributes
    ----------
    on_file : callable
        Called once a file that is indexed.
    on_indexed : callable
        Told the files and the number of studies.
    on_case : callable
        Told how a study ended, and whether in this run.
    """

    on_file: Callable[[], None] = lambda: None
    on_indexed: Callable[[IndexCounts, int], None] = lambda counts, studies: None
    on_case: Callable[[Outcome, bool], None] = lambda outcome, now: None


@dataclass(frozen=True)
class BatchReport:
    """What a batch came to.

    Attributes
    ----------
    statuses : Counter of Status
        Of every study of the export, those finished in earlier runs too.
    ended_now : int
        Cases that ended in this run, whichever way.
    files : IndexCounts
        What was indexed.
    stopped : str
        Why the batch ended early; empty where it did not.
    """

    statuses: Counter[str]
    ended_now: int
    files: IndexCounts
    stopped: str = ""

    @property
    def all_done(self) -> bool:
        """Whether no case failed or was refused, and none is left."""
        bad = self.statuses[Status.FAILED] + self.statuses[Status.REFUSED]
        return not bad and not self.stopped


def run_batch(
    export: Path,
    out: Path,
    options: BatchOptions,
    engine: Engine,
    watcher: Watcher | None = None,
    planner: Planner = plan_and_write,
) -> BatchReport:
    """Plan every study of an export that is not planned yet.

    Parameters
    ----------
    export : Path
        Folder of any depth, or DICOMDIR.
    out : Path
        Made if it does not exist; what an earlier run finished there is kept.
    options : BatchOptions
        How.
    engine : Engine
        Who plans.
    watcher : Watcher, optional
        Told of progress.
    planner : callable
        Plans one case.

    Raises
    ------
    planner.errors.SacroplanError
        If a setting is wrong, there is no export, or another batch writes to `out`.
    """
    watcher = watcher or Watcher()
    with open_batch(export, out, options.settings) as batch:
        sweep(batch.cases)
        counts = batch.index.update(export, out, watcher.on_file)
        log = EventLog(out / LOG)
        log.write("indexed", files=counts.files, read=counts.read, kinds=counts.kinds)
        watcher.on_indexed(counts, batch.index.study_count())
        work = _Work(batch, options, log, watcher)
        engine(work.feed, work.done, planner)
        write_summary(out, batch.cases, work.keys, work.no_ct)
        log.write("finished", statuses=dict(work.statuses), stopped=work.stopped)
    return BatchReport(work.statuses, work.ended, counts, work.stopped)


@dataclass(frozen=True)
class Batch:
    """An export's index, open, and where its results are."""

    root: Path
    cases: Path
    settings: CaseSettings
    index: Index

    def key(self, study: Study) -> str:
        """Folder name of a study."""
        return case_key(study.uid, settings_digest(self.settings))


@contextmanager
def open_batch(export: Path, out: Path, settings: CaseSettings) -> Iterator[Batch]:
    """Open the index of a result folder; refuse what would be wrong for every case."""
    load_catalogue(settings.catalogue).plannable(settings.implant)
    root = export_root(export)
    try:
        (out / CASES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror}).", "Name another folder with --out.") from error
    with open_index(out / INDEX) as index:
        yield Batch(root, (out / CASES).absolute(), settings, index)


class _Work:
    """What is left to do, and what became of it."""

    def __init__(self, batch: Batch, options: BatchOptions, log: EventLog, watcher: Watcher) -> None:
        self._batch, self._options, self._log, self._watcher = batch, options, log, watcher
        self._digest = settings_digest(batch.settings)
        self._studies = batch.index.studies()
        self._again: deque[Task] = deque()
        self.statuses: Counter[str] = Counter()
        self.keys: list[str] = []
        self.no_ct: Counter[str] = Counter()
        self.ended = 0
        self.stopped = ""

    def feed(self) -> Task | None:
        """Give the next case to plan; those that are finished are only counted."""
        if self.stopped:
            return None
        if self._again:
            return self._again.popleft()
        return next((task for study in self._studies if (task := self._task(study))), None)

    def _task(self, study: Study) -> Task | None:
        if not study.images:
            self.no_ct.update(["+".join(study.others)])
            self._count(Status.NO_CT)
            return None
        key = case_key(study.uid, self._digest)
        self.keys.append(key)
        status = finished_as(self._batch.cases / key, study, retry_failed=self._options.retry_failed)
        if status is not None:
            self._count(status)
            return None
        options = self._options
        return Task(key, self._batch.root, self._batch.cases, study, self._batch.settings, options.timeout_s)

    def _count(self, status: Status) -> None:
        self.statuses[status] += 1
        self._watcher.on_case(Outcome(status), False)

    def done(self, task: Task, outcome: Outcome) -> None:
        """Note how a case ended; put it back where another attempt may help."""
        again = outcome.passing and task.attempt <= self._options.retries
        self._log.write(
            "again" if again else outcome.status.value,
            case=task.key,
            attempt=task.attempt,
            reason=outcome.reason,
            seconds=round(outcome.seconds, 3),
        )
        if outcome.status is Status.STOPPED:
            self.stopped = outcome.message
        elif again:
            self._again.append(task.again())
        else:
            self.ended += 1
            self.statuses[outcome.status] += 1
            self._watcher.on_case(outcome, True)


def finished_as(folder: Path, study: Study, *, retry_failed: bool) -> Status | None:
    """Say how a study ended in an earlier run; None where it is to be planned."""
    record = read_record(folder)
    if record is None or record["content"] != study.content:
        return None
    status = Status(record["status"])
    return None if retry_failed and status is Status.FAILED else status
