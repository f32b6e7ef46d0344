"""Each kernel beside scipy, SimpleITK, cc3d, edt, scikit-image or VTK for the same job, in one run.

Not collected by the normal test run: ``pytest tests/benchmarks -o python_files='bench_*.py'``, or ``script/bench``.
Nothing is said about seconds here; what is asserted is that both do the same job.
"""

from __future__ import annotations

import time
from functools import cache

import pytest
import SimpleITK

from benchmarks.jobs import JOBS, OURS, Job

ROUNDS_S = 0.6
"""A tool is run as often as fits into this, but at least twice after the first."""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """All tools on one thread."""
    before = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    yield
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


@cache
def prepared(job: Job):
    tools = job.tools()
    assert set(tools) == {OURS, *job.rivals}
    return tools, tools[OURS]()


@pytest.mark.parametrize(
    ("job", "tool"),
    [pytest.param(job, tool, id=f"{job.name}-{tool}") for job in JOBS for tool in (OURS, *job.rivals)],
)
def test_same_job(benchmark, job, tool):
    if tool == "VTK":
        pytest.importorskip("vtk")
    tools, ours = prepared(job)
    start = time.perf_counter()
    result = tools[tool]()
    rounds = max(2, int(ROUNDS_S / (time.perf_counter() - start)))
    assert job.agree(ours, result) <= job.tolerance
    benchmark.group = job.name
    benchmark.extra_info["tool"] = tool
    benchmark.pedantic(tools[tool], rounds=min(rounds, 20))
