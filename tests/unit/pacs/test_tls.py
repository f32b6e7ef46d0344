"""TLS: both sides show a certificate, and a stranger is not talked to."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pipelines.pacs.dimse import echo
from pipelines.pacs.model import Peer, Tls
from planner.errors import BackendError, ConfigError

from support.archive import Archive, running

OPENSSL = shutil.which("openssl")


@pytest.fixture
def tls(tmp_path):
    """A certificate that signs itself, trusted by both sides."""
    if OPENSSL is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return Tls(certificate, certificate, key)


def test_two_that_know_each_other_talk(tls):
    with running(Archive(), tls) as peer:
        echo(peer)


@pytest.mark.filterwarnings("ignore")  # pynetdicom drops sockets of failed handshakes unclosed
def test_a_stranger_or_plain_text_is_not_talked_to(tls):
    with running(Archive(), tls) as peer:
        for other in (Tls(tls.ca), Tls(), None):
            with pytest.raises(BackendError):
                echo(Peer(peer.host, peer.port, peer.title, tls=other))


def test_a_listener_needs_a_certificate():
    with pytest.raises(ConfigError, match="without a certificate"):
        Tls().server()
