"""A new DICOM object in the study of the CT: patient, study, series, equipment, and identifiers that repeat.

Identifiers are hashes of the plan, the CT and what the object holds, in the root of ITU-T X.667; the only dates are
those of the study. So the same plan gives the same bytes, and another one other identifiers.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from planner import __version__
from planner.dicom.study import PATIENT_AND_STUDY, SourceStudy
from planner.plan import PlanDocument

__all__ = ["Kind", "Target", "referenced_series", "save"]

UID_DIGITS = 31
"""Hexadecimal digits of a hash that become a UID: 124 bits, in the 39 decimal digits that 2.25 leaves."""

NO_DATE, NO_TIME = "19000101", "000000"
"""Where the study has none: the date an object was made must be there, and the clock would change the bytes."""

EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
         "ReferringPhysicianName", "StudyID", "AccessionNumber")  # fmt: skip
"""Those that must be there, if only empty (type 2)."""


@dataclass(frozen=True)
class Kind:
    """One sort of object, which has a series of its own.

    Attributes
    ----------
    sop_class, modality, description : str
        SOP Class UID, Modality and Series Description.
    series : int
        Series Number.
    """

    sop_class: str
    modality: str
    description: str
    series: int


@dataclass(frozen=True, eq=False)
class Target:
    """The study that objects are made for, and the plan that they are made of."""

    study: SourceStudy
    document: PlanDocument

    @property
    def header(self) -> Dataset:
        """Headers of the CT."""
        return self.study.header

    @property
    def frame_of_reference(self) -> UID:
        """That of the CT; one made up where it has none."""
        return UID(str(self.header.get("FrameOfReferenceUID", ""))) or self.uid("frame of reference")

    @property
    def moment(self) -> tuple[str, str]:
        """Date and time that stand for those at which an object was made: the study's."""
        return str(self.header.get("StudyDate", "")) or NO_DATE, str(self.header.get("StudyTime", "")) or NO_TIME

    @cached_property
    def _content(self) -> bytes:
        series = str(self.header.get("SeriesInstanceUID", ""))
        return f"{__version__} {series} {self.document.to_json()}".encode()

    def uid(self, *content: str | bytes) -> UID:
        """Name something that is made of the plan, the CT and `content`."""
        state = hashlib.sha256(self._content)
        for part in content:
            state.update(b"\0" + (part.encode() if isinstance(part, str) else part))
        return UID(f"2.25.{int(state.hexdigest()[:UID_DIGITS], 16)}")

    def instance(self, kind: Kind, number: int, *content: str | bytes) -> UID:
        """SOP Instance UID of an object; see `new`."""
        return self.uid(kind.description, str(number), *content)

    def series(self, kind: Kind) -> UID:
        """Series Instance UID of all objects of a kind."""
        return self.uid("series", kind.description)

    def refer(self, kind: Kind) -> Dataset:
        """Item that refers to the one object of a kind, within its series."""
        series = Dataset()
        series.ReferencedInstanceSequence = Sequence([_reference(kind.sop_class, self.instance(kind, 1))])
        series.SeriesInstanceUID = self.series(kind)
        return series

    def new(self, kind: Kind, number: int, *content: str | bytes) -> FileDataset:
        """Begin an object.

        Parameters
        ----------
        kind : Kind
            What it is.
        number : int
            Instance Number, from 1.
        *content : str or bytes
            What it holds beyond the plan, for its identifier.
        """
        instance = self.instance(kind, number, *content)
        data = FileDataset("", {}, file_meta=_meta(kind.sop_class, instance), preamble=bytes(128))
        self._take_over(data)
        data.SOPClassUID, data.SOPInstanceUID = kind.sop_class, instance
        data.Modality, data.SeriesInstanceUID = kind.modality, self.series(kind)
        data.SeriesNumber, data.SeriesDescription = kind.series, kind.description
        data.InstanceNumber = number
        data.ContentDate, data.ContentTime = self.moment
        data.Manufacturer = data.ManufacturerModelName = "sacroplan"
        data.DeviceSerialNumber, data.SoftwareVersions = "none", __version__
        return data

    def _take_over(self, data: Dataset) -> None:
        for keyword in EMPTY:
            setattr(data, keyword, "")
        for keyword in PATIENT_AND_STUDY:
            if keyword in self.header:
                data[keyword] = self.header[keyword]


def _meta(sop_class: str, instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(f"2.25.{int(hashlib.sha256(b'sacroplan').hexdigest()[:UID_DIGITS], 16)}")
    meta.ImplementationVersionName = "SACROPLAN"
    return meta


def referenced_series(study: SourceStudy) -> Sequence:
    """Referenced Series Sequence: every file of the CT, each once (PS3.3 C.12.2)."""
    files = dict.fromkeys((one.sop_class, one.sop_instance) for one in study.slices)
    series = Dataset()
    series.ReferencedInstanceSequence = Sequence(_reference(*file) for file in files)
    series.SeriesInstanceUID = str(study.header.get("SeriesInstanceUID", ""))
    return Sequence([series])


def _reference(sop_class: str, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    return item


def save(data: FileDataset, path: Path) -> Path:
    """Write an object."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the CT holds against the standard is taken over as it is
        data.save_as(path, enforce_file_format=True)
    return path
