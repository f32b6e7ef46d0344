"""A small archive in this process: C-ECHO, C-FIND, C-GET and C-STORE on loopback, which may drop an association."""

from __future__ import annotations

from contextlib import contextmanager

import pydicom
from pynetdicom import AE, evt

from pipelines.pacs.dimse import CT_CLASSES, FIND, GET, RESULT_CLASSES, SYNTAXES, VERIFICATION
from pipelines.pacs.model import Peer


class Archive:
    """What it holds, what it was sent, and how often it hangs up."""

    def __init__(self, files=(), drops=0, drop_after=2):
        self.files = [pydicom.dcmread(path) for path in files]
        self.received = {}
        self.drops = drops
        self.drop_after = drop_after
        self.associations = 0

    def find(self, event):
        studies = {str(ds.StudyInstanceUID): ds for ds in self.files}
        for uid, ds in sorted(studies.items()):
            if all(ds.get(k, "") == v for k in ("PatientID",) if (v := event.identifier.get(k))):
                answer = pydicom.Dataset()
                answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", uid
                yield 0xFF00, answer

    def get(self, event):
        wanted = [ds for ds in self.files if ds.StudyInstanceUID == event.identifier.StudyInstanceUID]
        yield len(wanted)
        for number, ds in enumerate(wanted):
            if self.drops and number == self.drop_after:
                self.drops -= 1
                event.assoc.abort()
                return
            yield 0xFF00, ds

    def store(self, event):
        if self.drops and len(self.received) == self.drop_after:
            self.drops -= 1
            event.assoc.abort()
            return 0xA700
        self.received[str(event.request.AffectedSOPInstanceUID)] = event.encoded_dataset()
        return 0x0000

    def accepted(self, event):
        self.associations += 1


@contextmanager
def running(archive, tls=None):
    """The archive as a peer."""
    entity = AE(ae_title="ARCHIVE")
    for model in (VERIFICATION, FIND, GET):
        entity.add_supported_context(model)
    for sop_class in (*CT_CLASSES, *RESULT_CLASSES):
        entity.add_supported_context(sop_class, [*SYNTAXES], scu_role=True, scp_role=True)
    handlers = [
        (evt.EVT_C_FIND, archive.find), (evt.EVT_C_GET, archive.get), (evt.EVT_C_STORE, archive.store),
        (evt.EVT_ACCEPTED, archive.accepted),
    ]  # fmt: skip
    context = tls.server() if tls else None
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=context)
    try:
        yield Peer("127.0.0.1", server.server_address[1], "ARCHIVE", tls=tls)
    finally:
        entity.shutdown()
        server.server_close()
