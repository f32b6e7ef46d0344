"""Stored pixels to Hounsfield units, slice by slice into one int16 volume.

``HU = RescaleSlope * stored + RescaleIntercept`` (PS3.3 C.11.1), with each slice's own slope and intercept.
Uncompressed frames are read straight from their place in the file; the others go through pydicom's decoders.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from planner.dicom.headers import Instance, Slice
from planner.dicom.sources import Source
from planner.errors import UnreadableFileError

__all__ = ["HU_MAX", "HU_MIN", "PADDING_HU", "can_decode", "hounsfield", "read_frames"]

PADDING_HU = -1024
"""What a voxel without data gets, HU: air, the lower end of most scanners' range."""
HU_MIN, HU_MAX = -32768, 32767
"""Range of int16; values beyond it are clipped, never wrapped."""
BYTES_A_VOXEL = 2
"""CT is stored in 16 allocated bits."""
UNDEFINED_LENGTH = 0xFFFFFFFF
"""Length of an encapsulated Pixel Data element (PS3.5 A.4)."""
NATIVE = {
    str(ImplicitVRLittleEndian): ("little", False),
    str(ExplicitVRLittleEndian): ("little", True),
    str(ExplicitVRBigEndian): ("big", True),
}
"""Uncompressed syntaxes: byte order, and whether value representations are written."""

AGAIN = "Export or copy the file again."


def can_decode(transfer_syntax: str) -> bool:
    """Whether a decoder for the transfer syntax is installed."""
    if transfer_syntax in NATIVE:
        return True
    try:
        return bool(get_decoder(UID(transfer_syntax)).is_available)
    except NotImplementedError:
        return False


def read_frames(source: Source, slices: Sequence[Slice]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Read the slices, file by file.

    Yields
    ------
    index, hu : int, (rows, columns) int16 array
        Place in `slices`, and Hounsfield units.

    Raises
    ------
    UnreadableFileError
        If pixel data are absent, truncated or cannot be decoded.
    """
    order = sorted(range(len(slices)), key=lambda k: (slices[k].instance.file, slices[k].frame))
    for file, group in groupby(order, key=lambda k: slices[k].instance.file):
        indices = list(group)
        with source.open(file) as stream:
            stored = _stored_frames(stream, slices[indices[0]].instance, [slices[k].frame for k in indices])
            for index, frame in zip(indices, stored, strict=True):
                yield index, hounsfield(frame, slices[index])


def hounsfield(stored: NDArray[Any], item: Slice) -> NDArray[np.int16]:
    """Rescale one frame of stored values, rounded and clipped to int16; padding becomes air."""
    instance = item.instance
    values = _significant_bits(stored, instance)
    slope, intercept = item.slope or 0.0, item.intercept or 0.0
    whole = slope.is_integer() and intercept.is_integer()
    exact = values * int(slope) + int(intercept) if whole else np.rint(values * slope + intercept)
    hu: NDArray[np.int16] = np.clip(exact, HU_MIN, HU_MAX).astype(np.int16)
    if instance.padding is not None:
        low, high = instance.padding
        hu[(values >= low) & (values <= high)] = PADDING_HU
    return hu


def _significant_bits(stored: NDArray[Any], instance: Instance) -> NDArray[np.int64]:
    """Drop the bits outside High Bit and Bits Stored, which may hold anything, and extend the sign."""
    values = stored.astype(np.int64) >> (instance.high_bit + 1 - instance.bits_stored)
    values &= (1 << instance.bits_stored) - 1
    if instance.signed:
        values -= (values >> (instance.bits_stored - 1)) << instance.bits_stored
    return values


def _stored_frames(stream: BinaryIO, instance: Instance, frames: Sequence[int]) -> Iterator[NDArray[Any]]:
    if instance.transfer_syntax in NATIVE:
        return _native_frames(stream, instance, frames)
    return _decoded_frames(stream, instance, frames)


def _native_frames(stream: BinaryIO, instance: Instance, frames: Sequence[int]) -> Iterator[NDArray[Any]]:
    start = _native_start(stream, instance)
    count = instance.rows * instance.columns
    dtype = np.dtype(np.uint16).newbyteorder("<" if NATIVE[instance.transfer_syntax][0] == "little" else ">")
    for frame in frames:
        stream.seek(start + frame * count * BYTES_A_VOXEL)
        data = stream.read(count * BYTES_A_VOXEL)
        if len(data) < count * BYTES_A_VOXEL:
            found = frame * count * BYTES_A_VOXEL + len(data)
            raise _truncated(instance, found)
        yield np.frombuffer(data, dtype).reshape(instance.rows, instance.columns)


def _native_start(stream: BinaryIO, instance: Instance) -> int:
    """First byte of the pixels, after the element's tag and length (PS3.5 7.1) are checked."""
    order, explicit = NATIVE[instance.transfer_syntax]
    size = 12 if explicit else 8
    stream.seek(instance.pixel_offset)
    head = stream.read(size)
    little = order == "little"
    group, element = (int.from_bytes(head[k : k + 2], "little" if little else "big") for k in (0, 2))
    if len(head) < size or (group, element) != (0x7FE0, 0x0010):
        raise UnreadableFileError(f"{instance.file}: found no pixel data, expected {_expected(instance)} bytes.", AGAIN)
    length = int.from_bytes(head[-4:], "little" if little else "big")
    if length == UNDEFINED_LENGTH or length < _expected(instance):
        raise _truncated(instance, 0 if length == UNDEFINED_LENGTH else length)
    return instance.pixel_offset + size


def _decoded_frames(stream: BinaryIO, instance: Instance, frames: Sequence[int]) -> Iterator[NDArray[Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # decoders only warn of frames that are cut short
            dataset = dcmread(stream, force=True)
            decoder = get_decoder(UID(instance.transfer_syntax))
            decoded = [array for array, _ in decoder.iter_array(dataset, indices=list(frames), raw=True)]
    except Exception as error:  # each codec has exceptions of its own
        raise UnreadableFileError(
            f"{instance.file}: found {UID(instance.transfer_syntax).name} pixel data that cannot be decoded, "
            f"expected {instance.frames} frames of {instance.rows} x {instance.columns}.",
            AGAIN,
        ) from error
    return iter(decoded)


def _expected(instance: Instance) -> int:
    return instance.frames * instance.rows * instance.columns * BYTES_A_VOXEL


def _truncated(instance: Instance, found: int) -> UnreadableFileError:
    return UnreadableFileError(
        f"{instance.file}: found {found} bytes of pixel data, expected {_expected(instance)}.", AGAIN
    )
