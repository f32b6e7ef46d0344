"""Image files: NIfTI, NRRD and MetaImage read by SimpleITK; labels and volumes written as deterministic NIfTI.

SimpleITK's world is LPS already. Its index is ``(x, y, z)``; its arrays are ``(z, y, x)``, as ours.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from planner.errors import GeometryError, LabelsError, NotHounsfieldError, UnreadableFileError
from planner.grid import Grid, Orientation
from planner.integrity import check_whole
from planner.nifti import forms, read_header, write_nifti
from planner.volume import LabelMap, Volume

__all__ = ["IMAGE_SUFFIXES", "image_format", "read_labels", "read_volume", "write_labels", "write_volume"]

IMAGE_SUFFIXES = {
    ".nii": "NIfTI", ".nii.gz": "NIfTI", ".nrrd": "NRRD", ".nhdr": "NRRD", ".mha": "MetaImage", ".mhd": "MetaImage",
}  # fmt: skip
"""File endings that are read here, and their format's name."""
FORMS_TOLERANCE_MM = 1.0
"""Largest distance between a NIfTI's corners by sform and by qform [P]: below it they tell the same story."""
FLOAT32_ORIGIN_DECIMALS, FLOAT32_STEP_DECIMALS = 3, 6
"""Decimals to which a NIfTI's origin (mm) and axis steps (mm a voxel) are rounded: float32 carries no more.

Rounding takes back what a file loses, so that a flipped file has the same canonical grid.
"""
LPS_SPACE = "left-posterior-superior"
"""What ITK calls the space of an NRRD that it turned to LPS."""
MAX_STORED = 32767
"""Values above int16 are no Hounsfield units but wrapped or scaled numbers."""

CONVERT = "Convert the scan again, for example with dcm2niix or 3D Slicer, or give the DICOM folder."


def image_format(path: Path) -> str | None:
    """Name of an image file's format, or None where the path is something else."""
    if path.is_dir():
        return None
    name = path.name.lower()
    return next((kind for suffix, kind in IMAGE_SUFFIXES.items() if name.endswith(suffix)), None)


def read_volume(path: Path) -> tuple[Volume, dict[str, Any]]:
    """Read an image file as Hounsfield units, rounded and clipped to int16.

    Returns
    -------
    volume : Volume
    description : dict
        Facts as in `planner.volume.Scan`.

    Raises
    ------
    UnreadableFileError, GeometryError, NotHounsfieldError
        If the file is damaged, is not one 3-D volume in a known place, or has values beyond int16 or not finite.
    """
    array, grid = _read_image(path)
    description = {
        "format": image_format(path),
        "modality": "",
        "kernel": "",
        "slice_thickness_mm": None,
        "patient_position": "",
        "slices": grid.shape_zyx[0],
        "transfer_syntax": "",
        "resampled": False,
        "widest_gap_mm": 0.0,
    }
    return Volume(_as_hounsfield(array, path.name), grid), description


def read_labels(path: Path) -> LabelMap:
    """Read a label image.

    Raises
    ------
    UnreadableFileError, GeometryError, LabelsError
        If the file is damaged, is not one 3-D volume in a known place, or holds other values than 0-255.
    """
    array, grid = _read_image(path)
    values = array.astype(np.uint8)
    if not np.array_equal(values, array):
        raise LabelsError(
            f"{path.name}: found values from {array.min()} to {array.max()}, expected whole numbers from 0 to 255.",
            "Save the segmentation as 8-bit labels.",
        )
    return LabelMap(values, grid)


def write_labels(path: Path, labels: LabelMap) -> None:
    """Write labels as uint8 ``.nii.gz``; the same labels give the same bytes."""
    write_nifti(path, labels.values, labels.grid)


def write_volume(path: Path, volume: Volume) -> None:
    """Write Hounsfield units as int16 ``.nii.gz``; the same volume gives the same bytes."""
    write_nifti(path, volume.hu, volume.grid)


def _read_image(path: Path) -> tuple[NDArray[Any], Grid]:
    if not path.is_file():
        raise UnreadableFileError(f"{path.name}: found no such file, expected an image.", "Check the path.")
    is_nifti = image_format(path) == "NIfTI"
    try:
        check_whole(path, image_format(path) or "")
        if is_nifti:
            _check_place(path)
        image = _load(path)
    except (RuntimeError, OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadableFileError(
            f"{path.name}: found a damaged file or another kind, expected a whole {image_format(path)} file.", CONVERT
        ) from error
    grid = _grid(image, path.name)
    return SimpleITK.GetArrayFromImage(image), _without_float32_noise(grid) if is_nifti else grid


def _load(path: Path) -> Any:
    """Read one 3-D volume in a known place; a fourth axis of length 1 is dropped."""
    reader: Any = SimpleITK.ImageFileReader()  # type: ignore[no-untyped-call]  # generated code
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    _check_space(reader, path)
    size = list(reader.GetSize())
    if len(size) < 3 or min(size[:3]) < 2 or any(n != 1 for n in size[3:]) or reader.GetNumberOfComponents() != 1:
        shape = " x ".join(map(str, size))
        raise GeometryError(
            f"{path.name}: found an image of {shape} with {reader.GetNumberOfComponents()} values a voxel, "
            "expected one 3-D volume with one value.",
            "Save the one volume to plan on.",
        )
    if len(size) > 3:
        reader.SetExtractSize([*size[:3], *(0 for _ in size[3:])])
    return reader.Execute()


def _check_space(reader: Any, path: Path) -> None:
    """Refuse an NRRD in no patient space; ITK turns every other one to LPS and says so."""
    if image_format(path) != "NRRD":
        return
    space = reader.GetMetaData("NRRD_space") if reader.HasMetaDataKey("NRRD_space") else "none"
    if space != LPS_SPACE:
        raise GeometryError(
            f"{path.name}: found space {space}, expected a patient space such as {LPS_SPACE}: "
            "left and right cannot be told.",
            CONVERT,
        )


def _grid(image: Any, file: str) -> Grid:
    direction = np.array(image.GetDirection()).reshape(3, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = (direction * image.GetSpacing())[:, ::-1]
    matrix[:3, 3] = image.GetOrigin()
    size = image.GetSize()
    try:
        return Grid((size[2], size[1], size[0]), matrix)
    except ValueError as error:
        raise GeometryError(f"{file}: found a geometry that is no grid: {error}.", CONVERT) from error


def _without_float32_noise(grid: Grid) -> Grid:
    """Round where every axis order and flip of the same voxels agrees: at the canonical corner, then turned back."""
    orientation = Orientation.to_canonical(grid)
    canonical = orientation.apply_grid(grid)
    matrix = canonical.lps_from_zyx.copy()
    matrix[:3, :3] = np.round(matrix[:3, :3], FLOAT32_STEP_DECIMALS)
    matrix[:3, 3] = np.round(matrix[:3, 3], FLOAT32_ORIGIN_DECIMALS)
    return _inverse(orientation).apply_grid(Grid(canonical.shape_zyx, matrix))


def _inverse(orientation: Orientation) -> Orientation:
    first, second, third = (orientation.order.index(axis) for axis in range(3))
    flipped = orientation.flipped
    return Orientation((first, second, third), (flipped[first], flipped[second], flipped[third]))


def _check_place(path: Path) -> None:
    """Refuse a NIfTI whose place in the patient is unknown or told twice in different ways."""
    header = read_header(path)
    if header is None:
        return
    stated = forms(header)
    if not stated or not all(np.isfinite(form).all() for form in stated.values()):
        raise GeometryError(
            f"{path.name}: found qform_code {header['qform_code']} and sform_code {header['sform_code']} without "
            "a valid affine, expected at least one above 0: left and right cannot be told.",
            CONVERT,
        )
    if len(stated) == 2:
        ends = np.vstack([np.zeros(3), np.diag(header["dim"][1:4] - 1)])
        ends = np.column_stack([ends, np.ones(4)])
        apart = np.linalg.norm((ends @ (stated["sform"] - stated["qform"]).T)[:, :3], axis=1).max()
        if apart > FORMS_TOLERANCE_MM:
            raise GeometryError(
                f"{path.name}: found sform and qform {apart:.1f} mm apart, expected at most {FORMS_TOLERANCE_MM:g} mm: "
                "it is not known which one is right.",
                CONVERT,
            )


def _as_hounsfield(array: NDArray[Any], file: str) -> NDArray[np.int16]:
    if array.dtype == np.int16:
        return array
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)) or high > MAX_STORED:
        raise NotHounsfieldError(
            f"{file}: found values from {low} to {high}, expected Hounsfield units of at most {MAX_STORED}.", CONVERT
        )
    hu = np.empty(array.shape, dtype=np.int16)
    for k, plane in enumerate(array):  # plane by plane: a float copy of the whole would take four times the memory
        hu[k] = np.clip(np.rint(plane), -MAX_STORED - 1, MAX_STORED)
    return hu
