"""DIMSE as a caller: ask, fetch, send. An association that is lost is tried again; what had come in stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    EncapsulatedSTLStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    LegacyConvertedEnhancedCTImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from pipelines.pacs.attempts import insist
from pipelines.pacs.incoming import Saved, publish, save_instance, study_folder
from pipelines.pacs.model import Peer, Query
from planner.dicom.headers import PARSER_ERRORS
from planner.errors import BackendError

__all__ = [
    "CT_CLASSES",
    "FIND",
    "GET",
    "RESULT_CLASSES",
    "SYNTAXES",
    "VERIFICATION",
    "echo",
    "fetch",
    "find",
    "instance_uid",
    "move",
    "send",
]

VERIFICATION = "1.2.840.10008.1.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
"""SOP classes of Verification (PS3.4 A) and of Study Root Query/Retrieve (PS3.4 C.6.2.3)."""
CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
RESULT_CLASSES = (
    SegmentationStorage, Comprehensive3DSRStorage, SecondaryCaptureImageStorage, EncapsulatedPDFStorage,
    EncapsulatedSTLStorage,
)  # fmt: skip
"""What `planner.exports.dicom` writes."""
SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless,
)  # fmt: skip
"""Transfer syntaxes that we take CT in."""

TIMEOUT_S = 30.0
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
WARNINGS = (0xB000, 0xB006, 0xB007)
"""Stored, with something coerced or dropped (PS3.4 B.2.3)."""
DUPLICATE = 0x0111


def echo(peer: Peer) -> None:
    """Ask whether someone is there (C-ECHO).

    Raises
    ------
    BackendError
        If not.
    """
    entity = _entity(peer)
    entity.add_requested_context(VERIFICATION)
    with _associated(entity, peer) as association:
        _expect(association.send_c_echo(), peer, "C-ECHO")


def find(peer: Peer, query: Query) -> list[str]:
    """Find studies that hold CT (C-FIND); their UIDs, sorted.

    Raises
    ------
    BackendError
        If the peer cannot be reached or refuses.
    """
    entity = _entity(peer)
    entity.add_requested_context(FIND)
    asked = _identifier(query.keys())
    asked.ModalitiesInStudy = "CT"
    found = set()
    with _associated(entity, peer) as association:
        for status, answer in association.send_c_find(asked, FIND):
            if status.get("Status") in PENDING and answer is not None:
                found.add(str(answer.StudyInstanceUID))
            elif status.get("Status") != SUCCESS:
                raise _refused(peer, "C-FIND", status)
    return sorted(uid for uid in found if uid)


def fetch(peer: Peer, study_uid: str, root: Path) -> Path:
    """Fetch the CT of a study (C-GET) into a folder that is there as a whole or not at all.

    Raises
    ------
    BackendError
        If it did not come in whole, after several attempts.
    """
    folder = study_folder(root, study_uid)
    partial = folder.with_name(f".{folder.name}.partial")
    insist(lambda: _get(peer, study_uid, partial))
    return publish(partial, folder)


def _get(peer: Peer, study_uid: str, partial: Path) -> None:
    def store(event: evt.Event) -> int:
        saved = save_instance(partial, instance_uid(event), event.encoded_dataset())
        return DUPLICATE if saved is Saved.OTHER else SUCCESS

    entity = _entity(peer)
    entity.add_requested_context(GET)
    for sop_class in CT_CLASSES:
        entity.add_requested_context(sop_class, [*SYNTAXES])
    roles = [build_role(sop_class, scp_role=True) for sop_class in CT_CLASSES]
    handlers = [(evt.EVT_C_STORE, store)]
    with _associated(entity, peer, roles, handlers) as association:
        asked = _identifier({"StudyInstanceUID": study_uid})
        _whole(peer, _last(association.send_c_get(asked, GET)), partial)


def instance_uid(event: evt.Event) -> str:
    """SOP Instance UID of an instance that is being stored."""
    return str(getattr(event.request, "AffectedSOPInstanceUID", ""))


def _last(answers: Iterator[tuple[Dataset, Dataset | None]]) -> Dataset:
    """Give the last word of a retrieval; empty where the association was lost."""
    status = Dataset()
    for status, _ in answers:  # noqa: B007  # those before it only count
        pass
    return status


def _whole(peer: Peer, status: Dataset, partial: Path) -> None:
    """Believe a retrieval only if its last word is success, or a warning about objects that we do not take."""
    completed = status.get("NumberOfCompletedSuboperations") or 0
    here = len(list(partial.glob("*.dcm"))) if partial.is_dir() else 0
    if status.get("Status") not in (SUCCESS, *WARNINGS) or not here or here < completed:
        raise _refused(peer, "C-GET", status)


def move(peer: Peer, study_uid: str, destination: str) -> None:
    """Have a study sent to another application entity, such as our own ``pacs serve`` (C-MOVE).

    Raises
    ------
    BackendError
        If the peer cannot be reached or refuses.
    """
    entity = _entity(peer)
    entity.add_requested_context(MOVE)
    with _associated(entity, peer) as association:
        status = _last(association.send_c_move(_identifier({"StudyInstanceUID": study_uid}), destination, MOVE))
        _expect(status, peer, "C-MOVE")


def send(peer: Peer, files: Sequence[Path]) -> int:
    """Send files (C-STORE); the number that was sent.

    Raises
    ------
    BackendError
        If one was not taken, after several attempts.
    """
    left = list(files)
    insist(lambda: _store_all(peer, left))
    return len(files)


def _store_all(peer: Peer, left: list[Path]) -> None:
    """Send what is left, and take off the list what has arrived."""
    if not left:
        return
    entity = _entity(peer)
    for sop_class, syntax in sorted({_kind(path) for path in left}):
        entity.add_requested_context(sop_class, syntax)
    with _associated(entity, peer) as association:
        for path in list(left):
            try:
                status = association.send_c_store(path)
            except (ValueError, RuntimeError) as failed:  # no such context was accepted, or the association is gone
                raise _refused(peer, "C-STORE", Dataset()) from failed
            if status.get("Status") not in (SUCCESS, DUPLICATE, *WARNINGS):
                raise _refused(peer, "C-STORE", status)
            left.remove(path)


def _kind(path: Path) -> tuple[str, str]:
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except (*PARSER_ERRORS, pydicom.errors.InvalidDicomError) as error:
        raise BackendError(f"{path.name}: found no DICOM file to send.", "Plan the case again.") from error


def _entity(peer: Peer) -> AE:
    entity = AE(ae_title=peer.our_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = TIMEOUT_S
    return entity


@contextmanager
def _associated(
    entity: AE, peer: Peer, roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
) -> Iterator[Association]:
    tls = (peer.tls.client(), peer.host) if peer.tls else None
    association = entity.associate(
        peer.host, peer.port, ae_title=peer.title, ext_neg=[*roles], evt_handlers=[*handlers], tls_args=tls
    )
    if not association.is_established:
        raise BackendError(
            f"{peer.title} at {peer.host}:{peer.port} accepts no association.",
            "Check host, port, both titles and TLS, and whether the PACS knows us.",
        )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _identifier(keys: dict[str, str]) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = ""
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    return asked


def _expect(status: Dataset, peer: Peer, what: str) -> None:
    if status.get("Status") != SUCCESS:
        raise _refused(peer, what, status)


def _refused(peer: Peer, what: str, status: Dataset) -> BackendError:
    code = status.get("Status")
    said = "the association was lost" if code is None else f"status 0x{code:04X}"
    return BackendError(f"{peer.title}: {what} did not succeed ({said}).", "Try again, or look into the PACS's log.")
