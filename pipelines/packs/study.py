"""The study that a pack's DICOM objects belong to: the CT's as our own objects refer to it, under pseudonyms.

Basic Application Level Confidentiality Profile (PS3.15 Annex E, table E.1-1) by construction: the objects are written
anew, from the plan, into a study of which only what is named here exists.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from pipelines.packs.pseudonyms import Pseudonyms
from planner.dicom.headers import PARSER_ERRORS
from planner.dicom.study import Reference, SourceStudy
from planner.errors import UnreadableFileError

__all__ = ["METHOD", "OPTIONS", "Named", "pseudonymous", "read_named"]

OPTIONS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113104", "Clean Structured Content Option"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
"""De-identification Method Code Sequence (0012,0064), CID 7050."""
METHOD = "Written anew by sacroplan under keyed pseudonyms"


@dataclass(frozen=True, eq=False)
class Named:
    """What a result's DICOM objects say of patient and CT. Never written or shown.

    Attributes
    ----------
    header : Dataset
        Patient, study and frame of reference.
    series : str
        Series Instance UID of the CT.
    slices : tuple of (str, str)
        SOP Class and Instance UID of each file of the CT, in the order of the scan.
    """

    header: Dataset
    series: str
    slices: tuple[tuple[str, str], ...]


def read_named(path: Path) -> Named:
    """Read a result's ``seg.dcm``.

    Raises
    ------
    UnreadableFileError
        If it is not what this program writes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that break the standard were taken over from the CT
            header = pydicom.dcmread(path, stop_before_pixels=True)
            referred = header.ReferencedSeriesSequence[0]
            slices = [
                (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
                for item in referred.ReferencedInstanceSequence
            ]
            return Named(header, str(referred.SeriesInstanceUID), tuple(slices))
    except (*PARSER_ERRORS, pydicom.errors.InvalidDicomError) as error:
        raise UnreadableFileError(
            f"{path.name}: found no segmentation of this program, expected one.", "Plan the case again."
        ) from error


def pseudonymous(named: Named, planes: int, pseudonyms: Pseudonyms) -> SourceStudy:
    """Give the study under pseudonyms.

    Parameters
    ----------
    named : Named
        The study under its names.
    planes : int
        Slices of the scan's grid; where files are fewer or more, frames do not say what they were drawn on.
    pseudonyms : Pseudonyms
        Of this site.
    """
    patient = "|".join(str(named.header.get(keyword, "")) for keyword in ("PatientID", "IssuerOfPatientID"))
    header = Dataset()
    header.PatientName = f"PACK^{pseudonyms.code('name', patient, 8)}"
    header.PatientID = pseudonyms.code("patient", patient)
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = METHOD
    header.DeidentificationMethodCodeSequence = Items(_options())
    header.LongitudinalTemporalInformationModified = "MODIFIED"
    header.StudyInstanceUID = pseudonyms.uid(str(named.header.get("StudyInstanceUID", "")))
    header.SeriesInstanceUID = pseudonyms.uid(named.series)
    header.FrameOfReferenceUID = pseudonyms.uid(str(named.header.get("FrameOfReferenceUID", "")))
    header.StudyDate = pseudonyms.date(str(named.header.get("StudyDate", "")), patient)
    return SourceStudy(header, tuple(_references(named.slices, pseudonyms)), len(named.slices) == planes)


def _options() -> Iterator[Dataset]:
    for value, meaning in OPTIONS:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
        yield item


def _references(slices: Iterable[tuple[str, str]], pseudonyms: Pseudonyms) -> Iterator[Reference]:
    for sop_class, instance in slices:
        yield Reference(pydicom.uid.UID(sop_class), pseudonyms.uid(instance), None)
