"""DIMSE against an archive in this process, which hangs up now and then."""

from __future__ import annotations

import pydicom
import pytest

from pipelines.pacs.dimse import echo, fetch, find, send
from pipelines.pacs.incoming import Saved, save_instance
from pipelines.pacs.model import Peer, Query
from planner.errors import BackendError, ConfigError

from support.archive import Archive, running
from support.dicom_files import UID_ROOT
from support.made_export import write_study

STUDY = f"{UID_ROOT}1"


@pytest.fixture
def files(tmp_path):
    for number in (0, 1):
        (tmp_path / "source" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "source" / str(number), number)
    return sorted((tmp_path / "source").rglob("IM*"))


def instances(folder):
    return {str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.glob("*.dcm")}


def test_an_archive_answers():
    with running(Archive()) as peer:
        echo(peer)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom drops the socket unclosed
def test_no_archive_is_told():
    with pytest.raises(BackendError, match="accepts no association"):
        echo(Peer("127.0.0.1", 1, "NONE"))


def test_studies_are_found_by_what_is_asked(files):
    with running(Archive(files)) as peer:
        assert find(peer, Query(date="20260101-")) == [STUDY, f"{UID_ROOT}2"]
        assert find(peer, Query(patient_id="MRN-4711-1")) == [f"{UID_ROOT}2"]


def test_the_whole_archive_is_never_asked_for():
    with pytest.raises(ConfigError):
        find(Peer("127.0.0.1", 1, "NONE"), Query())


@pytest.mark.parametrize("drops", [0, 1, 2])
def test_a_study_comes_in_whole_though_the_archive_hangs_up(files, tmp_path, drops):
    archive = Archive(files, drops)
    with running(archive) as peer:
        folder = fetch(peer, STUDY, tmp_path / "in")
    assert instances(folder) == {f"{STUDY}.1.{k}" for k in (1, 2, 3, 4)}
    assert STUDY not in str(folder)
    assert archive.associations == drops + 1
    assert not list((tmp_path / "in").glob(".*"))


def test_a_study_that_never_comes_in_whole_is_not_there(files, tmp_path):
    with running(Archive(files, drops=9)) as peer, pytest.raises(BackendError, match="C-GET"):
        fetch(peer, STUDY, tmp_path / "in")
    assert not [path for path in (tmp_path / "in").iterdir() if not path.name.startswith(".")]


def test_what_is_fetched_is_what_was_sent(files, tmp_path):
    with running(Archive(files)) as peer:
        folder = fetch(peer, STUDY, tmp_path / "in")
    got = {str(ds.SOPInstanceUID): ds for ds in map(pydicom.dcmread, folder.glob("*.dcm"))}
    for ds in map(pydicom.dcmread, files[:4]):
        assert got[str(ds.SOPInstanceUID)] == ds


@pytest.mark.parametrize("drops", [0, 2])
def test_every_object_is_sent_once(files, drops):
    archive = Archive(drops=drops)
    with running(archive) as peer:
        assert send(peer, files) == len(files)
    assert len(archive.received) == len(files)


def test_what_is_not_taken_is_told(files):
    with running(Archive(drops=9, drop_after=0)) as peer, pytest.raises(BackendError, match="C-STORE"):
        send(peer, files)


@pytest.mark.parametrize("text", ["host:104", "T@host", "T@:104", "A" * 17 + "@host:104"])
def test_a_peer_is_a_title_and_a_place(text):
    with pytest.raises(ConfigError, match="TITLE@host:port"):
        Peer.parse(text)


def test_a_peer_is_read():
    assert Peer.parse("PACS@10.0.0.5:104") == Peer("10.0.0.5", 104, "PACS")


def test_copies_of_an_instance_are_known(tmp_path):
    assert save_instance(tmp_path, "1.2", b"a") is Saved.NEW
    assert save_instance(tmp_path, "1.2", b"a") is Saved.SAME
    assert save_instance(tmp_path, "1.2", b"b") is Saved.OTHER
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"a"]
