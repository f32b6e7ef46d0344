"""Slices are read, decoded and kept as needed; workers change nothing but the time; cut files are refused early."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from planner.dicom import decoding, read_dicom, voxels
from planner.dicom.decoding import decoded_words, main
from planner.dicom.headers import read_instance
from planner.dicom.sources import open_source
from planner.errors import UnreadableFileError
from planner.grid import Grid
from planner.reading import read_scan

from support.dicom_files import ct_datasets, enhanced_dataset, save, save_one, zip_folder

WINDOW = (slice(5, 20), slice(7, 31))


@pytest.fixture
def workers(monkeypatch):
    """Two workers, however little there is to decode."""
    monkeypatch.setattr(decoding, "WORTH_PIXELS", 0)
    monkeypatch.setattr(decoding, "_cores", lambda: 2)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless], ids=lambda u: u.keyword
)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_windows_of_slices_are_cut_out_of_them(tmp_path, hu, grid, syntax, packed):
    folder = save(tmp_path / "s", ct_datasets(hu, grid), syntax)
    source = read_dicom(zip_folder(folder, tmp_path / "s.zip") if packed else folder).source
    np.testing.assert_array_equal(list(source.planes([1, 3, 4], WINDOW)), hu[[1, 3, 4], 5:20, 7:31])
    np.testing.assert_array_equal(list(source.planes([0, 5])), hu[[0, 5]])


def test_windows_of_enhanced_frames(tmp_path, hu, grid):
    path = save_one(tmp_path / "one.dcm", enhanced_dataset(hu, grid, order=[3, 0, 5, 1, 4, 2]))
    source = read_dicom(path).source
    np.testing.assert_array_equal(list(source.planes(range(6), WINDOW)), hu[:, 5:20, 7:31])


def test_workers_give_the_same_slices_in_the_same_order(tmp_path, hu, grid, workers):
    folder = save(tmp_path / "s", ct_datasets(hu, grid), JPEGLSLossless)
    np.testing.assert_array_equal(read_dicom(zip_folder(folder, tmp_path / "s.zip")).load().hu, hu)


def test_an_error_of_a_worker_is_the_refusal_it_would_be_here(tmp_path, hu, grid, workers):
    save(tmp_path, ct_datasets(hu, grid), JPEGLSLossless)
    path = tmp_path / "IM0037.dcm"
    data = path.read_bytes()
    start = data.index(b"\xff\xd8\xff")
    path.write_bytes(data[:start] + bytes(200) + data[start + 200 :])
    with pytest.raises(UnreadableFileError, match=r"IM0037\.dcm: found JPEG-LS .* cannot be decoded"):
        read_dicom(tmp_path).load()


def test_frames_of_a_worker_that_died_are_decoded_here(tmp_path, hu, grid, workers, monkeypatch):
    real = subprocess.Popen

    def dying(command, **options):
        return real([sys.executable, "-c", "import sys; sys.stdin.buffer.read()"], **options)

    save(tmp_path, ct_datasets(hu, grid), JPEG2000Lossless)
    monkeypatch.setattr(decoding.subprocess, "Popen", dying)
    np.testing.assert_array_equal(read_dicom(tmp_path).load().hu, hu)


def test_a_worker_answers_on_its_output(tmp_path, hu, grid, monkeypatch):
    save(tmp_path, ct_datasets(hu, grid), JPEG2000Lossless)
    with open_source(tmp_path) as source, source.open("IM0037.dcm") as stream:
        (item,) = read_instance(stream, "IM0037.dcm")
    asked, answers = io.BytesIO(pickle.dumps((tmp_path, [(item.instance, 0), (item.instance, 1)]))), io.BytesIO()
    monkeypatch.setattr(decoding.sys, "stdin", type("In", (), {"buffer": asked}))
    monkeypatch.setattr(decoding.sys, "stdout", type("Out", (), {"buffer": answers}))
    main()
    answers.seek(0)
    np.testing.assert_array_equal(pickle.load(answers), hu[1].astype(np.int32) + 1024)
    assert isinstance(pickle.load(answers), UnreadableFileError)  # there is no second frame


def test_few_slices_need_no_worker(tmp_path, hu, grid, monkeypatch):
    monkeypatch.setattr(decoding.subprocess, "Popen", None)
    monkeypatch.setattr(decoding, "_cores", lambda: 8)
    save(tmp_path, ct_datasets(hu, grid), JPEGLSLossless)
    np.testing.assert_array_equal(read_dicom(tmp_path).load().hu, hu)


@pytest.mark.parametrize(("syntax", "count"), [(RLELossless, 1), (ExplicitVRLittleEndian, 1), (JPEG2000Lossless, 3)])
def test_only_slow_syntaxes_are_worth_workers(tmp_path, hu, grid, monkeypatch, syntax, count):
    monkeypatch.setattr(decoding, "WORTH_PIXELS", hu.size)
    monkeypatch.setattr(decoding, "_cores", lambda: 3)
    save(tmp_path, ct_datasets(hu, grid), syntax)
    slices = read_dicom(tmp_path).source._slices
    frames = [(item.instance, item.frame) for item in slices]
    assert decoding._worker_count(frames) == count
    assert decoding._worker_count(frames[:-1]) == 1


@pytest.mark.parametrize(("budget", "decoded"), [(10**6, 6), (2 * 2560 + 1, 6 + 4), (0, 12)])
def test_decoded_slices_are_kept_within_a_budget(tmp_path, hu, grid, monkeypatch, budget, decoded):
    monkeypatch.setattr(voxels, "KEEP_BYTES", budget)
    counted = []

    def counting(path, frames, window=None):
        counted.extend(frames)
        return decoded_words(path, frames, window)

    monkeypatch.setattr(voxels, "decoded_words", counting)
    save(tmp_path, ct_datasets(hu, grid), JPEGLSLossless)
    source = read_dicom(tmp_path).source
    for _ in range(2):
        np.testing.assert_array_equal(list(source.planes(range(6), WINDOW)), hu[:, 5:20, 7:31])
    assert len(counted) == decoded


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda u: u.keyword)
@pytest.mark.parametrize("lost", [1, 8, 200])
def test_compressed_slices_cut_short_are_refused_before_any_is_decoded(tmp_path, hu, grid, syntax, lost):
    save(tmp_path, ct_datasets(hu, grid), syntax)
    victim = tmp_path / "IM0037.dcm"
    victim.write_bytes(victim.read_bytes()[:-lost])
    with pytest.raises(UnreadableFileError, match=rf"IM0037\.dcm: found .* cut short, expected {lost} bytes more"):
        read_dicom(tmp_path)


def test_slices_off_the_lattice_are_checked_though_not_read(tmp_path, hu, grid):
    close = Grid.from_spacing(hu.shape, (0.4, 0.75, 0.5))
    save(tmp_path, ct_datasets(hu, close))
    victim = tmp_path / "IM0037.dcm"  # the second of six slices; every fifth is read
    victim.write_bytes(victim.read_bytes()[:-2])
    with pytest.raises(UnreadableFileError, match=r"IM0037\.dcm: found 2558 bytes of pixel data, expected 2560"):
        read_scan(tmp_path)
