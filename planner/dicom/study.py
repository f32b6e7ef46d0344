"""What new DICOM objects take over from the CT that they belong to: patient, study, frame of reference, references.

These headers name the patient. They are read when objects are written, go into such objects alone, and are never kept
with a case, logged or shown.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydicom.dataset import Dataset

from planner.dicom.headers import PARSER_ERRORS
from planner.dicom.parsing import parse
from planner.dicom.sources import Source, open_source
from planner.errors import UnreadableFileError

__all__ = ["PATIENT_AND_STUDY", "DicomOrigin", "Reference", "SourceStudy", "read_study"]

PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    # patient (PS3.3 C.7.1.1) and patient study (C.7.2.2)
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence", "PatientAge", "PatientSize", "PatientWeight",
    "LongitudinalTemporalInformationModified",
    # study (C.7.2.1)
    "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
    "StudyDescription",
)  # fmt: skip
"""Attributes that every object of the study shares."""

SERIES = ("SeriesInstanceUID", "FrameOfReferenceUID", "PositionReferenceIndicator")
"""Attributes of the CT's series (C.7.3.1, C.7.4.1)."""

NAMES = ["SOPClassUID", "SOPInstanceUID", "BurnedInAnnotation"]
"""What refers to a file, and whether its pixels may name the patient."""


@dataclass(frozen=True)
class DicomOrigin:
    """Where the slices of a scan are.

    Attributes
    ----------
    path : Path
        Folder, zip or file that was read.
    slices : tuple of (str, int)
        File below `path`, and its frame counted from 0, of each slice in the order of the scan.
    one_to_one : bool
        Whether each plane of the scan's grid is one slice; false where they were resampled.
    """

    path: Path
    slices: tuple[tuple[str, int], ...]
    one_to_one: bool


class Reference(NamedTuple):
    """One slice by its identifiers; `frame` counts from 1, and is None in a file of a single frame."""

    sop_class: str
    sop_instance: str
    frame: int | None


@dataclass(frozen=True, eq=False)
class SourceStudy:
    """Headers of a CT series, and its slices.

    Attributes
    ----------
    header : Dataset
        `PATIENT_AND_STUDY` and `SERIES` of the first slice, those that it has; BurnedInAnnotation if any slice has it.
    slices : tuple of Reference
        In the order of the scan.
    one_to_one : bool
        See `DicomOrigin`.
    """

    header: Dataset
    slices: tuple[Reference, ...]
    one_to_one: bool


def read_study(origin: DicomOrigin) -> SourceStudy:
    """Read the headers of a scan's files again, without pixels.

    Raises
    ------
    UnreadableFileError
        If a file is no longer there or no longer what it was.
    """
    several = len({file for file, _ in origin.slices}) < len(origin.slices)
    found: dict[str, tuple[str, str]] = {}
    with open_source(origin.path) as source:
        header = _read(source, origin.slices[0][0], [*PATIENT_AND_STUDY, *SERIES])
        for file, _ in origin.slices:
            if file not in found:
                named = _read(source, file, NAMES)
                found[file] = str(named.get("SOPClassUID", "")), str(named.get("SOPInstanceUID", ""))
                if named.get("BurnedInAnnotation") == "YES":
                    header.BurnedInAnnotation = "YES"
    slices = tuple(Reference(*found[file], frame + 1 if several else None) for file, frame in origin.slices)
    return SourceStudy(header, slices, origin.one_to_one)


def _read(source: Source, file: str, keywords: list[str]) -> Dataset:
    try:
        with warnings.catch_warnings(), source.open(file) as stream:
            warnings.simplefilter("ignore")  # values that break the standard are taken over as they are
            dataset = parse(stream, stop_before_pixels=True, specific_tags=[*keywords], force=True)
            dataset.decode()
            return Dataset({element.tag: element for element in dataset})
    except PARSER_ERRORS as error:
        raise UnreadableFileError(
            f"{file}: found a header that can no longer be read, expected that of the CT that was planned on.",
            "Leave the input in place until the plan is written.",
        ) from error
