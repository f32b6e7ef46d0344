"""Choose the reader by what the path holds, then check values and spacing the same way for every format."""

from __future__ import annotations

from pathlib import Path

from planner.dicom import DicomScan, SeriesReport, list_dicom, read_dicom
from planner.errors import UnreadableFileError
from planner.images import image_format, read_volume
from planner.reading.fingerprint import scan_sha256
from planner.reading.hounsfield import check_hounsfield
from planner.reading.spacing import spacing_findings
from planner.volume import Scan, Volume

__all__ = ["list_series", "read_scan"]


def read_scan(path: Path, *, resample: bool = False) -> Scan:
    """Read a CT.

    Parameters
    ----------
    path : Path
        A DICOM folder or zip of any depth, one DICOM file, ``.nii``, ``.nii.gz``, ``.nrrd``, ``.mha`` or ``.mhd``.
    resample : bool
        Accept uneven, missing or tilted DICOM slices, put them onto an even upright grid, and record a finding.

    Returns
    -------
    Scan
        int16 HU on the input's own grid, LPS.

    Raises
    ------
    InputRefusedError
        One of its kinds; the message names the file, the value found, the value expected and what to do.
    """
    path = _existing(path)
    scan = _read(path, resample=resample)
    facts = scan.description
    values = check_hounsfield(scan.volume.hu, scan.file)
    spacing = spacing_findings(scan.volume.grid, facts["widest_gap_mm"], facts["slice_thickness_mm"])
    return Scan(scan.volume, scan_sha256(scan.volume), (*scan.findings, *values, *spacing), facts)


def list_series(path: Path, *, resample: bool = False) -> list[SeriesReport]:
    """Describe every series that `path` holds, best first; the one that `read_scan` takes is marked chosen.

    Raises
    ------
    InputRefusedError
        If there is nothing to list.
    """
    path = _existing(path)
    if image_format(path) is not None:
        volume, _ = read_volume(path)
        return [_image_report(path, volume)]
    return list_dicom(path, resample=resample)


def _existing(path: Path) -> Path:
    path = Path(path).absolute()
    if not path.exists():
        raise UnreadableFileError(
            f"{path.name}: found nothing at this path, expected a DICOM folder or zip, or an image file.",
            "Check the path.",
        )
    return path


def _read(path: Path, *, resample: bool) -> DicomScan:
    if image_format(path) is None:
        return read_dicom(path, resample=resample)
    volume, description = read_volume(path)
    return DicomScan(path.name, volume, (), description)


def _image_report(path: Path, volume: Volume) -> SeriesReport:
    kind = image_format(path) or ""
    spacing = " x ".join(f"{mm:.2f}" for mm in volume.grid.spacing_zyx_mm)
    reasons = (f"one volume of {spacing} mm voxels",)
    return SeriesReport(scan_sha256(volume)[:8], None, kind, volume.grid.shape_zyx[0], 1.0, True, reasons)
