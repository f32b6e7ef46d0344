"""A batch on a cluster that is already there: a Dask scheduler and a worker, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.batch import engine as batch_engine
from pipelines.batch.engine import connect
from pipelines.batch.model import Status
from pipelines.batch.run import BatchOptions, run_batch
from planner.errors import ConfigError

from support.made_export import KILLED, deadly_planner, write_study

TESTS = Path(__file__).resolve().parents[2]
REPOSITORY = TESTS.parent


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A running cluster, started as ``docs/scaling.md`` says."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "dask.json"
    dask = [sys.executable, "-m", "dask"]
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", "PYTHONPATH": f"{TESTS}:{REPOSITORY}"}
    where = ["--scheduler-file", str(file)]
    started = []
    with (folder / "log").open("w") as log:
        try:
            for line in (
                [*dask, "scheduler", *where, "--no-dashboard", "--host", "127.0.0.1", "--port", "0"],
                [*dask, "worker", *where, "--nworkers", "1", "--nthreads", "1", "--memory-limit", "1700MB",
                 "--no-dashboard", "--local-directory", str(folder)],
            ):  # fmt: skip
                started.append(subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, **settings}))
                _wait(file, started[-1])
            yield json.loads(file.read_text())["address"]
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(20)


def _wait(file, process):
    for _ in range(600):
        assert process.poll() is None, "it has ended"
        if file.is_file() and file.stat().st_size:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the scheduler did not start")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Dask's own, about workers that die
def test_a_running_cluster_plans_and_outlives_a_case_that_kills_its_worker(address, tmp_path):
    for number in (KILLED, KILLED + 2, KILLED + 3, KILLED + 4):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    with connect(address) as engine:
        report = run_batch(
            tmp_path / "export", tmp_path / "out", BatchOptions(retries=0), engine, planner=deadly_planner
        )
    assert report.statuses == {Status.PLANNED: 3, Status.FAILED: 1}
    records = [json.loads(path.read_text()) for path in tmp_path.glob("out/cases/*/batch.json")]
    assert sorted(record["reason"] for record in records) == ["", "", "", "worker-died"]
    assert not list((tmp_path / "out/cases").glob(".*"))


@pytest.mark.slow
def test_the_command_uses_it(address, tmp_path):
    """Studies of four slices are refused, each with its reason: by the real planner, in the cluster's worker."""
    for number in range(2):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    line = [sys.executable, "-c", "from pipelines.cli import main; main()", "batch", "export", "--out", "out"]
    done = subprocess.run(
        [*line, "--scheduler", address], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "2  refused" in done.stdout
    records = [json.loads(path.read_text()) for path in tmp_path.glob("out/cases/*/batch.json")]
    assert [record["status"] for record in records] == ["refused", "refused"]
    assert all(record["message"] for record in records)


@pytest.mark.filterwarnings("ignore")
def test_a_missing_scheduler_is_told(monkeypatch):
    monkeypatch.setattr(batch_engine, "CONNECT_TIMEOUT", "200ms")
    with pytest.raises(ConfigError, match="no Dask scheduler"), connect("tcp://127.0.0.1:1"):
        pass
