"""``pacs serve``: a storage SCP whose studies are planned by a batch when they are whole, and sent back.

``arriving/`` holds what comes in, ``whole/`` what is planned on, ``cases/`` the results: all of it can be killed at any
moment and started again.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from pipelines.batch.case import Planner, plan_and_write
from pipelines.batch.disk import FULL
from pipelines.batch.engine import Engine
from pipelines.batch.log import EventLog
from pipelines.batch.record import read_record
from pipelines.batch.run import CASES, LOG, BatchOptions, run_batch
from pipelines.pacs.arrivals import Arrivals
from pipelines.pacs.dimse import CT_CLASSES, DUPLICATE, SUCCESS, SYNTAXES, VERIFICATION, instance_uid, send
from pipelines.pacs.incoming import Saved, save_instance, study_folder
from pipelines.pacs.model import OUR_TITLE, Peer, Tls
from planner.errors import BackendError, ConfigError

__all__ = ["ServeOptions", "Service", "listening"]

QUIET_S = 30.0
"""Between the last image and planning [P]: scanners pause between series of one study."""
FULL_DISK_PAUSE_S = 60.0
"""Before planning is tried again where the disk was full [P]."""
SEND_PAUSE_S = 60.0
"""Before results are sent again to a peer that did not take them [P]."""
OUT_OF_RESOURCES = 0xA700
"""Refused: Out of Resources (PS3.4 B.2.3); the sender keeps the image and tries again."""
NO_STUDY = 0xA900
"""Error: Data Set does not match SOP Class."""


@dataclass(frozen=True)
class ServeOptions:
    """How a service runs.

    Attributes
    ----------
    host, port : str and int
        Where it listens; port 0 lets the system choose.
    title : str
        Its application entity title.
    tls : Tls or None
        Without it nothing is encrypted.
    quiet_s : float
        See `pipelines.pacs.arrivals`.
    send_to : Peer or None
        Who gets the results.
    batch : BatchOptions
        How studies are planned.
    """

    host: str = "127.0.0.1"
    port: int = 11112
    title: str = OUR_TITLE
    tls: Tls | None = None
    quiet_s: float = QUIET_S
    send_to: Peer | None = None
    batch: BatchOptions = field(default_factory=BatchOptions)


class Service:
    """What arrives, what is planned, and what has gone back."""

    def __init__(
        self, out: Path, options: ServeOptions, engine: Engine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out, self._options, self._engine = out, options, engine
        self._arriving, self._whole, self._sent = out / "arriving", out / "whole", out / "sent"
        for folder in (self._arriving, self._whole, self._sent):
            folder.mkdir(parents=True, exist_ok=True)
        self._log = EventLog(out / LOG)
        self.arrivals = Arrivals(options.quiet_s, clock)
        for folder in sorted(self._arriving.iterdir()):
            self.arrivals.left_over(folder.name)
        self._clock = clock
        self._send_at = clock()  # what an earlier run planned may not have gone back
        self._again_at = clock() if any(self._whole.iterdir()) else math.inf
        self._lock = threading.Lock()

    def store(self, event: evt.Event) -> int:
        """Take an instance (C-STORE)."""
        study = str(getattr(event.dataset, "StudyInstanceUID", ""))
        if not study:
            return NO_STUDY
        folder = study_folder(self._arriving, study)
        try:
            with self._lock:
                content = event.encoded_dataset()
                saved = save_instance(folder, instance_uid(event), content)
                self.arrivals.stored(folder.name, id(event.assoc))
        except OSError:
            return OUT_OF_RESOURCES
        return DUPLICATE if saved is Saved.OTHER else SUCCESS

    def hang_up(self, event: evt.Event, properly: bool) -> None:
        """Note the end of an association."""
        self.arrivals.hung_up(id(event.assoc), properly=properly)

    def step(self, planner: Planner = plan_and_write) -> int:
        """Plan what is whole and send what is planned; the number of studies that were due.

        A full disk does not end the service: it goes on after `FULL_DISK_PAUSE_S`.
        """
        due = self.arrivals.due()
        try:
            self._take(due, planner)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._pause()
            for name in due:
                if (self._arriving / name).is_dir():
                    self.arrivals.left_over(name)
        return len(due)

    def _take(self, due: list[str], planner: Planner) -> None:
        for name in due:
            with self._lock:
                self._accept(name)
        if due or self._clock() >= self._again_at:
            self._again_at = math.inf
            self._log.write("whole", studies=len(due))
            if run_batch(self._whole, self._out, self._options.batch, self._engine, planner=planner).stopped:
                self._pause()
            self._send_at = self._clock()
        if self._clock() >= self._send_at and self._options.send_to is not None:
            self._send_at = math.inf if self._send_all(self._options.send_to) else self._clock() + SEND_PAUSE_S

    def _pause(self) -> None:
        self._again_at = self._clock() + FULL_DISK_PAUSE_S

    def _accept(self, name: str) -> None:
        """Move a study to where it is planned, beside what had come of it before."""
        target = self._whole / name
        target.mkdir(exist_ok=True)
        for path in sorted((self._arriving / name).glob("*.dcm")):
            path.replace(target / path.name)
        for path in (self._arriving / name).iterdir():
            path.unlink()
        (self._arriving / name).rmdir()

    def _send_all(self, peer: Peer) -> bool:
        """Send every result that has not gone back yet; whether all did."""
        done = True
        for folder in sorted((self._out / CASES).glob("[0-9a-f]*")):
            record = read_record(folder)
            files = sorted((folder / "dicom").glob("*.dcm"))
            mark = self._sent / folder.name
            if record is None or not files or (mark.is_file() and mark.read_text() == record["content"]):
                continue
            try:
                send(peer, files)
            except BackendError as error:
                self._log.write("not-sent", case=folder.name, reason=error.what)
                done = False
                continue
            mark.write_text(record["content"])
            self._log.write("sent", case=folder.name, objects=len(files))
        return done


@contextmanager
def listening(service: Service, options: ServeOptions) -> Iterator[ThreadedAssociationServer]:
    """Listen while the block runs.

    Raises
    ------
    ConfigError
        If the port is taken or not ours to take.
    """
    entity = AE(ae_title=options.title)
    entity.add_supported_context(VERIFICATION)
    for sop_class in CT_CLASSES:
        entity.add_supported_context(sop_class, [*SYNTAXES])
    handlers: list[Any] = [
        (evt.EVT_C_STORE, service.store),
        (evt.EVT_RELEASED, service.hang_up, [True]),
        (evt.EVT_ABORTED, service.hang_up, [False]),
        (evt.EVT_CONN_CLOSE, service.hang_up, [False]),
    ]
    try:
        server = entity.start_server(
            (options.host, options.port),
            block=False,
            evt_handlers=handlers,
            ssl_context=options.tls.server() if options.tls else None,
        )
    except OSError as error:
        raise ConfigError(
            f"{options.host}:{options.port}: cannot listen there ({error.strerror}).", "Give another --listen."
        ) from error
    assert server is not None  # it does not block
    try:
        yield server
    finally:
        entity.shutdown()
        server.server_close()
