"""Killed, crossed by another run, or on a file system that can do less: the earlier result or the new one is there."""

from __future__ import annotations

import os
import signal
import stat
import sys

import pytest

import pipelines.place_of_result as place
from pipelines.place_of_result import MANIFEST, REVIEW, complete_or_absent
from planner.errors import ConfigError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a run")

EVENTS = ("open", "os.mkdir", "os.rename", "os.chmod", "os.rmdir", "os.remove", "shutil.rmtree")
"""Audit events just before which the process is killed."""


def write(out, text):
    with complete_or_absent(out) as scratch:
        for name in ("plan.json", "labels.nii.gz", MANIFEST):
            (scratch / name).write_text(text)


def in_child(work):
    """Run in a forked process; gives its signal or exit code."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(number, out, text):
    def work():
        seen = 0

        def hook(event, _arguments):
            nonlocal seen
            if event in EVENTS:
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        write(out, text)
        os._exit(0)

    return in_child(work)


def content(out):
    return {path.name: path.read_text() for path in out.iterdir()}


def whole(text):
    return dict.fromkeys(("plan.json", "labels.nii.gz", MANIFEST), text)


@pytest.mark.parametrize("exchange", [True, False])
def test_killed_anywhere_either_result_is_whole_and_the_next_run_clears_up(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(place, "_exchange", lambda one, other: False)
    out = tmp_path / "out"
    number, deaths = 1, 0
    while True:
        write(out, "earlier")
        code = killed_at(number, out, "later")
        if code == 0:
            break
        assert code == -signal.SIGKILL
        deaths += 1
        if exchange:
            assert content(out) in (whole("earlier"), whole("later"))
        elif not out.exists():  # two steps: it comes back with the next run, whatever that does
            place._clear_up(out)
            assert content(out) == whole("earlier")
        write(out, "next")
        assert content(out) == whole("next")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        number += 1
    assert deaths > 8


def test_two_runs_on_one_folder_leave_one_whole_result(tmp_path):
    out = tmp_path / "out"
    for _ in range(10):
        children = []
        for text in ("one", "other"):
            child = os.fork()
            if child == 0:
                try:
                    write(out, text)
                    os._exit(0)
                finally:
                    os._exit(3)
            children.append(child)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
        assert content(out) in (whole("one"), whole("other"))
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_being_written_is_the_owners_alone(tmp_path):
    with complete_or_absent(tmp_path / "out") as scratch:
        (scratch / MANIFEST).write_text("")
        assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~mask


def test_what_a_living_process_is_writing_is_left_alone(tmp_path):
    out = tmp_path / "out"
    with complete_or_absent(out) as scratch:
        other = scratch.rename(scratch.with_name(".out.partial-99999999"))  # as if of another process
        place._clear_up(out)
        assert other.exists()
        other.rename(scratch)


def test_names_are_taken_as_they_are(tmp_path):
    (tmp_path / ".a.partial-1").mkdir()
    write(tmp_path / "[ab]*", "x")
    assert (tmp_path / ".a.partial-1").exists()


def test_a_review_begun_while_the_plan_was_made_is_kept(tmp_path):
    out = tmp_path / "out"
    write(out, "earlier")

    def plan_again():
        with complete_or_absent(out) as scratch:
            (scratch / MANIFEST).write_text("later")
            (out / REVIEW).write_text("approved")

    with pytest.raises(ConfigError, match="record of a review"):
        plan_again()
    assert (out / REVIEW).read_text() == "approved"
    assert (out / MANIFEST).read_text() == "earlier"
