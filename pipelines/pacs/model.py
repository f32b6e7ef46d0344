"""Who is talked to, how, and what is asked for."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from planner.errors import ConfigError

__all__ = ["Peer", "Query", "Tls"]

OUR_TITLE = "SACROPLAN"
MOST_TITLE = 16
"""Letters of an application entity's title (PS3.5 6.2, AE)."""


@dataclass(frozen=True)
class Tls:
    """Files for TLS, PEM.

    Attributes
    ----------
    ca : Path or None
        Who may sign the other side's certificate; the system's own list without it.
    certificate, key : Path or None
        Our own.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def client(self) -> ssl.SSLContext:
        """Give the context of a caller: the other side's certificate and name are always checked."""
        context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        self._identify(context)
        return context

    def server(self) -> ssl.SSLContext:
        """Give the context of a listener; with `ca`, callers must show a certificate too."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca) if self.ca else None)
        if self.certificate is None:
            raise ConfigError("TLS was asked for without a certificate of our own.", "Give --tls-cert and --tls-key.")
        if self.ca:
            context.verify_mode = ssl.CERT_REQUIRED
        self._identify(context)
        return context

    def _identify(self, context: ssl.SSLContext) -> None:
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    f"{self.certificate.name}: no certificate with its key.", "Check --tls-cert."
                ) from error


@dataclass(frozen=True)
class Peer:
    """A DICOM application entity."""

    host: str
    port: int
    title: str
    our_title: str = OUR_TITLE
    tls: Tls | None = None

    @classmethod
    def parse(cls, text: str, our_title: str = OUR_TITLE, tls: Tls | None = None) -> Peer:
        """Read ``TITLE@host:port``.

        Raises
        ------
        ConfigError
            If it is not of this form.
        """
        title, _, place = text.rpartition("@")
        host, _, port = place.rpartition(":")
        if not (host and port.isdigit() and 0 < len(title) <= MOST_TITLE):
            raise ConfigError(f"found the peer {text!r}, expected TITLE@host:port.", "For example PACS@10.0.0.5:104.")
        return cls(host, int(port), title, our_title, tls)


@dataclass(frozen=True)
class Query:
    """Which studies; what is empty is not asked for, a date may be a range ``20260101-20260131``."""

    study_uid: str = ""
    patient_id: str = ""
    accession: str = ""
    date: str = ""

    def keys(self) -> dict[str, str]:
        """Give the matching keys by DICOM keyword.

        Raises
        ------
        ConfigError
            If nothing is asked for: that would be the whole archive.
        """
        keys = {
            "StudyInstanceUID": self.study_uid,
            "PatientID": self.patient_id,
            "AccessionNumber": self.accession,
            "StudyDate": self.date,
        }
        if not any(keys.values()):
            raise ConfigError("No study was named.", "Give --study, --patient, --accession or --date.")
        return {keyword: value for keyword, value in keys.items() if value}
