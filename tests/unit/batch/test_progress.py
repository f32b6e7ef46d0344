"""The bar tells rate and time left of what this run does, however slow its cases are."""

from __future__ import annotations

import pytest

from pipelines.batch.index import IndexCounts
from pipelines.batch.model import Outcome, Status
from pipelines.batch.progress import pace, progress


@pytest.mark.parametrize(
    ("ended", "left", "seconds", "words"),
    [
        (0, 9, 100.0, ""),
        (3, 9, 0.0, ""),
        (1, 2, 64.0, "0.9 a minute, 0:02:08 left"),
        (120, 99_880, 3600.0, "2.0 a minute, 34 days, 16:20:00 left"),
        (5, 0, 10.0, "30.0 a minute, 0:00:00 left"),
    ],
)
def test_rate_and_time_left(ended, left, seconds, words):
    assert pace(ended, left, seconds) == words


def test_the_bar_counts_all_and_times_what_ended_now(capsys):
    now = [0.0]
    planned = Outcome(Status.PLANNED)
    with progress(lambda: now[0]) as watcher:
        for _ in range(40):
            watcher.on_file()
        now[0] = 1000.0
        watcher.on_indexed(IndexCounts(40, 40, {}), 10)
        for _ in range(5):
            watcher.on_case(planned, False)
        for _ in range(3):
            now[0] += 120.0
            watcher.on_case(planned, True)
    told = capsys.readouterr().err
    assert "40/40" in told
    assert "8/10" in told
    assert "0.5 a minute, 0:04:00 left" in told
