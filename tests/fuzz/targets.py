"""What reads foreign bytes: a valid file of each kind to begin with, and the reader that must answer in words.

A reader answers if it gives a value or raises `SacroplanError`; everything else that it raises is a fault.
"""

from __future__ import annotations

import gc
import io
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from pipelines.batch.files import export_files
from planner.config import load_config
from planner.errors import SacroplanError
from planner.given_labels import read_given_labels
from planner.grid import Grid
from planner.implants import load_catalogue
from planner.reading import list_series, read_scan
from planner.schema import read_plan
from planner.verify import verify_folder

from support.dicom_files import SECRETS, body, ct_datasets, enhanced_dataset, save, save_one, zip_folder
from support.made_plan import bones, keepouts, made_document, upright
from support.seg_files import write_seg

__all__ = ["TARGETS", "Target", "answer"]

GRID = Grid.from_spacing((4, 32, 40), (1.25, 0.75, 0.5), (-4.5, 3.25, 100.125))
"""Small, so that many are read in a second."""


@dataclass(frozen=True)
class Target:
    """One kind of file and its reader.

    Attributes
    ----------
    name : str
        For tables and the folders of the corpus.
    seeds : callable
        Valid files as bytes.
    read : callable
        Reads a file of these bytes in a scratch folder.
    text : bool
        Whether it is made of lines of text.
    """

    name: str
    seeds: Callable[[], tuple[bytes, ...]]
    read: Callable[[bytes, Path], object]
    text: bool = False


def answer(target: Target, data: bytes, folder: Path) -> str:
    """Read bytes and give the name of the answer, ``read`` or the kind of refusal; other exceptions pass.

    Raises
    ------
    AssertionError
        If a refusal names the patient or the scratch folder, or says nothing.
    """
    try:
        target.read(data, folder)
    except SacroplanError as error:
        refusal = error
    else:
        return "read"
    words = str(refusal)
    assert len(refusal.what) > 10, words
    assert not any(secret in words for secret in (*SECRETS, str(folder))), words
    return type(refusal).__name__


def _scan(path: Path) -> object:
    scan = read_scan(path)
    assert np.isfinite(scan.grid.lps_from_zyx).all()
    return scan.load()


def _one_file(name: str) -> Callable[[bytes, Path], object]:
    def read(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        return _scan(folder / name)

    return read


def _slice_of_a_series(data: bytes, folder: Path) -> object:
    """One of four slices is the file; with and without ``--resample``, and in the list of series."""
    others = _series_files()
    for name, content in others.items():
        (folder / name).write_bytes(content)
    (folder / "IM0037.dcm").write_bytes(data)
    list_series(folder, resample=True)
    return _scan(folder)


@cache
def _series_files() -> dict[str, bytes]:
    with TemporaryDirectory() as name:
        folder = save(Path(name), ct_datasets(body(GRID.shape_zyx), GRID))
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def _slices(*syntaxes: str) -> Callable[[], tuple[bytes, ...]]:
    def seeds() -> tuple[bytes, ...]:
        found = []
        with TemporaryDirectory() as name:
            for number, syntax in enumerate(syntaxes):
                datasets = ct_datasets(body(GRID.shape_zyx), GRID)
                folder = save(Path(name, str(number)), datasets, *([syntax] if syntax else []))
                found.append((folder / "IM0037.dcm").read_bytes())
        return tuple(found)

    return seeds


def _enhanced() -> tuple[bytes, ...]:
    with TemporaryDirectory() as name:
        return (save_one(Path(name, "a.dcm"), enhanced_dataset(body(GRID.shape_zyx), GRID)).read_bytes(),)


def _images(*suffixes: str) -> Callable[[], tuple[bytes, ...]]:
    def seeds() -> tuple[bytes, ...]:
        image = SimpleITK.GetImageFromArray(body(GRID.shape_zyx))
        image.SetSpacing((0.5, 0.75, 1.25))
        found = []
        with TemporaryDirectory() as name:
            for number, suffix in enumerate(suffixes):
                path = Path(name, f"{number}{suffix}")
                SimpleITK.WriteImage(image, str(path), useCompression=number % 2 == 1)
                found.append(path.read_bytes())
        return tuple(found)

    return seeds


def _zips() -> tuple[bytes, ...]:
    found = []
    with TemporaryDirectory() as name:
        folder = save(Path(name, "series"), ct_datasets(body(GRID.shape_zyx), GRID))
        found.append(zip_folder(folder, Path(name, "a.zip")).read_bytes())
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"deep/er/{path.name}")
        found.append(packed.getvalue())
    return tuple(found)


def _zarr_files(data: bytes, folder: Path) -> object:
    """The metadata of a zarr array; its chunks are whole."""
    import zarr

    store = folder / "ct.zarr"
    if not store.exists():
        array = zarr.create_array(str(store), shape=GRID.shape_zyx, dtype="i2", overwrite=True)
        array[:] = body(GRID.shape_zyx)
    (store / "zarr.json").write_bytes(data)
    return _scan(store)


def _zarr_seeds() -> tuple[bytes, ...]:
    import zarr

    with TemporaryDirectory() as name:
        array = zarr.create_array(f"{name}/ct.zarr", shape=GRID.shape_zyx, dtype="i2")
        array.attrs["spacing_zyx_mm"] = [1.25, 0.75, 0.5]
        return (Path(name, "ct.zarr", "zarr.json").read_bytes(),)


def _settings(data: bytes, folder: Path) -> object:
    (folder / "own.toml").write_bytes(data)
    try:
        load_config(folder / "own.toml")
    finally:
        load_catalogue(folder / "own.toml")
    return None


CONFIG = b"""[joint]
spacing_mm = 0.9
use_profiles = true
measured_thirds = "c-length"
[trajectory.constraints]
segmentation_margin_mm = 1.5
[trajectory.score]
clearance_mm = { zero = 2.0, one = 4.5 }
[segmentation]
bone_hu = [100.0, 240.0]
[report]
patient = "none"
"""
CATALOGUE = b"""[[implant]]
id = "OWN-1"
maker = "none"
approach = "posterior"
count = 1
shape = "cylinder"
diameters_mm = [8.0, 10.0]
lengths_mm = [20.0]
source = "a drawing"
entered_by = "someone"
"""


def _plan(data: bytes, folder: Path) -> object:
    """A plan, as the schema's reader and as ``verify`` meets it, beside whole labels."""
    (folder / "plan.json").write_bytes(data)
    for name, content in _label_files().items():
        (folder / name).write_bytes(content)
    verify_folder(folder)
    return read_plan(folder)


@cache
def _label_files() -> dict[str, bytes]:
    from planner.images import write_labels

    found = {}
    with TemporaryDirectory() as name:
        for file, labels in (("labels.nii.gz", bones(upright())), ("keepout.nii.gz", keepouts(upright()))):
            write_labels(Path(name, file), labels)
            found[file] = Path(name, file).read_bytes()
    return found


def _labels_of_a_plan(data: bytes, folder: Path) -> object:
    (folder / "plan.json").write_text(made_document().to_json(), encoding="utf-8")
    (folder / "keepout.nii.gz").write_bytes(_label_files()["keepout.nii.gz"])
    (folder / "labels.nii.gz").write_bytes(data)
    verify_folder(folder)
    return read_given_labels(folder / "labels.nii.gz", upright())


def _seg(data: bytes, folder: Path) -> object:
    (folder / "seg.dcm").write_bytes(data)
    return read_given_labels(folder / "seg.dcm", upright())


def _segs() -> tuple[bytes, ...]:
    found = []
    with TemporaryDirectory() as name:
        for kind in ("BINARY", "LABELMAP"):
            path = write_seg(Path(name, f"{kind}.dcm"), bones(upright()), kind=kind)
            found.append(path.read_bytes())
    return tuple(found)


def _directory(data: bytes, folder: Path) -> object:
    (folder / "DICOMDIR").write_bytes(data)
    return list(export_files(folder / "DICOMDIR", folder / "out"))


def _directories() -> tuple[bytes, ...]:
    from pydicom.fileset import FileSet

    with TemporaryDirectory() as name:
        datasets = ct_datasets(body(GRID.shape_zyx), GRID)
        for ds in datasets:
            ds.StudyDate, ds.StudyTime, ds.StudyID, ds.InstanceNumber = "20200101", "120000", "1", "1"
        series = save(Path(name, "series"), datasets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its scratch folder to the collector
            files = FileSet()
            for path in sorted(series.iterdir()):
                files.add(path)
            files.write(Path(name, "set"))
            del files
            gc.collect()
        return (Path(name, "set", "DICOMDIR").read_bytes(),)


TARGETS = {
    target.name: target
    for target in (
        Target("dicom", _slices("", "1.2.840.10008.1.2"), _slice_of_a_series),
        Target("dicom-compressed", _slices(JPEG2000Lossless, JPEGLSLossless, RLELossless), _slice_of_a_series),
        Target("dicom-enhanced", _enhanced, _one_file("enhanced.dcm")),
        Target("dicomdir", _directories, _directory),
        Target("nifti", _images(".nii"), _one_file("ct.nii")),
        Target("nifti-gz", _images(".nii.gz", ".nii.gz"), _one_file("ct.nii.gz")),
        Target("nrrd", _images(".nrrd", ".nrrd"), _one_file("ct.nrrd")),
        Target("metaimage", _images(".mha", ".mha"), _one_file("ct.mha")),
        Target("zarr", _zarr_seeds, _zarr_files, text=True),
        Target("zip", _zips, _one_file("export.zip")),
        Target("toml", lambda: (CONFIG, CATALOGUE), _settings, text=True),
        Target("plan", lambda: (made_document().to_json().encode(),), _plan, text=True),
        Target("labels", lambda: (_label_files()["labels.nii.gz"],), _labels_of_a_plan),
        Target("seg", _segs, _seg),
    )
}
"""All readers, by name."""
