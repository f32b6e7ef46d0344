"""pydicom's parser, kept from taking more memory than a file has bytes.

It reads an element by the length that the element states, and Python takes memory for that length before it looks
whether the file has so much: 1.5 kB could ask for 4 GB. It also inflates a deflated data set (PS3.5 A.5) in one go.
"""

from __future__ import annotations

import io
import os
import warnings
import zlib
from typing import Any, BinaryIO, cast

import pydicom
from pydicom.dataset import Dataset

__all__ = ["PREAMBLE_BYTES", "parse"]

PREAMBLE_BYTES = 128
"""Bytes before the magic word ``DICM`` (PS3.10 7.1)."""
META_BYTES = 1024
"""Where the transfer syntax is named, in the file's first elements."""
GROUP_LENGTH = slice(PREAMBLE_BYTES + 12, PREAMBLE_BYTES + 16)
"""Bytes that say how long the file meta information is: value of (0002,0000), the first element (PS3.10 7.1)."""
DEFLATED = b"1.2.840.10008.1.2.1.99"
"""Deflated Explicit VR Little Endian."""
MOST_INFLATED = 2**27
"""Bytes that a deflated data set may have [P]: a slice has 0.5 MB."""
SHORT_BYTES = 4096
"""Reads up to this length are not looked at."""


def parse(stream: BinaryIO, **options: Any) -> Dataset:
    """Read a data set as `pydicom.dcmread` does, without its warnings.

    Raises
    ------
    Exception
        What the parser raises; `planner.dicom.headers.PARSER_ERRORS` and InvalidDicomError.
    """
    _check_inflated(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # elements that break the standard are not ours to mend
        return pydicom.dcmread(cast(BinaryIO, _Clipped.of(stream)), **options)


class _Clipped:
    """A file that is asked for no more than it has."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size
        self.seek, self.tell = stream.seek, stream.tell

    @classmethod
    def of(cls, stream: BinaryIO) -> _Clipped | BinaryIO:
        """Wrap a file; other streams take memory as they find bytes."""
        try:
            return cls(stream, os.fstat(stream.fileno()).st_size)
        except (OSError, AttributeError, io.UnsupportedOperation):
            return stream

    def read(self, count: int = -1) -> bytes:
        if count > SHORT_BYTES:
            count = min(count, max(self._size - self._stream.tell(), 0))
        return self._stream.read(count)


def _check_inflated(stream: BinaryIO) -> None:
    """Inflate a deflated data set piece by piece, and refuse one that has no end in sight."""
    start = stream.read(META_BYTES)
    stream.seek(0)
    if DEFLATED not in start:
        return
    stream.seek(GROUP_LENGTH.stop + int.from_bytes(start[GROUP_LENGTH], "little"))
    inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), MOST_INFLATED
    while chunk := inflater.unconsumed_tail or stream.read(META_BYTES**2):
        left -= len(inflater.decompress(chunk, META_BYTES**2))
        if left < 0:
            raise ValueError(f"a deflated data set of more than {MOST_INFLATED} bytes")
        if inflater.eof:
            break
    stream.seek(0)
