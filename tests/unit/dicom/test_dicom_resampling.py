"""Uneven or tilted slices on an even upright grid: only when asked for, exact for linear images, and recorded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from planner.dicom import read_dicom
from planner.errors import GeometryError
from planner.findings import Level
from planner.grid import Grid
from planner.reading import read_scan

from support.dicom_files import body, ct_datasets, save

SLOPE_LPS = np.array([9.0, -7.0, 11.0])
"""HU a millimetre of an image that linear interpolation reproduces."""


def ramp(points_lps: np.ndarray) -> np.ndarray:
    return np.rint(points_lps @ SLOPE_LPS)


def ramp_series(grid: Grid, depths_mm: list[float], tilt_deg: float = 0.0):
    """Slices of the ramp at these z, rows along x, columns tilted about x."""
    cosine, sine = np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))
    datasets = []
    for z in depths_mm:
        matrix = grid.lps_from_zyx.copy()
        matrix[:3, 1] = np.array([0, cosine, -sine]) * grid.spacing_zyx_mm[1]
        matrix[2, 3] = z
        own = Grid((1, *grid.shape_zyx[1:]), matrix)
        points = own.to_lps(np.stack(np.indices(own.shape_zyx), -1))
        datasets += ct_datasets(ramp(points).astype(np.int16), own)
    for k, ds in enumerate(datasets):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SeriesInstanceUID}.{k}"
    return datasets


@pytest.mark.parametrize(
    ("depths_mm", "kind"),
    [
        ([0.0, 1.25, 2.7, 3.75, 5.0, 6.25], "uneven slices"),
        ([0.0, 1.25, 2.5, 5.0, 6.25, 7.5], "missing slices"),
    ],
)
def test_uneven_slices_are_interpolated_between_neighbours(tmp_path, grid, depths_mm, kind):
    folder = save(tmp_path, ramp_series(grid, depths_mm))
    with pytest.raises(GeometryError):
        read_dicom(folder)
    scan = read_dicom(folder, resample=True)
    own = scan.load().grid
    assert own.is_orthogonal
    np.testing.assert_allclose(own.spacing_zyx_mm, grid.spacing_zyx_mm, atol=1e-9)
    np.testing.assert_allclose(scan.load().hu, ramp(own.to_lps(np.stack(np.indices(own.shape_zyx), -1))), atol=1)
    assert [(f.code, f.level) for f in scan.findings] == [("resampled", Level.WARN)]
    assert kind in scan.findings[0].message
    assert scan.description["resampled"] is True


def test_even_slices_are_left_alone_when_resampling_is_allowed(tmp_path, hu, grid):
    scan = read_dicom(save(tmp_path, ct_datasets(hu, grid)), resample=True)
    np.testing.assert_array_equal(scan.load().hu, hu)
    assert scan.findings == ()
    assert scan.description["resampled"] is False


@pytest.mark.parametrize("tilt_deg", [8.0, -20.0])
def test_a_tilted_stack_becomes_upright_and_stays_in_place(tmp_path, grid, tilt_deg):
    depths = [100 + 1.25 * k for k in range(12)]
    folder = save(tmp_path, ramp_series(grid, depths, tilt_deg))
    with pytest.raises(GeometryError, match=f"{abs(tilt_deg):.2f} degrees off"):
        read_dicom(folder)
    volume = read_dicom(folder, resample=True).load()
    assert volume.grid.is_orthogonal
    points = volume.grid.to_lps(np.stack(np.indices(volume.grid.shape_zyx), -1))
    seen = ndimage.binary_erosion(volume.hu != -1024, iterations=2)
    assert seen.mean() > 0.3
    np.testing.assert_allclose(volume.hu[seen], ramp(points)[seen], atol=1.5)
    assert np.degrees(np.arccos(volume.grid.directions_lps[0, 2])) == pytest.approx(abs(tilt_deg), abs=1e-3)


def test_a_wide_gap_counts_as_slice_spacing(tmp_path, grid):
    depths = [0.0, 1.25, 2.5, 3.75, 8.75, 10.0]
    scan = read_scan(save(tmp_path, with_bone(ramp_series(grid, depths))), resample=True)
    assert {f.code: f.level for f in scan.findings}["slice-spacing"] is Level.REFUSE


def with_bone(datasets):
    for ds in datasets:
        words = np.frombuffer(ds.PixelData, "<u2").copy()
        words[:8] = [24, 24, 24, 24, 2000, 2000, 2000, 2000]
        ds.PixelData = words.tobytes()
    return datasets


def test_identical_copies_are_dropped_when_asked(tmp_path, hu, grid):
    save(tmp_path, ct_datasets(hu, grid))
    for name in ("IM0037.dcm", "IM0084.dcm"):
        (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
    scan = read_dicom(tmp_path, resample=True)
    np.testing.assert_array_equal(scan.load().hu, hu)
    assert scan.load().grid.same_as(grid, 1e-6)
    assert "duplicate slices" in scan.findings[0].message


def test_copies_of_one_slice_are_no_series(tmp_path, hu, grid):
    save(tmp_path / "a", ct_datasets(hu, grid)[:1])
    save(tmp_path / "b", ct_datasets(hu, grid)[:1])
    with pytest.raises(GeometryError, match=r"a/IM0000\.dcm: found copies of one slice, expected at least 2 slices"):
        read_dicom(tmp_path, resample=True)


def test_different_images_at_one_place_stay_refused(tmp_path, hu, grid):
    save(tmp_path / "a", ct_datasets(hu, grid))
    save(tmp_path / "b", ct_datasets(body(seed=2), grid)[2:3])
    with pytest.raises(GeometryError, match=r"lie at one place; found different images, expected identical") as caught:
        read_dicom(tmp_path, resample=True)
    assert "a/IM0074.dcm" in str(caught.value)
    assert "b/IM0000.dcm" in str(caught.value)
    assert "folder each" in caught.value.remedy


def test_resampling_helps_no_other_refusal(tmp_path, hu, grid):
    datasets = ct_datasets(hu, grid)
    datasets[3].Rows, datasets[3].Columns = 40, 32
    with pytest.raises(GeometryError, match="Mixed sizes"):
        read_dicom(save(tmp_path, datasets), resample=True)
