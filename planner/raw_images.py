"""NIfTI, NRRD and MetaImage voxels straight from their file, plane by plane; what is compressed is inflated on the way.

Only the plain layouts are known here: one block of numbers, raw, gzip or zlib, in one file. `raw_layout` gives None for
any other, which SimpleITK then reads whole (`planner.images`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.devices import is_device_fault
from planner.errors import NotHounsfieldError, SacroplanError
from planner.grid import Grid
from planner.integrity import Inflater
from planner.nifti import DATA_OFFSET, read_header
from planner.source import Window

__all__ = ["RawLayout", "RawSource", "as_hounsfield", "raw_layout"]

MAX_STORED = 32767
"""Values above int16 are no Hounsfield units but wrapped or scaled numbers."""
HEADER_BYTES = 2**16
"""Where the text header of NRRD or MetaImage must end."""
GZIP_MAGIC = b"\x1f\x8b"
"""First bytes of a gzip stream."""
MOST_RATIO = 1040
"""Deflate packs at most about 1032 to 1 (zlib's technical details): a header that promises more is damaged."""
KEEP_BYTES = 256 * 2**20
"""Inflated voxels that are kept, so that a small scan is inflated once."""
NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
"""NIfTI data type codes."""
META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
"""MetaImage element types."""
NRRD_TYPES = {
    "int8": "i1", "signed char": "i1", "uint8": "u1", "unsigned char": "u1", "uchar": "u1", "short": "i2",
    "int16": "i2", "signed short": "i2", "ushort": "u2", "uint16": "u2", "unsigned short": "u2", "int": "i4",
    "int32": "i4", "signed int": "i4", "uint": "u4", "uint32": "u4", "unsigned int": "u4", "float": "f4",
    "double": "f8",
}  # fmt: skip
"""NRRD types."""
NRRD_PACKINGS = {"raw": False, "gzip": True, "gz": True}
"""NRRD encodings, and whether they are compressed."""

CONVERT = "Convert the scan again, for example with dcm2niix or 3D Slicer, or give the DICOM folder."

Plane = NDArray[np.int16]


@dataclass(frozen=True)
class RawLayout:
    """Where the numbers lie.

    Attributes
    ----------
    path : Path
        The file that holds them, which may lie beside the header.
    offset : int
        First byte of the numbers; of the inflated stream where the whole file is gzip.
    skip : int
        Byte of the file at which the compressed stream starts.
    dtype : numpy dtype
        With byte order.
    packed : bool
        Whether they are a gzip or zlib stream.
    slope, intercept : float
        ``HU = slope * stored + intercept``.
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    packed: bool
    skip: int = 0
    slope: float = 1.0
    intercept: float = 0.0


def raw_layout(path: Path, kind: str, shape_zyx: tuple[int, int, int]) -> RawLayout | None:
    """Find the numbers of an image file; None where its layout is not one of the plain ones.

    Raises
    ------
    EOFError
        If the file is too short for the shape.
    """
    found = {"NIfTI": _nifti_layout, "NRRD": _nrrd_layout, "MetaImage": _meta_layout}[kind](path)
    if found is None or not found.path.is_file():
        return None
    expected = found.offset + int(np.prod(shape_zyx, dtype=object)) * found.dtype.itemsize
    size = found.path.stat().st_size
    if expected > (size * MOST_RATIO if found.packed else size):
        raise EOFError(f"{size} bytes, expected {expected}")
    return found


def _nifti_layout(path: Path) -> RawLayout | None:
    header = read_header(path)
    if header is None or int(header["datatype"]) not in NIFTI_TYPES:
        return None
    order = ">" if header["dim"].dtype.byteorder == ">" else "<"
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    scaled = np.isfinite([slope, intercept]).all() and slope != 0
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return RawLayout(
        path,
        max(int(header["vox_offset"]), DATA_OFFSET),
        np.dtype(order + NIFTI_TYPES[int(header["datatype"])]),
        packed,
        slope=slope if scaled else 1.0,
        intercept=intercept if scaled else 0.0,
    )


def _nrrd_layout(path: Path) -> RawLayout | None:
    with path.open("rb") as file:
        text, blank, _ = file.read(HEADER_BYTES).partition(b"\n\n")
    fields = _fields(text, ":")
    data = fields.get("data file", fields.get("datafile"))
    kind, packing = NRRD_TYPES.get(fields.get("type", "").lower()), fields.get("encoding", "").lower()
    odd = {"line skip", "lineskip", "byte skip", "byteskip"} & fields.keys() or (data is None and not blank)
    if kind is None or packing not in NRRD_PACKINGS or odd:
        return None
    dtype = np.dtype((">" if fields.get("endian", "little") == "big" else "<") + kind)
    start = len(text) + len(blank) if data is None else 0
    return _at(path if data is None else path.parent / data, start, dtype, NRRD_PACKINGS[packing])


def _meta_layout(path: Path) -> RawLayout | None:
    with path.open("rb") as file:
        text, mark, rest = file.read(HEADER_BYTES).partition(b"ElementDataFile")
    line, end, _ = rest.partition(b"\n")
    fields = _fields(text, "=")
    data = line.decode("latin-1").strip(" =\r")
    kind = META_TYPES.get(fields.get("ElementType", ""))
    if kind is None or not end or "HeaderSize" in fields or data.startswith("LIST") or "%" in data:
        return None
    msb = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    dtype = np.dtype((">" if msb == "True" else "<") + kind)
    start = len(text) + len(mark) + len(line) + 1 if data == "LOCAL" else 0
    return _at(path if data == "LOCAL" else path.parent / data, start, dtype, fields.get("CompressedData") == "True")


def _fields(text: bytes, colon: str) -> dict[str, str]:
    lines = (line.partition(colon) for line in text.decode("latin-1").splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in lines}


def _at(path: Path, start: int, dtype: np.dtype[Any], packed: bool) -> RawLayout:
    return RawLayout(path, 0, dtype, True, skip=start) if packed else RawLayout(path, start, dtype, False)


class RawSource:
    """An image file as a source of voxels.

    Parameters
    ----------
    layout : RawLayout
        Where the numbers lie.
    grid : Grid
        Where the voxels lie.
    file : str
        Name for messages.
    """

    def __init__(self, layout: RawLayout, grid: Grid, file: str, damaged: SacroplanError) -> None:
        self._layout, self._grid, self._file, self._damaged = layout, grid, file, damaged
        self._whole = False
        self._kept: list[Plane] = []

    @property
    def grid(self) -> Grid:
        """As the file says."""
        return self._grid

    def planes(self, indices: Sequence[int], window: Window | None = None) -> Iterator[Plane]:
        """Read planes; the first time, a compressed stream is read to its end, where its checksum is.

        Raises
        ------
        UnreadableFileError
            If the file is damaged.
        NotHounsfieldError
            If a plane has values beyond int16 or not finite.
        """
        try:
            if self._kept:
                yield from (self._kept[k] if window is None else self._kept[k][window] for k in indices)
            elif self._layout.packed:
                yield from self._inflated(indices, window)
            else:
                yield from self._read(indices, window)
        except (OSError, EOFError, zlib.error) as error:
            if is_device_fault(error):
                raise
            raise self._damaged from error

    def _read(self, indices: Sequence[int], window: Window | None) -> Iterator[Plane]:
        _, rows, columns = self._grid.shape_zyx
        cut, across = window or (slice(0, rows), slice(0, columns))
        line = columns * self._layout.dtype.itemsize
        with self._layout.path.open("rb") as file:
            for k in indices:
                file.seek(self._layout.offset + (k * rows + cut.start) * line)
                data = file.read((cut.stop - cut.start) * line)
                if len(data) < (cut.stop - cut.start) * line:
                    raise EOFError(f"plane {k} is cut short")
                yield self._hounsfield(data, columns)[:, across]

    def _inflated(self, indices: Sequence[int], window: Window | None) -> Iterator[Plane]:
        count, rows, columns = self._grid.shape_zyx
        keep = not self._whole and count * rows * columns * np.dtype(np.int16).itemsize <= KEEP_BYTES
        wanted, kept = set(indices), []
        last = count - 1 if keep else max(wanted)
        with self._layout.path.open("rb") as file:
            file.seek(self._layout.skip)
            stream = Inflater(file)
            stream.skip(self._layout.offset)
            for k in range(last + 1):
                data = stream.read(rows * columns * self._layout.dtype.itemsize)
                if keep or k in wanted:
                    plane = self._hounsfield(data, columns)
                    kept += [plane] if keep else []
                    if k in wanted:
                        yield plane if window is None else plane[window]
            if not self._whole:
                stream.finish()
        self._whole, self._kept = True, kept

    def _hounsfield(self, data: bytes, columns: int) -> Plane:
        stored = np.frombuffer(data, self._layout.dtype).reshape(-1, columns)
        if (self._layout.slope, self._layout.intercept) != (1.0, 0.0):
            stored = stored * self._layout.slope + self._layout.intercept
        return as_hounsfield(stored, self._file)


def as_hounsfield(stored: NDArray[Any], file: str) -> Plane:
    """Round to int16; what lies below is clipped.

    Raises
    ------
    NotHounsfieldError
        If a value is not finite or above int16.
    """
    if stored.dtype == np.int16:
        return stored.astype(np.int16, copy=False)
    low, high = stored.min(), stored.max()
    if not (np.isfinite(low) and np.isfinite(high)) or high > MAX_STORED:
        raise NotHounsfieldError(
            f"{file}: found values from {low} to {high}, expected Hounsfield units of at most {MAX_STORED}.", CONVERT
        )
    rounded: Plane = np.clip(np.rint(stored), -MAX_STORED - 1, MAX_STORED).astype(np.int16)
    return rounded
