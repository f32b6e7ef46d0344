"""NIfTI-1 headers, by bytes: written the same every time, and checked where a reader would silently guess.

NIfTI's world is RAS+ mm; here is the only place that knows it. Its array index ``(i, j, k)`` is ours reversed,
``(x, y, z)``, first index fastest. Source: nifti1.h, R. W. Cox 2003.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid

__all__ = ["DATA_OFFSET", "HEADER", "forms", "header_bytes", "read_header", "write_nifti", "write_nifti_planes"]

SCANNER_CODE = 1
"""NIFTI_XFORM_SCANNER_ANAT."""
MILLIMETRES = 2
"""NIFTI_UNITS_MM."""
DATA_OFFSET = 352
"""First byte of the voxels: the header of 348 and an empty extension flag of 4."""
MAGIC = b"n+1"
"""Mark of a NIfTI-1 with header and voxels in one file."""
DATATYPES = {"uint8": 2, "int16": 4}
"""NIfTI codes of the types that are written."""
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Both ways: x and y change sign."""
HALF_TURN_REST = 1e-7
"""Square of the quaternion's first part below which it is rounding noise of float32, as in nifti1_io.c."""
GZIP_LEVEL = 6
"""Effort of the compression; part of what makes the bytes the same."""
PLANES_LEVEL = 1
"""The same for labels, which are nearly all empty and pack well at any level."""
CHUNK_BYTES = 2**24
"""Bytes handed to the compressor at once."""

HEADER = np.dtype(
    [
        ("sizeof_hdr", "<i4"), ("unused", "S36"), ("dim", "<i2", 8), ("intent", "<f4", 3), ("intent_code", "<i2"),
        ("datatype", "<i2"), ("bitpix", "<i2"), ("slice_start", "<i2"), ("pixdim", "<f4", 8), ("vox_offset", "<f4"),
        ("scl_slope", "<f4"), ("scl_inter", "<f4"), ("slice_end", "<i2"), ("slice_code", "u1"), ("xyzt_units", "u1"),
        ("cal", "<f4", 2), ("slice_duration", "<f4"), ("toffset", "<f4"), ("gl", "<i4", 2), ("descrip", "S80"),
        ("aux_file", "S24"), ("qform_code", "<i2"), ("sform_code", "<i2"), ("quatern", "<f4", 3), ("qoffset", "<f4", 3),
        ("srow", "<f4", (3, 4)), ("intent_name", "S16"), ("magic", "S4"),
    ]
)  # fmt: skip
"""The 348 bytes of a NIfTI-1 header, little endian."""


def write_nifti(path: Path, array: NDArray[Any], grid: Grid) -> None:
    """Write a (z, y, x) array as ``.nii.gz``; the same input gives the same bytes."""
    data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    body = data.data.cast("B")
    with path.open("wb") as file, gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as packed:
        packed.write(header_bytes(grid, array.dtype))
        for start in range(0, len(body), CHUNK_BYTES):
            packed.write(body[start : start + CHUNK_BYTES])


def write_nifti_planes(path: Path, grid: Grid, planes: Iterable[NDArray[np.uint8]], empty: tuple[int, int]) -> None:
    """Write uint8 planes as ``.nii.gz``, with so many empty ones before and after them.

    Empty planes are written as gzip members (RFC 1952 2.2: a file is a series of members) that were compressed once, so
    that a long scan costs neither time nor memory. The same input gives the same bytes.
    """
    voxels = grid.shape_zyx[1] * grid.shape_zyx[2]
    with path.open("wb") as file:
        file.write(_member([header_bytes(grid, np.dtype(np.uint8))]))
        _write_zeros(file, empty[0] * voxels)
        file.write(_member(np.ascontiguousarray(plane).data for plane in planes))
        _write_zeros(file, empty[1] * voxels)


def _write_zeros(file: BinaryIO, count: int) -> None:
    whole, rest = divmod(count, CHUNK_BYTES)
    if whole:
        block = _member([bytes(CHUNK_BYTES)])
        for _ in range(whole):
            file.write(block)
    if rest:
        file.write(_member([bytes(rest)]))


def _member(pieces: Iterable[bytes | memoryview]) -> bytes:
    """One gzip member, without name or time."""
    packed = BytesIO()
    with gzip.GzipFile("", "wb", PLANES_LEVEL, packed, mtime=0) as stream:
        for piece in pieces:
            stream.write(piece)
    return packed.getvalue()


def header_bytes(grid: Grid, dtype: np.dtype[Any]) -> bytes:
    """Header and empty extension for a (z, y, x) array on `grid`, with the qform where the grid has right angles."""
    affine = RAS_FROM_LPS @ grid.lps_from_zyx[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    rotation = affine[:3, :3] / spacing
    handed = -1.0 if np.linalg.det(rotation) < 0 else 1.0
    header = np.zeros((), HEADER)
    header["sizeof_hdr"] = HEADER.itemsize
    header["dim"] = [3, *grid.shape_zyx[::-1], 1, 1, 1, 1]
    header["datatype"], header["bitpix"] = DATATYPES[dtype.name], 8 * dtype.itemsize
    header["pixdim"] = [handed, *spacing, 0, 0, 0, 0]
    header["vox_offset"], header["scl_slope"], header["xyzt_units"] = DATA_OFFSET, 1.0, MILLIMETRES
    header["qform_code"], header["sform_code"] = SCANNER_CODE * grid.is_orthogonal, SCANNER_CODE
    header["quatern"] = _quaternion(rotation * [1.0, 1.0, handed])
    header["qoffset"] = affine[:3, 3]
    header["srow"] = affine[:3]
    header["magic"] = MAGIC
    return header.tobytes() + bytes(DATA_OFFSET - HEADER.itemsize)


def read_header(path: Path) -> NDArray[Any] | None:
    """Header of a single-file NIfTI-1, plain or gzip, of either byte order; None where it is something else."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        data = stream.read(HEADER.itemsize)
    for dtype in (HEADER, HEADER.newbyteorder(">")):
        if len(data) == HEADER.itemsize:
            header = np.frombuffer(data, dtype)[0]
            if header["sizeof_hdr"] == HEADER.itemsize and header["magic"] == MAGIC:
                return np.asarray(header)
    return None


def forms(header: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Affines that the header states, RAS from (i, j, k): ``sform`` and ``qform``, each where its code is set."""
    found = {}
    if header["sform_code"] > 0:
        found["sform"] = np.vstack([header["srow"], [0, 0, 0, 1]]).astype(np.float64)
    if header["qform_code"] > 0:
        with np.errstate(all="ignore"):  # a damaged header may hold any bits; the caller asks whether they are finite
            found["qform"] = _qform(header)
    return found


def _qform(header: NDArray[Any]) -> NDArray[np.float64]:
    b, c, d = header["quatern"].astype(np.float64)
    rest = 1.0 - b * b - c * c - d * d
    a = np.sqrt(rest) if rest > HALF_TURN_REST else 0.0
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    handed = -1.0 if header["pixdim"][0] < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * header["pixdim"][1:4] * [1.0, 1.0, handed]
    affine[:3, 3] = header["qoffset"]
    return affine


def _quaternion(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vector part (b, c, d) of the unit quaternion with a >= 0: the largest eigenvector of Bar-Itzhack's matrix.

    Equation 3 of I. Y. Bar-Itzhack, J Guid Control Dyn 2000;23:1085; stable at half turns, unlike the trace formula.
    """
    r = rotation
    matrix = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [0, r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [0, 0, r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [0, 0, 0, r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    quaternion = np.linalg.eigh(matrix, UPLO="U")[1][:, -1]
    signed: NDArray[np.float64] = quaternion[1:] * (-1.0 if quaternion[0] < 0 else 1.0)
    return signed
