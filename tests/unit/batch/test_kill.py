"""Killed at any point and started again: nothing finished is redone, nothing is lost, and the result is the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys

import pytest

from pipelines.batch.engine import InProcess
from pipelines.batch.run import BatchOptions, run_batch

from support.made_export import fake_planner, write_export

STUDIES, KILLS = 200, 20
EVENTS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.symlink", "shutil.rmtree", "sqlite3.connect")
"""Audit events after which the disk is another: the process is killed just before one of them."""
NOT_COMPARED = ("index.sqlite", "batch.jsonl")
"""Holds moments in time."""


def _child(export, out, calls, kill_at):
    seen = 0

    def hook(event, _arguments):
        nonlocal seen
        if event in EVENTS:
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def planner(source, settings, folder):
        with calls.open("a") as stream:
            stream.write(f"{folder.parent.name.split('.')[1]}\n")
        fake_planner(source, settings, folder)

    sys.addaudithook(hook)
    run_batch(export, out, BatchOptions(), InProcess(), planner=planner)
    (out / "events").write_text(str(seen))


def start(export, out, calls, kill_at=0):
    """Run in a forked process, which dies of the kill."""
    process = multiprocessing.get_context("fork").Process(target=_child, args=(export, out, calls, kill_at))
    process.start()
    process.join()
    return process.exitcode


def tree(out):
    """Every file with its bytes."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name not in (*NOT_COMPARED, "events"))
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a run without starting Python 20 times")
def test_a_run_killed_at_20_points_gives_what_an_uninterrupted_one_gives(tmp_path):
    export = write_export(tmp_path / "export", STUDIES)
    whole, killed, calls = tmp_path / "whole", tmp_path / "killed", tmp_path / "calls"
    assert start(export, whole, tmp_path / "all") == 0
    events = int((whole / "events").read_text())
    rng = random.Random(8)
    deaths = 0
    for _ in range(KILLS):
        finished = {folder.name for folder in killed.glob("cases/[0-9a-f]*")}
        calls.write_text("")
        code = start(export, killed, calls, rng.randrange(1, events // KILLS))
        assert not finished & set(calls.read_text().split())  # nothing that was finished is planned again
        deaths += code == -signal.SIGKILL
        assert all((folder / "batch.json").is_file() for folder in killed.glob("cases/[0-9a-f]*"))  # no half result
    assert deaths == KILLS
    assert start(export, killed, calls) == 0
    assert tree(killed) == tree(whole)
