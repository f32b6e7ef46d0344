"""Slices form a stack by their positions alone; whatever does not is refused by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pydicom import dcmread

from planner.dicom import read_dicom
from planner.errors import GeometryError
from planner.grid import Grid
from planner.reading import read_scan
from planner.volume import Volume

from support.dicom_files import body, ct_datasets, save, slanted

NAMES = [f"IM{(k * 37) % 101:04d}.dcm" for k in range(6)]
AXES = {
    "axial": [(0, 0, 1), (0, 1, 0), (1, 0, 0)],
    "axial, head last": [(0, 0, -1), (0, -1, 0), (1, 0, 0)],
    "sagittal": [(1, 0, 0), (0, 0, -1), (0, 1, 0)],
    "coronal": [(0, 1, 0), (0, 0, -1), (1, 0, 0)],
}


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    """Rotate about x, then y, then z."""
    turned = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = [k for k in range(3) if k != axis]
        step = np.eye(3)
        step[[i, j, i, j], [i, j, j, i]] = [np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)]
        turned = step @ turned
    return turned


def canonical(volume: Volume) -> Volume:
    return volume.canonical()[0]


def refusal(folder) -> str:
    with pytest.raises(GeometryError) as caught:
        read_dicom(folder)
    assert caught.value.remedy
    return str(caught.value)


def move(ds, k: int, axis: int, by_mm: float) -> None:
    position = [float(v) for v in ds[k].ImagePositionPatient]
    position[axis] += by_mm
    ds[k].ImagePositionPatient = [f"{v:.6f}" for v in position]


def test_the_grid_is_the_inputs_own(tmp_path, hu, grid):
    scan = read_dicom(save(tmp_path, ct_datasets(hu, grid)))
    np.testing.assert_array_equal(scan.load().hu, hu)
    np.testing.assert_allclose(scan.load().grid.lps_from_zyx, grid.lps_from_zyx, atol=1e-9)


@pytest.mark.parametrize("axes", AXES.values(), ids=AXES.keys())
def test_upright_orientations_read_back_voxel_for_voxel(tmp_path, hu, grid, axes):
    own = slanted(grid, axes)
    scan = read_dicom(save(tmp_path, ct_datasets(hu, own)))
    assert scan.load().grid.is_orthogonal
    found, expected = canonical(scan.load()), canonical(Volume(hu, own))
    np.testing.assert_array_equal(found.hu, expected.hu)
    np.testing.assert_array_equal(found.grid.lps_from_zyx, expected.grid.lps_from_zyx)


@pytest.mark.parametrize("degrees", [(20, 0, 0), (0, -30, 0), (10, 20, 30), (-40, 15, 5)])
def test_oblique_stacks_are_read_where_they_lie(tmp_path, hu, grid, degrees):
    own = slanted(grid, (rotation(degrees) @ np.array(AXES["axial"], float).T).T)
    scan = read_dicom(save(tmp_path, ct_datasets(hu, own)))
    np.testing.assert_array_equal(scan.load().hu, hu)
    assert scan.load().grid.same_as(own, 1e-4)


def test_one_scan_stored_in_48_ways_is_one_canonical_scan(tmp_path):
    """DICOM has no left-handed grids; those come back with their slices in the other order."""
    hu = body((4, 5, 6))
    grid = Grid.from_spacing(hu.shape, (1.25, 0.75, 0.5), (-4.5, 3.25, 100.125))
    reference = read_scan(save(tmp_path / "reference", ct_datasets(hu, grid)))
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            view, own = turned(hu, grid, order, flips)
            folder = tmp_path / f"{order}{flips}"
            scan = read_scan(save(folder, ct_datasets(view, own)))
            found, expected = canonical(scan.load()), canonical(reference.load())
            assert np.array_equal(found.hu, expected.hu), (order, flips)
            assert np.array_equal(found.grid.lps_from_zyx, expected.grid.lps_from_zyx), (order, flips)
            assert scan.sha256(found) == reference.sha256(expected)


def turned(hu, grid, order, flips):
    view = hu.transpose(order)[tuple(slice(None, None, -1) if f else slice(None) for f in flips)]
    matrix = grid.lps_from_zyx.copy()
    columns = matrix[:3, list(order)]
    last = np.where(flips, np.array(view.shape) - 1, 0)
    matrix[:3, 3] += columns @ last
    matrix[:3, :3] = columns * np.where(flips, -1.0, 1.0)
    return view, Grid(view.shape, matrix)


@pytest.mark.parametrize("position", ["HFS", "FFS", "HFP", "FFP"])
def test_patient_position_changes_nothing_for_positions_are_the_patients(tmp_path, hu, grid, position):
    datasets = ct_datasets(hu, slanted(grid, AXES["axial, head last"]) if position.startswith("FF") else grid)
    expected = hu[::-1, ::-1] if position.startswith("FF") else hu
    for ds in datasets:
        ds.PatientPosition = position
    scan = read_dicom(save(tmp_path, datasets))
    assert scan.description["patient_position"] == position
    np.testing.assert_array_equal(canonical(scan.load()).hu, expected)


def test_file_names_and_instance_numbers_play_no_part(tmp_path, hu, grid):
    forward = read_scan(save(tmp_path / "a", ct_datasets(hu, grid)))
    datasets = ct_datasets(hu, grid)[::-1]
    for k, ds in enumerate(datasets):
        ds.InstanceNumber = k
        ds.SliceLocation = str(-k)
    backward = read_scan(save(tmp_path / "b", datasets))
    np.testing.assert_array_equal(forward.load().hu, backward.load().hu)
    assert forward.sha256(canonical(forward.load())) == backward.sha256(canonical(backward.load()))


def test_missing_slice(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    (tmp_path / NAMES[3]).unlink()
    message = refusal(tmp_path)
    assert f"Missing slices: found a gap of 2.50 mm between {NAMES[2]} and {NAMES[4]}, expected 1.25 mm" in message
    assert "about 1 missing" in message
    assert "--resample" in message


def test_duplicate_slice(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "copy.dcm").write_bytes((tmp_path / NAMES[2]).read_bytes())
    message = refusal(tmp_path)
    assert "Duplicate slices: sub/copy.dcm" in message
    assert NAMES[2] in message
    assert "found 1 such pairs, expected one slice a place" in message


@pytest.mark.parametrize("by_mm", [0.1, -0.4, 0.55])
def test_uneven_slices(tmp_path, hu, grid, by_mm):
    datasets = ct_datasets(hu, grid)
    move(datasets, 2, 2, by_mm)
    message = refusal(save(tmp_path, datasets))
    assert f"Uneven slices: {NAMES[2]}: found {by_mm:+.2f} mm from its even place, expected at most 0.06 mm" in message


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    for ds in datasets:
        ds.ImagePositionPatient = [f"{float(v):.1f}" for v in ds.ImagePositionPatient]
    assert read_dicom(save(tmp_path, datasets)).load().grid.spacing_zyx_mm[0] == pytest.approx(1.25, abs=0.02)


def test_gantry_tilt(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    tilt = np.radians(12.0)
    for ds in datasets:
        ds.ImageOrientationPatient = ["1", "0", "0", "0", f"{np.cos(tilt):.6f}", f"{-np.sin(tilt):.6f}"]
        ds.GantryDetectorTilt = "0"  # a wrong word in the header does not hide it
    message = refusal(save(tmp_path, datasets))
    assert "Gantry tilt: found slices that advance 12.00 degrees off their normal" in message
    assert "expected 0 degrees" in message
    assert "--resample" in message


def test_a_tilted_gantry_whose_slices_were_made_upright_is_read(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    for ds in datasets:
        ds.GantryDetectorTilt = "15"
    np.testing.assert_array_equal(read_dicom(save(tmp_path, datasets)).load().hu, hu)


def test_a_slice_shifted_sideways(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    move(datasets, 4, 0, 3.0)
    assert f"({NAMES[4]} lies 3.00 mm aside)" in refusal(save(tmp_path, datasets))


def test_mixed_sizes(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    datasets[3].Rows, datasets[3].Columns = 40, 32
    message = refusal(save(tmp_path, datasets))
    assert f"Mixed sizes: {NAMES[3]}: found size 40 x 32, expected 32 x 40" in message


def test_mixed_orientations(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    datasets[3].ImageOrientationPatient = ["1", "0", "0", "0", "0.996195", "0.087156"]
    message = refusal(save(tmp_path, datasets))
    assert f"Mixed orientations: {NAMES[3]}: found orientation 1 x 0 x 0 x 0 x 0.996195 x 0.087156" in message
    assert "expected 1 x 0 x 0 x 0 x 1 x 0" in message


def test_mixed_pixel_spacings(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    datasets[3].PixelSpacing = ["0.8", "0.5"]
    message = refusal(save(tmp_path, datasets))
    assert f"Mixed pixel spacings: {NAMES[3]}: found pixel spacing 0.8 x 0.5, expected 0.75 x 0.5" in message


@pytest.mark.parametrize(
    ("keyword", "value", "found"),
    [
        ("ImagePositionPatient", None, "found no ImagePositionPatient"),
        ("ImageOrientationPatient", None, "found no ImageOrientationPatient"),
        ("ImageOrientationPatient", ["1", "0", "0", "0.5", "0.8", "0"], "not two unit vectors at right angles"),
        ("PixelSpacing", None, "found PixelSpacing None"),
        ("PixelSpacing", ["0", "1"], "found PixelSpacing (0.0, 1.0)"),
        ("ImagePositionPatient", ["0", "0", "1e300"], "found no ImagePositionPatient"),
        ("Columns", 0, "found 32 rows and 0 columns"),
    ],
)
def test_a_slice_without_geometry(tmp_path, hu, grid, keyword, value, found):
    datasets = ct_datasets(hu, grid)
    if value is None:
        del datasets[1][keyword]
    else:
        setattr(datasets[1], keyword, value)
    message = refusal(save(tmp_path, datasets))
    assert message.startswith(NAMES[1])
    assert found in message
    assert "expected an image with a position, an orientation and a spacing in mm" in message


def test_a_position_that_is_no_number_counts_as_none(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    path = tmp_path / NAMES[1]
    text = "\\".join(map(str, dcmread(path).ImagePositionPatient))
    data = path.read_bytes()
    assert text.encode() in data
    path.write_bytes(data.replace(text.encode(), b"x" * len(text)))
    assert "found no ImagePositionPatient" in refusal(tmp_path)


def test_one_file_of_a_series_is_not_a_series(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    message = refusal(tmp_path / NAMES[0])
    assert f"{NAMES[0]}: found a series of 1 slice, expected at least 2" in message
    assert "whole series" in message
