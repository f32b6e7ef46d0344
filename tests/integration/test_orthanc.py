"""Round trip through a real Orthanc on loopback, by DIMSE and by DICOMweb; skipped, and said so, where it is not."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pydicom
import pytest

from pipelines.pacs.dimse import echo, fetch, find, move, send
from pipelines.pacs.model import Peer, Query
from pipelines.pacs.web import client_of, fetch_web, find_web, send_web
from planner.errors import BackendError

from support.archive import Archive, running
from support.dicom_files import UID_ROOT
from support.made_export import write_study

ORTHANC = shutil.which("Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STUDY = f"{UID_ROOT}1"

pytestmark = pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed: apt-get install orthanc")
needs_web = pytest.mark.skipif(not PLUGIN.is_file(), reason="no DICOMweb plugin: apt-get install orthanc-dicomweb")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def receiver():
    """Where Orthanc sends what it is told to move."""
    archive = Archive()
    with running(archive) as peer:
        yield archive, peer


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory, receiver):
    """An empty server: its DICOM peer and its DICOMweb address."""
    folder = tmp_path_factory.mktemp("orthanc")
    dicom, http = free_port(), free_port()
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowFind": True,
        "DicomModalities": {"receiver": ["ARCHIVE", "127.0.0.1", receiver[1].port]},
        "Plugins": [str(PLUGIN)] if PLUGIN.is_file() else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            peer = Peer("127.0.0.1", dicom, "ORTHANC")
            _wait(http, process)
            echo(peer)
            yield peer, f"http://127.0.0.1:{http}/dicom-web"
        finally:
            process.terminate()
            process.wait(20)


def _wait(http, process):
    """Wait for the web server, which starts last; a bare connection to the DICOM port would hold it up for 30 s."""
    for _ in range(300):
        assert process.poll() is None, "Orthanc has ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", http)) == 0:
                return
        threading.Event().wait(0.1)
    raise AssertionError("Orthanc does not listen")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    write_study(folder, 0)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def stored(orthanc, files):
    """The study, sent twice."""
    assert send(orthanc[0], files) == send(orthanc[0], files) == len(files)
    return orthanc


def images(folder):
    return {str(ds.SOPInstanceUID): ds for ds in map(pydicom.dcmread, folder.glob("*.dcm"))}


def same_pixels(folder, files):
    got = images(folder)
    sent = {str(ds.SOPInstanceUID): ds for ds in map(pydicom.dcmread, files)}
    assert set(got) == set(sent)
    assert all(got[uid].PixelData == ds.PixelData for uid, ds in sent.items())
    assert all(got[uid].ImagePositionPatient == ds.ImagePositionPatient for uid, ds in sent.items())


def test_a_study_goes_there_and_back_by_dimse(stored, files, tmp_path):
    peer, _ = stored
    assert find(peer, Query(patient_id="MRN-4711-0")) == [STUDY]
    assert find(peer, Query(patient_id="nobody")) == []
    same_pixels(fetch(peer, STUDY, tmp_path), files)


def test_a_study_is_moved_to_another(stored, files, receiver):
    move(stored[0], STUDY, "ARCHIVE")
    assert len(receiver[0].received) == len(files)


def test_a_study_that_is_not_there_is_told(stored, tmp_path):
    with pytest.raises(BackendError):
        fetch(stored[0], "1.2.3", tmp_path)


@needs_web
def test_a_study_goes_there_and_back_by_dicomweb(orthanc, files, tmp_path):
    client = client_of(orthanc[1])
    assert send_web(client, files) == len(files)
    assert find_web(client, Query(study_uid=STUDY)) == [STUDY]
    same_pixels(fetch_web(client, STUDY, tmp_path), files)


@needs_web
def test_a_study_that_is_not_there_is_told_by_dicomweb(orthanc, tmp_path):
    with pytest.raises(BackendError):
        fetch_web(client_of(orthanc[1]), "1.2.3", tmp_path)
