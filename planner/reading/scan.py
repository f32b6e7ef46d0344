"""Choose the reader by what the path holds, then check values and spacing the same way for every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from planner.dicom import SeriesReport, list_dicom, read_dicom
from planner.errors import UnreadableFileError
from planner.findings import Finding
from planner.images import IMAGE_SUFFIXES, image_format, read_volume
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
    path = Path(path)
    _check_exists(path)
    volume, findings, description = _read(path, resample=resample)
    findings += check_hounsfield(volume.hu, path.name)
    findings += spacing_findings(
        volume.grid, description.get("widest_gap_mm", 0.0), description.get("slice_thickness_mm")
    )
    return Scan(volume, scan_sha256(volume), tuple(findings), description)


def list_series(path: Path, *, resample: bool = False) -> list[SeriesReport]:
    """Describe every series that `path` holds, best first; the one that `read_scan` takes is marked chosen.

    Raises
    ------
    InputRefusedError
        If there is nothing to list.
    """
    path = Path(path)
    _check_exists(path)
    if image_format(path) is not None:
        volume, _ = read_volume(path)
        return [_image_report(path, volume)]
    return list_dicom(path, resample=resample)


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise UnreadableFileError(
            f"{path.name}: found nothing at this path, expected a DICOM folder or zip, or an image file.",
            "Check the path.",
        )


def _read(path: Path, *, resample: bool) -> tuple[Volume, list[Finding], dict[str, Any]]:
    kind = image_format(path)
    if kind is not None:
        volume, description = read_volume(path)
        return volume, [], {**description, "resampled": False}
    scan = read_dicom(path, resample=resample)
    return scan.volume, list(scan.findings), scan.description


def _image_report(path: Path, volume: Volume) -> SeriesReport:
    kind = image_format(path) or IMAGE_SUFFIXES[".nii"]
    spacing = " x ".join(f"{mm:.2f}" for mm in volume.grid.spacing_zyx_mm)
    reasons = (f"one volume of {spacing} mm voxels",)
    return SeriesReport(scan_sha256(volume)[:8], None, kind, volume.grid.shape_zyx[0], 1.0, True, reasons)
