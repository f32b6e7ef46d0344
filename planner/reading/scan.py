"""Choose the reader by what the path holds, then check values and spacing the same way for every format."""

from __future__ import annotations

from pathlib import Path

from planner.cells import count_cells
from planner.dicom import DicomScan, SeriesReport, list_dicom, read_dicom
from planner.errors import GeometryError, UnreadableFileError
from planner.images import image_facts, image_format, is_zarr, open_volume
from planner.reading.fingerprint import cells_sha256
from planner.reading.hounsfield import check_hounsfield
from planner.reading.model import Scan
from planner.reading.spacing import spacing_findings
from planner.source import ArraySource
from planner.volume import Volume

__all__ = ["list_series", "read_scan", "scan_of"]

IN_MEMORY = "volume"
"""What a CT without a file is called in messages."""
KEY_LENGTH = 8
"""Hexadecimal digits of a short hash."""


def read_scan(path: Path, *, resample: bool = False) -> Scan:
    """Open a CT, and read it once, coarsely: what it takes to know that it is one, and to find the pelvis in it.

    Parameters
    ----------
    path : Path
        A DICOM folder or zip of any depth, one DICOM file, ``.nii``, ``.nii.gz``, ``.nrrd``, ``.mha``, ``.mhd``, or a
        ``.zarr`` folder.
    resample : bool
        Accept uneven, missing or tilted DICOM slices, put them onto an even upright grid, and record a finding.

    Returns
    -------
    Scan
        Its voxels are read where they are asked for, as int16 HU.

    Raises
    ------
    InputRefusedError
        One of its kinds; the message names the file, the value found, the value expected and what to do.
    """
    return _checked(_open(_existing(path), resample=resample))


def scan_of(volume: Volume) -> Scan:
    """Take a CT in memory as a scan, with the checks that a file gets; its voxels are not copied.

    Raises
    ------
    GeometryError
        If its axes are not at right angles.
    NotHounsfieldError
        If its values cannot be Hounsfield units.
    """
    if not volume.grid.is_orthogonal:
        raise GeometryError(
            f"{IN_MEMORY}: found axes that are not at right angles, expected an upright grid.",
            "Resample it onto an upright grid.",
        )
    return _checked(DicomScan(IN_MEMORY, ArraySource(volume), (), image_facts("array", volume.grid)))


def _checked(scan: DicomScan) -> Scan:
    """Count a scan into cells, and judge values and spacing."""
    facts = scan.description
    cells = count_cells(scan.source)
    values = check_hounsfield(cells.histogram, scan.file)
    spacing = spacing_findings(scan.source.grid, facts["widest_gap_mm"], facts["slice_thickness_mm"])
    return Scan(scan.source, cells, (*scan.findings, *values, *spacing), facts, scan.origin)


def list_series(path: Path, *, resample: bool = False) -> list[SeriesReport]:
    """Describe every series that `path` holds, best first; the one that `read_scan` takes is marked chosen.

    Raises
    ------
    InputRefusedError
        If there is nothing to list.
    """
    path = _existing(path)
    if image_format(path) is not None or is_zarr(path):
        return [_image_report(read_scan(path))]
    return list_dicom(path, resample=resample)


def _existing(path: Path) -> Path:
    path = Path(path).absolute()
    if not path.exists():
        raise UnreadableFileError(
            f"{path.name}: found nothing at this path, expected a DICOM folder or zip, or an image file.",
            "Check the path.",
        )
    if not (path.is_file() or path.is_dir()):
        raise UnreadableFileError(
            f"{path.name}: found a pipe or device, expected a DICOM folder or zip, or an image file.",
            "Copy what it gives into a file first.",
        )
    return path


def _open(path: Path, *, resample: bool) -> DicomScan:
    if is_zarr(path):
        from planner.zarr_images import open_zarr  # takes half a second to import

        voxels, assumed = open_zarr(path)
        return DicomScan(path.name, voxels, tuple(assumed), image_facts("Zarr", voxels.grid))
    if image_format(path) is None:
        return read_dicom(path, resample=resample)
    source, description = open_volume(path)
    return DicomScan(path.name, source, (), description)


def _image_report(scan: Scan) -> SeriesReport:
    kind = scan.description["format"]
    spacing = " x ".join(f"{mm:.2f}" for mm in scan.grid.spacing_zyx_mm)
    reasons = (f"one volume of {spacing} mm voxels",)
    key = cells_sha256(scan.grid, scan.cells)[:KEY_LENGTH]
    return SeriesReport(key, None, kind, scan.grid.shape_zyx[0], 1.0, True, reasons)
