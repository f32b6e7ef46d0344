"""Labels as a DICOM Segmentation (PS3.3 A.51, A.90): binary, a frame a part and slice, or a label map, a frame a slice.

Frames lie on the CT's own slices, whatever their orientation; empty ones are left out. The functional groups of a case
are several hundred data sets of which all parts but a few bytes repeat, so each part is encoded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from struct import pack
from typing import BinaryIO, Literal

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import format_number_as_ds

from planner import NOTICE, __version__
from planner.dicom.study import Reference, SourceStudy
from planner.exports.dicom.concepts import code_sequence
from planner.exports.dicom.objects import Kind, Target, referenced_series, save
from planner.exports.terminology import ANATOMY, BONE_STRUCTURES, KEEPOUT_STRUCTURES, SIDES, Concept, Structure
from planner.grid import Grid
from planner.seg_labels import LABEL_MAP_STORAGE
from planner.segmentation.shapes import boxes_of
from planner.volume import Box, PlacedLabels

__all__ = ["BONES", "KEEPOUTS", "Contents", "Form", "write_segmentation"]

Form = Literal["binary", "labelmap"]


@dataclass(frozen=True)
class Contents:
    """What a segmentation holds.

    Attributes
    ----------
    label : str
        Content Label.
    structures : sequence of Structure
        Those that may occur.
    kinds : mapping of str to Kind
        Series of each form.
    """

    label: str
    structures: Sequence[Structure]
    kinds: Mapping[Form, Kind]


BONES = Contents(
    "BONES",
    BONE_STRUCTURES,
    {
        "binary": Kind(SegmentationStorage, "SEG", "sacroplan bones", 9001),
        "labelmap": Kind(LABEL_MAP_STORAGE, "SEG", "sacroplan bones, label map", 9002),
    },
)
"""Of ``seg.dcm``."""

KEEPOUTS = Contents(
    "KEEPOUTS",
    KEEPOUT_STRUCTURES,
    {
        "binary": Kind(SegmentationStorage, "SEG", "sacroplan keep-outs", 9007),
        "labelmap": Kind(LABEL_MAP_STORAGE, "SEG", "sacroplan keep-outs, label map", 9008),
    },
)
"""Of ``seg_keepout.dcm``."""

SEGMENTED = Concept("113076", "DCM", "Segmentation")
SOURCE_IMAGE = Concept("121322", "DCM", "Source image for image processing operation")

PER_FRAME, PIXELS = 0x52009230, 0x7FE00010
"""Per-Frame Functional Groups Sequence and Pixel Data: the last two elements."""
ITEM = b"\xfe\xff\x00\xe0"
"""Tag of a sequence's item, little endian (PS3.5 7.5)."""

SRGB_TO_XYZ = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8728]])
"""From linear sRGB to CIE XYZ, in shares of the white point."""
BITS = 8
BLANK = "1"
"""Stands for an identifier's letters until it is known."""


@dataclass(frozen=True)
class Frame:
    """One frame: its segment (0 where a label map holds all), its plane in the scan, and its bytes."""

    segment: int
    plane: int
    pixels: bytes


def write_segmentation(
    path: Path, target: Target, labels: PlacedLabels, kind: Form = "binary", contents: Contents = BONES
) -> Path:
    """Write labels as a SEG.

    Parameters
    ----------
    path : Path
        The file.
    target : Target
        The CT's study.
    labels : PlacedLabels
        On the scan's own grid: its first axis runs over slices.
    kind : str
        ``binary`` or ``labelmap``.
    contents : Contents
        What the labels are.
    """
    boxes = boxes_of(labels.values)
    present = [structure for structure in contents.structures if structure.value in boxes]
    drawn = _label_frames(labels) if kind == "labelmap" else _binary_frames(labels, present, boxes)
    frames = sorted(drawn, key=lambda frame: (frame.segment, frame.plane))
    data = target.new(contents.kinds[kind], 1)
    _describe_image(data, labels.grid, len(frames), kind)
    data.ContentLabel, data.ContentDescription, data.ContentCreatorName = contents.label, NOTICE, ""
    _describe_series(data, target)
    data.SegmentSequence = Items(_segment(target, number, s) for number, s in _numbered(present, kind))
    data.SharedFunctionalGroupsSequence = Items([_shared_groups(labels.grid)])
    _describe_dimensions(data, target, kind)
    groups = b"".join(_frame_items(frames, target, labels.grid))
    save(data, path)
    with path.open("ab") as file:  # the last two elements of all; pydicom would take groups apart to write them
        file.write(_element(PER_FRAME, b"SQ", len(groups)) + groups)
        _write_pixels(file, [frame.pixels for frame in frames], int(data.Rows) * int(data.Columns), kind)
    return path


def _element(tag: int, vr: bytes, length: int) -> bytes:
    """Begin an element with a 32-bit length (PS3.5 7.1.2)."""
    return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, length)


def _numbered(present: Sequence[Structure], kind: str) -> Iterator[tuple[int, Structure]]:
    """Segment numbers: counted up in a binary SEG; the label itself in a label map."""
    yield from ((s.value, s) for s in present) if kind == "labelmap" else enumerate(present, start=1)


def _binary_frames(labels: PlacedLabels, present: Sequence[Structure], boxes: Mapping[int, Box]) -> Iterator[Frame]:
    mask = np.zeros(labels.grid.shape_zyx[1:], np.bool_)
    inside, steps = labels.box[1:], labels.blocks[0]
    for plane, values in enumerate(labels.planes(), start=labels.box[0].start):
        layer = (plane - labels.box[0].start) // steps
        for number, structure in enumerate(present, start=1):
            reach = boxes[structure.value][0]
            if reach.start <= layer < reach.stop:
                np.equal(values[inside], structure.value, out=mask[inside])
                if mask[inside].any():
                    yield Frame(number, plane, np.packbits(mask, bitorder="little").tobytes())


def _label_frames(labels: PlacedLabels) -> Iterator[Frame]:
    for plane, values in enumerate(labels.planes(), start=labels.box[0].start):
        if values.any():
            yield Frame(0, plane, values.tobytes())


def _write_pixels(file: BinaryIO, frames: Sequence[bytes], pixels: int, kind: str) -> None:
    """Write frames; bits of one follow those of the one before without a gap (PS3.5 8.1.1)."""
    pieces = _packed(frames, pixels) if kind == "binary" and pixels % BITS else frames
    length = sum(map(len, pieces))
    file.write(_element(PIXELS, b"OB", length + length % 2))
    for piece in pieces:
        file.write(piece)
    file.write(bytes(length % 2))


def _packed(frames: Sequence[bytes], pixels: int) -> list[bytes]:
    """Take the padding out from between frames whose bits do not fill their last byte."""
    whole = []
    for start in range(0, len(frames), BITS):
        few = [np.frombuffer(frame, np.uint8) for frame in frames[start : start + BITS]]
        bits = np.concatenate([np.unpackbits(frame, count=pixels, bitorder="little") for frame in few])
        whole.append(np.packbits(bits, bitorder="little").tobytes())
    return whole


def _describe_image(data: FileDataset, grid: Grid, frames: int, kind: str) -> None:
    bits = 1 if kind == "binary" else BITS
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.NumberOfFrames = 1, "MONOCHROME2", frames
    data.Rows, data.Columns = grid.shape_zyx[1:]
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, 0
    data.LossyImageCompression = "00"
    data.SegmentationType = kind.upper()
    data.SegmentsOverlap = "NO"
    if kind == "labelmap":
        data.PixelPaddingValue = 0


def _describe_series(data: FileDataset, target: Target) -> None:
    data.FrameOfReferenceUID = target.frame_of_reference
    data.PositionReferenceIndicator = str(target.header.get("PositionReferenceIndicator", ""))
    data.ReferencedSeriesSequence = referenced_series(target.study)


def _segment(target: Target, number: int, structure: Structure) -> Dataset:
    origin = target.document.segmentation
    item = Dataset()
    item.SegmentedPropertyCategoryCodeSequence = code_sequence(ANATOMY)
    item.SegmentedPropertyTypeCodeSequence = code_sequence(structure.kind)
    if structure.side is not None:
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = code_sequence(SIDES[structure.side])
    item.SegmentNumber, item.SegmentLabel = number, structure.name
    given = origin is not None and origin.backend == "given-labels" and structure in BONE_STRUCTURES
    item.SegmentAlgorithmType = "SEMIAUTOMATIC" if given else "AUTOMATIC"
    item.SegmentAlgorithmName = f"sacroplan {__version__}, {origin.backend if origin else 'shape-model'}"
    item.RecommendedDisplayCIELabValue = _cielab(structure.colour)
    item.TrackingID, item.TrackingUID = structure.name, target.uid("segment", structure.name)
    return item


def _shared_groups(grid: Grid) -> Dataset:
    between, rows, columns = (format_number_as_ds(float(v)) for v in grid.spacing_zyx_mm)
    measures, orientation, groups = Dataset(), Dataset(), Dataset()
    measures.SliceThickness = measures.SpacingBetweenSlices = between
    measures.PixelSpacing = [rows, columns]
    cosines = np.concatenate([grid.directions_lps[2], grid.directions_lps[1]])
    orientation.ImageOrientationPatient = [format_number_as_ds(float(v) + 0.0) for v in cosines]
    groups.PixelMeasuresSequence, groups.PlaneOrientationSequence = Items([measures]), Items([orientation])
    return groups


def _describe_dimensions(data: FileDataset, target: Target, kind: str) -> None:
    uid = target.uid("dimensions", kind)
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    data.DimensionOrganizationSequence = Items([organization])
    pointers = [("ImagePositionPatient", "PlanePositionSequence", "Position of the slice")]
    if kind == "binary":
        pointers.insert(0, ("ReferencedSegmentNumber", "SegmentIdentificationSequence", "Segment"))
    data.DimensionIndexSequence = Items(_pointer(uid, *pointer) for pointer in pointers)


def _pointer(uid: str, keyword: str, group: str, label: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID, item.DimensionDescriptionLabel = uid, label
    item.DimensionIndexPointer, item.FunctionalGroupPointer = Tag(keyword), Tag(group)
    return item


def _frame_items(frames: Sequence[Frame], target: Target, grid: Grid) -> Iterator[bytes]:
    """Encode the functional groups of each frame, in the order of their tags."""
    planes = sorted({frame.plane for frame in frames})
    rank = {plane: n for n, plane in enumerate(planes, start=1)}
    sources = dict(zip(planes, _derivations(target.study, planes), strict=True))
    places = {plane: _encoded(_position(grid, plane)) for plane in planes}
    segments = {number: _encoded(_identification(number)) for number in {frame.segment for frame in frames}}
    for frame in frames:
        index = [rank[frame.plane]] if frame.segment == 0 else [frame.segment, rank[frame.plane]]
        body = sources[frame.plane] + _content(index) + places[frame.plane] + segments[frame.segment]
        yield ITEM + pack("<I", len(body)) + body


def _derivations(study: SourceStudy, planes: Sequence[int]) -> Iterator[bytes]:
    """Name the slice that each frame was drawn on, where planes are slices; one is encoded a length of identifier."""
    if not study.one_to_one:
        yield from (_encoded(_derivation(None)) for _ in planes)
        return
    encoded: dict[tuple[str, int, int | None], bytes] = {}
    for slice_ in (study.slices[plane] for plane in planes):
        blank = Reference(slice_.sop_class, BLANK * len(slice_.sop_instance), slice_.frame)
        key = slice_.sop_class, len(slice_.sop_instance), slice_.frame
        if key not in encoded:
            encoded[key] = _encoded(_derivation(blank))
        yield encoded[key].replace(blank.sop_instance.encode(), slice_.sop_instance.encode())


def _derivation(slice_: Reference | None) -> Dataset:
    groups = Dataset()
    groups.DerivationImageSequence = Items([])
    if slice_ is not None:
        source, derivation = Dataset(), Dataset()
        source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = slice_.sop_class, slice_.sop_instance
        if slice_.frame is not None:
            source.ReferencedFrameNumber = slice_.frame
        source.SpatialLocationsPreserved = "YES"
        source.PurposeOfReferenceCodeSequence = code_sequence(SOURCE_IMAGE)
        derivation.SourceImageSequence = Items([source])
        derivation.DerivationCodeSequence = code_sequence(SEGMENTED)
        groups.DerivationImageSequence = Items([derivation])
    return groups


@cache
def _blank_content(dimensions: int) -> bytes:
    content, groups = Dataset(), Dataset()
    content.DimensionIndexValues = [0] * dimensions
    groups.FrameContentSequence = Items([content])
    return _encoded(groups)


def _content(index: Sequence[int]) -> bytes:
    """Frame Content Sequence: its last bytes are the indices."""
    values = pack(f"<{len(index)}I", *index)
    return _blank_content(len(index))[: -len(values)] + values


def _position(grid: Grid, plane: int) -> Dataset:
    position, groups = Dataset(), Dataset()
    position.ImagePositionPatient = [format_number_as_ds(float(v) + 0.0) for v in grid.to_lps((plane, 0, 0))]
    groups.PlanePositionSequence = Items([position])
    return groups


def _identification(number: int) -> Dataset:
    groups = Dataset()
    if number:
        segment = Dataset()
        segment.ReferencedSegmentNumber = number
        groups.SegmentIdentificationSequence = Items([segment])
    return groups


def _encoded(data: Dataset) -> bytes:
    """Bytes of a data set in Explicit VR Little Endian."""
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, data)
    return stream.getvalue()


def _cielab(colour: str) -> list[int]:
    """CIELab of an sRGB colour (IEC 61966-2-1, white D65), as PS3.3 C.10.7.1.1 stores it."""
    rgb = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    x, y, z = (np.cbrt(share) if share > 0.008856 else 7.787 * share + 16 / 116 for share in SRGB_TO_XYZ @ linear)
    lightness, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    return [round(share * 65535) for share in (lightness / 100, (a + 128) / 255, (b + 128) / 255)]
