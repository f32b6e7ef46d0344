"""Zip archives are read in place, and hostile ones are refused before anything is read."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from planner.dicom import read_dicom, sources
from planner.dicom.sources import open_source
from planner.errors import NoSeriesError, UnreadableFileError

from support.dicom_files import ct_datasets, enhanced_dataset, save, save_one, zip_folder


@pytest.fixture
def series(tmp_path, hu, grid):
    return save(tmp_path / "series", ct_datasets(hu, grid))


def test_a_zip_of_any_depth_is_read_like_its_folder(tmp_path, series, hu):
    (series / "readme.txt").write_text("junk")
    archive = zip_folder(series, tmp_path / "export.zip", prefix="PATIENT/STUDY/SERIES/")
    scan = read_dicom(archive)
    np.testing.assert_array_equal(scan.load().hu, hu)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export.zip", "series"]  # nothing was unpacked


def test_a_zip_is_known_by_its_content_not_its_name(tmp_path, series, hu):
    np.testing.assert_array_equal(read_dicom(zip_folder(series, tmp_path / "export.dat")).load().hu, hu)


def test_a_zipped_enhanced_file_is_read_in_any_frame_order(tmp_path, hu, grid):
    save_one(tmp_path / "one.dcm", enhanced_dataset(hu, grid, order=[5, 4, 3, 2, 1, 0]))
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "one.dcm", "one.dcm")
    np.testing.assert_array_equal(read_dicom(tmp_path / "one.zip").load().hu, hu)


@pytest.mark.parametrize("name", ["../evil.dcm", "/etc/evil.dcm", "a/../../evil.dcm", "..\\evil.dcm"])
def test_names_outside_the_archive_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(
        UnreadableFileError, match=r"bad\.zip: found the member .*evil\.dcm, expected names inside"
    ) as e:
        read_dicom(tmp_path / "bad.zip")
    assert "export the study again" in e.value.remedy


def test_encrypted_members_are_refused(tmp_path, series):
    archive = zip_folder(series, tmp_path / "locked.zip")
    data = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(mark) + offset
        data[at : at + 2] = struct.pack("<H", struct.unpack("<H", data[at : at + 2])[0] | 1)
    archive.write_bytes(data)
    with pytest.raises(UnreadableFileError, match=r"found the encrypted member .* expected an open archive"):
        read_dicom(archive)


def test_a_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ZIP_FREE_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(2**21))
    with pytest.raises(UnreadableFileError, match=r"found 1 files of 2097152 bytes packed into .* a ratio of 100"):
        read_dicom(tmp_path / "bomb.zip")


@pytest.mark.parametrize(("limit", "value"), [("ZIP_MAX_FILES", 5), ("ZIP_MAX_BYTES", 1000)])
def test_too_many_files_or_bytes_are_refused(tmp_path, series, monkeypatch, limit, value):
    archive = zip_folder(series, tmp_path / "big.zip")
    monkeypatch.setattr(sources, limit, value)
    with pytest.raises(UnreadableFileError, match=f"expected at most .*{value}"):
        read_dicom(archive)


def test_a_damaged_archive_is_refused(tmp_path, series):
    archive = zip_folder(series, tmp_path / "torn.zip")
    data = bytearray(archive.read_bytes())
    data[60:400] = bytes(340)
    archive.write_bytes(data)
    with pytest.raises(UnreadableFileError, match=r"torn\.zip: found a damaged zip archive"):
        read_dicom(archive)


def test_names_are_relative_to_the_input_and_sorted(tmp_path):
    for name in ("b/2", "b/1", "a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with open_source(tmp_path) as source:
        assert source.names() == ["a", "b/1", "b/2"]


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    with open_source(tmp_path / "in") as source:
        assert source.names() == []


def test_a_file_that_cannot_be_opened_is_refused_by_name(tmp_path, series, monkeypatch):
    def denied(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(UnreadableFileError, match=r"^IM0000\.dcm: found a file .* \(Permission denied\)") as e:
        read_dicom(series)
    assert str(tmp_path) not in str(e.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(NoSeriesError, match="found 0 files"):
        read_dicom(tmp_path)
