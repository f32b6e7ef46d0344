"""The index: which files are whose, read once."""

from __future__ import annotations

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from pipelines.batch.files import export_files, export_root
from pipelines.batch.index import open_index
from planner.errors import UnreadableFileError

from support.made_export import write_study


@pytest.fixture
def two(tmp_path):
    """Two studies in one folder each."""
    for number in (0, 1):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    return tmp_path / "export"


def studies(export, out):
    with open_index(out / "index.sqlite") as index:
        counts = index.update(export, out)
        return counts, list(index.studies())


def test_only_new_and_changed_files_are_read_again(two, tmp_path):
    assert studies(two, tmp_path)[0].read == 8
    assert studies(two, tmp_path)[0].read == 0
    (two / "0" / "IM0").write_bytes((two / "0" / "IM0").read_bytes() + b"\0\0")
    assert studies(two, tmp_path)[0].read == 1
    (two / "0" / "IM0").unlink()
    counts, found = studies(two, tmp_path)
    assert (counts.files, counts.read) == (7, 0)
    assert [len(study.images) for study in found] == [3, 4]


def test_content_does_not_depend_on_names_or_copies(two, tmp_path):
    _, before = studies(two, tmp_path)
    (two / "0" / "IM0").rename(two / "renamed")
    (two / "copy").write_bytes((two / "1" / "IM2").read_bytes())
    _, after = studies(two, tmp_path)
    assert [study.content for study in after] == [study.content for study in before]
    assert [study.copies for study in after] == [0, 1]


def test_a_damaged_header_that_names_its_study_is_its_alone(two, tmp_path):
    for name in ("IM0", "IM1"):
        (two / "1" / name).rename(two / "0" / f"other {name}")
    cut = two / "0" / "other IM0"
    cut.write_bytes(cut.read_bytes()[:700])
    _, found = studies(two, tmp_path)
    assert [len(study.damaged) for study in found] == [0, 1]


def test_a_damaged_header_without_a_name_is_the_folders_only_study(two, tmp_path):
    (two / "0" / "cut").write_bytes((two / "0" / "IM0").read_bytes()[:200])
    _, found = studies(two, tmp_path)
    assert [len(study.damaged) for study in found] == [1, 0]


def test_a_directory_names_its_files(two, tmp_path):
    write_directory(two / "DICOMDIR", [["0", f"IM{k}"] for k in range(4)] + [["0", "GONE"], ["..", "OUTSIDE"]])
    (two.parent / "OUTSIDE").write_bytes((two / "1" / "IM0").read_bytes())
    counts, found = studies(two / "DICOMDIR", tmp_path)
    assert counts.files == 4
    assert [len(study.images) for study in found] == [4]
    assert export_root(two / "DICOMDIR") == two


def write_directory(path, files):
    """A DICOMDIR with a record for each file, and one for the patient."""
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    records = [Dataset() for _ in [None, *files]]
    with disable_value_validation():
        for record, file in zip(records[1:], files, strict=True):
            record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", file
        directory.DirectoryRecordSequence = records
        directory.save_as(path, enforce_file_format=True)


def test_a_damaged_directory_is_told(tmp_path):
    (tmp_path / "DICOMDIR").write_bytes(b"junk")
    with pytest.raises(UnreadableFileError, match="directory that cannot be read"):
        list(export_files(tmp_path / "DICOMDIR", tmp_path / "out"))


def test_a_file_that_is_no_directory_is_refused(tmp_path):
    (tmp_path / "scan.dcm").touch()
    with pytest.raises(UnreadableFileError, match="no DICOMDIR"):
        export_root(tmp_path / "scan.dcm")
