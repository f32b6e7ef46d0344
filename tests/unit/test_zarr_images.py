"""OME-Zarr of both formats gives the same scan as other files; what it does not say is said; nonsense is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import zarr

from planner import zarr_images
from planner.errors import GeometryError, InputRefusedError, NotHounsfieldError, UnreadableFileError
from planner.findings import Level
from planner.grid import Grid
from planner.images import write_volume
from planner.reading import list_series, read_scan
from planner.source import read_whole
from planner.volume import Volume
from planner.zarr_images import open_zarr

from support.dicom_files import body

SHAPE = (12, 32, 40)
SPACING, ORIGIN = (1.25, 0.75, 0.5), (-4.5, 3.25, 100.125)
GRID = Grid.from_spacing(SHAPE, SPACING, ORIGIN)
UPRIGHT = ("inferior-to-superior", "anterior-to-posterior", "right-to-left")


def axes(unit: str | None = "millimeter", towards=UPRIGHT) -> list[dict]:
    found = []
    for k, name in enumerate("zyx"):
        axis = {"name": name, "type": "space"}
        axis |= {"unit": unit} if unit else {}
        axis |= {"orientation": {"type": "anatomical", "value": towards[k]}} if towards else {}
        found.append(axis)
    return found


def steps(scale=SPACING, shift=ORIGIN[::-1]) -> list[dict]:
    return [{"type": "scale", "scale": list(scale)}, {"type": "translation", "translation": list(shift)}]


def write(path, hu, axes_list=None, transformations=None, *, fmt=3, chunks=(5, 16, 16), image=None):
    shutil.rmtree(path, ignore_errors=True)
    group = zarr.open_group(str(path), mode="w", zarr_format=fmt)
    group.create_array("0", shape=hu.shape, chunks=chunks, dtype=hu.dtype)[:] = hu
    level = {"path": "0", "coordinateTransformations": transformations or steps()}
    images = {"multiscales": [{"axes": axes_list or axes(), "datasets": [level], **(image or {})}]}
    group.attrs.update({"ome": {"version": "0.5", **images}} if fmt == 3 else images)
    return path


@pytest.mark.parametrize("fmt", [2, 3])
@pytest.mark.parametrize("chunks", [(5, 16, 16), (12, 32, 40), (1, 32, 40)])
@pytest.mark.parametrize("slab", [1, 2**27])
def test_the_same_scan_as_a_nifti_to_the_byte(tmp_path, monkeypatch, fmt, chunks, slab):
    monkeypatch.setattr(zarr_images, "SLAB_BYTES", slab)
    volume = Volume(body(SHAPE), GRID)
    write_volume(tmp_path / "ct.nii.gz", volume)
    ours = read_scan(write(tmp_path / "ct.ome.zarr", volume.hu, fmt=fmt, chunks=chunks))
    theirs = read_scan(tmp_path / "ct.nii.gz")
    box = (slice(1, 11), slice(4, 30), slice(7, 33))
    np.testing.assert_array_equal(ours.load().hu, volume.hu)
    assert ours.grid.same_as(GRID, 1e-9)
    assert ours.findings == theirs.findings == ()
    assert ours.sha256(ours.read(box)) == theirs.sha256(theirs.read(box))
    assert ours.description.keys() == theirs.description.keys()
    assert ours.description["format"] == "Zarr"


def test_axes_that_point_elsewhere_are_turned(tmp_path):
    """The same voxels stored from head to foot and from left to right."""
    hu = body(SHAPE)
    towards = ("superior-to-inferior", "anterior-to-posterior", "left-to-right")
    last = GRID.to_lps([SHAPE[0] - 1, 0, SHAPE[2] - 1])
    shift = (-last[2], last[1], -last[0])  # along the axes as stored
    path = write(tmp_path / "ct.zarr", hu[::-1, :, ::-1], axes(towards=towards), steps(shift=shift))
    found, _ = read_whole(open_zarr(path)[0]).canonical()
    np.testing.assert_array_equal(found.hu, hu)
    assert found.grid.same_as(GRID, 1e-6)


def test_transformations_of_level_and_image_are_chained(tmp_path):
    image = {"coordinateTransformations": [{"type": "scale", "scale": [2, 2, 2]}]}
    path = write(tmp_path / "ct.zarr", body(SHAPE), transformations=steps(np.divide(SPACING, 2)), image=image)
    source, _ = open_zarr(path)
    np.testing.assert_allclose(source.grid.spacing_zyx_mm, SPACING)
    np.testing.assert_allclose(source.grid.origin_lps_mm, np.multiply(ORIGIN, 2))


@pytest.mark.parametrize(("unit", "factor"), [("micrometer", 1000.0), ("centimeter", 0.1), ("meter", 1e-3)])
def test_units_are_brought_to_millimetres(tmp_path, unit, factor):
    scaled = steps(np.multiply(SPACING, factor), np.multiply(ORIGIN[::-1], factor))
    source, _ = open_zarr(write(tmp_path / "ct.zarr", body(SHAPE), axes(unit), scaled))
    assert source.grid.same_as(GRID, 1e-6)


def test_what_is_not_said_is_assumed_and_found(tmp_path):
    scan = read_scan(write(tmp_path / "ct.zarr", body(SHAPE), axes(unit=None, towards=None)))
    assert scan.grid.same_as(GRID, 1e-6)
    found = {finding.code: finding.level for finding in scan.findings}
    assert found == {"assumed-unit": Level.WARN, "assumed-orientation": Level.REVIEW_ONLY}


def test_time_and_channel_of_length_one_are_dropped(tmp_path):
    hu = body(SHAPE)[None, None]
    extra = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    full = steps((1, 1, *SPACING), (0, 0, *ORIGIN[::-1]))
    path = write(tmp_path / "ct.zarr", hu, [*extra, *axes()], full, chunks=(1, 1, 5, 16, 16))
    np.testing.assert_array_equal(read_whole(open_zarr(path)[0]).hu, hu[0, 0])


@pytest.mark.parametrize("fmt", [2, 3])
def test_a_plain_array_tells_its_spacing_by_attribute(tmp_path, fmt):
    hu = body(SHAPE)
    array = zarr.create_array(str(tmp_path / "ct.zarr"), shape=SHAPE, chunks=(4, 16, 16), dtype="f4", zarr_format=fmt)
    array[:] = hu + 0.25
    array.attrs.update({"spacing_zyx_mm": SPACING, "origin_lps_mm": ORIGIN})
    scan = read_scan(tmp_path / "ct.zarr")
    np.testing.assert_array_equal(scan.load().hu, hu)
    assert scan.grid.same_as(GRID)
    assert [f.code for f in scan.findings] == ["assumed-orientation"]


def test_series_of_a_zarr_are_one(tmp_path):
    (report,) = list_series(write(tmp_path / "ct.zarr", body(SHAPE)))
    assert report.chosen
    assert report.modality == "Zarr"


@pytest.mark.parametrize(
    ("change", "error", "found"),
    [
        ({"axes_list": axes("inch")}, GeometryError, "found unit inch, expected millimeter"),
        ({"axes_list": axes()[::-1]}, GeometryError, "found axes x, y, z, expected them to end in z, y, x"),
        ({"axes_list": axes(towards=(UPRIGHT[0],) * 3)}, GeometryError, "expected one along each of the body's"),
        ({"axes_list": axes(towards=("up", *UPRIGHT[1:]))}, GeometryError, "found axes up, "),
        ({"transformations": steps((0.00125, 0.75, 0.5))}, GeometryError, "found voxels of 0.00125 x 0.75 x 0.5 mm"),
        ({"transformations": steps((-1.25, 0.75, 0.5))}, GeometryError, "found voxels of -1.25"),
        ({"transformations": steps(("a", 1, 1))}, GeometryError, "expected a number for each axis"),
        ({"transformations": steps((1.0, 1.0))}, GeometryError, "expected a number for each axis"),
        ({"transformations": [{"type": "affine"}]}, GeometryError, "found a transformation affine"),
    ],
)
def test_a_place_that_is_none_is_refused(tmp_path, change, error, found):
    with pytest.raises(error, match=r"^ct\.zarr: found") as caught:
        read_scan(write(tmp_path / "ct.zarr", body(SHAPE), **change))
    assert found in str(caught.value)
    assert "NGFF scale in millimetres" in caught.value.remedy


def test_several_volumes_complex_numbers_and_labels_are_refused(tmp_path):
    several = np.stack([body(SHAPE)] * 2)
    axes_list = [{"name": "t", "type": "time"}, *axes()]
    full = steps((1, *SPACING), (0, *ORIGIN[::-1]))
    with pytest.raises(GeometryError, match="found an array of 2 x 12 x 32 x 40, expected one 3-D volume"):
        read_scan(write(tmp_path / "ct.zarr", several, axes_list, full, chunks=(1, 5, 16, 16)))
    with pytest.raises(NotHounsfieldError, match="found values of type complex64"):
        read_scan(write(tmp_path / "ct.zarr", body(SHAPE).astype(np.complex64)))
    with pytest.raises(NotHounsfieldError, match="as in labels or an 8-bit image"):
        read_scan(write(tmp_path / "ct.zarr", (body(SHAPE) > 300).astype(np.uint8)))


def test_an_array_without_scale_and_a_group_without_image_are_refused(tmp_path):
    zarr.create_array(str(tmp_path / "a.zarr"), shape=SHAPE, chunks=SHAPE, dtype="i2")
    zarr.open_group(str(tmp_path / "b.zarr"), mode="w")
    with pytest.raises(GeometryError, match=r"a\.zarr: found an array without NGFF metadata"):
        read_scan(tmp_path / "a.zarr")
    with pytest.raises(GeometryError, match=r"b\.zarr: found no NGFF multiscales"):
        read_scan(tmp_path / "b.zarr")


@pytest.mark.parametrize("fmt", [2, 3])
def test_damage_is_refused_by_name(tmp_path, fmt):
    path = write(tmp_path / "ct.zarr", body(SHAPE), fmt=fmt)
    chunk = max((p for p in (path / "0").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(UnreadableFileError, match=r"ct\.zarr: found a damaged zarr"):
        read_scan(path)
    for meta in path.rglob("*"):
        if meta.name in {"zarr.json", ".zgroup", ".zarray"}:
            meta.write_text("{")
    with pytest.raises(InputRefusedError, match=r"ct\.zarr: found"):
        read_scan(path)


def test_an_empty_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / "ct.zarr").mkdir()
    with pytest.raises(UnreadableFileError, match=r"ct\.zarr: found a damaged zarr"):
        read_scan(tmp_path / "ct.zarr")
