"""A disk that is really full: the batch stops and says so, blames no case, leaves nothing half, and goes on later."""

from __future__ import annotations

import errno
import functools
import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from pipelines.batch import run as batch_run
from pipelines.batch.disk import blaming_the_disk, is_full
from pipelines.batch.model import Status
from pipelines.batch.run import run_batch
from pipelines.cli import app

from support.made_export import fake_planner, write_study

STUDIES = 6
CASE_BYTES = 300_000
"""What a case takes besides its plan."""
SIZES_KB = (*range(16, 160, 12), *range(400, 2000, 400))
"""Of the disk: it is full while the index is made, within a case, or at the summary."""
ROOM = "size=8m"


def bulky_planner(source, settings, folder):
    """Plan, and write a file in the way of a library that hides the system's error."""
    fake_planner(source, settings, folder)
    try:
        (folder / "bulk").write_bytes(bytes(CASE_BYTES))
    except OSError as error:
        raise RuntimeError("the image could not be written") from error


@pytest.fixture
def export(tmp_path):
    for number in range(STUDIES):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    return tmp_path / "export"


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, and how to change its size."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or _mount(f"size={SIZES_KB[0]}k", place).returncode:
        pytest.skip("a small disk can be mounted only by root on Linux, outside most containers")
    try:
        yield place, lambda size: _mount(f"remount,{size}", place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _mount(options, place):
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.fixture
def command(export, monkeypatch):
    """The command with the bulky planner, in this process."""
    monkeypatch.setattr(batch_run, "run_batch", functools.partial(run_batch, planner=bulky_planner))
    return lambda out: CliRunner().invoke(app, ["batch", str(export), "--out", str(out), "--workers", "0"])


def test_a_full_disk_stops_the_batch_wherever_it_gets_full(disk, command):
    place, resize = disk
    stopped = 0
    for size_kb in SIZES_KB:
        resize(f"size={size_kb}k")
        result = command(place / "out")
        text = result.output + str(result.exception or "")
        assert result.exit_code == 1, (size_kb, text)
        assert "disk is full" in text.lower(), (size_kb, text)
        assert "start again" in text
        folders = [folder for folder in (place / "out").glob("cases/*") if folder.is_dir()]
        assert all(json.loads((f / "batch.json").read_text())["status"] == Status.PLANNED for f in folders)
        assert all((f / "bulk").stat().st_size == CASE_BYTES for f in folders)
        stopped += bool(folders)
        if stopped < 2:
            shutil.rmtree(place / "out", ignore_errors=True)
    assert stopped >= 2  # with something finished, and started again
    finished = {folder.name for folder in (place / "out" / "cases").iterdir()}
    resize(ROOM)
    log = place / "out" / "batch.jsonl"
    before = len(log.read_text().splitlines())
    assert command(place / "out").exit_code == 0
    events = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    planned = {event["case"] for event in events if event["event"] == "planned"}
    assert len(planned | finished) == STUDIES
    assert not planned & finished
    assert (place / "out" / "summary.csv").is_file()


def test_an_error_on_a_disk_with_room_is_told_as_it_is(tmp_path):
    with pytest.raises(RuntimeError), blaming_the_disk(tmp_path):
        raise RuntimeError
    assert not is_full(OSError(errno.EACCES, ""), tmp_path)
    assert is_full(OSError(errno.EDQUOT, ""), tmp_path)


def test_an_error_where_nothing_is_free_is_the_disks(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(OSError, match="full") as raised, blaming_the_disk(tmp_path):
        raise RuntimeError
    assert raised.value.errno == errno.ENOSPC
