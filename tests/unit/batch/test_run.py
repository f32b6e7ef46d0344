"""A whole batch on a made export, with a planner that takes no time: every study once, and each broken one told."""

from __future__ import annotations

import csv
import errno
import json
import re

import pytest

from pipelines.batch.engine import InProcess
from pipelines.batch.model import Status
from pipelines.batch.run import BatchOptions, run_batch
from planner import NOTICE
from planner.case import CaseSettings
from planner.errors import ConfigError, ImplantError, UnreadableFileError

from support.made_export import fake_planner, write_export, write_study

STUDIES = 50
IDENTIFIERS = re.compile(rb"DOE|JANE|MRN-4711|1\.2\.826\.0\.1\.3680043|study \d")


class Counting:
    """A planner that counts, and fails where it is told to."""

    def __init__(self, error=None):
        self.calls = 0
        self.error = error

    def __call__(self, source, settings, folder):
        self.calls += 1
        if self.error:
            raise self.error
        fake_planner(source, settings, folder)


def run(export, out, planner=fake_planner, **options):
    return run_batch(export, out, BatchOptions(**options), InProcess(), planner=planner)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("export"), STUDIES)


@pytest.fixture(scope="module")
def done(export, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return run(export, out), out


@pytest.fixture
def small(tmp_path):
    for number in range(3):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    return tmp_path / "export"


def test_every_study_is_planned_or_told_why_not(done):
    report, _ = done
    assert report.statuses == {Status.PLANNED: 45, Status.REFUSED: 4, Status.NO_CT: 1}
    assert not report.all_done


def test_each_kind_of_damage_has_its_reason(done):
    _, out = done
    reasons = [json.loads(path.read_text())["reason"] for path in out.glob("cases/*/batch.json")]
    assert sorted(filter(None, reasons)) == ["geometry", "geometry", "unreadable-file", "unreadable-file"]


def test_copies_of_slices_are_left_out_and_counted(done):
    _, out = done
    records = [json.loads(path.read_text()) for path in out.glob("cases/*/batch.json")]
    assert sum(r["files"]["copies"] for r in records) == 4 * 7  # studies 0, 7, ..., 42 but the broken 49
    assert all(r["status"] == "planned" for r in records if r["files"]["copies"])


def test_no_result_holds_an_identifier(done):
    _, out = done
    for path in out.rglob("*"):
        assert not IDENTIFIERS.search(str(path.relative_to(out)).encode())
        if path.is_file() and path.name not in ("index.sqlite", "summary.parquet"):
            assert not IDENTIFIERS.search(path.read_bytes()), path.name


def test_nothing_of_the_work_is_left(done):
    _, out = done
    assert not list(out.glob("cases/.*"))
    assert not [path for path in out.rglob("*") if path.is_symlink()]


def test_the_summary_has_a_row_a_study_and_the_notice(done):
    _, out = done
    first, *rest = (out / "summary.csv").read_text().splitlines()
    assert NOTICE in first
    rows = list(csv.DictReader(rest))
    assert len(rows) == STUDIES - 1
    assert {row["left_diameter_mm"] for row in rows if row["status"] == "planned"} == {"8.0"}
    assert NOTICE in (out / "summary.html").read_text()


def test_a_second_run_plans_nothing(done, export):
    _, out = done
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and "batch.jsonl" not in path.name}
    planner = Counting()
    report = run(export, out, planner)
    assert (planner.calls, report.ended_now, report.files.read) == (0, 0, 0)
    assert report.statuses == done[0].statuses
    changed = [path.name for path, content in before.items() if path.read_bytes() != content]
    assert set(changed) <= {"index.sqlite"}


def test_a_study_that_changed_is_planned_again(small, tmp_path):
    run(small, tmp_path / "out")
    (small / "1" / "IM3").write_bytes((small / "1" / "IM3").read_bytes()[:-2] + b"\x01\x02")
    planner = Counting()
    run(small, tmp_path / "out", planner)
    assert planner.calls == 1


def test_a_study_that_only_moved_is_not(small, tmp_path):
    run(small, tmp_path / "out")
    (small / "1").rename(small / "moved")
    planner = Counting()
    assert run(small, tmp_path / "out", planner).statuses == {Status.PLANNED: 3}
    assert planner.calls == 0


def test_other_settings_make_other_results(small, tmp_path):
    run(small, tmp_path / "out")
    planner = Counting()
    run(small, tmp_path / "out", planner, settings=CaseSettings(resample=True))
    assert planner.calls == 3
    assert len(list((tmp_path / "out/cases").iterdir())) == 6


def test_a_defect_is_recorded_without_its_words_and_never_stops_the_rest(small, tmp_path):
    report = run(small, tmp_path / "out", Counting(RuntimeError("DOE^JANE")))
    assert report.statuses == {Status.FAILED: 3}
    for path in (tmp_path / "out/cases").glob("*/batch.json"):
        assert "DOE" not in path.read_text()
        assert "RuntimeError at" in path.read_text()


def test_what_failed_is_planned_again_only_when_asked(small, tmp_path):
    run(small, tmp_path / "out", Counting(RuntimeError()))
    planner = Counting()
    assert run(small, tmp_path / "out", planner).statuses == {Status.FAILED: 3}
    assert planner.calls == 0
    assert run(small, tmp_path / "out", planner, retry_failed=True).statuses == {Status.PLANNED: 3}


def test_want_of_memory_is_tried_again_as_often_as_asked(small, tmp_path):
    planner = Counting(MemoryError())
    run(small, tmp_path / "out", planner, retries=2)
    assert planner.calls == 3 * 3


def test_a_full_disk_stops_the_batch_and_blames_no_case(small, tmp_path):
    report = run(small, tmp_path / "out", Counting(OSError(errno.ENOSPC, "No space left on device")))
    assert report.stopped
    assert not report.all_done
    assert not list((tmp_path / "out/cases").iterdir())
    assert run(small, tmp_path / "out").statuses == {Status.PLANNED: 3}


def test_two_batches_do_not_write_into_one_folder(small, tmp_path):
    def second(source, settings, folder):
        with pytest.raises(ConfigError, match="another batch"):
            run(small, tmp_path / "out")
        fake_planner(source, settings, folder)

    assert run(small, tmp_path / "out", second).statuses == {Status.PLANNED: 3}


def test_results_inside_the_export_are_no_part_of_it(small):
    run(small, small / "out")
    assert run(small, small / "out").files.files == 12


def test_wrong_settings_are_refused_before_anything_is_read(small, tmp_path):
    with pytest.raises(ImplantError):
        run(small, tmp_path / "out", settings=CaseSettings(implant="NONE"))
    assert not (tmp_path / "out").exists()


def test_a_missing_export_is_refused(tmp_path):
    with pytest.raises(UnreadableFileError):
        run(tmp_path / "none", tmp_path / "out")


def test_the_log_is_json_lines(done):
    _, out = done
    events = [json.loads(line)["event"] for line in (out / "batch.jsonl").read_text().splitlines()]
    assert events.count("planned") == 45
    assert events[0] == "indexed"
