"""A made PACS export of many small studies, some of them broken, and a planner that takes no time."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from planner.dicom import read_dicom
from planner.grid import Grid

from support.dicom_files import UID_ROOT, ct_datasets

SHAPE = (4, 8, 8)
GRID = Grid(SHAPE, np.diag([1.0, 1.0, 2.0, 1.0]))
BROKEN_EVERY = 10
KINDS = ("cut pixels", "cut header", "missing slice", "no CT", "two phases")
"""How broken studies are broken, in turn."""
HANGING, KILLED, KILLED_ONCE, GOOD = range(4)
"""Studies that `deadly_planner` knows; all others are good."""


def write_export(folder: Path, studies: int) -> Path:
    """Studies in folders that name their patients, one in ten broken, every seventh with copies of its slices."""
    for number in range(studies):
        place = folder / f"DOE^JANE {number % 17}" / f"study {number}"
        place.mkdir(parents=True)
        write_study(place, number)
        if number % BROKEN_EVERY == BROKEN_EVERY - 1:
            break_study(place, KINDS[number // BROKEN_EVERY % len(KINDS)])
        elif number % 7 == 0:
            shutil.copytree(place, folder / f"again {number}")
    (folder / "readme.txt").write_text("not an image")
    (folder / "empty").touch()
    return folder


def write_study(folder: Path, number: int) -> None:
    """One study of one series."""
    hu = np.full(SHAPE, number, np.int16)
    hu += np.arange(SHAPE[0], dtype=np.int16)[:, None, None]
    for k, ds in enumerate(ct_datasets(hu, GRID)):
        ds.StudyInstanceUID = f"{UID_ROOT}{number + 1}"
        ds.SeriesInstanceUID = f"{UID_ROOT}{number + 1}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{UID_ROOT}{number + 1}.1.{k + 1}"
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.PatientID = f"MRN-4711-{number}"
        ds.save_as(folder / f"IM{k}", enforce_file_format=True)


def break_study(folder: Path, kind: str) -> None:
    """Break a study in one of the ways of `KINDS`."""
    second = sorted(folder.iterdir())[1]
    if kind == "cut pixels":
        second.write_bytes(second.read_bytes()[:-40])
    elif kind == "cut header":
        second.write_bytes(second.read_bytes()[:700])
    elif kind == "missing slice":
        second.unlink()
    elif kind == "two phases":
        _repeat(second, folder / "other")
    else:
        _make_mr(folder)


def _repeat(path: Path, other: Path) -> None:
    """Another image at the same place."""
    ds = pydicom.dcmread(path)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.9"
    ds.PixelData = bytes(len(ds.PixelData))
    ds.save_as(other)


def _make_mr(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        ds = pydicom.dcmread(path)
        ds.Modality, ds.SOPClassUID = "MR", MRImageStorage
        ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.save_as(path)


def fake_planner(source: Path, settings: object, folder: Path) -> None:
    """Read the chosen series as planning would, and write a plan whose figures are drawn from its voxels."""
    volume = read_dicom(source).load()
    value = float(volume.hu.mean())
    side = {
        "status": "planned",
        "joint": {"gap_median_mm": 2 + value % 5 / 10, "gap_p95_mm": 3.0, "articular_area_mm2": 1500 + value},
        "candidates": [
            {
                "grade": "green",
                "score": 0.5,
                "implant": {"id": "GENERIC-DOWEL", "diameter_mm": 8.0, "length_mm": 20.0},
                "clearance": {"neural": {"mm": 4.0, "proven_mm": 3.5}},
                "safe_entry_radius_mm": 2.0,
                "articular_share": 0.8,
                "binding": "neural",
            }
        ],
    }
    findings = [{"code": "slice-spacing", "level": "warn", "side": "both", "message": "thick"}]
    folder.mkdir()
    content = {"input": {"complete": True}, "findings": findings, "sides": {"left": side, "right": side}}
    (folder / "plan.json").write_text(json.dumps(content))
    (folder / "manifest.json").write_text(json.dumps({"stages": [{"name": "all", "seconds": 1.0}]}))


def deadly_planner(source: Path, settings: object, folder: Path) -> None:
    """Hang, die, or die the first time, by the mean of the voxels."""
    fake_planner(source, settings, folder)
    plan = json.loads((folder / "plan.json").read_text())
    number = int(plan["sides"]["left"]["joint"]["articular_area_mm2"] - 1501.5)
    marker = folder.parents[2] / "died once"
    if number == HANGING:
        signal.pause()
    if number == KILLED or (number == KILLED_ONCE and not marker.exists()):
        if number == KILLED_ONCE:
            marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
