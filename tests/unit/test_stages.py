"""Stages are recorded in order, told beforehand, and can be cancelled."""

from __future__ import annotations

import sys

import pytest

from planner.stages import StageLog, peak_rss_mb


def test_stages_are_told_before_and_recorded_after():
    told = []
    log = StageLog(told.append)
    with log.stage("read"):
        assert told == ["read"]
        assert log.records == []
    with log.stage("locate"):
        pass
    assert [record.name for record in log.records] == ["read", "locate"]
    assert all(record.seconds >= 0 for record in log.records)


def test_raising_from_on_start_cancels():
    def cancel(name):
        raise KeyboardInterrupt

    log = StageLog(cancel)
    with pytest.raises(KeyboardInterrupt), log.stage("read"):
        pytest.fail("the stage ran")
    assert log.records == []


def test_a_failed_stage_is_not_recorded():
    log = StageLog()
    with pytest.raises(ValueError), log.stage("read"):
        raise ValueError
    assert log.records == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_peak_memory_is_that_of_a_python_process():
    assert 10 < peak_rss_mb() < 100_000
