"""Segmentations as 3D Slicer's ``.seg.nrrd``: labels with names, colours and terminology in the header.

Format: NRRD0004 (Teem), and the fields that Slicer's vtkMRMLSegmentationStorageNode writes.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from planner import NOTICE
from planner.exports.terminology import ANATOMY, SIDES, Concept, Structure
from planner.segmentation.shapes import boxes_of
from planner.volume import Box, LabelMap

__all__ = ["write_seg_nrrd"]

GZIP_LEVEL = 1
"""Labels pack well at any effort; part of what makes the bytes the same."""

CONTEXT = "Segmentation category and type - DICOM master list"
"""Slicer's list of categories and types, which it matches by code."""

REGIONS = "Anatomic codes - DICOM master list"
"""Slicer's list of regions; none is given."""

NO_CODE = "^^"


def write_seg_nrrd(path: Path, labels: LabelMap, structures: Sequence[Structure]) -> None:
    """Write labels on their own grid, in LPS; the same labels give the same bytes.

    Parameters
    ----------
    path : Path
        Ends in ``.seg.nrrd``.
    labels : LabelMap
        One structure a value.
    structures : sequence of Structure
        Those that may occur; each that does becomes a segment.
    """
    header = "\n".join([*_geometry(labels), *_segments(labels, structures)]) + "\n\n"
    voxels = np.ascontiguousarray(labels.values)
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as packed:
            packed.write(voxels.data)


def _geometry(labels: LabelMap) -> Iterator[str]:
    """Say where the voxels lie; the fastest axis, our last, comes first."""
    grid = labels.grid
    yield from ("NRRD0004", f"# {NOTICE}", "type: unsigned char", "dimension: 3", "space: left-posterior-superior")
    yield "sizes: " + " ".join(map(str, reversed(grid.shape_zyx)))
    yield "space directions: " + " ".join(_vector(grid.lps_from_zyx[:3, axis]) for axis in (2, 1, 0))
    yield from ("kinds: domain domain domain", "encoding: gzip", f"space origin: {_vector(grid.origin_lps_mm)}")


def _vector(values: Sequence[float] | np.ndarray) -> str:
    return "(" + ",".join(f"{float(v) + 0.0:.17g}" for v in values) + ")"


def _segments(labels: LabelMap, structures: Sequence[Structure]) -> Iterator[str]:
    boxes = boxes_of(labels.values)
    present = [structure for structure in structures if structure.value in boxes]
    for number, structure in enumerate(present):
        for key, value in _segment(structure, boxes[structure.value]):
            yield f"Segment{number}_{key}:={value}"
    yield "Segmentation_ContainedRepresentationNames:=Binary labelmap|"
    yield "Segmentation_MasterRepresentation:=Binary labelmap"
    yield "Segmentation_ReferenceImageExtentOffset:=0 0 0"


def _segment(structure: Structure, box: Box) -> Iterator[tuple[str, str]]:
    yield "Color", " ".join(f"{int(structure.colour[k : k + 2], 16) / 255:.6f}" for k in (1, 3, 5))
    yield "Extent", " ".join(f"{s.start} {s.stop - 1}" for s in reversed(box))
    yield "ID", structure.name
    yield "LabelValue", str(structure.value)
    yield "Layer", "0"
    yield "Name", structure.name.replace("_", " ")
    yield "Tags", f"Segmentation.Status:completed|TerminologyEntry:{_entry(structure)}|"


def _entry(structure: Structure) -> str:
    side = _code(SIDES[structure.side]) if structure.side else NO_CODE
    parts = (CONTEXT, _code(ANATOMY), _code(structure.kind), side, REGIONS, NO_CODE, NO_CODE)
    return "~".join(parts)


def _code(concept: Concept) -> str:
    return f"{concept.scheme}^{concept.value}^{concept.meaning}"
