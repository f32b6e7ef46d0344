"""Every transfer syntax, sign and bit depth gives the same Hounsfield units, and nothing wraps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from planner.dicom import pixels as pixels_module
from planner.dicom import read_dicom
from planner.dicom.pixels import HU_MAX, HU_MIN, PADDING_HU, can_decode
from planner.errors import UnreadableFileError

from support.dicom_files import ct_datasets, pixels, save, set_pixels

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
]
ENCODINGS = [(16, False, -1024), (16, True, 0), (12, False, -1024), (12, True, 0), (13, True, -1)]


def read(folder):
    return read_dicom(folder).load().hu


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize(("bits", "signed", "intercept"), ENCODINGS)
def test_every_syntax_sign_and_depth_gives_the_same_units(tmp_path, hu, grid, syntax, bits, signed, intercept):
    datasets = ct_datasets(hu, grid, bits=bits, signed=signed, intercept=intercept)
    save(tmp_path, datasets, syntax)
    assert dcmread(tmp_path / "IM0000.dcm", stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read(tmp_path), hu)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless], ids=["native", "compressed"])
def test_bits_above_those_stored_are_dropped(tmp_path, hu, grid, syntax):
    datasets = ct_datasets(hu, grid, bits=12)
    for ds in datasets:
        ds.PixelData = (pixels(ds) | 0xA000).tobytes()
    save(tmp_path, datasets, syntax)
    np.testing.assert_array_equal(read(tmp_path), hu)


def test_high_bit_shifts_the_value(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid, bits=12)
    for ds in datasets:
        ds.PixelData = (pixels(ds) << 4).tobytes()
        ds.HighBit = 15
    save(tmp_path, datasets)
    np.testing.assert_array_equal(read(tmp_path), hu)


def test_each_slice_has_its_own_slope_and_intercept(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid, signed=True, intercept=0)
    for k, ds in enumerate(datasets):
        ds.RescaleSlope, ds.RescaleIntercept = str(1 + 0.25 * k), str(-10.5 * k)
    save(tmp_path, datasets)
    k = np.arange(len(hu))[:, None, None]
    np.testing.assert_array_equal(read(tmp_path), np.rint(hu * (1 + 0.25 * k) - 10.5 * k))


def test_values_beyond_int16_are_clipped_not_wrapped(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid, intercept=0, signed=True)
    for ds in datasets:
        ds.RescaleSlope = "100"
    save(tmp_path, datasets)
    found = read(tmp_path)
    np.testing.assert_array_equal(found, np.clip(hu.astype(int) * 100, HU_MIN, HU_MAX))
    assert found.min() == HU_MIN
    assert found.max() == HU_MAX


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize(
    ("padding", "signed"), [(-2000, True), (63536, True), (4000, False)], ids=["signed", "as unsigned", "unsigned"]
)
def test_padding_becomes_air(tmp_path, hu, grid, padding, signed, syntax):
    datasets = ct_datasets(hu, grid, signed=signed)
    for ds in datasets:
        stored = pixels(ds)
        stored[-3:] = padding & 0xFFFF
        set_pixels(ds, stored)
        ds.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    save(tmp_path, datasets, syntax)
    found = read(tmp_path)
    assert (found[:, -3:] == PADDING_HU).all()
    np.testing.assert_array_equal(found[:, :-3], hu[:, :-3])


def test_padding_range_becomes_air(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    for ds in datasets:
        ds.add_new("PixelPaddingValue", "US", 4)
        ds.add_new("PixelPaddingRangeLimit", "US", 1024 - 1000)
    save(tmp_path, datasets)
    np.testing.assert_array_equal(read(tmp_path), np.where(hu <= -1000, PADDING_HU, hu))


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
def test_a_file_cut_short_is_refused_by_name(tmp_path, hu, grid, syntax):
    save(tmp_path, ct_datasets(hu, grid), syntax)
    victim = tmp_path / "IM0037.dcm"
    victim.write_bytes(victim.read_bytes()[:-200])
    with pytest.raises(
        UnreadableFileError, match=r"IM0037\.dcm: found .*, expected .*\. Export or copy the file again"
    ):
        read_dicom(tmp_path)


def test_truncation_says_how_many_bytes_are_left(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    victim = tmp_path / "IM0037.dcm"
    victim.write_bytes(victim.read_bytes()[:-200])
    expected = hu[0].size * 2
    with pytest.raises(UnreadableFileError, match=f"found {expected - 200} bytes of pixel data, expected {expected}"):
        read_dicom(tmp_path)


def test_a_file_without_pixels_is_refused_by_name(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    del datasets[1].PixelData
    save(tmp_path, datasets)
    with pytest.raises(UnreadableFileError, match=r"IM0037\.dcm: found no pixel data, expected 2560 bytes"):
        read_dicom(tmp_path)


def test_too_short_pixel_data_of_a_whole_file_are_refused(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    datasets[1].PixelData = datasets[1].PixelData[:-100]
    save(tmp_path, datasets)
    with pytest.raises(UnreadableFileError, match=r"IM0037\.dcm: found 2460 bytes of pixel data, expected 2560"):
        read_dicom(tmp_path)


def test_compressed_pixels_under_a_native_syntax_are_refused(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    save(tmp_path, datasets, RLELossless)
    path = tmp_path / "IM0037.dcm"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0"))
    with pytest.raises(UnreadableFileError, match=r"IM0037\.dcm: found compressed pixel data, expected Explicit VR"):
        read_dicom(tmp_path)


def test_a_damaged_code_stream_is_refused_by_name(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid), JPEGLSLossless)
    path = tmp_path / "IM0037.dcm"
    data = path.read_bytes()
    start = data.index(b"\xff\xd8\xff")
    path.write_bytes(data[:start] + bytes(200) + data[start + 200 :])
    with pytest.raises(
        UnreadableFileError, match=r"IM0037\.dcm: found JPEG-LS .* cannot be decoded, expected 1 x 32 x 40"
    ):
        read_dicom(tmp_path).load()


def test_an_unknown_syntax_is_refused_by_name(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    mpeg = dcmread(tmp_path / "IM0037.dcm")
    mpeg.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    mpeg["PixelData"].is_undefined_length = True
    mpeg.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x02\x00\x00\x00ab"
    mpeg.save_as(tmp_path / "IM0037.dcm")
    with pytest.raises(UnreadableFileError, match=r"IM0037\.dcm: found transfer syntax MPEG-4 .* uncompressed"):
        read_dicom(tmp_path)


def test_a_decoder_that_panics_is_a_refusal(tmp_path, hu, grid, monkeypatch):
    """Codecs written in Rust raise what does not derive from Exception."""

    class Panic(BaseException):
        pass

    def decoder(*args, **options):
        raise Panic

    save(tmp_path, ct_datasets(hu, grid), RLELossless)
    monkeypatch.setattr(
        pixels_module, "get_decoder", lambda uid: SimpleNamespace(is_available=True, iter_array=decoder)
    )
    with pytest.raises(UnreadableFileError, match=r"IM0000\.dcm: found RLE Lossless pixel data that cannot be decoded"):
        read_dicom(tmp_path).load()


@pytest.mark.parametrize("uid", ["", "1.2.\u00d640", "1.2.840.10008.1.2\x00"])
def test_a_syntax_of_damaged_letters_is_not_decodable_and_gives_no_warning(uid):
    assert not can_decode(uid)


def test_every_lossless_syntax_of_the_task_has_a_decoder():
    assert all(can_decode(str(uid)) for uid in SYNTAXES)
    assert not can_decode("1.2.840.10008.1.2.4.102")
    assert not can_decode("1.2.3.4")
