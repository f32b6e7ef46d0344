"""Stored words of pixels, frame by frame, and what each word means in Hounsfield units.

``HU = RescaleSlope * stored + RescaleIntercept`` (PS3.3 C.11.1), with each slice's own slope and intercept.
Uncompressed frames are read straight from their place in the file; the others go through pydicom's decoders.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from planner.devices import is_device_fault
from planner.dicom.codestreams import stated_size
from planner.dicom.headers import Instance, Slice, as_uid
from planner.dicom.parsing import parse
from planner.dicom.sources import Source
from planner.errors import UnreadableFileError
from planner.source import Window

__all__ = [
    "HU_MAX",
    "HU_MIN",
    "NATIVE",
    "PADDING_HU",
    "can_decode",
    "check_pixels",
    "frame_words",
    "hounsfield_table",
]

PADDING_HU = -1024
"""What a voxel without data gets, HU: air, the lower end of most scanners' range."""
HU_MIN, HU_MAX = -32768, 32767
"""Range of int16; values beyond it are clipped, never wrapped."""
WORD_BYTES = 2
"""CT is stored in 16 allocated bits."""
WORDS = 1 << 16
"""Number of different stored words."""
UNDEFINED_LENGTH = 0xFFFFFFFF
"""Length of an encapsulated Pixel Data element (PS3.5 A.4)."""
PIXEL_DATA = (0x7FE0, 0x0010)
"""Tag of Pixel Data."""
ITEM = (0xFFFE, 0xE000)
"""Tag of one fragment of encapsulated pixel data."""
EXPLICIT_HEAD, ITEM_HEAD = 12, 8
"""Bytes of tag, representation and length of the Pixel Data element, and of an item."""
NATIVE = {
    str(ImplicitVRLittleEndian): ("<", False),
    str(ExplicitVRLittleEndian): ("<", True),
    str(ExplicitVRBigEndian): (">", True),
}
"""Uncompressed syntaxes: byte order, and whether value representations are written."""
STDERR = 2
"""File descriptor that libraries in C and Rust write to."""
FASTER_PLUGIN = {str(RLELossless): "pylibjpeg"}
"""Decoders to prefer: 0.8 ms a slice of 512 x 512 where pydicom's own takes 5.4."""

AGAIN = "Export or copy the file again."


def can_decode(transfer_syntax: str) -> bool:
    """Whether a decoder for the transfer syntax is installed."""
    uid = as_uid(transfer_syntax)
    if transfer_syntax in NATIVE or not uid.is_valid:
        return transfer_syntax in NATIVE
    try:
        return bool(get_decoder(uid).is_available)
    except NotImplementedError:
        return False


def check_pixels(source: Source, slices: Sequence[Slice]) -> None:
    """Refuse files without all of their pixels before any is read: by length where uncompressed, else by fragments.

    Raises
    ------
    UnreadableFileError
        If pixel data are absent or cut short.
    """
    for instance in {item.instance.file: item.instance for item in slices}.values():
        with source.open(instance.file) as stream:
            size = source.size(instance.file)
            if instance.transfer_syntax in NATIVE:
                found = size - _native_start(stream, instance)
                if found < _expected(instance):
                    raise _truncated(instance, found)
            elif as_uid(instance.transfer_syntax).is_encapsulated:
                _check_fragments(stream, instance, size)


def frame_words(
    source: Source, items: Sequence[tuple[Instance, int]], window: Window | None = None
) -> Iterator[NDArray[np.uint16]]:
    """Read stored words of frames, in the order given, one file open at a time.

    Parameters
    ----------
    source : Source
        Where the files are.
    items : sequence of (Instance, int)
        File and frame.
    window : (rows, columns), optional
        What to cut out of each frame.

    Raises
    ------
    UnreadableFileError
        If pixel data are truncated or cannot be decoded.
    """
    for _, group in groupby(items, key=lambda item: item[0].file):
        members = list(group)
        instance = members[0][0]
        cut = window or (slice(0, instance.rows), slice(0, instance.columns))
        with source.open(instance.file) as stream:
            frames = [frame for _, frame in members]
            if instance.transfer_syntax in NATIVE:
                yield from _native_frames(stream, instance, frames, cut)
            else:
                yield from (words[cut] for words in _decoded_frames(stream, instance, frames))


def hounsfield_table(item: Slice) -> NDArray[np.int16]:
    """Hounsfield units of each of the 65536 words that a pixel may be stored as."""
    i = item.instance
    bits = (i.bits_stored, i.high_bit, i.signed)
    return _table(bits, item.slope or 0.0, item.intercept or 0.0, i.padding)


@lru_cache(maxsize=4)
def _table(
    bits: tuple[int, int, bool], slope: float, intercept: float, padding: tuple[int, int] | None
) -> NDArray[np.int16]:
    stored = _stored_values(*bits)
    table: NDArray[np.int16] = np.clip(np.rint(stored * slope + intercept), HU_MIN, HU_MAX).astype(np.int16)
    if padding is not None:
        table[(stored >= padding[0]) & (stored <= padding[1])] = PADDING_HU
    table.setflags(write=False)
    return table


def _stored_values(bits_stored: int, high_bit: int, signed: bool) -> NDArray[np.int64]:
    """Value of every word: bits outside High Bit and Bits Stored may hold anything and are dropped."""
    values = np.arange(WORDS, dtype=np.int64) >> (high_bit + 1 - bits_stored)
    values &= (1 << bits_stored) - 1
    if signed:
        values -= (values >> (bits_stored - 1)) << bits_stored
    return values


def _native_frames(
    stream: BinaryIO, instance: Instance, frames: Sequence[int], window: Window
) -> Iterator[NDArray[np.uint16]]:
    """Read the rows of the window only."""
    start = _native_start(stream, instance)
    rows, columns = window
    line = instance.columns * WORD_BYTES
    dtype = np.dtype(f"{NATIVE[instance.transfer_syntax][0]}u2")
    for frame in frames:
        stream.seek(start + (frame * instance.rows + rows.start) * line)
        data = stream.read((rows.stop - rows.start) * line)
        if len(data) < (rows.stop - rows.start) * line:
            raise _truncated(instance, (frame * instance.rows + rows.start) * line + len(data))
        words = np.frombuffer(data, dtype).reshape(-1, instance.columns)[:, columns]
        yield words.astype(np.uint16, copy=False)


def _native_start(stream: BinaryIO, instance: Instance) -> int:
    """First byte of the pixels, after the element's tag and length (PS3.5 7.1) are checked."""
    order, explicit = NATIVE[instance.transfer_syntax]
    size = 12 if explicit else 8
    stream.seek(instance.pixel_offset)
    head = stream.read(size)
    if len(head) < size or tuple(np.frombuffer(head[:4], f"{order}u2")) != PIXEL_DATA:
        raise UnreadableFileError(f"{instance.file}: found no pixel data, expected {_expected(instance)} bytes.", AGAIN)
    length = int(np.frombuffer(head[-4:], f"{order}u4")[0])
    if length == UNDEFINED_LENGTH:
        raise UnreadableFileError(
            f"{instance.file}: found compressed pixel data, expected {as_uid(instance.transfer_syntax).name}.", AGAIN
        )
    if length < _expected(instance):
        raise _truncated(instance, length)
    return instance.pixel_offset + size


def _check_fragments(stream: BinaryIO, instance: Instance, size: int) -> None:
    """Walk the items of encapsulated pixel data to their delimiter (PS3.5 A.4); each must end within the file."""
    start = instance.pixel_offset + EXPLICIT_HEAD
    while start + ITEM_HEAD <= size:
        stream.seek(start)
        head = np.frombuffer(stream.read(ITEM_HEAD), "<u2")
        if tuple(head[:2]) != ITEM:
            return
        start += ITEM_HEAD + int(head[2:].view("<u4")[0])
    name, lacking = as_uid(instance.transfer_syntax).name, start + ITEM_HEAD - size
    what = f"{instance.file}: found {name} pixel data cut short, expected {lacking} bytes more."
    raise UnreadableFileError(what, AGAIN)


def _decoded_frames(stream: BinaryIO, instance: Instance, frames: Sequence[int]) -> Iterator[NDArray[np.uint16]]:
    syntax = as_uid(instance.transfer_syntax)
    options: dict[str, Any] = {"raw": True, "decoding_plugin": FASTER_PLUGIN.get(syntax, "")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # guesses about sizes that the checks here make exact
            dataset = parse(stream, force=True)
            if syntax.is_encapsulated:
                _check_sizes(dataset, instance)
            arrays = get_decoder(syntax).iter_array(dataset, indices=list(frames), **options)
            while (decoded := _next_quietly(arrays)) is not None:
                yield decoded[0].view(np.uint16)
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # each codec has exceptions of its own; those of Rust derive from BaseException
        if is_device_fault(error):
            raise
        raise UnreadableFileError(
            f"{instance.file}: found {syntax.name} pixel data that cannot be decoded, "
            f"expected {instance.frames} x {instance.rows} x {instance.columns} pixels.",
            AGAIN,
        ) from error


def _check_sizes(dataset: Dataset, instance: Instance) -> None:
    """Refuse a code stream of another size than the header's: a decoder takes memory for what the stream says."""
    for frame in generate_frames(dataset.PixelData, number_of_frames=instance.frames):
        found = stated_size(frame)
        if found is not None and found != (instance.rows, instance.columns):
            raise ValueError(f"a code stream of {found[0]} x {found[1]} pixels")


def _next_quietly(arrays: Iterator[tuple[NDArray[Any], Any]]) -> tuple[NDArray[Any], Any] | None:
    """Decode the next frame; what a codec writes to stderr of a damaged stream, panics of Rust too, is kept off it."""
    spoken = os.dup(STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STDERR)
        return next(arrays, None)
    finally:
        os.dup2(spoken, STDERR)
        os.close(spoken)
        os.close(nowhere)


def _expected(instance: Instance) -> int:
    return instance.frames * instance.rows * instance.columns * WORD_BYTES


def _truncated(instance: Instance, found: int) -> UnreadableFileError:
    expected = _expected(instance)
    return UnreadableFileError(f"{instance.file}: found {found} bytes of pixel data, expected {expected}.", AGAIN)
