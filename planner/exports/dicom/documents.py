"""Files inside DICOM: figures as secondary captures, the report as encapsulated PDF, surfaces as encapsulated STL."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EncapsulatedPDFStorage, EncapsulatedSTLStorage, SecondaryCaptureImageStorage

from planner import NOTICE
from planner.exports.dicom.concepts import code_sequence
from planner.exports.dicom.objects import Kind, Target, save
from planner.exports.dicom.report import KIND as REPORT_KIND
from planner.exports.terminology import Concept

__all__ = ["write_pdf", "write_picture", "write_stl_object"]

PICTURE = Kind(SecondaryCaptureImageStorage, "OT", "sacroplan figures", 9004)
PDF = Kind(EncapsulatedPDFStorage, "DOC", "sacroplan report", 9005)
STL = Kind(EncapsulatedSTLStorage, "M3D", "sacroplan surfaces", 9006)

PLANNING = Concept("129015", "DCM", "Planning")
"""Model usage (CID 7064)."""
MM = Concept("mm", "UCUM", "mm")
REPORT = Concept("18748-4", "LN", "Diagnostic imaging report")
MODEL = Concept("85040-4", "LN", "Three-dimensional model")


def write_picture(path: Path, target: Target, number: int, rgb: NDArray[np.uint8]) -> Path:
    """Write a picture ``(rows, columns, 3)`` as a secondary capture (PS3.3 A.8.1)."""
    title = path.stem.replace("_", " ")
    pixels = np.ascontiguousarray(rgb).tobytes()
    data = target.new(PICTURE, number, hashlib.sha256(pixels).digest())
    data.ConversionType, data.BurnedInAnnotation = "WSD", _burned_in(target)
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.ImageComments = f"{title}. {NOTICE}"
    data.PatientOrientation, data.BodyPartExamined = "", "PELVIS"
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.Rows, data.Columns = rgb.shape[:2]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.LossyImageCompression = "00"
    data.PixelData = pixels + bytes(len(pixels) % 2)
    data["PixelData"].VR = "OB"
    return save(data, path)


def write_pdf(path: Path, target: Target, pdf: bytes) -> Path:
    """Write a PDF as an encapsulated document that refers to the structured report (PS3.3 A.45.1)."""
    data = _encapsulated(target, PDF, 1, "sacroplan report", pdf, "application/pdf")
    data.ConceptNameCodeSequence = code_sequence(REPORT)
    data.ConversionType, data.BurnedInAnnotation = "WSD", _burned_in(target)
    data.SourceInstanceSequence = target.refer(REPORT_KIND).ReferencedInstanceSequence
    return save(data, path)


def write_stl_object(path: Path, target: Target, number: int, stl: bytes, drawn_on: Kind) -> Path:
    """Write a binary STL as an encapsulated document in the CT's frame of reference (PS3.3 A.85.1).

    `drawn_on` is the segmentation that it refers to.
    """
    title = path.stem.replace("_", " ")
    data = _encapsulated(target, STL, number, title, stl, "model/stl")
    data.ConceptNameCodeSequence = code_sequence(MODEL)
    data.FrameOfReferenceUID = target.frame_of_reference
    data.PositionReferenceIndicator = str(target.header.get("PositionReferenceIndicator", ""))
    source = target.refer(drawn_on)
    data.ReferencedSeriesSequence = Items([source])
    data.SourceInstanceSequence = source.ReferencedInstanceSequence
    data.MeasurementUnitsCodeSequence = code_sequence(MM)
    data.ModelModification, data.ModelMirroring = "NO", "NO"
    data.ModelUsageCodeSequence = code_sequence(PLANNING)
    data.ContentDescription = title
    return save(data, path)


def _encapsulated(target: Target, kind: Kind, number: int, title: str, body: bytes, media: str) -> FileDataset:
    data = target.new(kind, number, hashlib.sha256(body).digest())
    data.BurnedInAnnotation = "NO"
    data.AcquisitionDateTime = ""
    data.DocumentTitle = f"{title}. {NOTICE}"
    data.MIMETypeOfEncapsulatedDocument = media
    data.EncapsulatedDocumentLength = len(body)
    data.EncapsulatedDocument = body + bytes(len(body) % 2)
    return data


def _burned_in(target: Target) -> str:
    """Say of what shows the CT what the CT says of itself."""
    return "YES" if str(target.header.get("BurnedInAnnotation", "")) == "YES" else "NO"
