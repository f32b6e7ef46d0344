"""DICOMweb as a caller: QIDO-RS, WADO-RS, STOW-RS."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pydicom
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID
from requests import RequestException

from pipelines.pacs.attempts import insist
from pipelines.pacs.incoming import publish, save_instance, study_folder
from pipelines.pacs.model import Query, Tls
from planner.dicom.headers import PARSER_ERRORS
from planner.errors import BackendError

__all__ = ["TOKEN_VARIABLE", "client_of", "fetch_web", "find_web", "send_web"]

TOKEN_VARIABLE = "SACROPLAN_DICOMWEB_TOKEN"
"""Environment variable with a bearer token: a command line is read by others."""
STUDY_UID, SERIES_UID, MODALITY = "0020000D", "0020000E", "00080060"
SERIES_INSTANCES = "00201209"
CUT_OFF = "WADO-RS: the answer was cut off within an image."
PAGE = 100
"""Studies an answer."""


def client_of(url: str, tls: Tls | None = None) -> DICOMwebClient:
    """Give a client of a DICOMweb service."""
    session = create_session()
    if tls:
        session.verify = str(tls.ca) if tls.ca else True
        if tls.certificate:
            session.cert = (str(tls.certificate), str(tls.key)) if tls.key else str(tls.certificate)
    token = os.environ.get(TOKEN_VARIABLE)
    client = DICOMwebClient(url, session=session, headers={"Authorization": f"Bearer {token}"} if token else None)
    client.set_http_retry_params(retry=False)  # it prints tracebacks, and takes an answer that was cut off for whole
    return client


def find_web(client: DICOMwebClient, query: Query) -> list[str]:
    """Find studies that hold CT; their UIDs, sorted.

    Raises
    ------
    BackendError
        If the service does not answer.
    """
    filters = {**query.keys(), "ModalitiesInStudy": "CT"}
    found: set[str] = set()
    with _told("QIDO-RS"):
        while True:
            page = client.search_for_studies(search_filters=filters, limit=PAGE, offset=len(found))
            fresh = {_value(study, STUDY_UID) for study in page} - found
            if not fresh:  # also of a server that knows no offset, and would give the first page for ever
                return sorted(found)
            found |= fresh


def fetch_web(client: DICOMwebClient, study_uid: str, root: Path) -> Path:
    """Fetch the CT of a study into a folder that is there as a whole or not at all.

    Raises
    ------
    BackendError
        If it did not come in whole, after several attempts.
    """
    folder = study_folder(root, study_uid)
    partial = folder.with_name(f".{folder.name}.partial")
    insist(lambda: _fetch_all(client, study_uid, partial))
    return publish(partial, folder)


def _fetch_all(client: DICOMwebClient, study_uid: str, partial: Path) -> None:
    with _told("WADO-RS"):
        series = client.search_for_series(study_uid, fields=["NumberOfSeriesRelatedInstances"])
        for one in series:
            if _value(one, MODALITY) == "CT":
                _fetch_series(client, study_uid, one, partial)
    if not partial.is_dir():
        raise BackendError("WADO-RS: the study holds no CT.", "Check the study's UID.")


def _fetch_series(client: DICOMwebClient, study_uid: str, series: dict[str, dict[str, object]], partial: Path) -> None:
    seen = set()
    parts = client.iter_series(study_uid, _value(series, SERIES_UID), media_types=(("application/dicom", "*"),))
    while instance := _next_instance(parts):
        seen.add(instance.uid)
        save_instance(partial, instance.uid, instance.content)
    announced = _value(series, SERIES_INSTANCES)
    if announced and len(seen) < int(announced):
        raise BackendError(f"WADO-RS: found {len(seen)} images of a series, expected {announced}.", "Try again.")


class _Received(NamedTuple):
    """An image as it came.

    Attributes
    ----------
    uid : str
        SOP Instance UID (0008,0018).
    content : bytes
        The file.
    """

    uid: str
    content: bytes


def _next_instance(parts: Iterator[Dataset]) -> _Received | None:
    """Read the next part of an answer; it may end anywhere, in the first bytes of a header too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that break the standard are kept as they came
        try:
            dataset = next(parts, None)
            if dataset is None:
                return None
            if _is_whole(dataset):
                return _Received(str(dataset.SOPInstanceUID), _bytes(dataset))
        except RequestException:  # an OSError too, and one that says more
            raise
        except (*PARSER_ERRORS, InvalidDicomError) as error:
            raise BackendError(CUT_OFF, "Try again.") from error
    raise BackendError(CUT_OFF, "Try again.")


def _is_whole(dataset: Dataset) -> bool:
    """Tell an image from what is left of one whose end never came: the client hands on both."""
    if "SOPInstanceUID" not in dataset or "PixelData" not in dataset:
        return False
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    try:
        packed = syntax is None or UID(syntax).is_compressed
        return packed or len(dataset.PixelData) >= get_expected_length(dataset)
    except (AttributeError, ValueError):  # no size of its own: not for us to judge
        return True


def _bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def send_web(client: DICOMwebClient, files: Sequence[Path]) -> int:
    """Store files; the number that was sent.

    Raises
    ------
    BackendError
        If one was not taken, after several attempts.
    """
    return insist(lambda: _store_all(client, files))


def _store_all(client: DICOMwebClient, files: Sequence[Path]) -> int:
    with _told("STOW-RS"):
        answer = client.store_instances([pydicom.dcmread(path) for path in files])
    failed = len(answer.get("FailedSOPSequence", []))
    if failed:
        raise BackendError(f"STOW-RS: {failed} of {len(files)} objects were not taken.", "Look into the server's log.")
    return len(files)


@contextmanager
def _told(service: str) -> Iterator[None]:
    try:
        yield
    except (RequestException, OSError) as error:
        raise BackendError(
            f"{service} did not succeed ({type(error).__name__}).", f"Check the address, TLS and {TOKEN_VARIABLE}."
        ) from error


def _value(answer: dict[str, dict[str, object]], tag: str) -> str:
    values = answer.get(tag, {}).get("Value")
    return str(values[0]) if isinstance(values, list) and values else ""
