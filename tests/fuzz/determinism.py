"""One scan told in many ways gives one plan to the byte; moved or turned, a plan that moves and turns with it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from scipy.spatial.transform import Rotation

from planner.case import CaseSettings, plan_case
from planner.grid import Grid
from planner.images import write_volume
from planner.volume import Volume
from sample_data import make_phantom, write_dicom_series

from fuzz.golden import figures
from fuzz.long_run import COARSE, SMALL

__all__ = ["Way", "moved", "same_bytes"]

ENVIRONMENTS = (
    {"PYTHONHASHSEED": "0"},
    {"PYTHONHASHSEED": "4242"},
    {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
)
"""Surroundings of a process of its own."""
AS_STORED = ("shape_zyx", "spacing_zyx_mm")
"""Entries of ``input`` that describe the file: in another order of axes they stand in another order."""
SHIFT_MM = (13.7, -22.1, 305.3)
TURN_DEG = (4.0, -3.0, 6.0)
"""A table that stands elsewhere; a patient who lies askew, with the scan's box turned along."""

PLAN = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from fuzz.determinism import hash_of
print(hash_of(Path({path!r})))
"""


@dataclass(frozen=True)
class Way:
    """One way to tell the scan."""

    name: str
    sha256: str


def hash_of(source: Path | Volume) -> str:
    """Hash of ``plan.json``, less the order in which the file has its axes."""
    content = json.loads(plan_case(source, CaseSettings(config=COARSE)).document.to_json())
    for told in AS_STORED:
        content["input"][told].sort()
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def same_bytes(folder: Path) -> Iterator[Way]:
    """Plan the small phantom told in different ways; all hashes must be one."""
    volume = make_phantom(SMALL).volume
    write_dicom_series(volume, folder / "dicom")
    yield Way("DICOM", hash_of(folder / "dicom"))
    _renamed(folder / "dicom", folder / "shuffled")
    yield Way("DICOM, files in another order, in two folders", hash_of(folder / "shuffled"))
    for name, write in _formats(volume):
        write(folder / name)
        yield Way(name.partition(".")[2], hash_of(folder / name))
    for order, flips in (((0, 1, 2), (2,)), ((2, 0, 1), (0,)), ((1, 2, 0), (0, 1, 2))):
        write_volume(folder / "turned.nii.gz", turned(volume, order, flips))
        yield Way(f"axes {order}, flipped {flips}", hash_of(folder / "turned.nii.gz"))
    for surroundings in ENVIRONMENTS:
        yield Way(" ".join(f"{k}={v}" for k, v in surroundings.items()), _elsewhere(folder / "dicom", surroundings))


def _formats(volume: Volume) -> list[tuple[str, Callable[[Path], Any]]]:
    image = SimpleITK.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.grid.spacing_zyx_mm[::-1].tolist())
    image.SetOrigin(volume.grid.origin_lps_mm.tolist())
    write = [(f"ct.{ending}", lambda path: SimpleITK.WriteImage(image, str(path))) for ending in ("nrrd", "mha")]
    return [("ct.nii.gz", lambda path: write_volume(path, volume)), *write]


def _renamed(series: Path, out: Path) -> None:
    names = list(range(len(list(series.iterdir()))))
    random.Random(9).shuffle(names)
    for name, path in zip(names, sorted(series.iterdir()), strict=True):
        place = out / ("a" if name % 2 else "b") / f"{name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())


def turned(volume: Volume, order: tuple[int, ...], flips: tuple[int, ...]) -> Volume:
    """Give the same voxels in the same places, stored in another order."""
    matrix = volume.grid.lps_from_zyx.copy()
    matrix[:3, :3] = matrix[:3, list(order)]
    hu = volume.hu.transpose(order)
    for axis in flips:
        matrix[:3, 3] += matrix[:3, axis] * (hu.shape[axis] - 1)
        matrix[:3, axis] *= -1
        hu = np.flip(hu, axis)
    return Volume(np.ascontiguousarray(hu), Grid(hu.shape, matrix))


def _elsewhere(path: Path, surroundings: dict[str, str]) -> str:
    script = PLAN.format(tests=str(Path(__file__).parents[1]), path=str(path))
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | surroundings, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def moved() -> dict[str, float]:
    """Plan the phantom shifted, and turned with its box: how far points lie from where they should, mm."""
    volume = make_phantom(SMALL).volume
    shift, turn = np.eye(4), np.eye(4)
    shift[:3, 3] = SHIFT_MM
    turn[:3, :3] = Rotation.from_euler("xyz", TURN_DEG, degrees=True).as_matrix()
    still = _points(volume)
    found = {}
    for name, matrix in (("shifted", shift), ("turned", turn)):
        there = _points(Volume(volume.hu, Grid(volume.grid.shape_zyx, matrix @ volume.grid.lps_from_zyx)))
        shared = sorted(still.keys() & there.keys())
        apart = [np.linalg.norm(matrix[:3, :3] @ still[key] + matrix[:3, 3] - there[key]) for key in shared]
        found[name] = round(float(max(apart)), 3) if apart else float("nan")
    return found


def _points(volume: Volume) -> dict[str, Any]:
    """Ends of the implants and mouths of the foramina."""
    kept = figures(plan_case(volume, CaseSettings(config=COARSE)).document)
    names = {
        key.rpartition(".")[0] for key in kept if "_mm." in key and "clearance" not in key and "implant." not in key
    }
    return {name: np.array([kept[f"{name}.{axis}"] for axis in range(3)]) for name in names}
