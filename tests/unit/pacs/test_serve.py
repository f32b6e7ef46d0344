"""The storage service: whole studies are planned once and sent back, whatever senders do."""

from __future__ import annotations

import errno
import json
import threading
from pathlib import Path

import pytest
from pynetdicom import AE

from pipelines.batch.engine import InProcess
from pipelines.pacs.dimse import CT_CLASSES, SYNTAXES, send
from pipelines.pacs.model import Peer
from pipelines.pacs.serve import FULL_DISK_PAUSE_S, ServeOptions, Service, listening
from planner.errors import ConfigError

from support.archive import Archive, running
from support.made_export import fake_planner, write_study


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Planner:
    """The planner that takes no time, with an object to send back."""

    def __init__(self, result: Path):
        self.calls, self.result = 0, result

    def __call__(self, source, settings, folder):
        self.calls += 1
        fake_planner(source, settings, folder)
        (folder / "dicom").mkdir()
        (folder / "dicom" / "sr.dcm").write_bytes(self.result.read_bytes())


@pytest.fixture
def files(tmp_path):
    (tmp_path / "source").mkdir()
    write_study(tmp_path / "source", 0)
    return sorted((tmp_path / "source").iterdir())


@pytest.fixture
def planner(files):
    return Planner(files[0])


def serve(out, clock, send_to=None):
    options = ServeOptions(port=0, quiet_s=10.0, send_to=send_to)
    return Service(out, options, InProcess(), clock), options


def peer_of(server):
    return Peer("127.0.0.1", server.server_address[1], "SACROPLAN")


def wait_for(condition):
    """Let the service's threads notice that a sender has gone."""
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("the service did not notice")


def quiet(service):
    return lambda: not any(study.senders for study in service.arrivals._studies.values())


def test_a_study_is_planned_when_it_is_whole_and_sent_back_once(files, planner, tmp_path):
    archive, clock = Archive(), Clock()
    with running(archive) as back:
        service, options = serve(tmp_path / "out", clock, back)
        with listening(service, options) as server:
            send(peer_of(server), files)
            wait_for(quiet(service))
            assert service.step(planner) == 0
            clock.now = 10
            assert service.step(planner) == 1
            send(peer_of(server), files)  # the same once more
            wait_for(quiet(service))
            clock.now = 30
            service.step(planner)
    assert planner.calls == 1
    assert len(archive.received) == archive.associations == 1


def test_a_sender_that_is_cut_off_is_waited_for(files, planner, tmp_path):
    clock = Clock()
    service, options = serve(tmp_path / "out", clock)
    with listening(service, options) as server:
        entity = AE(ae_title="SCANNER")
        entity.add_requested_context(CT_CLASSES[0], SYNTAXES[0])
        association = entity.associate("127.0.0.1", server.server_address[1])
        for path in files[:2]:
            association.send_c_store(path)
        association.abort()
        wait_for(quiet(service))
        clock.now = 20
        assert service.step(planner) == 0
        send(peer_of(server), files)  # two of them for the second time
        wait_for(quiet(service))
        clock.now = 30
        assert service.step(planner) == 1
    assert planner.calls == 1
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / "out/cases").glob("*/batch.json"))
    assert (record["status"], record["files"]["images"]) == ("planned", 4)


def test_a_killed_service_goes_on(files, planner, tmp_path):
    clock = Clock()
    service, options = serve(tmp_path / "out", clock)
    with listening(service, options) as server:
        send(peer_of(server), files)
    archive = Archive()
    with running(archive) as back:
        again, _ = serve(tmp_path / "out", clock, back)
        clock.now = 99
        assert again.step(planner) == 0
        clock.now = 100
        assert again.step(planner) == 1
    assert len(archive.received) == 1


def test_a_study_that_was_whole_when_the_service_was_killed_is_planned_by_the_next(files, planner, tmp_path):
    def killed(*_):
        raise KeyboardInterrupt

    clock = Clock()
    service, options = serve(tmp_path / "out", clock)
    with listening(service, options) as server:
        send(peer_of(server), files)
        wait_for(quiet(service))
        clock.now = 10
        with pytest.raises(KeyboardInterrupt):
            service.step(killed)
    again, _ = serve(tmp_path / "out", clock)
    again.step(planner)
    again.step(planner)
    assert planner.calls == 1
    assert len(list((tmp_path / "out/cases").glob("*/batch.json"))) == 1


def test_a_full_disk_holds_planning_up_and_does_not_end_the_service(files, planner, tmp_path):
    def full(source, settings, folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    clock = Clock()
    service, options = serve(tmp_path / "out", clock)
    with listening(service, options) as server:
        send(peer_of(server), files)
        wait_for(quiet(service))
        clock.now = 10
        service.step(full)
        clock.now += FULL_DISK_PAUSE_S - 1
        service.step(planner)
        assert planner.calls == 0
        clock.now += 1
        service.step(planner)
    assert planner.calls == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom drops the socket unclosed
def test_results_that_could_not_be_sent_are_sent_later(files, planner, tmp_path):
    clock = Clock()
    nobody = Peer("127.0.0.1", 1, "NOBODY")
    service, options = serve(tmp_path / "out", clock, nobody)
    with listening(service, options) as server:
        send(peer_of(server), files)
        wait_for(quiet(service))
        clock.now = 10
        for _ in range(3):  # a peer that is away is not asked every second
            service.step(planner)
    assert (tmp_path / "out/batch.jsonl").read_text().count("not-sent") == 1
    archive = Archive()
    with running(archive) as back:
        later, _ = serve(tmp_path / "out", clock, back)
        later.step(planner)
        later.step(planner)
    assert len(archive.received) == archive.associations == 1
    assert planner.calls == 1


def test_a_port_that_is_taken_is_told(tmp_path):
    service, options = serve(tmp_path / "out", Clock())
    with listening(service, options) as server:
        taken = ServeOptions(port=server.server_address[1])
        with pytest.raises(ConfigError, match="cannot listen"), listening(service, taken):
            pass
