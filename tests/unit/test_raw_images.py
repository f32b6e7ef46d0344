"""Images read plane by plane are those that SimpleITK reads whole, raw or compressed, in any byte order."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK

from planner import raw_images
from planner.errors import NotHounsfieldError, UnreadableFileError
from planner.grid import Grid
from planner.images import open_volume
from planner.raw_images import RawSource, as_hounsfield, raw_layout
from planner.source import ArraySource, read_whole

from support.dicom_files import body

SHAPE = (7, 9, 11)
GRID = Grid.from_spacing(SHAPE, (1.25, 0.75, 0.5), (-4.5, 3.25, 100.125))
SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".nhdr"]
WINDOW = (slice(2, 8), slice(3, 10))


def write(path, array: np.ndarray, *, compress: bool = False):
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in GRID.spacing_zyx_mm[::-1]])
    image.SetOrigin([float(v) for v in GRID.origin_lps_mm])
    SimpleITK.WriteImage(image, str(path), useCompression=compress)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_planes_and_windows_are_those_of_the_image(tmp_path, suffix, compress, dtype):
    hu = body(SHAPE)
    source, _ = open_volume(write(tmp_path / f"ct{suffix}", hu.astype(dtype), compress=compress))
    assert isinstance(source, RawSource)
    assert source.grid.same_as(GRID, 1e-4)
    np.testing.assert_array_equal(list(source.planes([1, 4, 5], WINDOW)), hu[[1, 4, 5], 2:8, 3:10])
    np.testing.assert_array_equal(list(source.planes([0, 6])), hu[[0, 6]])
    np.testing.assert_array_equal(read_whole(source).hu, hu)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_a_large_compressed_image_is_inflated_anew_and_checked_once_to_its_end(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(raw_images, "KEEP_BYTES", 0)
    hu = body(SHAPE)
    path = write(tmp_path / f"ct{suffix}", hu, compress=True)
    source, _ = open_volume(path)
    for _ in range(2):
        np.testing.assert_array_equal(list(source.planes([1, 2], WINDOW)), hu[[1, 2], 2:8, 3:10])
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # in the checksum or the last block: beyond the planes that are asked for
    path.write_bytes(data)
    with pytest.raises(UnreadableFileError, match="found a damaged file"):
        list(open_volume(path)[0].planes([0]))


def test_a_small_compressed_image_is_inflated_once(tmp_path):
    hu = body(SHAPE)
    path = write(tmp_path / "ct.nii.gz", hu)
    source, _ = open_volume(path)
    first = [plane.copy() for plane in source.planes([2])]
    path.unlink()
    np.testing.assert_array_equal([*first, *source.planes([5])], hu[[2, 5]])


def test_big_endian_images_are_read(tmp_path):
    hu = body(SHAPE)
    path = write(tmp_path / "ct.mha", hu)
    data = path.read_bytes()
    head = data[: len(data) - hu.nbytes].replace(b"BinaryDataByteOrderMSB = False", b"BinaryDataByteOrderMSB = True")
    path.write_bytes(head + hu.astype(">i2").tobytes())
    np.testing.assert_array_equal(read_whole(open_volume(path)[0]).hu, hu)


def test_what_has_no_plain_layout_is_read_whole(tmp_path):
    hu = body(SHAPE)
    path = write(tmp_path / "ct.nrrd", hu)
    data = path.read_bytes()
    head, body_bytes = data[: -hu.nbytes], data[-hu.nbytes :]
    text = " ".join(map(str, np.frombuffer(body_bytes, "<i2"))).encode()
    path.write_bytes(head.replace(b"encoding: raw", b"encoding: ascii") + text)
    assert raw_layout(path, "NRRD", SHAPE) is None
    source, _ = open_volume(path)
    assert isinstance(source, ArraySource)
    np.testing.assert_array_equal(read_whole(source).hu, hu)


def test_a_header_that_promises_more_than_deflate_can_pack_is_refused_before_memory_is_taken(tmp_path):
    path = write(tmp_path / "ct.nii", body(SHAPE))
    data = bytearray(path.read_bytes())
    data[40:48] = np.array([3, 30000, 30000, 30000], "<i2").tobytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(UnreadableFileError, match="found a damaged file"):
        open_volume(tmp_path / "ct.nii.gz")


def test_values_are_judged_as_they_are_read(tmp_path):
    stored = body(SHAPE).astype(np.float32)
    stored[5, 1, 1] = np.nan
    source, _ = open_volume(write(tmp_path / "ct.mha", stored))
    assert len(list(source.planes([0, 4]))) == 2
    with pytest.raises(NotHounsfieldError, match=r"ct\.mha: found values from nan"):
        list(source.planes([5]))


@pytest.mark.parametrize(("stored", "hu"), [(0.5, 0), (1.5, 2), (-40000.0, -32768), (32767.0, 32767)])
def test_numbers_are_rounded_and_clipped_below(stored, hu):
    assert as_hounsfield(np.array([[stored]]), "ct").item() == hu
