"""Compressed streams are read in pieces, to their end, where their checksum is."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest

from planner import integrity
from planner.integrity import Inflater

DATA = bytes(range(256)) * 40
PACKINGS = {
    "gzip": gzip.compress(DATA),
    "zlib": zlib.compress(DATA),
    "members": gzip.compress(DATA[:3000]) + gzip.compress(b"") + gzip.compress(DATA[3000:]),
    "padded": gzip.compress(DATA) + bytes(512),
}


@pytest.fixture(params=PACKINGS, autouse=True)
def packed(request, monkeypatch) -> bytes:
    """Every packing, in pieces so small that each boundary is met."""
    monkeypatch.setattr(integrity, "CHUNK_BYTES", 100)
    monkeypatch.setattr(integrity, "PIECE_BYTES", 70)
    return PACKINGS[request.param]


@pytest.mark.parametrize("step", [1, 69, 70, 71, 5000, len(DATA)])
def test_what_is_read_in_steps_is_the_whole(packed, step):
    stream = Inflater(io.BytesIO(packed))
    parts = [stream.read(min(step, len(DATA) - k)) for k in range(0, len(DATA), step)]
    assert b"".join(parts) == DATA
    assert stream.finish() == 0


@pytest.mark.parametrize("count", [0, 1, 352, 4000])
def test_what_is_passed_over_is_not_read_again(packed, count):
    stream = Inflater(io.BytesIO(packed))
    stream.skip(count)
    assert stream.read(300) == DATA[count : count + 300]
    assert stream.finish() == len(DATA) - count - 300


def test_more_than_there_is_is_an_error(packed):
    stream = Inflater(io.BytesIO(packed))
    with pytest.raises(EOFError, match="1 bytes missing"):
        stream.read(len(DATA) + 1)


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_a_stream_cut_short_is_an_error_at_its_end(packed, cut):
    whole = packed.rstrip(b"\0") if packed.endswith(bytes(500)) else packed
    stream = Inflater(io.BytesIO(whole[: -cut - 8]))
    with pytest.raises((EOFError, zlib.error)):
        stream.finish()


def test_damage_is_an_error_at_the_end(packed):
    damaged = bytearray(PACKINGS["gzip"])
    damaged[-6] ^= 1
    stream = Inflater(io.BytesIO(bytes(damaged)))
    assert stream.read(1000) == DATA[:1000]
    with pytest.raises(zlib.error):
        stream.finish()
