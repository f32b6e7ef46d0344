"""Whether an image file is whole, by its own checksums and lengths.

ITK reads a NIfTI that is cut short as zeros, and a damaged gzip stream of NIfTI or NRRD as noise, both without a word;
on some damaged MetaImage headers it crashes (SimpleITK 2.5). So compressed data are inflated once to the end, where
gzip and zlib keep a checksum (RFC 1950, 1952), and a MetaImage header must be plain.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from planner.nifti import DATA_OFFSET, read_header

__all__ = ["Inflater", "check_meta_header", "check_whole"]

EITHER_WRAPPER = 32 + zlib.MAX_WBITS
"""zlib's window setting that accepts gzip and zlib streams alike."""
CHUNK_BYTES = 2**20
"""Bytes read at once."""
PIECE_BYTES = 2**24
"""Most bytes inflated at once."""
GZIP_MAGIC = b"\x1f\x8b"
"""First bytes of a gzip stream."""
META_FIELDS = {
    "BinaryData": re.compile("True"),
    "CompressedData": re.compile("True|False|"),
    "NDims": re.compile("[1-9]"),
    "DimSize": re.compile(r"[1-9][0-9]{0,5}( [1-9][0-9]{0,5})*"),
    "ElementType": re.compile("MET_U?(CHAR|SHORT|INT|LONG|LONG_LONG)(_ARRAY)?|MET_(FLOAT|DOUBLE)(_ARRAY)?"),
    "ElementNumberOfChannels": re.compile("[1-9]?"),
}
"""MetaImage fields that ITK's memory depends on, and what they may hold; an empty match means that it may be absent."""
HEADER_BYTES = 2**16
"""Where the text header of NRRD or MetaImage must end."""


def check_whole(path: Path, kind: str) -> None:
    """Inflate what is compressed to its end, and compare a NIfTI's length with its header.

    Raises
    ------
    EOFError, zlib.error, ValueError
        If the file is cut short, damaged, or no NIfTI-1 where it should be one.
    """
    with path.open("rb") as stream:
        if kind == "NIfTI":
            _check_nifti(path, stream)
        else:
            head = stream.read(HEADER_BYTES)
            start = _compressed_start(head)
            if start is not None:
                stream.seek(start)
                _inflated_bytes(stream)


def _check_nifti(path: Path, stream: BinaryIO) -> None:
    header = read_header(path)
    if header is None:
        raise ValueError("not a NIfTI-1 file")
    shape = header["dim"][1 : 1 + max(int(header["dim"][0]), 0)].astype(object)  # Python integers cannot overflow
    voxels = 1
    for count in shape:
        voxels *= max(count, 1)
    expected = max(int(header["vox_offset"]), DATA_OFFSET) + voxels * int(header["bitpix"]) // 8
    packed = stream.read(2) == GZIP_MAGIC
    stream.seek(0)
    found = _inflated_bytes(stream) if packed else path.stat().st_size
    if found < expected:
        raise EOFError(f"{found} bytes, expected {expected}")


def check_meta_header(path: Path) -> None:
    """Refuse a MetaImage header on which ITK may crash.

    Raises
    ------
    ValueError
        If a field that ITK's memory depends on is not plain.
    """
    with path.open("rb") as stream:
        text, mark, _ = stream.read(HEADER_BYTES).partition(b"ElementDataFile")
    lines = text.decode("latin-1").splitlines()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    if not mark or not text.isascii():
        raise ValueError("no MetaImage header")
    for key, pattern in META_FIELDS.items():
        if not pattern.fullmatch(fields.get(key, "")):
            raise ValueError(f"no valid {key} in the MetaImage header")
    if len(fields["DimSize"].split()) != int(fields["NDims"]):
        raise ValueError("DimSize and NDims disagree")


def _compressed_start(head: bytes) -> int | None:
    """First byte of data compressed within the same file; None where they are raw or in another file."""
    if head.startswith(b"NRRD"):
        text, blank, _ = head.partition(b"\n\n")
        inside = b"\nencoding: gz" in text and b"\ndata" not in text
        return len(text) + len(blank) if inside else None
    text, mark, _ = head.partition(b"ElementDataFile = LOCAL\n")
    return len(text) + len(mark) if mark and b"CompressedData = True" in text else None


def _inflated_bytes(stream: BinaryIO) -> int:
    """Length of one or several streams after another, inflated and checked."""
    return Inflater(stream).finish()


class Inflater:
    """One or several gzip or zlib streams after another as one run of bytes; their checksums are checked.

    Parameters
    ----------
    stream : binary file
        At the first byte of the first stream; what follows the last one is ignored.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._pieces = _pieces(stream)
        self._piece, self._at = b"", 0

    def read(self, count: int) -> bytes:
        """Read exactly so many bytes.

        Raises
        ------
        EOFError, zlib.error
            If there are fewer, or the stream is damaged.
        """
        parts = []
        while count:
            if self._at == len(self._piece):
                self._piece, self._at = self._next(count), 0
            parts.append(self._piece[self._at : self._at + count])
            self._at += len(parts[-1])
            count -= len(parts[-1])
        return b"".join(parts)

    def _next(self, count: int) -> bytes:
        piece = next(self._pieces, None)
        if piece is None:
            raise EOFError(f"{count} bytes missing")
        return piece

    def skip(self, count: int) -> None:
        """Pass over so many bytes, a piece at a time."""
        while count:
            count -= len(self.read(min(count, PIECE_BYTES)))

    def finish(self) -> int:
        """Inflate to the end and give the length of what was left; raises as `read`."""
        left = len(self._piece) - self._at + sum(len(piece) for piece in self._pieces)
        self._piece, self._at = b"", 0
        return left


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    inflater = zlib.decompressobj(EITHER_WRAPPER)
    chunk = stream.read(CHUNK_BYTES)
    while chunk:
        yield inflater.decompress(chunk, PIECE_BYTES)
        chunk = (inflater.unused_data if inflater.eof else inflater.unconsumed_tail) or stream.read(CHUNK_BYTES)
        if inflater.eof:
            if not chunk.startswith(GZIP_MAGIC):
                return
            inflater = zlib.decompressobj(EITHER_WRAPPER)
    raise EOFError("no end of the compressed stream")
