"""One case by the command line: the plan of the commits before, no network, no identifier, nothing left behind."""

from __future__ import annotations

import os
import socket
import stat

import pydicom
import pytest

from pipelines.cli import app, guarded
from planner.config import load_config
from planner.errors import InputRefusedError
from planner.reading import list_series, read_scan
from planner.schema import read_plan
from sample_data import make_phantom, write_dicom_series

from fuzz.golden import compare, differences, figures
from fuzz.long_run import COARSE, SMALL

SECRETS = ("DOE^JANE", "Jane", "MRN-4711", "19511224", "ACC-0815")
"""What the header holds and nothing may repeat, outside of the objects of the study."""

CONFIG = """
[joint]
spacing_mm = 2.0
[keepout]
spacing_mm = 2.0
[trajectory.search]
centre_step_mm = 10.0
angle_step_deg = 20.0
starts = 4
[trajectory.placement]
log2_samples = 6
"""


@pytest.fixture(scope="module")
def offline():
    """No socket may be made."""

    def refuse(*_arguments, **_options):
        raise AssertionError("the network was asked for")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket, "create_connection", refuse)
        yield


@pytest.fixture(scope="module")
def case(tmp_path_factory, offline):
    """Folder with a series of secrets, its result, what was said, and the temporary folder."""
    folder = tmp_path_factory.mktemp("case")
    write_dicom_series(make_phantom(SMALL).volume, folder / "dicom")
    for path in (folder / "dicom").iterdir():
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.AccessionNumber = "DOE^JANE", *SECRETS[2:]
        ds.save_as(path)
    (folder / "own.toml").write_text(CONFIG)
    (folder / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder / "tmp"))
        patch.setattr("tempfile.tempdir", str(folder / "tmp"))
        arguments = ["plan", str(folder / "dicom"), "--out", str(folder / "out"), "--config", str(folder / "own.toml")]
        assert guarded(lambda: app(arguments)) == 0
    return folder


def test_the_settings_are_those_of_the_table(tmp_path):
    (tmp_path / "own.toml").write_text(CONFIG)
    assert load_config(tmp_path / "own.toml") == COARSE


@pytest.mark.slow
def test_the_plan_is_that_of_the_commits_before(case):
    assert compare("small", read_plan(case / "out")) == []


@pytest.mark.slow
def test_no_identifier_but_in_objects_of_the_study(case):
    files = [path for path in (case / "out").rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        held = [secret for secret in SECRETS if secret.encode() in content]
        assert not held or path.parent.name == "dicom", path.name
        assert not any(secret in str(path.relative_to(case)) for secret in SECRETS)


@pytest.mark.slow
def test_nothing_is_left_behind(case):
    assert list((case / "tmp").iterdir()) == []
    assert {path.name for path in case.iterdir()} == {"dicom", "out", "own.toml", "tmp"}
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((case / "out").stat().st_mode) == 0o777 & ~mask


def test_reading_asks_for_no_network_and_says_no_name(case, offline, capfd):
    series = case / "dicom"
    assert read_scan(series).load().hu.size
    assert not any(secret in repr(report) for report in list_series(series) for secret in SECRETS)
    broken = sorted(series.iterdir())[3]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-900])
    with pytest.raises(InputRefusedError) as refusal:
        read_scan(series).load()
    broken.write_bytes(whole)
    assert not any(secret in str(refusal.value) for secret in SECRETS)
    assert capfd.readouterr() == ("", "")


def test_a_changed_figure_is_told_with_what_to_do(monkeypatch):
    kept = {"left.status": "planned", "left.1.score": 0.8, "left.1.implant_entry_lps_mm.0": 10.0}
    assert differences(kept, kept | {"left.1.score": 0.805, "left.1.implant_entry_lps_mm.0": 10.1}, "small") == []
    said = differences(kept, kept | {"left.1.score": 0.7, "left.status": "unverified"}, "small")
    assert said[:2] == ["small: left.1.score was 0.8, is 0.7", "small: left.status was planned, is unverified"]
    assert "script/torture golden --write" in said[2]
    assert "only in one of both" in differences(kept, {}, "small")[0]


@pytest.mark.slow
def test_figures_hold_what_is_compared(case):
    kept = figures(read_plan(case / "out"))
    assert {"left.status", "right.status", "left.1.score", "left.1.implant_entry_lps_mm.0"} <= kept.keys()
