"""Wrong but plausible: scans that any reader would take, and what is said of them.

Each is the small phantom, written as DICOM or NIfTI by someone who made one mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from planner.errors import SacroplanError
from planner.findings import Finding, Level
from planner.grid import Grid, Orientation
from planner.images import write_volume
from planner.place import working_place
from planner.reading import read_scan
from planner.segmentation import crop_box, load_shape_model, locate_pelvis, segment_bones, thin_cells
from planner.volume import Volume
from sample_data import write_dicom_series
from sample_data.dicom_series import INTERCEPT_HU

__all__ = ["MISTAKES", "Mistake", "met", "usual_findings"]

INCH_MM = 25.4

Usual = frozenset[tuple[str, Level]]
Make = Callable[[Volume, Path], Path]


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes
    ----------
    name : str
        In words.
    make : callable
        Writes the scan with the mistake, and gives its path.
    told : bool
        Whether the program can tell; where it cannot, the page says so.
    """

    name: str
    make: Make
    told: bool = True


def met(mistake: Mistake, volume: Volume, folder: Path, usual: Usual = frozenset()) -> tuple[str, str]:
    """Give ``refused``, ``flagged`` or ``not told``, and the words, as of the bone stage; `usual` does not count."""
    try:
        findings = _findings(mistake.make(volume, folder))
    except SacroplanError as error:
        return "refused", str(error)
    words = "; ".join(f"`{f.code}`: {f.message}" for f in findings if (f.code, f.level) not in usual)
    return ("flagged" if words else "not told"), words


def usual_findings(volume: Volume, folder: Path) -> Usual:
    """Codes and levels of what is said of the scan as it is."""
    return frozenset((f.code, f.level) for f in _findings(_as_dicom(volume, folder)))


def _findings(path: Path) -> tuple[Finding, ...]:
    model = load_shape_model()
    scan = read_scan(path)
    pose = locate_pelvis(thin_cells(scan.cells), model)
    canonical = Orientation.to_canonical(scan.grid).apply_grid(scan.grid)
    place = working_place(scan.grid, crop_box(canonical, pose, model))
    bones = segment_bones(scan.read(place.box, place.blocks), pose, model)
    return (*scan.findings, *place.findings(), *bones.findings)


def _as_dicom(volume: Volume, folder: Path, edit: Callable[[pydicom.Dataset], None] = lambda ds: None) -> Path:
    write_dicom_series(volume, folder / "dicom")
    for path in (folder / "dicom").iterdir():
        ds = pydicom.dcmread(path)
        edit(ds)
        ds.save_as(path)
    return folder / "dicom"


def _as_nifti(hu: np.ndarray, grid: Grid, folder: Path) -> Path:
    write_volume(folder / "ct.nii.gz", Volume(np.ascontiguousarray(hu).astype(np.int16), grid))
    return folder / "ct.nii.gz"


def _edited(edit: Callable[[pydicom.Dataset], None]) -> Make:
    return lambda volume, folder: _as_dicom(volume, folder, edit)


def _values(change: Callable[[np.ndarray], np.ndarray]) -> Make:
    def make(volume: Volume, folder: Path) -> Path:
        hu = change(volume.hu.astype(np.int32))
        raised = max(0, INTERCEPT_HU - int(hu.min()))  # stored values are not negative: the header takes it off again
        stored = np.clip(hu + raised, INTERCEPT_HU, 32767).astype(np.int16)

        def lower(ds: pydicom.Dataset) -> None:
            ds.RescaleIntercept = str(INTERCEPT_HU - raised)

        return _as_dicom(Volume(stored, volume.grid), folder, lower)

    return make


def _array(turn: Callable[[np.ndarray], np.ndarray]) -> Make:
    """Voxels turned without their geometry."""

    def make(volume: Volume, folder: Path) -> Path:
        hu = np.ascontiguousarray(turn(volume.hu))
        return _as_dicom(Volume(hu, Grid.from_spacing(hu.shape, volume.grid.spacing_zyx_mm)), folder)

    return make


def _spacing(change: Callable[[np.ndarray], np.ndarray]) -> Make:
    def make(volume: Volume, folder: Path) -> Path:
        grid = Grid.from_spacing(volume.grid.shape_zyx, change(volume.grid.spacing_zyx_mm))
        return _as_nifti(volume.hu, grid, folder)

    return make


def _mirrored_header(ds: pydicom.Dataset) -> None:
    """Rows said to run to the patient's right, pixels as they were."""
    ds.ImageOrientationPatient = ["-1", "0", "0", "0", "1", "0"]


def _upside_down_header(ds: pydicom.Dataset) -> None:
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "-1", "0"]


def _flipped_order(ds: pydicom.Dataset) -> None:
    x, y, z = (float(v) for v in ds.ImagePositionPatient)
    ds.ImagePositionPatient = [f"{v:.6g}" for v in (x, y, -z)]


def _as_mr(hu: np.ndarray) -> np.ndarray:
    """T1 in 12 bits: fat bright, muscle grey, air and cortex dark."""
    return np.interp(hu, [-1000, -200, -100, 40, 150, 400, 1500], [0, 200, 900, 400, 300, 100, 20]).astype(int)


def _as_cbct(hu: np.ndarray) -> np.ndarray:
    """Cone beam: a contrast of three quarters, an offset, cupping."""
    _, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in hu.shape], indexing="ij")
    return (0.75 * hu + 180 + 160 * (x**2 + y**2)).astype(int)


def _named_cbct(ds: pydicom.Dataset) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "CONEBEAM"]


MISTAKES = (
    Mistake("voxels mirrored left to right, header as before", _array(lambda a: a[:, :, ::-1]), told=False),
    Mistake("header mirrored left to right, voxels as before", _edited(_mirrored_header)),
    Mistake("header mirrored front to back, voxels as before", _edited(_upside_down_header)),
    Mistake("order of the slices flipped, voxels as before", _edited(_flipped_order)),
    Mistake("voxels turned upside down", _array(lambda a: a[::-1])),
    Mistake("voxels mirrored front to back", _array(lambda a: a[:, ::-1])),
    Mistake("rows and columns swapped", _array(lambda a: a.transpose(0, 2, 1))),
    Mistake("axes in another order", _array(lambda a: a.transpose(1, 0, 2))),
    Mistake("spacing in inches", _spacing(lambda mm: mm / INCH_MM)),
    Mistake("spacing in centimetres", _spacing(lambda mm: mm / 10)),
    Mistake("spacing in micrometres", _spacing(lambda mm: mm * 1000)),
    Mistake("spacing of slices and pixels swapped", _spacing(lambda mm: np.array([mm[1], mm[1], mm[0]]))),
    Mistake("slice spacing half of what it was", _spacing(lambda mm: mm * (0.5, 1, 1))),
    Mistake("slice spacing twice what it was", _spacing(lambda mm: mm * (2, 1, 1))),
    Mistake("spacing lost: all 1 mm", _spacing(lambda mm: np.ones(3))),
    Mistake("HU 1024 too high", _values(lambda hu: hu + 1024)),
    Mistake("HU 1024 too low", _values(lambda hu: hu - 1024)),
    Mistake("HU 1000 too high, air cut off", _values(lambda hu: np.maximum(hu, -1000) + 1000)),
    Mistake("HU halved", _values(lambda hu: hu // 2)),
    Mistake("HU doubled", _values(lambda hu: hu * 2)),
    Mistake("HU 300 too high", _values(lambda hu: hu + 300)),
    Mistake("grey levels inverted", _values(lambda hu: -hu)),
    Mistake("MR passed off as CT", _values(_as_mr)),
    Mistake("MR passed off as CT, shifted by -1024", _values(lambda hu: _as_mr(hu) - 1024)),
    Mistake("CBCT values passed off as CT", _values(_as_cbct)),
    Mistake("CBCT that says so in ImageType", _edited(_named_cbct)),
)
"""All mistakes."""
