"""DICOM headers, read once and without pixels, as plain values: one `Instance` a file, one `Slice` a frame.

Geometry comes from ImagePositionPatient and ImageOrientationPatient alone (PS3.3 C.7.6.2), for enhanced objects from
the functional groups of each frame (PS3.3 C.7.6.16). Texts that may name a patient stay out of these values, except
`hints`, which is matched against body parts and never shown.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from pydicom.config import IGNORE
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
)

from planner.devices import is_device_fault
from planner.dicom.parsing import PREAMBLE_BYTES, parse

__all__ = ["CT_CLASSES", "PREAMBLE_BYTES", "Instance", "Known", "Slice", "as_uid", "read_instance"]

Triple = tuple[float, float, float]
Key = tuple[Any, ...]

CT_CLASSES = {str(CTImageStorage), str(EnhancedCTImageStorage), str(LegacyConvertedEnhancedCTImageStorage)}
"""SOP classes that hold CT slices."""
TAGS = [Tag(keyword) for keyword in (
    "BitsAllocated", "BitsStored", "BodyPartExamined", "Columns", "ConvolutionKernel", "HighBit",
    "ImageOrientationPatient", "ImagePositionPatient", "ImageType", "LossyImageCompression", "Modality",
    "NumberOfFrames", "PatientID", "PatientName", "PatientPosition", "PerFrameFunctionalGroupsSequence",
    "PixelPaddingRangeLimit", "PixelPaddingValue", "PixelRepresentation", "PixelSpacing", "ProtocolName",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "Rows", "SOPClassUID", "SamplesPerPixel",
    "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "SharedFunctionalGroupsSequence",
    "SliceThickness", "StudyDescription",
)]  # fmt: skip
"""Tags of the elements that are read; everything else is skipped."""

POSITION = Tag("ImagePositionPatient")
"""What differs from slice to slice."""
FRAME_KEYWORDS = ("NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
"""Elements of a file with several frames."""
MOST_KNOWN = 256
"""Different headers that are remembered while a folder is read [P]."""

HINTS = ("BodyPartExamined", "ProtocolName", "SeriesDescription", "StudyDescription")
"""Elements in which a body part may be named."""
LOSSY_SYNTAXES = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
}
"""Transfer syntaxes that may lose detail: JPEG baseline and extended, JPEG-LS near-lossless, JPEG 2000, HTJ2K.

Each may also keep it; LossyImageCompression 00 says so.
"""
LARGEST = 1e9
"""Largest number that any element read here may hold; beyond it, and for what is no number, the element is damaged."""
META_BYTES = 1024
"""Where the file's own class is named, in its first elements."""
PARSER_ERRORS = (
    OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError,
    RecursionError, BytesLengthException, struct.error, zlib.error,
)  # fmt: skip
"""What the parser raises on damaged data."""
BARE_STARTS = (b"\x08\x00", b"\x02\x00")
"""First group of a data set stored without preamble, as some archives still write it."""


@dataclass(frozen=True)
class Instance:
    """One DICOM image file's header.

    Attributes
    ----------
    file : str
        Path relative to the input.
    series_uid, sop_class, patient : str
        Identifiers to group by; `patient` is a hash. Never shown.
    pixel_offset : int
        Byte at which the Pixel Data element starts (of native, undeflated syntaxes).
    padding : (low, high) or None
        Stored values that mean "no data", inclusive (PixelPaddingValue, PixelPaddingRangeLimit).
    hints : str
        Body part and descriptions, upper case. Never shown.
    """

    file: str
    series_uid: str
    sop_class: str
    patient: str
    modality: str
    image_type: tuple[str, ...]
    transfer_syntax: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    padding: tuple[int, int] | None
    kernel: str
    patient_position: str
    lossy: bool
    number: int | None
    hints: str = field(repr=False)
    pixel_offset: int = 0


@dataclass(frozen=True)
class Slice:
    """One frame: where it lies and what its numbers mean; None where the header does not say.

    Attributes
    ----------
    position_lps : (x, y, z) mm
        Centre of the first voxel (ImagePositionPatient).
    row_lps, column_lps : unit vectors
        Direction along a row (growing column index) and down a column (ImageOrientationPatient).
    spacing_mm : (between rows, between columns)
        PixelSpacing.
    stack : str
        Stack and temporal position of an enhanced frame.
    """

    instance: Instance
    frame: int
    position_lps: Triple | None
    row_lps: Triple | None
    column_lps: Triple | None
    spacing_mm: tuple[float, float] | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    thickness_mm: float | None
    image_type: tuple[str, ...]
    kernel: str
    stack: str

    @property
    def label(self) -> str:
        """Name for messages: the file, and the frame where there are several."""
        return self.instance.file if self.instance.frames == 1 else f"{self.instance.file} frame {self.frame + 1}"


Known = dict[Key, Slice]


def as_uid(text: str) -> UID:
    """UID of a text that may be damaged; pydicom would warn."""
    return UID(text, IGNORE)


def read_instance(stream: BinaryIO, file: str, known: Known | None = None) -> list[Slice] | None:
    """Read one file's header.

    Parameters
    ----------
    stream : binary file
        At its first byte.
    file : str
        Path relative to the input.
    known : dict, optional
        Headers met so far, which this call adds to: slices of one series differ in little but their position, and
        turning text to values is what takes the time.

    Returns
    -------
    list of Slice or None
        Empty where the file is no image (junk, DICOMDIR, a report); None where it is a CT image, but damaged.
    """
    force = _is_bare(stream)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a malformed element that we do not use is not worth a word
            dataset = parse(stream, stop_before_pixels=True, specific_tags=[*TAGS], force=force)
            if "Rows" in dataset:
                return _all_slices(dataset, file, stream.tell(), {} if known is None else known)
    except InvalidDicomError:
        return []
    except PARSER_ERRORS as error:
        if is_device_fault(error):  # a slice that cannot be fetched is not one that is not there
            raise
    return None if _starts_as_ct(stream) else []


def _all_slices(ds: Dataset, file: str, offset: int, known: Known) -> list[Slice]:
    """Turn a header into slices, or change the place of a slice whose header is the same to the byte."""
    key = _raw_key(ds)
    if key is None:
        return list(_slices(ds, _instance(ds, file, offset)))
    alike = known.get(key)
    if alike is None:
        (found,) = _slices(ds, _instance(ds, file, offset))
        if len(known) < MOST_KNOWN:
            known[key] = found
        return [found]
    position = _numbers(ds, "ImagePositionPatient", 3)
    return [
        replace(
            alike,
            instance=replace(alike.instance, file=file, pixel_offset=offset),
            position_lps=(position[0], position[1], position[2]) if position else None,
        )
    ]


def _raw_key(ds: Dataset) -> Key | None:
    """All elements but the position as they stand in the file; None where frames have headers of their own."""
    if any(keyword in ds for keyword in FRAME_KEYWORDS):
        return None
    elements = [ds.get_item(tag) for tag in ds.keys() if tag != POSITION]  # noqa: SIM118  # a Dataset is no dict
    meta = getattr(ds, "file_meta", Dataset())
    return (
        str(meta.get("TransferSyntaxUID", "")),
        *((int(e.tag), e.VR, e.value if isinstance(e, RawDataElement) else str(e.value)) for e in elements if e),
    )


def _starts_as_ct(stream: BinaryIO) -> bool:
    stream.seek(0)
    start = stream.read(META_BYTES)
    return any(uid.encode() in start for uid in CT_CLASSES)


def _is_bare(stream: BinaryIO) -> bool:
    start = stream.read(PREAMBLE_BYTES + 4)
    stream.seek(0)
    return start[PREAMBLE_BYTES:] != b"DICM" and start[:2] in BARE_STARTS


def _instance(ds: Dataset, file: str, offset: int) -> Instance:
    who = f"{ds.get('PatientID', '')}|{ds.get('PatientName', '')}"
    meta = getattr(ds, "file_meta", Dataset())
    syntax = str(meta.get("TransferSyntaxUID", ImplicitVRLittleEndian))
    signed = int(ds.get("PixelRepresentation", 0) or 0) == 1
    allocated = int(ds.get("BitsAllocated", 0) or 0)
    stored = int(ds.get("BitsStored", allocated) or allocated)
    return Instance(
        file=file,
        series_uid=_text(ds, "SeriesInstanceUID"),
        sop_class=_text(ds, "SOPClassUID"),
        patient=hashlib.sha256(who.encode()).hexdigest(),
        modality=_text(ds, "Modality"),
        image_type=_words(ds, "ImageType"),
        transfer_syntax=syntax,
        rows=int(ds.Rows or 0),
        columns=int(ds.get("Columns", 0) or 0),
        frames=max(int(ds.get("NumberOfFrames", 1) or 1), 1),
        samples=int(ds.get("SamplesPerPixel", 1) or 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=int(ds.get("HighBit", stored - 1)),
        signed=signed,
        padding=_padding(ds, stored, signed),
        kernel=_text(ds, "ConvolutionKernel"),
        patient_position=_text(ds, "PatientPosition"),
        lossy=_is_lossy(_text(ds, "LossyImageCompression"), syntax),
        number=_integer(ds, "SeriesNumber"),
        hints=" ".join(_text(ds, keyword).upper() for keyword in HINTS),
        pixel_offset=offset,
    )


def _is_lossy(flag: str, transfer_syntax: str) -> bool:
    return flag == "01" or (flag != "00" and transfer_syntax in LOSSY_SYNTAXES)


def _slices(ds: Dataset, instance: Instance) -> Iterator[Slice]:
    shared = _first(ds, "SharedFunctionalGroupsSequence")
    per_frame = list(ds.get("PerFrameFunctionalGroupsSequence") or [])
    # Each frame has its group. A number of frames beyond them is damaged: the first without one stands for the rest.
    for index in range(min(instance.frames, len(per_frame) + 1)):
        own = per_frame[index] if index < len(per_frame) else Dataset()
        yield _slice(instance, index, _Groups(ds, shared, own))


@dataclass(frozen=True)
class _Groups:
    """The data sets in which a frame's attribute may lie: its own group, the shared group, the file's top level."""

    top: Dataset
    shared: Dataset
    own: Dataset

    def group(self, sequence: str) -> Dataset:
        for place in (self.own, self.shared):
            if place.get(sequence):
                return _first(place, sequence)
        return self.top


def _slice(instance: Instance, index: int, groups: _Groups) -> Slice:
    orientation = _numbers(groups.group("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    position = _numbers(groups.group("PlanePositionSequence"), "ImagePositionPatient", 3)
    measures = groups.group("PixelMeasuresSequence")
    spacing = _numbers(measures, "PixelSpacing", 2)
    values = groups.group("PixelValueTransformationSequence")
    content = groups.group("FrameContentSequence")
    frame_type = groups.group("CTImageFrameTypeSequence")
    return Slice(
        instance=instance,
        frame=index,
        position_lps=(position[0], position[1], position[2]) if position else None,
        row_lps=(orientation[0], orientation[1], orientation[2]) if orientation else None,
        column_lps=(orientation[3], orientation[4], orientation[5]) if orientation else None,
        spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        slope=_number(values, "RescaleSlope"),
        intercept=_number(values, "RescaleIntercept"),
        rescale_type=_text(values, "RescaleType").upper(),
        thickness_mm=_number(measures, "SliceThickness"),
        image_type=_words(frame_type, "FrameType") or instance.image_type,
        kernel=_text(groups.group("CTReconstructionSequence"), "ConvolutionKernel"),
        stack=f"{content.get('StackID', '')}/{content.get('TemporalPositionIndex', '')}",
    )


def _first(ds: Dataset, sequence: str) -> Dataset:
    items = ds.get(sequence)
    return items[0] if items else Dataset()


def _text(ds: Dataset, keyword: str) -> str:
    return "\\".join(_words(ds, keyword))


def _words(ds: Dataset, keyword: str) -> tuple[str, ...]:
    value: Any = ds.get(keyword)
    if value is None:
        return ()
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else value
    return tuple(str(v).strip() for v in values)


def _numbers(ds: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Values of a multi-valued decimal, or None where they are absent, too few, no numbers, or beyond `LARGEST`."""
    try:
        numbers = tuple(float(word) for word in _words(ds, keyword))
    except (ValueError, TypeError):
        return None
    return numbers if len(numbers) == count and all(abs(number) <= LARGEST for number in numbers) else None


def _number(ds: Dataset, keyword: str) -> float | None:
    numbers = _numbers(ds, keyword, 1)
    return numbers[0] if numbers else None


def _integer(ds: Dataset, keyword: str) -> int | None:
    number = _number(ds, keyword)
    return None if number is None else int(number)


def _padding(ds: Dataset, bits_stored: int, signed: bool) -> tuple[int, int] | None:
    ends = [_number(ds, key) for key in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None:
        return None
    # Some writers store a negative padding value with the unsigned VR; both mean the same bits.
    values = [_as_stored(int(end), bits_stored, signed) for end in ends if end is not None]
    return min(values), max(values)


def _as_stored(value: int, bits_stored: int, signed: bool) -> int:
    value &= (1 << bits_stored) - 1
    return value - (1 << bits_stored) if signed and value >> (bits_stored - 1) else value
