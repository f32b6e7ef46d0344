"""What takes longer than a frame: planning a scan, opening a result, planning anew. The window never waits for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from planner.errors import SacroplanError

__all__ = ["Cancelled", "Job", "plan_scan", "words_of_error"]


class Cancelled(Exception):  # noqa: N818  # it is no error
    """Raised where a job is told that nobody waits for it any more."""


class Job(QObject):
    """One function in a thread, with its stages by name, an end, and a cancel that takes effect at the next stage."""

    stage = Signal(str)
    done = Signal(object)
    failed = Signal(str)
    cancelled = Signal()
    ended = Signal()

    def __init__(self, work: Callable[[Callable[[str], None]], Any]) -> None:
        super().__init__()
        from napari.qt.threading import create_worker

        self._stopped = False
        self._work: Callable[[Callable[[str], None]], Any] | None = work
        self.worker = create_worker(self._run, _start_thread=False)
        self.worker.returned.connect(self._finish)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def cancel(self) -> None:
        """Stop at the next stage; what was made is thrown away."""
        self._stopped = True

    def _say(self, name: str) -> None:
        if self._stopped:
            raise Cancelled
        self.stage.emit(name)

    def _run(self) -> tuple[str, Any]:
        work, self._work = self._work, None  # napari keeps every worker: let it keep no volumes
        try:
            result = work(self._say) if work else None
            del work
            self._say("done")
        except Cancelled:
            return "cancelled", None
        except Exception as error:  # the thread's last line of defence: told in the window, never a traceback
            return "failed", words_of_error(error)
        return "done", result

    def _finish(self, outcome: tuple[str, Any]) -> None:
        kind, value = outcome
        if kind == "done":
            self.done.emit(value)
        elif kind == "failed":
            self.failed.emit(value)
        else:
            self.cancelled.emit()
        self.ended.emit()


def words_of_error(error: Exception) -> str:
    """Say what went wrong and what to do, in one line."""
    if isinstance(error, SacroplanError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this scan. Close other programs and try again."
    return f"A defect of this program ({type(error).__name__}). SACROPLAN_DEBUG=1 on the command line shows where."


def plan_scan(source: Path, out: Path) -> Callable[[Callable[[str], None]], Path]:
    """Job that plans a scan into a result folder, by the same stages as the command line."""

    def work(say: Callable[[str], None]) -> Path:
        from pipelines.results import write_case
        from planner.case import CaseSettings, plan_case
        from planner.stages import StageLog

        case = plan_case(source, CaseSettings(), StageLog(say))
        say("write results")
        write_case(case, out)
        return out

    return work
