from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from planner import NOTICE
from planner.grid import Grid
from planner.reading import read_scan
from planner.volume import Volume
from sample_data.dicom_series import write_dicom_series

SHAPE = (12, 16, 20)


def turned(degrees: tuple[float, float, float], spacing: tuple[float, float, float] = (1.25, 0.9, 0.8)) -> Grid:
    upright = Grid.from_spacing(SHAPE, spacing, (11.0, -25.5, -640.25))
    matrix = upright.lps_from_zyx.copy()
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ matrix[:3, :3]
    return Grid(SHAPE, matrix)


def random_volume(grid: Grid) -> Volume:
    hu = np.random.default_rng(0).integers(-1024, 3072, grid.shape_zyx).astype(np.int16)
    return Volume(hu, grid)


@pytest.fixture
def volume() -> Volume:
    return random_volume(turned((0, 0, 0)))


def by_position(folder: Path) -> list[pydicom.FileDataset]:
    files = [pydicom.dcmread(f) for f in folder.iterdir()]
    return sorted(files, key=lambda f: float(f.SliceLocation))


def test_every_slice_is_a_ct_image_with_the_made_up_patient(volume: Volume, tmp_path: Path) -> None:
    write_dicom_series(volume, tmp_path, kernel="BONE")
    files = by_position(tmp_path)
    assert len(files) == SHAPE[0]
    for f in files:
        assert f.SOPClassUID == pydicom.uid.CTImageStorage
        assert f.Modality == "CT"
        assert str(f.PatientName) == "PHANTOM^SACROPLAN"
        assert f.PatientID == "PHANTOM"
        assert f.ConvolutionKernel == "BONE"
        assert f.ImageComments == NOTICE
        assert f.file_meta.MediaStorageSOPInstanceUID == f.SOPInstanceUID


def test_uids_are_of_the_2_25_root_and_each_slice_has_its_own(volume: Volume, tmp_path: Path) -> None:
    write_dicom_series(volume, tmp_path)
    files = by_position(tmp_path)
    uids = [f.SOPInstanceUID for f in files]
    assert len(set(uids)) == len(uids)
    assert len({f.SeriesInstanceUID for f in files}) == 1
    assert all(u.startswith("2.25.") and u.is_valid for u in [*uids, files[0].StudyInstanceUID])


def test_file_names_do_not_follow_the_slices(volume: Volume, tmp_path: Path) -> None:
    paths = write_dicom_series(volume, tmp_path)
    rising = [a.name < b.name for a, b in pairwise(paths)]
    assert 0 < sum(rising) < len(rising)


def test_equal_volumes_give_equal_bytes_and_others_other_uids(volume: Volume, tmp_path: Path) -> None:
    first = write_dicom_series(volume, tmp_path / "a")
    again = write_dicom_series(volume, tmp_path / "b")
    assert [p.name for p in first] == [p.name for p in again]
    assert all(p.read_bytes() == q.read_bytes() for p, q in zip(first, again, strict=True))
    other = volume.hu.copy()
    other[0, 0, 0] ^= 1
    write_dicom_series(Volume(other, volume.grid), tmp_path / "c")
    assert not {p.name for p in first} & {p.name for p in (tmp_path / "c").iterdir()}


@pytest.mark.parametrize("degrees", [(0, 0, 0), (12, -20, 33), (180, 0, 90), (-90, 0, 0)])
def test_pydicom_reads_back_the_same_values_at_the_same_places(
    degrees: tuple[float, float, float], tmp_path: Path
) -> None:
    volume = random_volume(turned(degrees))
    paths = write_dicom_series(volume, tmp_path)
    for k in (0, 5, 11):
        f = pydicom.dcmread(paths[k])
        hu = f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept)
        assert (hu == volume.hu[k]).all()
        row, column = np.array(f.ImageOrientationPatient, float).reshape(2, 3)
        dy, dx = np.array(f.PixelSpacing, float)
        corner = np.array(f.ImagePositionPatient, float) + row * dx * 19 + column * dy * 15
        assert corner == pytest.approx(volume.grid.to_lps([k, 15, 19]), abs=1e-4)


def test_simpleitk_reads_back_the_same_grid(tmp_path: Path) -> None:
    volume = random_volume(turned((8, -5, 14)))
    write_dicom_series(volume, tmp_path)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    image = SimpleITK.ReadImage(names)
    assert (SimpleITK.GetArrayFromImage(image) == volume.hu).all()
    place = image.TransformContinuousIndexToPhysicalPoint((19.0, 15.0, 11.0))
    assert place == pytest.approx(volume.grid.to_lps([11, 15, 19]), abs=1e-3)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (12, -20, 33), (180, 0, 90)])
def test_the_planners_reader_gives_the_same_volume(degrees: tuple[float, float, float], tmp_path: Path) -> None:
    volume = random_volume(turned(degrees))
    write_dicom_series(volume, tmp_path)
    read, _ = read_scan(tmp_path).load().canonical()
    made, _ = volume.canonical()
    assert (read.hu == made.hu).all()
    assert read.grid.same_as(made.grid)


def test_values_below_the_range_are_refused(tmp_path: Path) -> None:
    grid = turned((0, 0, 0))
    with pytest.raises(ValueError, match="-1025 HU"):
        write_dicom_series(Volume(np.full(SHAPE, -1025, np.int16), grid), tmp_path)


def test_a_sheared_grid_is_refused(tmp_path: Path) -> None:
    matrix = turned((0, 0, 0)).lps_from_zyx.copy()
    matrix[1, 0] += 0.2
    with pytest.raises(ValueError, match="right angles"):
        write_dicom_series(Volume(np.zeros(SHAPE, np.int16), Grid(SHAPE, matrix)), tmp_path)
