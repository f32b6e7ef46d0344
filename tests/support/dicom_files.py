"""A small DICOM writer: CT data sets that a test changes at will and then saves."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
)

from planner.grid import Grid

SECRETS = ("DOE^JANE", "MRN-4711")
"""What no message may hold."""
UID_ROOT = "1.2.826.0.1.3680043.8.498."
STUDY_UID = UID_ROOT + "1"
SERIES_UID = UID_ROOT + "2"


def body(shape_zyx: tuple[int, int, int] = (6, 32, 40), seed: int = 1) -> NDArray[np.int16]:
    """Numbers that pass for CT: air, soft tissue, bone, each voxel its own."""
    rng = np.random.default_rng(seed)
    hu = rng.integers(-80, 1200, shape_zyx).astype(np.int16)
    hu[:, :2] = rng.integers(-1020, -980, hu[:, :2].shape)
    return hu


def slanted(grid: Grid, axes_zyx: Sequence[Sequence[float]]) -> Grid:
    """The grid with other axis directions (rows: unit vectors of axis z, y, x) and the same spacing and origin."""
    matrix = grid.lps_from_zyx.copy()
    matrix[:3, :3] = np.array(axes_zyx, float).T * grid.spacing_zyx_mm
    return Grid(grid.shape_zyx, matrix)


def ct_datasets(
    hu: NDArray[np.int16], grid: Grid, *, intercept: int = -1024, bits: int = 16, signed: bool = False
) -> list[FileDataset]:
    """One CT data set a slice, slope 1, little endian, with names planted in the header."""
    datasets = []
    for k, plane in enumerate(hu):
        ds = _common(plane.shape, grid, bits, signed)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{SERIES_UID}.{k + 1}"
        ds.InstanceNumber = 1000 - 7 * k  # wrong on purpose: geometry decides
        ds.ImagePositionPatient = _decimals(grid.to_lps((k, 0, 0)))
        ds.ImageOrientationPatient = _decimals([*grid.directions_lps[2], *grid.directions_lps[1]])
        ds.PixelSpacing = _decimals(grid.spacing_zyx_mm[1:])
        ds.SliceThickness = _decimals(grid.spacing_zyx_mm[:1])[0]
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", str(intercept), "HU"
        set_pixels(ds, plane.astype(np.int64) - intercept)
        datasets.append(ds)
    return datasets


def enhanced_dataset(hu: NDArray[np.int16], grid: Grid, order: Iterable[int] | None = None) -> FileDataset:
    """One enhanced CT; frames stored in `order`, each with a slope and intercept of its own."""
    frames = list(range(len(hu)) if order is None else order)
    ds = _common(hu.shape[1:], grid, 16, signed=True)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{SERIES_UID}.1"
    ds.NumberOfFrames = len(frames)
    shared = Dataset()
    shared.PlaneOrientationSequence = Items([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = _decimals(
        [*grid.directions_lps[2], *grid.directions_lps[1]]
    )
    shared.PixelMeasuresSequence = Items([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing = _decimals(grid.spacing_zyx_mm[1:])
    shared.PixelMeasuresSequence[0].SliceThickness = _decimals(grid.spacing_zyx_mm[:1])[0]
    ds.SharedFunctionalGroupsSequence = Items([shared])
    ds.PerFrameFunctionalGroupsSequence = Items([_frame_groups(grid, k, -1000 - k) for k in frames])
    set_pixels(ds, np.stack([hu[k].astype(np.int64) + 1000 + k for k in frames]))
    return ds


def set_pixels(ds: Dataset, stored: NDArray[Any]) -> None:
    """Put stored values into the data set's own bits and sign."""
    mask = (1 << ds.BitsStored) - 1
    ds.PixelData = (stored & mask).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"


def pixels(ds: Dataset) -> NDArray[np.uint16]:
    """Stored 16-bit words of one native little-endian frame."""
    return np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns).copy()


def save(folder: Path, datasets: Iterable[FileDataset], syntax: str = ExplicitVRLittleEndian) -> Path:
    """Save data sets under names that say nothing of their order, in one transfer syntax."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, ds in enumerate(datasets):
        save_one(folder / f"IM{(k * 37) % 101:04d}.dcm", ds, syntax)
    return folder


def save_one(path: Path, ds: FileDataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Save one data set in a transfer syntax, compressed where the syntax is."""
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        ds.save_as(path, enforce_file_format=True)
        _recode(path, syntax)
        return path
    ds.file_meta.TransferSyntaxUID = syntax
    if ds.file_meta.TransferSyntaxUID.is_encapsulated:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(syntax, generate_instance_uid=False)
    if syntax == ExplicitVRBigEndian:
        ds = _big_endian(ds)
    ds.save_as(path, enforce_file_format=True)
    return path


def zip_folder(folder: Path, archive: Path, prefix: str = "") -> Path:
    """Zip every file of a folder."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, prefix + path.relative_to(folder).as_posix())
    return archive


def _common(shape_yx: tuple[int, ...], grid: Grid, bits: int, signed: bool) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.PatientName, ds.PatientID = SECRETS
    ds.StudyDescription = f"{SECRETS[0]} pelvis"
    ds.SeriesDescription = f"{SECRETS[1]} axial"
    ds.Modality, ds.ImageType, ds.PatientPosition = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SeriesNumber = STUDY_UID, SERIES_UID, 3
    ds.FrameOfReferenceUID = STUDY_UID + ".9"
    ds.ConvolutionKernel = "B60s"
    ds.Rows, ds.Columns = shape_yx
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, int(signed)
    return ds


def _frame_groups(grid: Grid, k: int, intercept: int) -> Dataset:
    groups = Dataset()
    groups.PlanePositionSequence = Items([Dataset()])
    groups.PlanePositionSequence[0].ImagePositionPatient = _decimals(grid.to_lps((k, 0, 0)))
    groups.PixelValueTransformationSequence = Items([Dataset()])
    values = groups.PixelValueTransformationSequence[0]
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = "1", str(intercept), "HU"
    return groups


def _decimals(values: Iterable[float]) -> list[str]:
    return [f"{round(value, 9) + 0.0:.12g}" for value in values]


def _big_endian(ds: FileDataset) -> FileDataset:
    big = FileDataset("", dict(ds.items()), file_meta=ds.file_meta, preamble=bytes(128), is_little_endian=False)
    big.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    return big


def _recode(path: Path, syntax: str) -> None:
    types = {
        str(JPEGLossless): gdcm.TransferSyntax.JPEGLosslessProcess14,
        str(JPEGLosslessSV1): gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    }
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(types[str(syntax)]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
