"""Image files: NIfTI, NRRD and MetaImage read by SimpleITK; labels and volumes written as deterministic NIfTI.

SimpleITK's world is LPS already. Its index is ``(x, y, z)``; its arrays are ``(z, y, x)``, as ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from planner.devices import is_device_fault
from planner.errors import GeometryError, LabelsError, UnreadableFileError
from planner.grid import Grid, Orientation
from planner.integrity import check_meta_header, check_whole
from planner.nifti import forms, read_header, write_nifti, write_nifti_planes
from planner.raw_images import CONVERT, RawSource, as_hounsfield, raw_layout
from planner.source import ArraySource, VoxelSource
from planner.volume import LabelMap, PlacedLabels, Volume

__all__ = [
    "IMAGE_SUFFIXES",
    "image_facts",
    "image_format",
    "is_zarr",
    "open_volume",
    "read_labels",
    "write_labels",
    "write_placed_labels",
    "write_volume",
]

IMAGE_SUFFIXES = {
    ".nii": "NIfTI", ".nii.gz": "NIfTI", ".nrrd": "NRRD", ".nhdr": "NRRD", ".mha": "MetaImage", ".mhd": "MetaImage",
}  # fmt: skip
"""File endings that are read here, and their format's name."""
ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")
"""Files of which a zarr folder has one."""
FORMS_TOLERANCE_MM = 1.0
"""Largest distance between a NIfTI's corners by sform and by qform [P]: below it they tell the same story."""
FLOAT32_ORIGIN_DECIMALS, FLOAT32_STEP_DECIMALS = 3, 6
"""Decimals to which a NIfTI's origin (mm) and axis steps (mm a voxel) are rounded: float32 carries no more.

Rounding takes back what a file loses, so that a flipped file has the same canonical grid.
"""
LPS_SPACE = "left-posterior-superior"
"""What ITK calls the space of an NRRD that it turned to LPS."""


def image_format(path: Path) -> str | None:
    """Name of an image file's format, or None where the path is something else."""
    if path.is_dir():
        return None
    name = path.name.lower()
    return next((kind for suffix, kind in IMAGE_SUFFIXES.items() if name.endswith(suffix)), None)


def is_zarr(path: Path) -> bool:
    """Whether a path is a zarr folder; `planner.zarr_images` reads it."""
    return path.is_dir() and (
        path.name.lower().endswith(".zarr") or any((path / mark).is_file() for mark in ZARR_MARKS)
    )


def open_volume(path: Path) -> tuple[VoxelSource, dict[str, Any]]:
    """Open an image file as Hounsfield units, rounded and clipped to int16 as they are read.

    Returns
    -------
    source : VoxelSource
        Reads planes from the file where its layout is plain; holds the whole image where it is not.
    description : dict
        Facts as in `planner.reading.Scan`.

    Raises
    ------
    UnreadableFileError, GeometryError, NotHounsfieldError
        If the file is damaged, is not one 3-D volume in a known place, or has values beyond int16 or not finite;
        damage of the voxels, and their values, are met when they are read.
    """
    kind, grid = image_format(path) or "", _place(path)
    with _damage_named(path):
        layout = raw_layout(path, kind, grid.shape_zyx)
    description = image_facts(kind, grid)
    if layout is not None:
        return RawSource(layout, grid, path.name, _damaged(path)), description
    array, grid = _read_image(path)
    hu = np.empty(array.shape, np.int16)
    for k, plane in enumerate(array):  # plane by plane: a float copy of the whole would take four times the memory
        hu[k] = as_hounsfield(plane, path.name)
    return ArraySource(Volume(hu, grid)), description


def image_facts(kind: str, grid: Grid) -> dict[str, Any]:
    """Say what is known of an image that is no DICOM: facts as in `planner.reading.Scan`."""
    return {
        "format": kind,
        "modality": "",
        "kernel": "",
        "slice_thickness_mm": None,
        "patient_position": "",
        "slices": grid.shape_zyx[0],
        "transfer_syntax": "",
        "resampled": False,
        "widest_gap_mm": 0.0,
    }


def read_labels(path: Path) -> LabelMap:
    """Read a label image.

    Raises
    ------
    UnreadableFileError, GeometryError, LabelsError
        If the file is damaged, is not one 3-D volume in a known place, or holds other values than 0-255.
    """
    array, grid = _read_image(path)
    values = array.astype(np.uint8, copy=False)
    if values is not array and not np.array_equal(values, array):
        raise LabelsError(
            f"{path.name}: found values from {array.min()} to {array.max()}, expected whole numbers from 0 to 255.",
            "Save the segmentation as 8-bit labels.",
        )
    return LabelMap(values, grid)


def write_labels(path: Path, labels: LabelMap) -> None:
    """Write labels as uint8 ``.nii.gz``; the same labels give the same bytes."""
    write_nifti(path, labels.values, labels.grid)


def write_placed_labels(path: Path, labels: PlacedLabels) -> None:
    """Write labels of one box as uint8 ``.nii.gz`` of the whole grid, which is never in memory."""
    before, after = labels.box[0].start, labels.grid.shape_zyx[0] - labels.box[0].stop
    write_nifti_planes(path, labels.grid, labels.planes(), (before, after))


def write_volume(path: Path, volume: Volume) -> None:
    """Write Hounsfield units as int16 ``.nii.gz``; the same volume gives the same bytes."""
    write_nifti(path, volume.hu, volume.grid)


def _place(path: Path) -> Grid:
    """Grid of an image whose header is whole and whose place in the patient is known."""
    if not path.is_file():
        raise UnreadableFileError(f"{path.name}: found no such file, expected an image.", "Check the path.")
    kind = image_format(path)
    with _damage_named(path):
        if kind == "NIfTI":
            _check_place(path)
        if kind == "MetaImage":
            check_meta_header(path)
        reader, size = _information(path)
    grid = _grid(reader, size, path.name)
    if kind != "NIfTI":
        return grid
    try:
        return _without_float32_noise(grid)
    except ValueError as error:  # voxels too small to be told from rounding
        raise _no_grid(path.name, error) from error


def _read_image(path: Path) -> tuple[NDArray[Any], Grid]:
    """Read an image whole, by SimpleITK."""
    grid = _place(path)
    with _damage_named(path):
        check_whole(path, image_format(path) or "")
        reader, size = _information(path)
        if len(size) > 3:
            reader.SetExtractSize([*size[:3], *(0 for _ in size[3:])])
        return SimpleITK.GetArrayFromImage(reader.Execute()), grid


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file raises into one refusal that names it."""
    try:
        yield
    except (RuntimeError, OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        if is_device_fault(error):
            raise
        raise _damaged(path) from error


def _damaged(path: Path) -> UnreadableFileError:
    return UnreadableFileError(
        f"{path.name}: found a damaged file or another kind, expected a whole {image_format(path)} file.", CONVERT
    )


def _information(path: Path) -> tuple[Any, list[int]]:
    """Header of one 3-D volume in a known place, and its size; further axes have length 1."""
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
    return reader, size


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


def _grid(reader: Any, size: list[int], file: str) -> Grid:
    axes = len(size)
    direction = np.array(reader.GetDirection()).reshape(axes, axes)[:3, :3]
    matrix = np.eye(4)
    matrix[:3, :3] = (direction * reader.GetSpacing()[:3])[:, ::-1]
    matrix[:3, 3] = reader.GetOrigin()[:3]
    try:
        return Grid((size[2], size[1], size[0]), matrix)
    except ValueError as error:
        raise _no_grid(file, error) from error


def _no_grid(file: str, error: ValueError) -> GeometryError:
    return GeometryError(f"{file}: found a geometry that is no grid ({error}), expected voxels in mm.", CONVERT)


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
