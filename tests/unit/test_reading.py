"""One scan is one scan in every format; values and spacing are judged alike."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.cells import count_cells
from planner.errors import InputRefusedError, NotHounsfieldError, UnreadableFileError
from planner.findings import Level
from planner.grid import Grid, Orientation
from planner.images import write_volume
from planner.reading import Scan, list_series, read_scan
from planner.reading.hounsfield import check_hounsfield
from planner.reading.spacing import spacing_findings
from planner.source import ArraySource
from planner.volume import Volume

from support.dicom_files import body, ct_datasets, enhanced_dataset, save, save_one, zip_folder

GRID = Grid.from_spacing((6, 32, 40), (1.25, 0.75, 0.5), (-4.5, 3.25, 100.125))


def whole_sha(scan: Scan) -> str:
    """Name of a scan that is planned on as a whole."""
    return scan.sha256(scan.load().canonical()[0])


def volume_sha(volume: Volume) -> str:
    """The same for a volume in memory."""
    source = ArraySource(volume)
    return Scan(source, count_cells(source), (), {}).sha256(volume.canonical()[0])


def histogram(hu: np.ndarray) -> np.ndarray:
    return np.bincount(hu.ravel().astype(int) + 32768, minlength=65536)


FACTS = {"format", "modality", "kernel", "slice_thickness_mm", "patient_position", "slices", "transfer_syntax"}


def itk_write(path, volume: Volume) -> None:
    image = SimpleITK.GetImageFromArray(volume.hu)
    image.SetSpacing([float(s) for s in volume.grid.spacing_zyx_mm[::-1]])
    image.SetDirection([float(v) for v in volume.grid.directions_lps[::-1].T.ravel()])
    image.SetOrigin([float(v) for v in volume.grid.origin_lps_mm])
    SimpleITK.WriteImage(image, str(path))


def test_every_format_gives_the_same_scan(tmp_path):
    volume = Volume(body(), GRID)
    folder = save(tmp_path / "series", ct_datasets(volume.hu, GRID))
    paths = [folder, zip_folder(folder, tmp_path / "a.zip")]
    paths.append(save_one(tmp_path / "one.dcm", enhanced_dataset(volume.hu, GRID, order=[5, 2, 0, 1, 3, 4])))
    for suffix in (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"):
        paths.append(tmp_path / f"ct{suffix}")
        itk_write(paths[-1], volume)
    scans = [read_scan(path) for path in paths]
    for path, scan in zip(paths, scans, strict=True):
        np.testing.assert_array_equal(scan.load().hu, volume.hu, err_msg=path.name)
        assert scan.load().grid.same_as(GRID, 1e-6), path.name
        assert whole_sha(scan) == whole_sha(scans[0]), path.name
        assert scan.findings == (), path.name
    keys = set(scans[0].description)
    assert {
        "format",
        "modality",
        "kernel",
        "slice_thickness_mm",
        "patient_position",
        "slices",
        "transfer_syntax",
    } <= keys
    assert "resampled" in keys
    assert all(scan.description.keys() <= keys for scan in scans)


def test_the_hash_tells_values_and_places_apart():
    hu = body()
    known = volume_sha(Volume(hu, GRID))
    other = hu.copy()
    other[3, 4, 5] += 1
    assert volume_sha(Volume(other, GRID)) != known
    moved = GRID.lps_from_zyx.copy()
    moved[0, 3] += 0.05
    assert volume_sha(Volume(hu, Grid(GRID.shape_zyx, moved))) != known
    assert volume_sha(Volume(hu[::-1], GRID)) != known


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.permutations(range(3)),
    st.tuples(*[st.booleans()] * 3),
    st.tuples(*[st.sampled_from([0.7, 0.703125, 1.03, 1.25])] * 3),
    st.tuples(*[st.sampled_from([-178.125, -250.5, 0.0, 33.333, -1302.7628])] * 3),
)
def test_the_hash_knows_neither_axis_order_nor_float32(order, flips, spacing, origin):
    hu = body((5, 6, 7))
    grid = Grid.from_spacing(hu.shape, spacing, origin)
    orientation = Orientation(tuple(order), flips)
    stored = Volume(np.ascontiguousarray(orientation.apply(hu)), exactly_turned(grid, orientation))
    rough = Grid(stored.grid.shape_zyx, stored.grid.lps_from_zyx.astype(np.float32).astype(float))
    assert volume_sha(Volume(stored.hu, rough)) == volume_sha(Volume(hu, grid))


def exactly_turned(grid: Grid, orientation: Orientation) -> Grid:
    columns = grid.lps_from_zyx[:3, list(orientation.order)]
    shape = [grid.shape_zyx[k] for k in orientation.order]
    matrix = np.eye(4)
    matrix[:3, 3] = grid.origin_lps_mm + columns @ np.where(orientation.flipped, np.array(shape) - 1, 0)
    matrix[:3, :3] = columns * np.where(orientation.flipped, -1.0, 1.0)
    return Grid(tuple(shape), matrix)


def test_48_orientations_of_a_nifti_hash_alike(tmp_path):
    hu = body((4, 5, 6))
    grid = Grid.from_spacing(hu.shape, (1.25, 0.7, 0.5), (-4.3, 3.21, 100.7))
    hashes = set()
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            orientation = Orientation(order, flips)
            path = tmp_path / "ct.nii.gz"
            write_volume(path, Volume(orientation.apply(hu), exactly_turned(grid, orientation)))
            hashes.add(whole_sha(read_scan(path)))
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("spacing_mm", "level"),
    [
        (0.8, None),
        (1.25, None),
        (1.2505, None),
        (1.3, Level.NOTE),
        (2.0, Level.NOTE),
        (2.1, Level.REVIEW_ONLY),
        (3.0, Level.REVIEW_ONLY),
        (3.1, Level.REFUSE),
        (5.0, Level.REFUSE),
    ],
)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slice_spacing_is_graded_along_whatever_axis(spacing_mm, level, axis):
    spacing = [0.7, 0.7, 0.7]
    spacing[axis] = spacing_mm
    found = spacing_findings(Grid.from_spacing((4, 4, 4), spacing))
    assert [(f.code, f.level) for f in found] == ([] if level is None else [("slice-spacing", level)])
    assert all(f"{spacing_mm:.2f} mm" in f.message for f in found)


@pytest.mark.parametrize(("thickness", "flagged"), [(None, False), (1.25, False), (1.4, False), (2.5, True)])
def test_thick_slices_close_together_are_flagged(thickness, flagged):
    found = spacing_findings(Grid.from_spacing((4, 4, 4), 1.0), thickness_mm=thickness)
    assert [f.code for f in found] == (["slice-thickness"] if flagged else [])


def test_spacing_above_three_millimetres_is_a_finding_not_a_refusal(tmp_path):
    volume = Volume(body(), Grid.from_spacing((6, 32, 40), (5.0, 1.0, 1.0)))
    write_volume(tmp_path / "ct.nii.gz", volume)
    assert [(f.code, f.level) for f in read_scan(tmp_path / "ct.nii.gz").findings] == [("slice-spacing", Level.REFUSE)]


def ct_like() -> np.ndarray:
    return body((12, 20, 20))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda hu: hu * 0, r"found one value everywhere \(0\)"),
        (lambda hu: (hu > 300) * 1, "found values of 0 to 1, as in labels"),
        (lambda hu: np.clip((hu + 1000) // 10, 0, 255), "found values of 0 to .*, as in labels or an 8-bit image"),
        (lambda hu: np.clip(hu, -160, 240), "found values of -160 to 240, nothing as dense as bone"),
        (lambda hu: np.clip(hu // 8, -1000, 150) + 1024, r"soft tissue near \+1024, as before the rescale intercept"),
    ],
    ids=["empty", "binary", "8 bit", "windowed", "no intercept"],
)
def test_values_that_are_no_hounsfield_units_are_refused(change, found):
    with pytest.raises(NotHounsfieldError, match=found) as caught:
        check_hounsfield(histogram(change(ct_like().astype(int)).astype(np.int16)), "ct.nii")
    assert str(caught.value).startswith("ct.nii: ")
    assert "expected Hounsfield units" in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("fill", [-1000, -1024, -3024, -32768])
def test_air_of_any_kind_passes(fill):
    hu = ct_like()
    hu[hu < -900] = fill
    assert check_hounsfield(histogram(hu), "ct.nii") == []


def test_bones_on_nothing_are_read_with_a_warning():
    hu = np.maximum(ct_like() // 2, 0).astype(np.int16)
    (finding,) = check_hounsfield(histogram(hu), "bones.nii")
    assert (finding.code, finding.level) == ("no-air", Level.WARN)


def test_dicom_values_are_judged_too(tmp_path):
    folder = save(tmp_path / "series", ct_datasets(np.clip(body(), -160, 240), GRID))
    with pytest.raises(NotHounsfieldError, match=r"^IM0000\.dcm: found values of -160 to 240"):
        read_scan(folder)


def test_a_large_volume_is_sampled_but_nothing_small_is():
    hu = np.zeros((100, 300, 300), np.int16)
    hu[:, :, :40] = -1000
    hu[:, 100:200, 100:200] = 700
    assert check_hounsfield(histogram(hu), "ct.nii") == []


@pytest.mark.parametrize("name", ["none.nii", "folder"])
def test_a_path_that_does_not_exist_is_refused(tmp_path, name):
    for read in (read_scan, list_series):
        with pytest.raises(UnreadableFileError, match=f"{name}: found nothing at this path"):
            read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.dcm", "pipe.nii.gz"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (read_scan, list_series):
        with pytest.raises(UnreadableFileError, match=f"{name}: found a pipe or device"):
            read(tmp_path / name)


def test_a_file_of_no_known_kind_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(InputRefusedError, match=r"notes\.txt: found 1 files, none of them a whole DICOM image"):
        read_scan(tmp_path / "notes.txt")


def test_series_of_an_image_file_are_one(tmp_path):
    write_volume(tmp_path / "ct.nii.gz", Volume(body(), GRID))
    (report,) = list_series(tmp_path / "ct.nii.gz")
    assert report.chosen
    assert report.modality == "NIfTI"
    assert report.slices == 6


def test_relative_paths_are_fine(tmp_path, monkeypatch):
    save(tmp_path, ct_datasets(body(), GRID))
    monkeypatch.chdir(tmp_path)
    assert whole_sha(read_scan(Path())) == whole_sha(read_scan(tmp_path))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """One small file of each kind that our own code parses."""
    folder = tmp_path_factory.mktemp("samples")
    volume = Volume(body(), GRID)
    one = save_one(folder / "one.dcm", enhanced_dataset(volume.hu, GRID))
    write_volume(folder / "ct.nii.gz", volume)
    (folder / "ct.nii").write_bytes(gzip.decompress((folder / "ct.nii.gz").read_bytes()))
    with zipfile.ZipFile(folder / "one.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(one, "one.dcm")
    return [folder / name for name in ("one.dcm", "ct.nii.gz", "ct.nii", "one.zip")]


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    kind=st.integers(0, 3),
    edits=st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), max_size=8),
    length=st.one_of(st.none(), st.integers(0, 15000)),
)
def test_damage_of_any_kind_is_refused_or_read_but_never_a_traceback(samples, tmp_path_factory, kind, edits, length):
    data = bytearray(samples[kind].read_bytes())
    for place, value in edits:
        data[place] = value
    path = tmp_path_factory.mktemp("damaged") / samples[kind].name
    path.write_bytes(data[:length])
    with contextlib.suppress(InputRefusedError):
        assert read_scan(path).load().hu.dtype == np.int16


@pytest.mark.shared
def test_the_real_series_agrees_with_simpleitk_voxel_by_voxel(shared):
    folder = shared / "pancreas_ct_cb_001" / "dicom"
    scan = read_scan(folder)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), scan.load().hu)
    np.testing.assert_allclose(scan.load().grid.origin_lps_mm, image.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(scan.load().grid.spacing_zyx_mm[::-1], image.GetSpacing(), atol=1e-6)
    assert scan.load().hu.shape == (44, 512, 512)
    assert [(f.code, f.level) for f in scan.findings] == [("slice-spacing", Level.REVIEW_ONLY)]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("cc0_lumbosacral/ct.nii.gz", []),
        ("fracsegnet/002_bones.nii.gz", ["no-air"]),
        ("totalseg_example/ct.nii.gz", ["slice-spacing"]),
    ],
)
def test_the_real_images_are_read(shared, name, codes):
    assert [f.code for f in read_scan(shared / name).findings] == codes


@pytest.mark.shared
def test_a_real_label_map_is_no_ct(shared):
    with pytest.raises(NotHounsfieldError, match="as in labels"):
        read_scan(shared / "totalseg_example" / "labels_1sac_2hipL_3hipR_4L5.nii.gz")


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["cc0_lumbosacral/ct.nii.gz", "fracsegnet/004_bones.nii.gz", "totalseg_example/ct.nii.gz"]
)
@pytest.mark.parametrize(("order", "flips"), [((0, 1, 2), (1, 0, 0)), ((2, 0, 1), (0, 1, 1)), ((1, 0, 2), (1, 1, 1))])
def test_a_real_scan_stored_another_way_has_the_same_canonical_grid(shared, tmp_path, name, order, flips):
    """SimpleITK turns a thinned copy and stores its place in float32, as any tool would."""
    image = SimpleITK.ReadImage(str(shared / name))[::4, ::4, ::4]
    SimpleITK.WriteImage(image, str(tmp_path / "a.nii.gz"))
    turned = SimpleITK.Flip(SimpleITK.PermuteAxes(image, order), [bool(f) for f in flips])
    SimpleITK.WriteImage(turned, str(tmp_path / "b.nii.gz"))
    a, b = (read_scan(tmp_path / f"{k}.nii.gz") for k in "ab")
    assert a.load().hu.shape != b.load().hu.shape or not np.array_equal(a.load().hu, b.load().hu)
    ours, theirs = a.load().canonical()[0], b.load().canonical()[0]
    np.testing.assert_array_equal(ours.hu, theirs.hu)
    np.testing.assert_array_equal(ours.grid.lps_from_zyx, theirs.grid.lps_from_zyx)
    assert whole_sha(a) == whole_sha(b)


@pytest.mark.shared
def test_the_real_series_hashes_alike_as_nifti(shared, tmp_path):
    volume = read_scan(shared / "pancreas_ct_cb_001" / "dicom").load()
    volume = volume.crop((slice(0, 44), slice(200, 300), slice(150, 280)))
    flip = Orientation((0, 1, 2), (False, True, False))
    write_volume(tmp_path / "ct.nii.gz", Volume(flip.apply(volume.hu), exactly_turned(volume.grid, flip)))
    again = read_scan(tmp_path / "ct.nii.gz")
    assert whole_sha(again) == volume_sha(volume)
    ours, theirs = again.load().canonical()[0], volume.canonical()[0]
    np.testing.assert_array_equal(ours.hu, theirs.hu)
    assert ours.grid.same_as(theirs.grid, 1e-3)
