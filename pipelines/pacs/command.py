"""The commands ``sacroplan pacs pull``, ``push`` and ``serve``."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner import NOTICE

if TYPE_CHECKING:
    from pipelines.pacs.model import Query, Tls

__all__ = ["pacs"]

STEP_S = 1.0
"""Between two looks at what has come in."""

pacs = typer.Typer(name="pacs", help=f"Fetch from, send to and serve a PACS. {NOTICE}", no_args_is_help=True)

ToPeer = Annotated[str | None, typer.Option("--peer", help="DIMSE: TITLE@host:port")]
ToUrl = Annotated[str | None, typer.Option("--url", help="DICOMweb: https://host/dicom-web")]
OurTitle = Annotated[str, typer.Option("--title", help="Our application entity title")]
WithTls = Annotated[bool, typer.Option("--tls", help="Encrypt, and check the other side's certificate")]
Ca = Annotated[Path | None, typer.Option("--tls-ca", help="Who signs the other side's certificate, PEM")]
Certificate = Annotated[Path | None, typer.Option("--tls-cert", help="Our certificate, PEM")]
Key = Annotated[Path | None, typer.Option("--tls-key", help="Its key, PEM")]


def _tls(on: bool, ca: Path | None, certificate: Path | None, key: Path | None) -> Tls | None:
    from pipelines.pacs.model import Tls

    return Tls(ca, certificate, key) if on or ca or certificate else None


def _one_of(peer: str | None, url: str | None) -> None:
    if (peer is None) == (url is None):
        raise typer.BadParameter("give one of --peer and --url")


@pacs.command()
def pull(
    out: Annotated[Path, typer.Option("--out", help="A folder a study goes in here; `sacroplan batch` plans them")],
    peer: ToPeer = None,
    url: ToUrl = None,
    study: Annotated[str, typer.Option("--study", help="Study Instance UID")] = "",
    patient: Annotated[str, typer.Option("--patient", help="Patient ID")] = "",
    accession: Annotated[str, typer.Option("--accession", help="Accession Number")] = "",
    date: Annotated[str, typer.Option("--date", help="Study date or range, 20260101-20260131")] = "",
    move_to: Annotated[
        str | None, typer.Option("--move-to", help="Have it sent to this title, such as our `pacs serve` (C-MOVE)")
    ] = None,
    title: OurTitle = "SACROPLAN",
    tls: WithTls = False,
    ca: Ca = None,
    cert: Certificate = None,
    key: Key = None,
) -> None:
    """Find studies and fetch their CT."""
    from pipelines.pacs.model import Query

    _one_of(peer, url)
    query = Query(study, patient, accession, date)
    secure = _tls(tls, ca, cert, key)
    count = _pull_web(url, query, out, secure) if url else _pull(peer or "", query, out, title, secure, move_to)
    typer.echo(f"{count} studies {'sent to ' + move_to if move_to else f'in {out}'}")


def _pull(peer: str, query: Query, out: Path, title: str, tls: Tls | None, move_to: str | None) -> int:
    from pipelines.pacs.dimse import fetch, find, move
    from pipelines.pacs.model import Peer

    archive = Peer.parse(peer, title, tls)
    studies = find(archive, query)
    for uid in studies:
        if move_to:
            move(archive, uid, move_to)
        else:
            fetch(archive, uid, out)
    return len(studies)


def _pull_web(url: str, query: Query, out: Path, tls: Tls | None) -> int:
    from pipelines.pacs.web import client_of, fetch_web, find_web

    client = client_of(url, tls)
    studies = find_web(client, query)
    for uid in studies:
        fetch_web(client, uid, out)
    return len(studies)


@pacs.command()
def push(
    folder: Annotated[Path, typer.Argument(help="Result folder of `plan`, or its dicom/", show_default=False)],
    peer: ToPeer = None,
    url: ToUrl = None,
    title: OurTitle = "SACROPLAN",
    tls: WithTls = False,
    ca: Ca = None,
    cert: Certificate = None,
    key: Key = None,
) -> None:
    """Send a plan's DICOM objects."""
    from pipelines.pacs.dimse import send
    from pipelines.pacs.model import Peer
    from pipelines.pacs.web import client_of, send_web
    from planner.errors import UnreadableFileError

    _one_of(peer, url)
    secure = _tls(tls, ca, cert, key)
    files = sorted((folder / "dicom" if (folder / "dicom").is_dir() else folder).glob("*.dcm"))
    if not files:
        raise UnreadableFileError(f"{folder.name}: found no DICOM objects to send.", "Plan a DICOM scan.")
    sent = send_web(client_of(url, secure), files) if url else send(Peer.parse(peer or "", title, secure), files)
    typer.echo(f"{sent} objects sent")


@pacs.command()
def serve(
    out: Annotated[Path, typer.Option("--out", help="Images and results go here")],
    listen: Annotated[str, typer.Option("--listen", help="host:port")] = "127.0.0.1:11112",
    title: OurTitle = "SACROPLAN",
    quiet: Annotated[float, typer.Option("--quiet", min=0, help="Plan a study so many seconds after its end")] = 30.0,
    send_to: Annotated[str | None, typer.Option("--send-to", help="Send results back to TITLE@host:port")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="At most so many processes")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file over the defaults")] = None,
    tls: WithTls = False,
    ca: Ca = None,
    cert: Certificate = None,
    key: Key = None,
) -> None:
    """Take images, plan each study when it is whole, and send the results back."""
    from pipelines.batch.engine import local_cluster
    from pipelines.batch.run import BatchOptions
    from pipelines.pacs.model import Peer
    from pipelines.pacs.serve import ServeOptions, Service, listening
    from planner.case import CaseSettings
    from planner.config import load_config

    secure = _tls(tls, ca, cert, key)
    host, _, port = listen.rpartition(":")
    if not (host and port.isdigit()):
        raise typer.BadParameter("expected host:port", param_hint="--listen")
    options = ServeOptions(
        host=host,
        port=int(port),
        title=title,
        tls=secure,
        quiet_s=quiet,
        send_to=Peer.parse(send_to, title, secure) if send_to else None,
        batch=BatchOptions(CaseSettings(config=load_config(config))),
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # how services are ended; workers are ended with it
    with local_cluster(workers) as engine:
        service = Service(out, options, engine)
        with listening(service, options):
            typer.echo(f"{title} listens on {listen}. {NOTICE}", err=True)
            while True:
                service.step()
                threading.Event().wait(STEP_S)
