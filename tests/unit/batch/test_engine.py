"""Dask workers: what kills one kills one case, and the rest goes on; memory bounds their number."""

from __future__ import annotations

import json

import pytest

from pipelines.batch.engine import CASE_PEAK_BYTES, RECORDS, fitting_workers, local_cluster
from pipelines.batch.model import Status
from pipelines.batch.run import BatchOptions, run_batch
from planner.errors import ConfigError

from support.made_export import GOOD, HANGING, KILLED, KILLED_ONCE, deadly_planner, write_study


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Dask's own, about processes that die
def test_a_dead_worker_costs_its_case_alone(tmp_path):
    for number in (HANGING, KILLED, KILLED_ONCE, GOOD):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    with local_cluster(2) as engine:
        report = run_batch(
            tmp_path / "export", tmp_path / "out", BatchOptions(timeout_s=3, retries=1), engine, planner=deadly_planner
        )
        kinds = engine._client.run_on_scheduler(lambda dask_scheduler: [*dask_scheduler.task_prefixes])
        records = engine._client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_log.maxlen)
        running = engine._client.run(lambda dask_worker: set(dask_worker.periodic_callbacks))
    assert kinds == ["plan_study"]  # or the scheduler would grow by each case
    assert records == RECORDS
    assert running
    assert not any("profile" in callbacks for callbacks in running.values())  # it keeps 300 MB a worker
    assert report.statuses == {Status.PLANNED: 2, Status.FAILED: 2}
    cases = [json.loads(path.read_text()) for path in tmp_path.glob("out/cases/*/batch.json")]
    assert sorted(case["reason"] for case in cases) == ["", "", "timed-out", "worker-died"]
    assert not list((tmp_path / "out/cases").glob(".*"))
    events = [json.loads(line)["event"] for line in (tmp_path / "out/batch.jsonl").read_text().splitlines()]
    assert events.count("again") == 3


@pytest.mark.parametrize(
    ("asked", "cases", "cores", "workers"), [(None, 9, 4, 4), (None, 3, 4, 3), (2, 9, 4, 2), (8, 3, 4, 3)]
)
def test_no_more_workers_than_memory_holds(asked, cases, cores, workers):
    assert fitting_workers(asked, cases * CASE_PEAK_BYTES + 1, cores) == workers


def test_too_little_memory_for_one_case_is_told():
    with pytest.raises(ConfigError, match=r"0\.8 GB of memory are free"):
        fitting_workers(None, CASE_PEAK_BYTES // 2, 2)
