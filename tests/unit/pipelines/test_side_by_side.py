"""Independent jobs: in other processes where that is safe, here where it is not, the same results either way."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path

import pytest

from pipelines import side_by_side
from pipelines.side_by_side import run_side_by_side


def write(path: Path) -> tuple[Path, int]:
    path.write_text(path.name)
    return path, os.getpid()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the command line: no other thread runs (test runners have some)."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


@pytest.mark.usefixtures("alone")
def test_jobs_run_in_other_processes_and_answer_in_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.txt" for k in range(7)]
    done = run_side_by_side([partial(write, path) for path in paths], 2)
    assert [path for path, _ in done] == paths
    assert all(path.read_text() == path.name for path in paths)
    assert os.getpid() not in {pid for _, pid in done}


@pytest.mark.usefixtures("alone")
def test_jobs_need_not_pickle() -> None:
    unpicklable = threading.Lock()
    assert run_side_by_side([lambda: unpicklable.locked(), lambda: not unpicklable.locked()], 2) == [False, True]


@pytest.mark.usefixtures("alone")
def test_an_error_reaches_the_caller() -> None:
    def fail() -> int:
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        run_side_by_side([fail, fail], 2)


@pytest.mark.usefixtures("alone")
def test_a_killed_process_does_not_lose_the_jobs() -> None:
    parent = os.getpid()

    def die_unless_parent() -> int:
        if os.getpid() != parent:
            os._exit(9)
        return os.getpid()

    assert run_side_by_side([die_unless_parent] * 3, 2) == [parent] * 3


@pytest.mark.parametrize("processes", [1, 2])
def test_beside_other_threads_nothing_is_forked(processes: int) -> None:
    release = threading.Event()
    other = threading.Thread(target=release.wait)
    other.start()
    try:
        assert run_side_by_side([os.getpid] * 3, processes) == [os.getpid()] * 3
    finally:
        release.set()
        other.join()


def test_one_process_forks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "_may_fork", lambda: True)
    assert run_side_by_side([os.getpid], 4) == [os.getpid()]
