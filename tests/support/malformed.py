"""Malformed inputs, one of a kind: what a PACS, a disk or a hand can do to a series, and what it is to be met with."""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom.dataset import FileDataset
from pydicom.uid import (
    JPEG2000Lossless,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
)

from planner.grid import Grid

from support.dicom_files import (
    SERIES_UID,
    body,
    ct_datasets,
    enhanced_dataset,
    pixels,
    save,
    save_one,
    set_pixels,
    zip_folder,
)

__all__ = ["KINDS", "Kind"]

SHAPE_ZYX = (6, 32, 40)
GRID = Grid.from_spacing(SHAPE_ZYX, (1.25, 0.75, 0.5), (-4.5, 3.25, 100.125))
NIFTI_FORMS, NIFTI_SROW, NIFTI_DIM, NIFTI_VOXEL = 252, 280, 40, 108
"""Byte offsets in a NIfTI-1 header: qform_code and sform_code, the sform's rows, the dimensions, where voxels begin."""


@dataclass(frozen=True)
class Kind:
    """One kind of malformed input.

    Attributes
    ----------
    group, name : str
        What is wrong, in words.
    make : callable
        Writes the input into an empty folder and returns its path.
    outcome : str
        ``refused``, or the code of the finding with which it is read.
    """

    group: str
    name: str
    make: Callable[[Path], Path]
    outcome: str = "refused"


def _slices() -> list[FileDataset]:
    return ct_datasets(body(SHAPE_ZYX), GRID)


def _edited(edit: Callable[[list[FileDataset]], object], syntax: str | None = None) -> Callable[[Path], Path]:
    """A series whose data sets were changed before they were saved."""

    def make(folder: Path) -> Path:
        datasets = _slices()
        edit(datasets)
        return save(folder / "series", datasets) if syntax is None else save(folder / "series", datasets, syntax)

    return make


def _set(keyword: str, value: object, only: int | None = None) -> Callable[[Path], Path]:
    """A series in which one element of every slice, or of one, has another value; None takes it away."""

    def edit(datasets: list[FileDataset]) -> None:
        for k, ds in enumerate(datasets):
            if only in (None, k):
                if value is None:
                    del ds[keyword]
                else:
                    setattr(ds, keyword, value)

    return _edited(edit)


def _files(edit: Callable[[list[Path]], object], syntax: str | None = None) -> Callable[[Path], Path]:
    """A series whose files were changed after they were saved, in the order of the slices."""

    def make(folder: Path) -> Path:
        series = _edited(lambda _: None, syntax)(folder)
        paths = [series / f"IM{(k * 37) % 101:04d}.dcm" for k in range(SHAPE_ZYX[0])]
        edit(paths)
        return series

    return make


def _rewrite(paths: list[Path], change: Callable[[bytes], bytes], which: int = 2) -> None:
    paths[which].write_bytes(change(paths[which].read_bytes()))


def _shift(datasets: list[FileDataset], slice_: int, axis: int, mm: float) -> None:
    place = [float(v) for v in datasets[slice_].ImagePositionPatient]
    place[axis] += mm
    datasets[slice_].ImagePositionPatient = [f"{v:.6g}" for v in place]


def _tilt(datasets: list[FileDataset]) -> None:
    for ds in datasets:
        ds.ImageOrientationPatient = ["1", "0", "0", "0", "0.978148", "-0.207912"]


def _of_class(uid: str, modality: str) -> Callable[[Path], Path]:
    def edit(datasets: list[FileDataset]) -> None:
        for ds in datasets:
            ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = uid
            ds.Modality = modality

    return _edited(edit)


def _stored(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], Path]:
    """A series whose stored values are others."""
    return _edited(lambda datasets: [set_pixels(ds, change(pixels(ds).astype(np.int64))) for ds in datasets])


def _colour(datasets: list[FileDataset]) -> None:
    for ds in datasets:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.PixelData = ds.PixelData * 3


def _bits(allocated: int) -> Callable[[Path], Path]:
    def edit(datasets: list[FileDataset]) -> None:
        for ds in datasets:
            ds.BitsAllocated = ds.BitsStored = allocated
            ds.HighBit = allocated - 1
            stored = np.clip(np.frombuffer(ds.PixelData, "<u2"), 0, 255)
            ds.PixelData = stored.astype(f"<u{allocated // 8}").tobytes()

    return _edited(edit)


def _second_copy(paths: list[Path]) -> None:
    (paths[0].parent / "copy.dcm").write_bytes(paths[2].read_bytes())


def _phases(folder: Path) -> Path:
    later = ct_datasets(body(SHAPE_ZYX, seed=2), GRID)
    for k, ds in enumerate(later):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{SERIES_UID}.2.{k}"
    save(folder / "series" / "later", later)
    return save(folder / "series", _slices())


def _two_patients(folder: Path) -> Path:
    other = _slices()
    for ds in other:
        ds.PatientID, ds.SeriesInstanceUID = "MRN-4711-B", SERIES_UID + ".7"
    save(folder / "series" / "b", other)
    return save(folder / "series", _slices()).parent / "series"


def _localisers(datasets: list[FileDataset]) -> None:
    for ds in datasets:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _projections(datasets: list[FileDataset]) -> None:
    for ds in datasets:
        ds.ImageType = ["DERIVED", "SECONDARY", "MIP"]


def _many_frames(folder: Path) -> Path:
    ds = enhanced_dataset(body(SHAPE_ZYX), GRID)
    ds.NumberOfFrames = 10**7
    return save_one(folder / "enhanced.dcm", ds)


def _zip(write: Callable[[zipfile.ZipFile], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            write(archive)
        return folder / "export.zip"

    return make


def _zipped(change: Callable[[bytearray], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        archive = zip_folder(save(folder / "series", _slices()), folder / "export.zip")
        data = bytearray(archive.read_bytes())
        change(data)
        archive.write_bytes(data)
        return archive

    return make


def _encrypt(data: bytearray) -> None:
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(mark) + offset
        data[at : at + 2] = struct.pack("<H", struct.unpack("<H", data[at : at + 2])[0] | 1)


def _tear(data: bytearray) -> None:
    data[60:400] = bytes(340)


def _linked(folder: Path) -> Path:
    """A folder whose only content is a link to a folder outside it."""
    save(folder / "elsewhere", _slices())
    (folder / "series").mkdir()
    (folder / "series" / "images").symlink_to(folder / "elsewhere", target_is_directory=True)
    return folder / "series"


def _text_files(folder: Path) -> Path:
    (folder / "series").mkdir()
    for name in ("readme.txt", "DICOMDIR", "viewer.exe"):
        (folder / "series" / name).write_text("not an image")
    return folder / "series"


def _empty(folder: Path) -> Path:
    (folder / "series").mkdir()
    return folder / "series"


def _image(suffix: str, values: np.ndarray, change: Callable[[bytes], bytes] = bytes) -> Callable[[Path], Path]:
    """An image file of these values whose bytes are then changed."""

    def make(folder: Path) -> Path:
        path = folder / f"ct{suffix}"
        image = SimpleITK.GetImageFromArray(values)
        image.SetSpacing((0.5, 0.75, 1.25))
        SimpleITK.WriteImage(image, str(path), useCompression=suffix.endswith(".gz"))
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def _nifti(offset: int, packed: bytes, values: np.ndarray | None = None) -> Callable[[Path], Path]:
    """A NIfTI with other bytes in its header."""
    return _image(
        ".nii",
        body(SHAPE_ZYX) if values is None else values,
        lambda data: data[:offset] + packed + data[offset + len(packed) :],
    )


def _floats(value: float) -> np.ndarray:
    stored = body(SHAPE_ZYX).astype(np.float32)
    stored[1, 2, 3] = value
    return stored


def _cut(data: bytes) -> bytes:
    return data[: -len(data) // 3]


def _bare_zarr(folder: Path) -> Path:
    import zarr

    zarr.create_array(str(folder / "ct.zarr"), data=body(SHAPE_ZYX))
    return folder / "ct.zarr"


def _gather() -> Iterator[Kind]:
    yield from _geometry()
    yield from _headers()
    yield from _values()
    yield from _pixels()
    yield from _archives()
    yield from _images()


def _geometry() -> Iterator[Kind]:
    group = "Where the slices lie"
    yield Kind(group, "a slice is missing", _files(lambda paths: paths[3].unlink()))
    yield Kind(group, "half of the slices are missing, in one block", _edited(lambda d: d.__delitem__(slice(1, 4))))
    yield Kind(group, "a slice is there twice", _files(_second_copy))
    yield Kind(group, "two phases with one series UID", _phases)
    yield Kind(group, "a slice lies off its even place", _edited(lambda d: _shift(d, 2, 2, 0.4)))
    yield Kind(group, "a slice lies aside", _edited(lambda d: _shift(d, 4, 0, 3.0)))
    yield Kind(group, "the gantry was tilted", _edited(_tilt))
    yield Kind(group, "slices of several sizes", _edited(lambda d: setattr(d[3], "Rows", 16)))
    yield Kind(group, "slices of several pixel spacings", _set("PixelSpacing", ["0.8", "0.5"], only=3))
    yield Kind(
        group,
        "slices of several orientations",
        _set("ImageOrientationPatient", "1\\0\\0\\0\\0.996195\\0.087156", only=3),
    )
    yield Kind(group, "one slice alone", _edited(lambda d: d.__delitem__(slice(1, None))))
    yield Kind(group, "all slices at one place", _set("ImagePositionPatient", ["0", "0", "0"]))


def _headers() -> Iterator[Kind]:
    group = "What the header says"
    yield Kind(group, "no position", _set("ImagePositionPatient", None, only=1))
    yield Kind(group, "no orientation", _set("ImageOrientationPatient", None, only=1))
    yield Kind(group, "no pixel spacing", _set("PixelSpacing", None, only=1))
    yield Kind(group, "pixel spacing of 0", _set("PixelSpacing", ["0", "0.5"]))
    yield Kind(group, "pixel spacing below 0", _set("PixelSpacing", ["-0.75", "0.5"]))
    yield Kind(group, "a position beyond all measure", _set("ImagePositionPatient", ["0", "0", "1e300"], only=1))
    yield Kind(group, "an orientation of zeros", _set("ImageOrientationPatient", ["0"] * 6))
    yield Kind(
        group, "an orientation not at right angles", _set("ImageOrientationPatient", ["1", "0", "0", "0.5", "0.8", "0"])
    )
    yield Kind(group, "no columns", _set("Columns", 0, only=1))
    yield Kind(group, "a slice of 65535 x 65535 pixels", _edited(_huge))
    yield Kind(group, "ten million frames in a small file", _many_frames)
    yield Kind(group, "an MR series", _of_class(MRImageStorage, "MR"))
    yield Kind(group, "a PET series", _of_class(PositronEmissionTomographyImageStorage, "PT"))
    yield Kind(group, "screenshots (secondary capture)", _of_class(SecondaryCaptureImageStorage, "CT"))
    yield Kind(group, "only localisers", _edited(_localisers))
    yield Kind(group, "maximum intensity projections", _edited(_projections))
    yield Kind(group, "CT of two patients in one folder", _two_patients, "several-patients")
    yield Kind(group, "compressed with loss", _set("LossyImageCompression", "01"), "lossy-compression")


def _huge(datasets: list[FileDataset]) -> None:
    for ds in datasets:
        ds.Rows = ds.Columns = 65535


def _values() -> Iterator[Kind]:
    group = "What the numbers mean"
    yield Kind(group, "no rescale slope and intercept", _edited(_without_rescale))
    yield Kind(group, "a rescale slope of 0", _set("RescaleSlope", "0"))
    yield Kind(group, "a rescale type that is not HU", _set("RescaleType", "US"))
    yield Kind(group, "1024 too high: the intercept was lost", _edited(_without_intercept))
    yield Kind(group, "one value everywhere", _stored(lambda v: np.full_like(v, 1024)))
    yield Kind(group, "nothing as dense as bone", _stored(lambda v: np.minimum(v, 1100)))
    yield Kind(group, "MR passed off as CT: grey levels from 0", _stored(lambda v: 1024 + (v - v.min()) // 10))
    yield Kind(group, "a window burnt in: 8 bits", _bits(8))
    yield Kind(group, "32 bits a pixel", _bits(32))
    yield Kind(group, "colour", _edited(_colour))


def _without_rescale(datasets: list[FileDataset]) -> None:
    for ds in datasets:
        del ds.RescaleSlope, ds.RescaleIntercept


def _without_intercept(datasets: list[FileDataset]) -> None:
    for ds in datasets:
        stored = pixels(ds).astype(np.int64)
        stored[8:, :] = 1024 + 40 + stored[8:, :] % 30  # mostly soft tissue, as in a pelvis
        stored[20, 20:30] = 1024 + 900
        set_pixels(ds, np.maximum(stored, 200))
        ds.RescaleIntercept = "0"


def _pixels() -> Iterator[Kind]:
    group = "Pixels and files"
    yield Kind(group, "a file cut short within its pixels", _files(lambda p: _rewrite(p, lambda b: b[:-700])))
    yield Kind(group, "a file cut short within its header", _files(lambda p: _rewrite(p, lambda b: b[:600])))
    yield Kind(group, "a whole file with too few pixels", _edited(lambda d: setattr(d[2], "PixelData", bytes(100))))
    yield Kind(group, "no pixels", _set("PixelData", None, only=2))
    yield Kind(group, "a file of 0 bytes in place of a slice", _files(lambda p: _rewrite(p, lambda _: b"")))
    yield Kind(group, "a damaged JPEG 2000 stream", _files(lambda p: _rewrite(p, _spoil), syntax=str(JPEG2000Lossless)))
    yield Kind(group, "native pixels said to be run lengths (RLE)", _files(lambda p: _rename_syntax(p, b"5")))
    yield Kind(group, "a transfer syntax that no one knows", _files(lambda p: _rename_syntax(p, b"8")))


def _spoil(data: bytes) -> bytes:
    start = data.index(b"\xff\x4f\xff\x51") + 40
    return data[:start] + bytes(len(data) - start - 20) + data[-20:]


def _rename_syntax(paths: list[Path], last: bytes) -> None:
    """Call explicit little endian 1.2.840.10008.1.2.1 another syntax of the same length."""
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2." + last + b"\0"))


def _archives() -> Iterator[Kind]:
    group = "Folders and archives"
    yield Kind(group, "nothing at that path", lambda folder: folder / "series")
    yield Kind(group, "an empty folder", _empty)
    yield Kind(group, "a folder without images", _text_files)
    yield Kind(group, "a folder that only links elsewhere", _linked)
    yield Kind(group, "a zip with names that lead outside", _zip(lambda z: z.writestr("../evil.dcm", b"x")))
    yield Kind(group, "a zip bomb", _zip(lambda z: [z.writestr(f"{k}", bytes(2**25)) for k in range(8)]))
    yield Kind(group, "an encrypted zip", _zipped(_encrypt))
    yield Kind(group, "a torn zip", _zipped(_tear))
    yield Kind(group, "an empty zip", _zip(lambda z: None))


def _images() -> Iterator[Kind]:
    group = "NIfTI, NRRD, MetaImage, zarr"
    hu = body(SHAPE_ZYX)
    yield Kind(group, "a NIfTI without orientation", _nifti(NIFTI_FORMS, struct.pack("<hh", 0, 0)))
    yield Kind(
        group, "a NIfTI whose two forms contradict each other", _nifti(NIFTI_SROW, struct.pack("<4f", -9, 0, 0, 0))
    )
    yield Kind(group, "a NIfTI placed at NaN", _nifti(NIFTI_SROW, struct.pack("<12f", *[np.nan] * 12)))
    yield Kind(group, "a NIfTI of 32767 x 32767 x 32767", _nifti(NIFTI_DIM, struct.pack("<4h", 3, *[32767] * 3)))
    yield Kind(group, "a NIfTI with dimensions below 0", _nifti(NIFTI_DIM, struct.pack("<4h", 3, -4, 32, 6)))
    yield Kind(group, "a NIfTI whose voxels begin beyond its end", _nifti(NIFTI_VOXEL, struct.pack("<f", 1e9)))
    yield Kind(group, "a NIfTI of labels in place of a CT", _image(".nii", (hu > 300).astype(np.uint8)))
    yield Kind(group, "a NIfTI with NaN in it", _image(".nii", _floats(np.nan)))
    yield Kind(group, "a NIfTI whose values wrapped round", _image(".nii", _floats(64536.0)))
    yield Kind(group, "a gzipped NIfTI cut short", _image(".nii.gz", hu, _cut))
    yield Kind(
        group,
        "a gzip bomb",
        _image(".nii.gz", hu, lambda data: gzip.compress(gzip.decompress(data)[:352] + bytes(2**26))),
    )
    yield Kind(group, "an NRRD cut short", _image(".nrrd", hu, _cut))
    yield Kind(
        group,
        "an NRRD in scanner space",
        _image(".nrrd", hu, lambda data: data.replace(b"left-posterior-superior", b"scanner-xyz")),
    )
    yield Kind(group, "a MetaImage cut short", _image(".mha", hu, _cut))
    yield Kind(group, "a file of another kind with that ending", _image(".nii", hu, lambda _: b"%PDF-1.7 " * 100))
    yield Kind(group, "a zarr array that does not say its spacing", _bare_zarr)


KINDS = tuple(_gather())
"""All kinds, by group."""
