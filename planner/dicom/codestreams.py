"""Size of a compressed frame by its own code stream, read before a decoder takes memory for it.

JPEG 2000: SIZ marker (ISO/IEC 15444-1 A.5.1). JPEG, lossless JPEG: frame header (ISO/IEC 10918-1 B.2.2). JPEG-LS: the
same (ISO/IEC 14495-1 C.2.2).
"""

from __future__ import annotations

__all__ = ["stated_size"]

SIZ = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 code stream and its SIZ marker."""
SIZ_EXTENT = 8
"""Bytes from there to Xsiz, Ysiz, XOsiz and YOsiz."""
JPEG = b"\xff\xd8"
"""Start of image."""
FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Frame headers of JPEG and JPEG-LS; C4, C8 and CC are tables and extensions."""


def stated_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a code stream says it has; None where it does not say, as run lengths do not."""
    if frame[:2] == JPEG:
        return _jpeg_size(frame)
    start = frame.find(SIZ)
    if start < 0 or len(frame) < start + SIZ_EXTENT + 16:
        return None
    width, height, left, top = (
        int.from_bytes(frame[at : at + 4], "big") for at in range(start + SIZ_EXTENT, start + SIZ_EXTENT + 16, 4)
    )
    return height - top, width - left


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in FRAME_MARKERS:
            return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")  # FF fills
    return None
