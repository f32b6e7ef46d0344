"""Damage to valid files: bits, bytes, blocks, words of the format; the same seed gives the same damage."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Callable

__all__ = ["mutated"]

NUMBERS = (0, 1, 2, -1, -2, 127, 128, 255, 256, 32767, 32768, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
"""Integers at which readers go wrong."""
FLOATS = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e-300, 1e300, -1.0, 3.4e38, 1e-45)
"""Real numbers at which readers go wrong."""
WORDS = (
    b"nan", b"NaN", b"inf", b"-inf", b"1e400", b"-1", b"0", b"", b"99999999999999999999", b"null", b"true", b"[]",
    b"{}", b'""', b"../../etc/passwd", b"/dev/zero", b"/dev/stdin", b"%s%n", b"\x00", b"\xff\xfe", b"1e-400",
    b"1\\2\\3\\4\\5\\6\\7", b"0x10", b"1_000", b"\xc3\x28", b"[" * 200, b"1.7976931348623157e308", b"LOCAL", b"LIST",
)  # fmt: skip
"""Words at which readers of text go wrong."""
MOST_STEPS = 6
"""Changes to one file at most."""
HEAD_BYTES = 1200
"""Where headers lie: half of the damage goes there."""

Change = Callable[[random.Random, bytearray], None]


def mutated(data: bytes, seed: int, *, text: bool = False) -> bytes:
    """Damage a file; a gzip file is damaged packed or unpacked."""
    rng = random.Random(seed)
    if data[:2] == b"\x1f\x8b" and rng.random() < 0.7:
        return gzip.compress(_damaged(_unpacked(data), rng, text), 1, mtime=0)
    return _damaged(data, rng, text)


def _unpacked(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return data


def _damaged(data: bytes, rng: random.Random, text: bool) -> bytes:
    result = bytearray(data)
    changes = TEXT_CHANGES if text or (rng.random() < 0.2) else BYTE_CHANGES
    for _ in range(rng.randint(1, MOST_STEPS)):
        if result:
            rng.choice(changes)(rng, result)
    return bytes(result)


def _place(rng: random.Random, data: bytearray, width: int = 1) -> int:
    end = max(len(data) - width, 0)
    if rng.random() < 0.5:
        end = min(end, HEAD_BYTES)
    return rng.randint(0, end)


def _flip_bit(rng: random.Random, data: bytearray) -> None:
    at = min(_place(rng, data), len(data) - 1)
    data[at] ^= 1 << rng.randrange(8)


def _set_byte(rng: random.Random, data: bytearray) -> None:
    at = min(_place(rng, data), len(data) - 1)
    data[at] = rng.randrange(256)


def _set_integer(rng: random.Random, data: bytearray) -> None:
    width, code = rng.choice(((2, "H"), (4, "I"), (8, "Q")))
    at = _place(rng, data, width)
    order = rng.choice("<>")
    data[at : at + width] = struct.pack(order + code, rng.choice(NUMBERS) % (1 << 8 * width))


def _set_float(rng: random.Random, data: bytearray) -> None:
    width, code = rng.choice(((4, "f"), (8, "d")))
    at = _place(rng, data, width)
    value = rng.choice(FLOATS)
    if width == 4 and abs(value) == 1e300:
        value = 3.4e38
    data[at : at + width] = struct.pack(rng.choice("<>") + code, value)


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[_place(rng, data) :]


def _remove(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    del data[at : at + rng.randint(1, 64)]


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    data[at:at] = data[at : at + rng.randint(1, 200)] * rng.randint(1, 4)


def _swap(rng: random.Random, data: bytearray) -> None:
    one, other, width = _place(rng, data, 16), _place(rng, data, 16), rng.randint(1, 16)
    data[one : one + width], data[other : other + width] = data[other : other + width], data[one : one + width]


def _zero(rng: random.Random, data: bytearray) -> None:
    at, width = _place(rng, data), rng.randint(1, 64)
    width = min(width, len(data) - at)
    data[at : at + width] = bytes([rng.choice((0, 255))]) * width


def _put_word(rng: random.Random, data: bytearray) -> None:
    at, word = _place(rng, data), rng.choice(WORDS)
    data[at : at + (len(word) if rng.random() < 0.5 else 0)] = word


def _tokens(data: bytearray) -> list[tuple[int, int]]:
    """Numbers and words of a text."""
    found, start = [], None
    for at, byte in enumerate(data):
        inside = 48 <= byte < 58 or 65 <= byte < 91 or 97 <= byte < 123 or byte in b"+-._"
        if inside and start is None:
            start = at
        elif not inside and start is not None:
            found.append((start, at))
            start = None
    return found


def _replace_token(rng: random.Random, data: bytearray) -> None:
    tokens = _tokens(data)
    if tokens:
        start, end = rng.choice(tokens)
        data[start:end] = rng.choice(WORDS)


def _move_token(rng: random.Random, data: bytearray) -> None:
    tokens = _tokens(data)
    if tokens:
        (start, end), (first, last) = rng.choice(tokens), rng.choice(tokens)
        data[start:end] = data[first:last]


def _drop_line(rng: random.Random, data: bytearray) -> None:
    lines = bytes(data).split(b"\n")
    del lines[rng.randrange(len(lines))]
    data[:] = b"\n".join(lines)


def _double_line(rng: random.Random, data: bytearray) -> None:
    lines = bytes(data).split(b"\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    data[:] = b"\n".join(lines)


BYTE_CHANGES: tuple[Change, ...] = (
    _flip_bit, _set_byte, _set_integer, _set_integer, _set_float, _cut, _remove, _repeat, _swap, _zero, _put_word,
)  # fmt: skip
TEXT_CHANGES: tuple[Change, ...] = (
    _replace_token, _replace_token, _move_token, _drop_line, _double_line, _set_byte, _cut, _put_word,
)  # fmt: skip
