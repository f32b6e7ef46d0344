"""Image files: any of 48 orientations or oblique, read back where they lie; written with the same bytes."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import GeometryError, LabelsError, NotHounsfieldError, UnreadableFileError
from planner.grid import Grid
from planner.images import image_format, open_volume, read_labels, write_labels, write_placed_labels, write_volume
from planner.nifti import HEADER, forms, read_header
from planner.source import read_whole
from planner.volume import LabelMap, PlacedLabels, Volume

from support.dicom_files import body

GRID = Grid.from_spacing((4, 5, 6), (1.25, 0.75, 0.5), (-4.5, 3.25, 100.125))
ALL_48 = list(itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3)))


def read_volume(path) -> tuple[Volume, dict]:
    """Every voxel of an image, as its source reads it."""
    source, description = open_volume(path)
    return read_whole(source), description


def turned(array: np.ndarray, grid: Grid, order, flips) -> tuple[np.ndarray, Grid]:
    """One of the 48 ways to store the same voxels."""
    view = array.transpose(order)[tuple(slice(None, None, -1) if f else slice(None) for f in flips)]
    columns = grid.lps_from_zyx[:3, list(order)]
    matrix = np.eye(4)
    matrix[:3, 3] = grid.lps_from_zyx[:3, 3] + columns @ np.where(flips, np.array(view.shape) - 1, 0)
    matrix[:3, :3] = columns * np.where(flips, -1.0, 1.0)
    return np.ascontiguousarray(view), Grid(view.shape, matrix)


def oblique(degrees: tuple[float, float, float], handed: int = 1) -> Grid:
    """The grid turned about x, y and z; left-handed where `handed` is -1."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = [k for k in range(3) if k != axis]
        step = np.eye(3)
        step[[i, j, i, j], [i, j, j, i]] = [np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)]
        turn = step @ turn
    matrix = GRID.lps_from_zyx.copy()
    matrix[:3, :3] = turn @ matrix[:3, :3] * [1, 1, handed]
    return Grid(GRID.shape_zyx, matrix)


def itk_image(array: np.ndarray, grid: Grid) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in grid.spacing_zyx_mm[::-1]])
    image.SetDirection([float(v) for v in grid.directions_lps[::-1].T.ravel()])
    image.SetOrigin([float(v) for v in grid.origin_lps_mm])
    return image


def itk_grid(path) -> Grid:
    image = SimpleITK.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    matrix[:3, 3] = image.GetOrigin()
    return Grid(image.GetSize()[::-1], matrix)


def edit_header(path, **values) -> None:
    """Change fields of an uncompressed NIfTI's header."""
    data = path.read_bytes()
    header = np.frombuffer(data[: HEADER.itemsize], HEADER).copy()
    for name, value in values.items():
        header[name] = value
    path.write_bytes(header.tobytes() + data[HEADER.itemsize :])


@pytest.mark.parametrize(("order", "flips"), ALL_48)
def test_48_orientations_are_written_for_simpleitk_and_read_back(tmp_path, order, flips):
    labels = np.arange(GRID.shape_zyx[0] * 30, dtype=np.uint8).reshape(GRID.shape_zyx)
    values, grid = turned(labels, GRID, order, flips)
    path = tmp_path / "labels.nii.gz"
    write_labels(path, LabelMap(values, grid))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), values)
    assert itk_grid(path).same_as(grid, 1e-4)
    back = read_labels(path)
    np.testing.assert_array_equal(back.values, values)
    assert back.grid.same_as(grid, 1e-6)
    stated = forms(read_header(path))
    np.testing.assert_allclose(stated["sform"], stated["qform"], atol=1e-4)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(("order", "flips"), ALL_48)
def test_48_orientations_are_one_canonical_volume_to_the_bit(tmp_path, order, flips, suffix):
    hu = body(GRID.shape_zyx)
    view, grid = turned(hu, GRID, order, flips)
    path = tmp_path / f"ct{suffix}"
    SimpleITK.WriteImage(itk_image(view, grid), str(path))
    volume, _ = read_volume(path)
    np.testing.assert_array_equal(volume.hu, view)
    canonical, _ = volume.canonical()
    np.testing.assert_array_equal(canonical.hu, hu)
    np.testing.assert_array_equal(canonical.grid.lps_from_zyx, Volume(hu, GRID).canonical()[0].grid.lps_from_zyx)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.sampled_from([1, -1]))
def test_oblique_grids_are_written_for_simpleitk_and_read_back(tmp_path_factory, degrees, handed):
    path = tmp_path_factory.mktemp("oblique") / "labels.nii.gz"
    grid = oblique(degrees, handed)
    write_labels(path, LabelMap(np.zeros(grid.shape_zyx, np.uint8), grid))
    assert itk_grid(path).same_as(grid, 1e-3)
    assert read_labels(path).grid.same_as(grid, 1e-3)
    stated = forms(read_header(path))
    np.testing.assert_allclose(stated["sform"], stated["qform"], atol=1e-3)


def test_writing_twice_gives_the_same_bytes_whatever_the_name_or_layout(tmp_path):
    hu = body(GRID.shape_zyx)
    write_volume(tmp_path / "a.nii.gz", Volume(hu, GRID))
    write_volume(tmp_path / "another.nii.gz", Volume(np.asfortranarray(hu), GRID))
    data = (tmp_path / "a.nii.gz").read_bytes()
    assert data == (tmp_path / "another.nii.gz").read_bytes()
    assert data[3] == 0  # no file name, no extra field (RFC 1952)
    assert data[4:8] == bytes(4)  # no time
    assert len(gzip.decompress(data)) == 352 + hu.nbytes


def test_volumes_come_back_to_the_bit(tmp_path):
    hu = body(GRID.shape_zyx)
    hu[0, 0, :2] = [-32768, 32767]
    write_volume(tmp_path / "ct.nii.gz", Volume(hu, GRID))
    volume, description = read_volume(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_array_equal(volume.grid.lps_from_zyx, GRID.lps_from_zyx)
    assert description["format"] == "NIfTI"


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_every_pixel_type_gives_the_same_units(tmp_path, dtype):
    hu = body(GRID.shape_zyx)
    stored = hu + (0.3 if np.issubdtype(dtype, np.floating) else 0)
    SimpleITK.WriteImage(itk_image(stored.astype(dtype), GRID), str(tmp_path / "ct.nrrd"))
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nrrd")[0].hu, hu)


def test_nifti_slope_and_intercept_are_applied(tmp_path):
    hu = body(GRID.shape_zyx)
    path = tmp_path / "ct.nii"
    SimpleITK.WriteImage(itk_image(((hu + 1024) // 2).astype(np.int16), GRID), str(path))
    edit_header(path, scl_slope=2.0, scl_inter=-1024.0)
    np.testing.assert_array_equal(read_volume(path)[0].hu, (hu + 1024) // 2 * 2 - 1024)


def test_a_fourth_axis_of_one_volume_is_dropped(tmp_path):
    hu = body(GRID.shape_zyx)
    path = tmp_path / "ct.nii"
    SimpleITK.WriteImage(itk_image(hu, GRID), str(path))
    edit_header(path, dim=[4, 6, 5, 4, 1, 1, 1, 1])
    np.testing.assert_array_equal(read_volume(path)[0].hu, hu)


def test_several_volumes_are_refused(tmp_path):
    image = itk_image(body(GRID.shape_zyx), GRID)
    SimpleITK.WriteImage(SimpleITK.JoinSeries([image, image]), str(tmp_path / "ct.nii.gz"))
    with pytest.raises(GeometryError, match=r"ct\.nii\.gz: found an image of 6 x 5 x 4 x 2 .* expected one 3-D volume"):
        read_volume(tmp_path / "ct.nii.gz")


def test_colour_and_flat_images_are_refused(tmp_path):
    colour = SimpleITK.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(colour, str(tmp_path / "rgb.mha"))
    with pytest.raises(GeometryError, match="with 3 values a voxel"):
        read_volume(tmp_path / "rgb.mha")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((5, 6), np.int16)), str(tmp_path / "flat.mha"))
    with pytest.raises(GeometryError, match="found an image of 6 x 5 with"):
        read_volume(tmp_path / "flat.mha")


@pytest.fixture
def plain(tmp_path):
    """An uncompressed NIfTI."""
    path = tmp_path / "ct.nii"
    SimpleITK.WriteImage(itk_image(body(GRID.shape_zyx), GRID), str(path))
    return path


def test_a_nifti_without_orientation_is_refused(plain):
    edit_header(plain, qform_code=0, sform_code=0)
    with pytest.raises(GeometryError, match=r"qform_code 0 and sform_code 0 .* left and right cannot be told"):
        read_volume(plain)


def test_a_nifti_that_contradicts_itself_is_refused(plain):
    srow = forms(read_header(plain))["sform"][:3]
    srow[0] *= -1  # mirrored: the wrong side would be planned
    edit_header(plain, srow=srow)
    with pytest.raises(GeometryError, match=r"ct\.nii: found sform and qform .* mm apart, expected at most 1 mm"):
        read_volume(plain)


@pytest.mark.parametrize("missing", ["sform_code", "qform_code"])
def test_one_form_is_enough(plain, missing):
    edit_header(plain, **{missing: 0})
    assert read_volume(plain)[0].grid.same_as(GRID, 1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_place_that_is_not_finite_is_refused(plain, bad):
    edit_header(plain, srow=np.full((3, 4), bad))
    with pytest.raises(GeometryError, match="without a valid affine"):
        read_volume(plain)


def test_a_singular_place_is_refused(plain):
    edit_header(plain, srow=np.zeros((3, 4)), qform_code=0)
    with pytest.raises((GeometryError, UnreadableFileError), match=r"ct\.nii: found"):
        read_volume(plain)


@pytest.mark.parametrize("value", [np.nan, np.inf, 64536.0])
def test_values_that_wrapped_or_are_not_finite_are_refused(tmp_path, value):
    stored = body(GRID.shape_zyx).astype(np.float32)
    stored[1, 2, 3] = value
    SimpleITK.WriteImage(itk_image(stored, GRID), str(tmp_path / "ct.mha"))
    with pytest.raises(NotHounsfieldError, match=r"ct\.mha: found values from .* expected Hounsfield units of at most"):
        read_volume(tmp_path / "ct.mha")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_file_cut_short_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"ct{suffix}"
    SimpleITK.WriteImage(itk_image(body((20, 30, 40)), Grid.from_spacing((20, 30, 40), 1.0)), str(path))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UnreadableFileError, match=r"ct\..*: found a damaged file .*, expected a whole"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("cut", [False, True], ids=["one bit", "cut short"])
def test_damage_in_compressed_data_is_noticed(tmp_path, suffix, cut):
    path = tmp_path / f"ct{suffix}"
    grid = Grid.from_spacing((20, 30, 40), 1.0)
    SimpleITK.WriteImage(itk_image(body(grid.shape_zyx), grid), str(path), useCompression=True)
    read_volume(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data[: -len(data) // 4] if cut else data)
    with pytest.raises(UnreadableFileError, match=r"ct\..*: found a damaged file"):
        read_volume(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"BinaryData = True", b"BinaryData = Tru"),
        (b"NDims = 3", b"NDims = 4"),
        (b"DimSize = 6 5 4", b"DimSize = 6 5 -4"),
        (b"MET_SHORT", b"MET_SHOUT"),
        (b"ObjectType", b"Obj\xffctType"),
        (b"ElementDataFile", b"ElementDataFil"),
    ],
)
def test_a_damaged_metaimage_header_never_reaches_itk(tmp_path, old, new):
    path = tmp_path / "ct.mha"
    SimpleITK.WriteImage(itk_image(body(GRID.shape_zyx), GRID), str(path))
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    with pytest.raises(UnreadableFileError, match=r"ct\.mha: found a damaged file"):
        read_volume(path)


def test_a_nifti_header_of_any_bits_gives_no_warning(plain):
    edit_header(plain, quatern=[np.nan, 3e38, -3e38], pixdim=np.full(8, 3e38))
    with pytest.raises(GeometryError, match="without a valid affine"):
        read_volume(plain)


def write_nrrd(path, hu: np.ndarray, space: str) -> None:
    """The axes of the array along x, y, z of `space`, as other programs write them."""
    lines = ["NRRD0004", "type: short", "dimension: 3", space, "sizes: 6 5 4", "endian: little", "encoding: raw"]
    lines += ["space directions: (0.5,0,0) (0,0.75,0) (0,0,1.25)", "space origin: (10,20,30)"]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + hu.astype("<i2").tobytes())


def test_an_nrrd_in_ras_is_turned_to_lps(tmp_path):
    hu = body(GRID.shape_zyx)
    write_nrrd(tmp_path / "ct.nrrd", hu, "space: right-anterior-superior")
    volume, _ = read_volume(tmp_path / "ct.nrrd")
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_allclose(volume.grid.to_lps([(0, 0, 0), (0, 0, 2)]), [(-10, -20, 30), (-11, -20, 30)])


@pytest.mark.parametrize("space", ["space dimension: 3", "space: scanner-xyz"])
def test_an_nrrd_in_no_patient_space_is_refused(tmp_path, space):
    write_nrrd(tmp_path / "ct.nrrd", body(GRID.shape_zyx), space)
    with pytest.raises(GeometryError, match=r"ct\.nrrd: found space .* expected .* left and right cannot be told"):
        read_volume(tmp_path / "ct.nrrd")


def test_gzip_in_several_members_is_one_file(tmp_path):
    hu = body(GRID.shape_zyx)
    write_volume(tmp_path / "ct.nii.gz", Volume(hu, GRID))
    data = gzip.decompress((tmp_path / "ct.nii.gz").read_bytes())
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(data[:300]) + gzip.compress(data[300:]) + bytes(16))
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz")[0].hu, hu)


def test_a_detached_header_is_read_with_its_data(tmp_path):
    hu = body(GRID.shape_zyx)
    for name in ("a.mhd", "b.nhdr"):
        SimpleITK.WriteImage(itk_image(hu, GRID), str(tmp_path / name), useCompression=True)
        np.testing.assert_array_equal(read_volume(tmp_path / name)[0].hu, hu)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"ct{suffix}"
    path.write_text("no image at all, only words " * 40)
    with pytest.raises(UnreadableFileError, match="found a damaged file or another kind") as caught:
        read_volume(path)
    assert "Convert the scan again" in caught.value.remedy


def test_labels_may_be_stored_as_floats(tmp_path):
    values = np.arange(120, dtype=np.float32).reshape(GRID.shape_zyx)
    SimpleITK.WriteImage(itk_image(values, GRID), str(tmp_path / "seg.nrrd"))
    labels = read_labels(tmp_path / "seg.nrrd")
    assert labels.values.dtype == np.uint8
    np.testing.assert_array_equal(labels.values, values)


@pytest.mark.parametrize("value", [-1.0, 256.0, 0.5])
def test_values_that_are_no_labels_are_refused(tmp_path, value):
    values = np.zeros(GRID.shape_zyx, np.float32)
    values[0, 0, 0] = value
    SimpleITK.WriteImage(itk_image(values, GRID), str(tmp_path / "seg.nrrd"))
    with pytest.raises(LabelsError, match=r"seg\.nrrd: found values from .*, expected whole numbers from 0 to 255"):
        read_labels(tmp_path / "seg.nrrd")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"no\.nii: found no such file"):
        read_labels(tmp_path / "no.nii")


def test_a_sheared_grid_keeps_its_sform_and_has_no_qform(tmp_path):
    matrix = GRID.lps_from_zyx.copy()
    matrix[1, 0] = 0.3
    sheared = Grid(GRID.shape_zyx, matrix)
    write_labels(tmp_path / "s.nii.gz", LabelMap(np.zeros(GRID.shape_zyx, np.uint8), sheared))
    stated = forms(read_header(tmp_path / "s.nii.gz"))
    assert stated.keys() == {"sform"}
    ras_from_lps = np.diag([-1, -1, 1, 1])
    np.testing.assert_allclose(stated["sform"], ras_from_lps @ sheared.lps_from_zyx[:, [2, 1, 0, 3]], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.nii", "NIfTI"), ("A.NII.GZ", "NIfTI"), ("a.b.nrrd", "NRRD"), ("a.mhd", "MetaImage"), ("a.dcm", None)],
)
def test_the_format_is_told_by_the_ending(tmp_path, name, kind):
    assert image_format(tmp_path / name) == kind


def test_a_folder_is_no_image_whatever_its_name(tmp_path):
    (tmp_path / "a.nii").mkdir()
    assert image_format(tmp_path / "a.nii") is None


PLACED = PlacedLabels(
    GRID, (slice(1, 3), slice(1, 5), slice(2, 4)), np.arange(1, 5, dtype=np.uint8).reshape(1, 2, 2), (2, 2, 1)
)


def placed_array() -> np.ndarray:
    values = np.zeros(GRID.shape_zyx, np.uint8)
    values[1:3, 1:3, 2:4] = [1, 2]
    values[1:3, 3:5, 2:4] = [3, 4]
    return values


def test_labels_of_a_box_are_written_as_the_whole_grid(tmp_path):
    path = tmp_path / "labels.nii.gz"
    write_placed_labels(path, PLACED)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), placed_array())
    back = read_labels(path)
    np.testing.assert_array_equal(back.values, placed_array())
    assert back.grid.same_as(GRID, 1e-6)
    write_labels(tmp_path / "whole.nii.gz", PLACED.whole())
    assert gzip.decompress(path.read_bytes()) == gzip.decompress((tmp_path / "whole.nii.gz").read_bytes())


@pytest.mark.parametrize("chunk", [1, 7, 30, 60, 2**24])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_empty_planes_are_the_same_however_they_are_chunked(tmp_path, monkeypatch, chunk, first):
    monkeypatch.setattr("planner.nifti.CHUNK_BYTES", chunk)
    labels = PlacedLabels(GRID, (slice(first, first + 2), slice(0, 5), slice(0, 6)), np.full((2, 5, 6), 3, np.uint8))
    write_placed_labels(tmp_path / "a.nii.gz", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz").values, labels.whole().values)
    write_placed_labels(tmp_path / "b.nii.gz", labels)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_long_grid_is_written_in_little_memory(tmp_path):
    """A gigabyte of empty voxels, of which 16 MB are ever held."""
    tracemalloc.start()
    grid = Grid.from_spacing((1000, 1024, 1024), 0.4)
    write_placed_labels(tmp_path / "a.nii.gz", PlacedLabels(grid, (slice(500, 502),) * 3, np.ones((2, 2, 2), np.uint8)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20
    assert (tmp_path / "a.nii.gz").stat().st_size < 8 * 2**20


def test_labels_that_do_not_fill_their_box_are_a_mistake():
    with pytest.raises(ValueError, match=r"labels of \(2, 4, 4\) voxels in a box"):
        PlacedLabels(GRID, PLACED.box, np.zeros((2, 4, 4), np.uint8))
