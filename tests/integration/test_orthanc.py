"""Round trips through a real Orthanc on loopback, by DIMSE and by DICOMweb, on lines that break, and with our service.

Skipped, and said so, where there is no Orthanc.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pydicom
import pytest

from pipelines.pacs.dimse import echo, fetch, find, move, send
from pipelines.pacs.model import Peer, Query
from pipelines.pacs.web import client_of, fetch_web, find_web, send_web
from planner.errors import BackendError
from sample_data import PhantomSpec, make_phantom, write_dicom_series

from support.archive import Archive, running
from support.cutting import breaking
from support.dicom_files import UID_ROOT
from support.made_export import write_study
from support.sockets import collecting

ORTHANC = shutil.which("Orthanc") or shutil.which("/usr/sbin/Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STUDY = f"{UID_ROOT}1"
SHARES = (0.1, 0.5, 0.9)
"""Of the bytes of a whole transfer, after which the line breaks."""

pytestmark = pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed: apt-get install orthanc")
needs_web = pytest.mark.skipif(not PLUGIN.is_file(), reason="no DICOMweb plugin: apt-get install orthanc-dicomweb")


@pytest.fixture(autouse=True)
def _tidily():
    with collecting():
        yield


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
def service_port():
    """Where our own service will listen: Orthanc must know before it starts."""
    return free_port()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory, receiver, service_port):
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
        "DicomModalities": {
            "receiver": ["ARCHIVE", "127.0.0.1", receiver[1].port],
            "planner": ["SACROPLAN", "127.0.0.1", service_port],
        },
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
    for _ in range(900):
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


def over(peer, line):
    return Peer(peer.host, line.port, peer.title)


def web_over(url, line):
    return client_of(f"http://127.0.0.1:{line.port}/dicom-web")


def web_port(url):
    return int(url.split(":")[2].split("/")[0])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom drops the socket unclosed
def test_an_association_that_breaks_anywhere_costs_nothing(stored, files, tmp_path):
    peer, _ = stored
    with breaking(peer.port) as line:
        fetch(over(peer, line), STUDY, tmp_path / "whole")
    for share in SHARES:
        with breaking(peer.port, 2, line.passed * share) as broken:
            same_pixels(fetch(over(peer, broken), STUDY, tmp_path / f"{share}"), files)
        assert (broken.cut, broken.connections) == (2, 3)
        assert not list((tmp_path / f"{share}").glob(".*"))
    with breaking(peer.port) as line:
        send(over(peer, line), files)
    for share in SHARES:
        with breaking(peer.port, 1, line.passed * share) as broken:
            assert send(over(peer, broken), files) == len(files)
        assert (broken.cut, broken.connections) == (1, 2)
    same_pixels(fetch(peer, STUDY, tmp_path / "after"), files)


@needs_web
def test_a_connection_that_breaks_anywhere_costs_nothing_by_dicomweb(stored, files, tmp_path):
    _, url = stored
    with breaking(web_port(url)) as line:
        fetch_web(web_over(url, line), STUDY, tmp_path / "whole")
    for share in SHARES:
        with breaking(web_port(url), 1, line.passed * share / line.connections) as broken:
            same_pixels(fetch_web(web_over(url, broken), STUDY, tmp_path / f"{share}"), files)
        assert broken.cut == 1
    with breaking(web_port(url), 9, 200) as broken, pytest.raises(BackendError, match="did not succeed"):
        fetch_web(web_over(url, broken), STUDY, tmp_path / "never")
    assert not (tmp_path / "never").is_dir() or not list((tmp_path / "never").glob("[!.]*"))
    with breaking(web_port(url), 1, 2000) as broken:
        assert send_web(web_over(url, broken), files) == len(files)
    assert broken.cut == 1
    same_pixels(fetch_web(client_of(url), STUDY, tmp_path / "after"), files)


SMALL = PhantomSpec(spacing_zyx_mm=(3.0, 2.0, 2.0), size_yx_mm=(200.0, 280.0), z_range_mm=(-30.0, 70.0))
SERVE = (sys.executable, "-c", "from pipelines.cli import main; main()", "pacs", "serve")


@pytest.mark.slow
@needs_web
def test_a_study_moved_to_the_service_comes_back_as_a_plan(orthanc, service_port, tmp_path):
    """Orthanc holds a CT, moves it to ``pacs serve``, which plans it and sends segmentation and report to Orthanc."""
    peer, url = orthanc
    scan = write_dicom_series(make_phantom(SMALL).volume, tmp_path / "ct")
    study = str(pydicom.dcmread(scan[0], stop_before_pixels=True).StudyInstanceUID)
    send_web(client_of(url), scan)
    flags = ["--listen", f"127.0.0.1:{service_port}", "--quiet", "0.5", "--workers", "1"]
    flags += ["--send-to", f"ORTHANC@127.0.0.1:{peer.port}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*SERVE, "--out", str(tmp_path / "out"), *flags], stderr=log, env=os.environ)
        try:
            _wait(service_port, process)
            move(peer, study, "SACROPLAN")
            move(peer, study, "SACROPLAN")  # every image a second time
            kinds = _until(lambda: _kinds(url, study), lambda found: {"CT", "SEG", "SR"} <= found, process)
        finally:
            process.terminate()
            assert process.wait(60) == 0
    assert {"CT", "SEG", "SR"} <= kinds
    assert "listens on" in (tmp_path / "log").read_text()
    events = [json.loads(line) for line in (tmp_path / "out/batch.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events].count("planned") == 1
    assert len(list((tmp_path / "out/whole").rglob("*.dcm"))) == len(scan)
    assert not list((tmp_path / "out/cases").glob(".*"))


def _kinds(url, study):
    series = client_of(url).search_for_series(study)
    return {one["00080060"]["Value"][0] for one in series}


def _until(look, enough, process, longest_s=240.0):
    """Look until it is enough: planning takes its time."""
    end = time.monotonic() + longest_s
    while time.monotonic() < end:
        assert process.poll() is None, "the service has ended"
        if enough(found := look()):
            return found
        threading.Event().wait(0.5)
    raise AssertionError("the plan did not come back")
