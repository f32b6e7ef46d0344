"""DICOM SEG files of a label map, written by highdicom with the CT series that they were drawn on."""

from __future__ import annotations

from dataclasses import dataclass

import highdicom
import numpy as np
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from planner.labels import Label
from planner.volume import Volume
from sample_data import write_dicom_series

CODED = {
    Label.SACRUM: ("bone 1", codes.SCT.Sacrum, None),
    Label.LEFT_HIP: ("bone 2", codes.SCT.Hip, codes.SCT.Left),
    Label.RIGHT_HIP: ("bone 3", codes.SCT.Hip, codes.SCT.Right),
    Label.LUMBAR: ("bone 4", codes.SCT.L5Vertebra, None),
    Label.LEFT_FEMUR: ("bone 5", codes.SCT.Femur, codes.SCT.Left),
    Label.RIGHT_FEMUR: ("bone 6", codes.SCT.Femur, codes.SCT.Right),
}
"""Label, property type and side of each bone: known by its codes alone."""


@dataclass(frozen=True)
class Segment:
    """One segment: what it says of itself, and which label it holds."""

    label: int
    name: str
    kind: object = codes.SCT.Tissue
    side: object = None


def coded_segments(labels):
    return [Segment(int(label), *CODED[label]) for label in CODED if (labels.values == label).any()]


def describe(number, segment):
    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=segment.kind,
        algorithm_type="MANUAL",
    )
    if segment.side is not None:  # highdicom writes no modifier
        modifier = highdicom.sr.CodedConcept.from_code(segment.side)
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return description


def write_seg(path, labels, segments=None, kind="BINARY", turn=lambda volume: volume, masks=None):
    """Write `labels` as a SEG; `turn` flips or permutes the highdicom volume first.

    `masks`, (z, y, x, segment), are written in place of what `labels` hold.
    """
    segments = coded_segments(labels) if segments is None else segments
    grid = labels.grid
    series = path.parent / f"{path.stem}-series"
    files = write_dicom_series(Volume(np.zeros(grid.shape_zyx, np.int16), grid), series)
    if masks is None:
        masks = np.stack([labels.values == segment.label for segment in segments], axis=-1).astype(np.uint8)
    if kind == "LABELMAP":
        masks = (masks * np.arange(1, len(segments) + 1, dtype=np.uint8)).max(axis=-1)
    elif kind == "FRACTIONAL":
        masks = masks.astype(np.float32)
    elif kind == "BINARY":
        masks = masks.astype(np.uint8)
    channels = {} if kind == "LABELMAP" else {"channels": {"SegmentNumber": list(range(1, len(segments) + 1))}}
    volume = highdicom.Volume(masks, grid.lps_from_zyx, coordinate_system="PATIENT", **channels)
    seg = highdicom.seg.Segmentation(
        source_images=[dcmread(file) for file in files],
        pixel_array=turn(volume),
        segmentation_type=kind,
        segment_descriptions=[describe(n, segment) for n, segment in enumerate(segments, start=1)],
        series_instance_uid=generate_uid(entropy_srcs=["seg"]),
        series_number=2,
        sop_instance_uid=generate_uid(entropy_srcs=["instance"]),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="0",
        device_serial_number="0",
    )
    seg.save_as(path)
    return path
