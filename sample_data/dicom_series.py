"""A volume as a series of CT Image Storage files of a made-up patient. Deterministic to the byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from planner import NOTICE
from planner.grid import Grid
from planner.volume import Volume

__all__ = ["SeriesLabels", "write_dicom_planes", "write_dicom_series"]

PATIENT_NAME, PATIENT_ID = "PHANTOM^SACROPLAN", "PHANTOM"
"""No one."""

INTERCEPT_HU = -1024
"""Stored values are unsigned: ``HU = stored + intercept``."""

DATE, TIME = "20260101", "120000"
"""Fixed, so that equal volumes give equal files."""

COSINE_DECIMALS, POSITION_DECIMALS = 10, 6
"""Of a decimal string, which holds at most 16 characters."""


def write_dicom_series(
    volume: Volume, folder: Path, *, description: str = "Pelvis phantom", kernel: str = "SOFT"
) -> list[Path]:
    """Write one file a slice; slices are the volume's first axis, at any orientation.

    File names are drawn from the content and do not follow the order of the slices.

    Parameters
    ----------
    volume : Volume
        On an orthogonal grid; no value below -1024 HU.
    folder : Path
        Made if it does not exist.
    description, kernel : str
        Series Description (0008,103E) and Convolution Kernel (0018,1210).

    Returns
    -------
    list of Path
        The files, in the order of the slices.

    Raises
    ------
    ValueError
        If the grid is sheared or a value is below -1024 HU.
    """
    if volume.hu.min() < INTERCEPT_HU:
        raise ValueError(f"values from {volume.hu.min()} HU, expected {INTERCEPT_HU} or more")
    labels = SeriesLabels(_digest(volume, description, kernel), description, kernel)
    return write_dicom_planes(volume.hu, volume.grid, folder, labels)


@dataclass(frozen=True)
class SeriesLabels:
    """Texts of a series.

    Attributes
    ----------
    content : str
        What its identifiers are drawn from.
    description, kernel : str
        Series Description (0008,103E) and Convolution Kernel (0018,1210).
    """

    content: str
    description: str = "Pelvis phantom"
    kernel: str = "SOFT"


def write_dicom_planes(
    planes: Iterable[NDArray[np.int16]], grid: Grid, folder: Path, labels: SeriesLabels
) -> list[Path]:
    """Write slices as they come, one held at a time.

    Parameters
    ----------
    planes : iterable of (rows, columns) int16 arrays
        Hounsfield units of at least -1024, one for each slice of `grid`.
    grid : Grid
        At right angles.
    folder : Path
        Made if it does not exist.
    labels : SeriesLabels
        Texts and identifiers.

    Returns
    -------
    list of Path
        The files, in the order of the slices.

    Raises
    ------
    ValueError
        If the grid is sheared.
    """
    if not grid.is_orthogonal:
        raise ValueError("a series of slices needs a grid with axes at right angles")
    folder.mkdir(parents=True, exist_ok=True)
    common = _common(grid, labels)
    return [_write_slice(plane, _Place(grid, k), common, labels.content, folder) for k, plane in enumerate(planes)]


@dataclass(frozen=True, eq=False)
class _Place:
    """Slice `index` of a grid."""

    grid: Grid
    index: int


def _digest(volume: Volume, *texts: str) -> str:
    state = hashlib.sha256(np.ascontiguousarray(volume.hu).tobytes())
    state.update(np.round(volume.grid.lps_from_zyx, 6).tobytes())
    state.update("\n".join(texts).encode())
    return state.hexdigest()


def _uid(content: str, role: str) -> UID:
    """UID of the 2.25 root (ITU-T X.667) from a content hash."""
    return UID(f"2.25.{int(hashlib.sha256(f'{content} {role}'.encode()).hexdigest()[:31], 16)}")


def _decimals(values: NDArray[np.float64], places: int) -> list[str]:
    return [f"{v + 0.0:.{places}f}" for v in np.round(values, places)]


def _common(grid: Grid, labels: SeriesLabels) -> Dataset:
    """Attributes that all slices share."""
    sz, sy, sx = grid.spacing_zyx_mm
    directions = grid.directions_lps
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID = CTImageStorage
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = DATE
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = TIME
    data.AccessionNumber = data.ReferringPhysicianName = data.PositionReferenceIndicator = ""
    data.Modality, data.Manufacturer, data.ManufacturerModelName = "CT", "sacroplan", "phantom"
    data.StudyDescription, data.SeriesDescription, data.ImageComments = "Phantom", labels.description, NOTICE
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = PATIENT_NAME, PATIENT_ID, "", "O"
    data.BodyPartExamined, data.PatientPosition, data.ConvolutionKernel = "PELVIS", "HFS", labels.kernel
    data.KVP, data.StudyID, data.SeriesNumber, data.AcquisitionNumber = "120", "1", "1", "1"
    data.SliceThickness = _decimals(np.array([sz]), POSITION_DECIMALS)[0]
    data.SpacingBetweenSlices = data.SliceThickness
    content = labels.content
    data.StudyInstanceUID, data.SeriesInstanceUID = _uid(content, "study"), _uid(content, "series")
    data.FrameOfReferenceUID = _uid(content, "frame of reference")
    data.ImageOrientationPatient = _decimals(np.concatenate([directions[2], directions[1]]), COSINE_DECIMALS)
    data.PixelSpacing = _decimals(np.array([sy, sx]), POSITION_DECIMALS)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = grid.shape_zyx[1:]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = str(INTERCEPT_HU), "1", "HU"
    data.WindowCenter, data.WindowWidth = "300", "1500"
    return data


def _write_slice(plane: NDArray[np.int16], place: _Place, common: Dataset, content: str, folder: Path) -> Path:
    k, directions = place.index, place.grid.directions_lps
    normal = np.cross(directions[2], directions[1])
    position = place.grid.to_lps([k, 0, 0])
    instance = _uid(content, f"slice {k}")
    path = folder / f"{hashlib.sha256(instance.encode()).hexdigest()[:12]}.dcm"
    data = FileDataset(str(path), {}, file_meta=_meta(instance), preamble=b"\0" * 128)
    data.update(common)
    data.SOPInstanceUID = instance
    data.InstanceNumber = str(place.grid.shape_zyx[0] - k)
    data.ImagePositionPatient = _decimals(position, POSITION_DECIMALS)
    data.SliceLocation = _decimals(np.array([position @ normal]), POSITION_DECIMALS)[0]
    data.PixelData = (plane.astype(np.int32) - INTERCEPT_HU).astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def _meta(instance: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _uid("sacroplan", "implementation")
    meta.ImplementationVersionName = "SACROPLAN"
    return meta
