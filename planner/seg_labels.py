"""DICOM SEG as labels on the scan's grid: segments known by their codes or names, frames placed by their own geometry.

Frames are placed one by one, each where its Image Position, Image Orientation and Pixel Spacing say (DICOM PS3.3
C.7.6.16.2): a SEG may leave empty frames out, and hold the rest in any order and turned any way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.errors import BytesLengthException

from planner.dicom.parsing import parse
from planner.errors import LabelsError, UnreadableFileError
from planner.findings import Finding, Level
from planner.foreign_classes import FOREIGN_CLASSES, bone_of_code, bone_of_name, side_of_words
from planner.grid import Grid
from planner.labels import Label, Side
from planner.volume import LabelMap

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.sr.coding import Code

__all__ = ["is_dicom", "read_seg"]

PREAMBLE_BYTES = 128
"""Before the letters ``DICM`` (PS3.10, 7.1)."""

LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage (PS3.6), newer than pydicom 3.0."""

SIDE_CODES = {Side.LEFT: "7771000", Side.RIGHT: "24028007"}
"""SNOMED CT (PS3.16 CID 244)."""

PLACE_TOLERANCE_VOXELS = 0.1
"""A frame's corners may miss voxel centres by this much [P]: writers round positions to about 0.001 mm."""

BONE_SHARE = 0.5
"""A fractional segment is bone from this share of Maximum Fractional Value on: half a voxel, or an even chance."""

GIVE = "Give a SEG that was drawn on this series."
PARSE_ERRORS = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, LookupError, NotImplementedError, OSError,
    RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What highdicom and pydicom raise on a file that breaks the standard."""


class Spot(NamedTuple):
    """Where one frame lies in the scan's grid.

    Attributes
    ----------
    axes : tuple of int
        Grid axes across the frame, down its columns and along its rows.
    start, stop : (3,) tuple of int
        Indices of the frame's first and last pixel along `axes`; one index across it.
    """

    axes: tuple[int, int, int]
    start: tuple[int, int, int]
    stop: tuple[int, int, int]


def is_dicom(path: Path) -> bool:
    """Whether a file says that it is DICOM."""
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE_BYTES + 4)[PREAMBLE_BYTES:] == b"DICM"
    except OSError:
        return False


def read_seg(path: Path, grid: Grid) -> tuple[LabelMap, tuple[Finding, ...]]:
    """Read a DICOM SEG (binary, fractional or label map) onto the scan's grid.

    Parameters
    ----------
    path : Path
        One SEG.
    grid : Grid
        The scan's own; each frame must lie on a plane of its voxels. Frames beyond it are left out.

    Returns
    -------
    labels : LabelMap
        On `grid`.
    findings : tuple of Finding
        ``labels-ignored`` for segments that are not used here, ``labels-overlap`` for voxels in two bones.

    Raises
    ------
    planner.errors.UnreadableFileError
        If the file is damaged.
    planner.errors.LabelsError
        If it is no SEG, no segment is a bone that is used here, sides contradict each other, or frames do not lie on
        the grid.
    """
    segmentation = _open(path)
    try:
        bones, findings = _recognise(segmentation, path.name)
    except PARSE_ERRORS as error:
        raise _damaged(path) from error
    values = np.zeros(grid.shape_zyx, np.uint8)
    overlap, spots = 0, []
    try:
        for frame, labels in _frames(segmentation, bones):
            spot = _spot(segmentation, frame, grid, path.name)
            overlap += _paint(values, labels, spot)
            spots.append(spot)
    except PARSE_ERRORS as error:
        raise UnreadableFileError(
            f"{path.name}: found frames that cannot be decoded or have no place, expected a whole DICOM SEG.", GIVE
        ) from error
    _check_every_slice(spots, path.name)
    return LabelMap(values, grid), (*findings, *_overlap_finding(overlap))


def _open(path: Path) -> Any:
    """Open a SEG by highdicom, which is loaded here and nowhere else."""
    from highdicom.seg import Segmentation
    from pydicom.errors import InvalidDicomError
    from pydicom.uid import SegmentationStorage

    try:
        with path.open("rb") as stream:
            kind = parse(stream, specific_tags=["SOPClassUID", "Modality"], stop_before_pixels=True)
            if kind.get("SOPClassUID") not in (SegmentationStorage, LABEL_MAP_STORAGE):
                modality = kind.get("Modality", "unknown")
                raise LabelsError(f"{path.name}: found a DICOM file of modality {modality}, expected SEG.", GIVE)
            stream.seek(0)
            return Segmentation.from_dataset(parse(stream), copy=False)
    except (*PARSE_ERRORS, InvalidDicomError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> UnreadableFileError:
    return UnreadableFileError(
        f"{path.name}: found a damaged file, expected a whole DICOM SEG.", "Export the SEG again."
    )


def _recognise(segmentation: Any, file: str) -> tuple[dict[int, Label], tuple[Finding, ...]]:
    """Find the bone of each segment number, and what must be said of the rest."""
    known: dict[int, Label] = {}
    rest: list[int] = []
    for segment in segmentation.SegmentSequence:
        label, number = _bone(segment, file), int(segment.SegmentNumber)
        if label is not None:
            known[number] = label
        elif number:  # segment 0 of a label map is its background
            rest.append(number)
    if not known:
        raise LabelsError(
            f"{file}: found {len(rest)} segments, none of them a sacrum or hip bone by code or label.",
            "Code them with SNOMED CT (54735007 sacrum; 29836001 hip with its side), or label them sacrum, "
            "hip_left and hip_right.",
        )
    return known, _ignored_finding(rest)


def _ignored_finding(numbers: list[int]) -> tuple[Finding, ...]:
    if not numbers:
        return ()
    named = ", ".join(map(str, sorted(numbers)[:10])) + (", …" if len(numbers) > 10 else "")
    text = (
        f"{len(numbers)} segments of the given DICOM SEG (numbers {named}) are no bone that is used here, or lack "
        "their side, and were left out."
    )
    return (Finding("labels-ignored", Level.NOTE, "both", text),)


def _overlap_finding(voxels: int) -> tuple[Finding, ...]:
    if not voxels:
        return ()
    text = f"{voxels} voxels lie in two bones of the given DICOM SEG; the sacrum keeps them, then the left hip bone."
    return (Finding("labels-overlap", Level.NOTE, "both", text),)


def _bone(segment: Dataset, file: str) -> Label | None:
    """Bone of a segment by its code, or else by its label."""
    name = str(segment.get("SegmentLabel", ""))
    coded, named = _coded_side(segment), side_of_words([name])
    if coded and named and coded is not named:
        raise LabelsError(
            f"{file}: found segment {segment.SegmentNumber} coded {coded} and labelled {named}: "
            "left and right cannot be told.",
            "Correct its code or its label.",
        )
    kinds = _codes(segment, "SegmentedPropertyTypeCodeSequence")
    code = next((entry.code for entry in FOREIGN_CLASSES for kind in kinds if _same(kind, entry.code)), "")
    return bone_of_code(code, coded or named) if code else bone_of_name(name)


def _coded_side(segment: Dataset) -> Side | None:
    """Side by the modifier of the property or of the anatomic region."""
    regions = segment.get("AnatomicRegionSequence", [])
    codes = _codes(segment, "SegmentedPropertyTypeModifierCodeSequence")
    for item in [*segment.get("SegmentedPropertyTypeCodeSequence", []), *regions]:
        codes += _codes(item, "SegmentedPropertyTypeModifierCodeSequence")
        codes += _codes(item, "AnatomicRegionModifierSequence")
    sides = {side for side, value in SIDE_CODES.items() for code in codes if _same(code, value)}
    return sides.pop() if len(sides) == 1 else None


def _codes(item: Dataset, keyword: str) -> list[Code]:
    from pydicom.sr.coding import Code

    return [
        Code(str(code.get("CodeValue", "")), str(code.get("CodingSchemeDesignator", "")), "")
        for code in item.get(keyword, [])
    ]


def _same(code: Code, sct: str) -> bool:
    """Whether two codes mean the same; pydicom knows the SNOMED-RT codes of old files too."""
    from pydicom.sr.coding import Code

    return bool(code == Code(sct, "SCT", ""))


def _frames(segmentation: Any, bones: dict[int, Label]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the number of each frame that may hold bone, counted from 1, and its labels."""
    kind = str(segmentation.SegmentationType)
    if kind == "LABELMAP":
        yield from _label_frames(segmentation, bones)
        return
    threshold = BONE_SHARE * segmentation.MaximumFractionalValue if kind == "FRACTIONAL" else 1
    for frame in range(1, int(segmentation.NumberOfFrames) + 1):
        label = bones.get(_segment_of(segmentation, frame))
        if label is not None:
            stored = segmentation.get_stored_frame(frame)
            yield frame, np.where(stored >= threshold, label, 0).astype(np.uint8)


def _label_frames(segmentation: Any, bones: dict[int, Label]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Frames of a label map: each pixel is a segment number."""
    table = np.zeros(max(bones) + 1, np.uint8)
    table[list(bones)] = list(bones.values())
    for frame in range(1, int(segmentation.NumberOfFrames) + 1):
        stored = segmentation.get_stored_frame(frame)
        yield frame, table[np.where(stored < len(table), stored, 0)]


def _segment_of(segmentation: Any, frame: int) -> int:
    groups = (segmentation.PerFrameFunctionalGroupsSequence[frame - 1], segmentation.SharedFunctionalGroupsSequence[0])
    holder = next(group for group in groups if "SegmentIdentificationSequence" in group)
    return int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _spot(segmentation: Any, frame: int, grid: Grid, file: str) -> Spot:
    """Find where a frame lies; its pixels must be voxels."""
    from highdicom.spatial import PixelToReferenceTransformer

    affine = PixelToReferenceTransformer.for_image(segmentation, frame_number=frame).affine
    rows, columns = int(segmentation.Rows), int(segmentation.Columns)
    # corners first, down, along; highdicom counts (column, row)
    corners = np.array([(0, 0), (0, rows - 1), (columns - 1, 0), (columns - 1, rows - 1)], float)
    index = grid.to_index(corners @ affine[:3, :2].T + affine[:3, 3])
    nearest = np.rint(index)
    down, along = (np.abs(nearest[1:3] - nearest[0])).astype(int)
    axes = int(np.argmax(down)), int(np.argmax(along))
    across = 3 - sum(axes)
    fits = (
        np.abs(index - nearest).max() <= PLACE_TOLERANCE_VOXELS
        and axes[0] != axes[1]
        and down.sum() == down[axes[0]] == rows - 1
        and along.sum() == along[axes[1]] == columns - 1
    )
    if not fits:
        raise LabelsError(
            f"{file}: found frame {frame} of {rows} x {columns} pixels off the scan's grid of shape {grid.shape_zyx}, "
            "expected its pixels on voxels.",
            "Resample the segmentation onto the scan, or give one that was drawn on this series.",
        )
    order = [across, *axes]
    first, last = nearest[0, order].astype(int), nearest[3, order].astype(int)
    return Spot((across, *axes), tuple(first.tolist()), tuple(last.tolist()))


def _paint(values: NDArray[np.uint8], labels: NDArray[np.uint8], spot: Spot) -> int:
    """Write a frame's labels where they lie in the grid; count voxels that another bone held or wants.

    The lower label keeps a voxel that two bones want, so that the order of the frames does not matter.
    """
    view = np.moveaxis(values, spot.axes, (0, 1, 2))
    if not 0 <= spot.start[0] < view.shape[0]:
        return 0
    flips = tuple(slice(None, None, -1 if spot.stop[a] < spot.start[a] else 1) for a in (1, 2))
    low = [min(spot.start[a], spot.stop[a]) for a in (1, 2)]
    high = [max(spot.start[a], spot.stop[a]) + 1 for a in (1, 2)]
    kept = [slice(max(0, lo), min(hi, size)) for lo, hi, size in zip(low, high, view.shape[1:], strict=True)]
    shown = tuple(slice(k.start - lo, max(k.stop, k.start) - lo) for k, lo in zip(kept, low, strict=True))
    source, target = labels[flips][shown], view[spot.start[0]][tuple(kept)]
    wanted = (target > 0) & (source > 0) & (target != source)
    target[...] = np.where(wanted, np.minimum(target, source), np.maximum(target, source))
    return int(np.count_nonzero(wanted))


def _check_every_slice(spots: list[Spot], file: str) -> None:
    """Refuse frames on every second slice or wider: bones would be left with holes."""
    planes = sorted({spot.start[0] for spot in spots})
    step = float(np.median(np.diff(planes))) if len(planes) > 2 else 1.0
    if step > 1:
        raise LabelsError(
            f"{file}: found frames on every {step:g}th slice of the scan, expected one on each.",
            "Resample the segmentation onto the scan.",
        )
