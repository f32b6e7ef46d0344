"""The last look before a pack leaves: none of the identifiers that its result knows may stand in any of its files."""

from __future__ import annotations

import gzip
import re
import zlib
from base64 import a85decode
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import UID

__all__ = ["found_in", "identifiers_of"]

KEYWORDS = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyInstanceUID", "StudyID",
            "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "FrameOfReferenceUID")  # fmt: skip
"""Elements of a result's objects that may name the patient or lead back to the study."""
FEWEST = 4
"""Letters below which a value may stand anywhere by chance [P]: ``CT``, ``1``."""
PDF_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)


def identifiers_of(header: Dataset, uids: Iterable[str], texts: Iterable[str] = ()) -> set[bytes]:
    """Collect what must not be found: values whole, names in the ways they are written, UIDs.

    Parameters
    ----------
    header : Dataset
        Of one of the result's own DICOM objects.
    uids : iterable of str
        Of the CT.
    texts : iterable of str
        More, such as what was printed on the report.
    """
    values = {str(header.get(keyword, "")).strip() for keyword in KEYWORDS} | {*uids} | {text.strip() for text in texts}
    for keyword in ("PatientName", "ReferringPhysicianName"):
        values |= set(_spellings(str(header.get(keyword, ""))))
    return {value.encode() for value in values if len(value) >= FEWEST and UID(value, IGNORE).name == value}


def _spellings(name: str) -> Iterator[str]:
    parts = [part for part in re.split(r"[\^= ]+", name) if part]
    if len(parts) > 1:
        yield from (" ".join(parts), " ".join(reversed(parts)), ", ".join(parts[:2]))


def found_in(path: Path, identifiers: Iterable[bytes]) -> bool:
    """Look into one file, whatever it is packed in; upper and lower case are the same."""
    content = b"\0".join(_unpacked(path.read_bytes())).lower()
    return any(one.lower() in content for one in identifiers)


def _unpacked(content: bytes) -> Iterator[bytes]:
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if content[:4] == b"%PDF" or content[128:132] == b"DICM":
        for stream in PDF_STREAM.findall(content):
            yield from _inflated(stream)


def _inflated(stream: bytes) -> Iterator[bytes]:
    for body in (stream, _ascii85(stream)):
        try:
            yield zlib.decompressobj().decompress(body)
        except zlib.error:
            continue


def _ascii85(stream: bytes) -> bytes:
    try:
        return a85decode(stream.strip().removesuffix(b"~>"))
    except ValueError:
        return b""
