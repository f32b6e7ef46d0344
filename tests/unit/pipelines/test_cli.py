"""The command line: exit codes, one clear line for bad input, nothing half-written."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from pipelines.cli import DEBUG_VARIABLE, guarded, verify
from pipelines.summary import verification_table
from planner import NOTICE, __version__
from planner.errors import ConfigError, NoPelvisError, UnreadableFileError
from planner.verify import Check, Verification


def sacroplan(*arguments, cwd=None):
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


def raiser(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [(NoPelvisError("no pelvis."), 3), (ConfigError("bad key."), 2), (SystemExit(1), 1), (KeyboardInterrupt(), 130)],
)
def test_exit_codes_are_those_of_the_contract(error, code, capsys):
    assert guarded(raiser(error)) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_refusal_is_one_line_with_its_remedy(capsys):
    guarded(raiser(NoPelvisError("no pelvis found.", "Give a scan of the pelvis.")))
    assert capsys.readouterr().err == "sacroplan: no pelvis found. Give a scan of the pelvis.\n"


def test_a_defect_is_told_without_what_it_held(capsys, monkeypatch):
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    assert guarded(raiser(RuntimeError("DOE^JANE"))) == 1
    error = capsys.readouterr().err
    assert "RuntimeError" in error
    assert "DOE" not in error


def test_a_defect_shows_where_on_request(capsys, monkeypatch):
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    guarded(raiser(RuntimeError("boom")))
    assert "Traceback" in capsys.readouterr().err


def test_version_says_what_it_is_for():
    done = sacroplan("--version")
    assert (done.returncode, done.stdout) == (0, f"sacroplan {__version__}. {NOTICE}\n")


def test_unknown_command_is_a_usage_error():
    assert sacroplan("operate").returncode == 2


def test_missing_input_is_refused_by_name(tmp_path):
    done = sacroplan("plan", "absent.nii.gz", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 3
    assert "absent.nii.gz" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_unknown_implant_is_refused_before_the_scan_is_read(tmp_path):
    done = sacroplan("plan", "absent.nii.gz", "--out", tmp_path / "out", "--implant", "NAIL", cwd=tmp_path)
    assert done.returncode == 2
    assert "NAIL" in done.stderr


def test_implant_without_sizes_is_refused_with_the_way_to_add_them(tmp_path):
    done = sacroplan("plan", "absent.nii.gz", "--out", tmp_path / "out", "--implant", "LINQ", cwd=tmp_path)
    assert done.returncode == 2
    assert "--catalogue" in done.stderr


def test_unknown_setting_is_refused_by_name(tmp_path):
    (tmp_path / "mine.toml").write_text("[trajectory]\nneural = 1\n")
    done = sacroplan("plan", "absent.nii.gz", "--out", tmp_path / "out", "--config", "mine.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "trajectory.neural" in done.stderr


def test_implants_lists_the_catalogue():
    done = sacroplan("implants")
    assert done.returncode == 0
    assert "GENERIC-DOWEL" in done.stdout
    assert "LINQ" in done.stdout


def test_doctor_says_what_is_installed():
    done = sacroplan("doctor")
    assert done.returncode == 0
    assert "numpy" in done.stdout


def test_printed_settings_are_accepted_back(tmp_path):
    from planner.config import PlanConfig, load_config

    printed = sacroplan("doctor", "--config")
    (tmp_path / "defaults.toml").write_text(printed.stdout, encoding="utf-8")
    assert load_config(tmp_path / "defaults.toml") == PlanConfig()


def test_help_needs_neither_qt_nor_the_heavy_parts():
    code = "import sys, pipelines.cli; print([m for m in ('napari','qtpy','numba','SimpleITK') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_verify_tells_what_it_could_not_read_and_fails(tmp_path, capsys):
    with pytest.raises(typer.Exit) as left:
        verify(tmp_path)
    assert left.value.exit_code == 1
    told = capsys.readouterr().out
    assert "FAILED" in told
    assert NOTICE in told


def test_verify_refuses_a_scan_that_is_not_there(tmp_path):
    with pytest.raises(UnreadableFileError, match="found nothing at this path"):
        verify(tmp_path, tmp_path / "ct.nii.gz")


def test_what_verify_did_not_check_is_neither_right_nor_wrong():
    checks = (Check("hu", "both", True, "not checked: HU", checked=False), Check("grade", "left", True, "green"))
    rows = [line.split() for line in verification_table(Verification(checks)).splitlines()]
    verdicts = {row[1]: row[0] for row in rows if len(row) > 1}
    assert (verdicts["hu"], verdicts["grade"]) == ("?", "ok")
