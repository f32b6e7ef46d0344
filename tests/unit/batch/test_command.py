"""The command ``sacroplan batch``: exit codes of the contract, the table, the bar, and what ``--dry-run`` shows."""

from __future__ import annotations

import functools
import json

import pytest
from typer.testing import CliRunner

from pipelines.batch import run as batch_run
from pipelines.batch.dry_run import choose_all
from pipelines.batch.run import BatchOptions, Watcher, run_batch
from pipelines.cli import app
from planner import NOTICE

from support.made_export import break_study, fake_planner, write_study


@pytest.fixture
def export(tmp_path):
    for number in range(3):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    return tmp_path / "export"


@pytest.fixture
def batch(export, tmp_path, monkeypatch):
    """The command with a planner that takes no time."""
    monkeypatch.setattr(batch_run, "run_batch", functools.partial(run_batch, planner=fake_planner))
    line = ["batch", str(export), "--out", str(tmp_path / "out"), "--workers", "0"]
    return lambda *more: CliRunner().invoke(app, [*line, *more])


def test_all_done_is_code_0_and_a_table(batch):
    result = batch()
    assert result.exit_code == 0
    assert result.stdout.startswith(NOTICE)
    for line in ("3  planned", "3  of them in this run", "12  files", "summary.html"):
        assert line in result.stdout
    assert "studies" in result.stderr
    assert "3/3" in result.stderr
    assert "studies" not in result.stdout.split("Summary in")[0]


def test_a_second_start_tells_what_was_done_before(batch):
    batch()
    assert "0  of them in this run" in batch().stdout


@pytest.mark.parametrize("kind", ["cut pixels", "missing slice", "two phases"])
def test_some_refused_is_code_1_and_the_rest_is_planned(batch, export, kind):
    break_study(export / "1", kind)
    result = batch()
    assert result.exit_code == 1
    assert "2  planned" in result.stdout
    assert "1  refused" in result.stdout


def test_studies_without_ct_are_no_failure(batch, export):
    break_study(export / "1", "no CT")
    result = batch()
    assert result.exit_code == 0
    assert "1  no-ct" in result.stdout


def test_a_wrong_flag_is_code_2(batch):
    assert batch("--side", "up").exit_code == 2


def test_a_dry_run_shows_choices_with_reasons_and_plans_nothing(batch, export, tmp_path):
    break_study(export / "1", "no CT")
    break_study(export / "2", "missing slice")
    result = batch("--dry-run")
    assert result.exit_code == 0
    for word in ("would be", "plan", "no CT", "4 MR", "apart", NOTICE):
        assert word in result.stdout, word
    assert not list((tmp_path / "out" / "cases").iterdir())


def test_a_dry_run_knows_what_is_done(batch, export, tmp_path):
    batch()
    write_study(export / "2", 9)
    choices = list(choose_all(export, tmp_path / "out", BatchOptions(), Watcher()))
    assert sorted(choice.todo for choice in choices) == ["plan", "planned already", "planned already"]
    assert {choice.slices for choice in choices} == {4}


def test_a_dry_run_tells_why_a_study_would_be_refused(export, tmp_path):
    break_study(export / "0", "cut pixels")
    told = [choice for choice in choose_all(export, tmp_path / "out", BatchOptions(), Watcher()) if not choice.slices]
    assert [choice.todo for choice in told] == ["plan"] * len(told)
    assert all(choice.reasons for choice in told)


def test_the_log_of_every_run_is_kept_in_one_file(batch, tmp_path):
    batch()
    batch("--retry-failed")
    events = [json.loads(line)["event"] for line in (tmp_path / "out/batch.jsonl").read_text().splitlines()]
    assert events == ["indexed", "planned", "planned", "planned", "finished", "indexed", "finished"]
