"""What the index keeps of one file: which study and image it is, and digests by which copies are known."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag

from planner.dicom.headers import BARE_STARTS, CT_CLASSES, PARSER_ERRORS, PREAMBLE_BYTES, read_instance
from planner.dicom.parsing import parse

__all__ = ["CT", "DAMAGED", "IMAGE", "OTHER", "UNREADABLE", "Header", "read_header"]

CT, IMAGE, DAMAGED, OTHER, UNREADABLE = "ct", "image", "damaged", "other", "unreadable"
"""CT image; image of another kind; damaged CT file; no image at all; a file that cannot be opened."""

PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
         "NumberOfFrames")  # fmt: skip
"""Elements that two files of one image share, besides the pixels."""
TAGS = [Tag(keyword) for keyword in (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "Rows", *PLACE,
)]  # fmt: skip

CHUNK_BYTES = 1 << 20
STUDY_ELEMENT = b"\x20\x00\x0d\x00"
"""Tag (0020,000D) in little endian, by which a damaged header may still name its study."""
SALVAGE_BYTES = 16_384
"""Where that element stands, if anywhere [P]: before the pixels, behind the texts of patient and equipment."""
MOST_UID = 64
"""Characters of a UID (PS3.5 9.1)."""


@dataclass(frozen=True)
class Header:
    """One file; identifiers are empty where it has none.

    Attributes
    ----------
    kind : str
        `CT`, `IMAGE`, `DAMAGED`, `OTHER` or `UNREADABLE`.
    head, pixels : str
        Digests of what stands before the pixels, and of them and their place; empty where not CT.
    """

    kind: str
    study: str = ""
    series: str = ""
    instance: str = ""
    modality: str = ""
    head: str = ""
    pixels: str = ""


def read_header(path: Path) -> Header:
    """Read one file, whatever it holds; of CT images every byte, once."""
    try:
        with path.open("rb") as stream:
            return _read(stream)
    except OSError:
        return Header(UNREADABLE)


def _read(stream: BinaryIO) -> Header:
    dataset = _parse(stream)
    if dataset is not None and "Rows" in dataset:
        return _image(dataset, stream)
    stream.seek(0)
    if read_instance(stream, "") is not None:
        return Header(OTHER)
    stream.seek(0)
    return Header(DAMAGED, study=_salvage(stream.read(SALVAGE_BYTES)))


def _parse(stream: BinaryIO) -> Dataset | None:
    start = stream.read(PREAMBLE_BYTES + 4)
    bare = start[PREAMBLE_BYTES:] != b"DICM" and start[:2] in BARE_STARTS
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # elements that break the standard are not ours to mend
            dataset = parse(stream, stop_before_pixels=True, specific_tags=[*TAGS], force=bare)
            dataset.decode()
            return dataset
    except (InvalidDicomError, *PARSER_ERRORS):
        return None


def _image(dataset: Dataset, stream: BinaryIO) -> Header:
    study, series, instance, modality = (
        str(dataset.get(keyword, "") or "")
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality")
    )
    if modality != "CT" or str(dataset.get("SOPClassUID", "")) not in CT_CLASSES:
        return Header(IMAGE, study, series, instance, modality)
    offset = stream.tell()
    stream.seek(0)
    head = hashlib.blake2b(stream.read(offset), digest_size=16).hexdigest()
    state = hashlib.blake2b(digest_size=16)
    for keyword in PLACE:
        state.update(f"{keyword}={dataset.get(keyword, '')}\0".encode())
    if "NumberOfFrames" in dataset:  # the frames' places stand in sequences: only equal headers are copies
        state.update(head.encode())
    while chunk := stream.read(CHUNK_BYTES):
        state.update(chunk)
    return Header(CT, study, series, instance, modality, head, state.hexdigest())


def _salvage(start: bytes) -> str:
    """Find the study's UID in a header that no parser can read, by its element."""
    place = start.find(STUDY_ELEMENT)
    if place < 0:
        return ""
    text = start[place + 8 : place + 8 + MOST_UID]
    length = int.from_bytes(start[place + 6 : place + 8], "little") if start[place + 4 : place + 6] == b"UI" else None
    uid = text[:length].split(b"\0")[0].strip()
    return uid.decode("ascii", "ignore") if uid and all(c in b"0123456789." for c in uid) else ""
