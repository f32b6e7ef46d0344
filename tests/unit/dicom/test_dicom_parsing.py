"""A header that states more than its file has costs no memory, in any of the ways a file may state it."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLossless, JPEGLSLossless, RLELossless

from planner.dicom.codestreams import stated_size
from planner.dicom.headers import read_instance
from planner.dicom.parsing import MOST_INFLATED, parse
from planner.errors import UnreadableFileError
from planner.reading import read_scan
from planner.source import read_whole

from support.dicom_files import body, ct_datasets, save, save_one
from support.malformed import GRID, SHAPE_ZYX

LITTLE_MB = 8.0
"""More than any header here needs, less than any lie asks for."""


@pytest.fixture
def memory():
    """Peak of what was taken since, MB."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()


@pytest.fixture
def slice_file(tmp_path):
    return save_one(tmp_path / "a.dcm", ct_datasets(body(SHAPE_ZYX), GRID)[0])


def stretched(data: bytes, keyword: bytes, length: int) -> bytes:
    """The file with one element's length changed: explicit VR, long form, or `length` in two bytes."""
    at = data.index(keyword) + 4
    return data[:at] + b"UT\0\0" + struct.pack("<I", length) + data[at + 4 :]


def test_an_element_of_four_gigabytes_in_a_small_file(slice_file, memory):
    tag = struct.pack("<HH", 0x0010, 0x0010)
    slice_file.write_bytes(stretched(slice_file.read_bytes(), tag, 0xFFFFFFF0))
    with slice_file.open("rb") as stream:
        assert read_instance(stream, "a.dcm") in (None, [])
    assert memory() < LITTLE_MB


def test_what_is_there_is_read_whole(slice_file):
    with slice_file.open("rb") as stream:
        ours = parse(stream)
    assert ours == pydicom.dcmread(slice_file)
    assert parse(io.BytesIO(slice_file.read_bytes())) == ours


def deflated(slice_file, body_bytes: bytes):
    """The file with its data set deflated."""
    data = slice_file.read_bytes()
    old, new = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"
    at = data.index(old) - 2
    meta = bytearray(data[:at] + struct.pack("<H", len(new)) + new)
    length = struct.unpack("<I", data[140:144])[0]
    rest = data[at + 2 + len(old) : 144 + length]
    meta[140:144] = struct.pack("<I", length + 2)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    slice_file.write_bytes(bytes(meta) + rest + packer.compress(body_bytes) + packer.flush())


def test_a_deflated_bomb_is_not_inflated(slice_file, memory):
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(bomb.compress(bytes(2**20)) for _ in range(MOST_INFLATED // 2**20 + 2)) + bomb.flush()
    deflated(slice_file, b"")
    slice_file.write_bytes(slice_file.read_bytes()[:-2] + packed)
    with slice_file.open("rb") as stream:
        found = read_instance(stream, "a.dcm")
    assert not found
    assert memory() < LITTLE_MB


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGLossless])
def test_the_code_streams_own_size_is_read(syntax, tmp_path):
    ds = pydicom.dcmread(save_one(tmp_path / "a.dcm", ct_datasets(body(SHAPE_ZYX), GRID)[0], syntax))
    frame = next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))
    assert stated_size(frame) == SHAPE_ZYX[1:]
    assert stated_size(frame[:8]) is None


def test_run_lengths_say_no_size(tmp_path):
    ds = pydicom.dcmread(save_one(tmp_path / "a.dcm", ct_datasets(body(SHAPE_ZYX), GRID)[0], RLELossless))
    assert stated_size(next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))) is None


def test_a_code_stream_larger_than_its_header_is_not_decoded(tmp_path, capfd):
    series = save(tmp_path / "series", ct_datasets(body(SHAPE_ZYX), GRID), JPEGLSLossless)
    for path in series.iterdir():
        data = bytearray(path.read_bytes())
        at = data.index(b"\xff\xf7") + 5
        data[at : at + 4] = struct.pack(">HH", 60000, 60000)
        path.write_bytes(data)
    with pytest.raises(UnreadableFileError, match="cannot be decoded"):
        read_scan(series)


def test_codecs_say_nothing_on_stderr(tmp_path, capfd):
    series = save(tmp_path / "series", ct_datasets(body(SHAPE_ZYX), GRID), JPEG2000Lossless)
    for path in series.iterdir():
        data = bytearray(path.read_bytes())
        at = data.index(b"\xff\x4f\xff\x51") + 40
        data[at:-20] = bytes(len(data) - at - 20)
        path.write_bytes(data)
    with pytest.raises(UnreadableFileError):
        read_whole(read_scan(series).source)
    assert capfd.readouterr() == ("", "")
