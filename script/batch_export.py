"""A made PACS export of small studies of phantoms: no two alike, some with findings, one in ten broken."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom

from planner.labels import Side
from planner.volume import Volume
from sample_data import PhantomSpec, make_phantom, write_dicom_series
from sample_data.spec import Kernel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.made_export import BROKEN_EVERY, KINDS, break_study

__all__ = ["WARD", "write_trial_export"]

WARD = 20
"""Studies in a folder of the export."""
SMALL = {"spacing_zyx_mm": (3.0, 2.0, 2.0), "size_yx_mm": (200.0, 280.0), "z_range_mm": (-30.0, 70.0)}
"""33 slices of 100 x 140: both joints, and little else."""
USUAL = tuple(
    PhantomSpec(**SMALL, seed=k, gap_mm=1.3 + 0.2 * (k % 6), shape_coefficients=(0.9 - 0.3 * k, 0.2 * k - 0.6))
    for k in range(7)
)
RARE = (
    PhantomSpec(**SMALL, seed=11, screw=Side.LEFT),
    PhantomSpec(**SMALL, seed=12, ankylosis=frozenset({Side.RIGHT})),
    PhantomSpec(**SMALL, seed=13, gap_mm=5.5),
    PhantomSpec(**SMALL, seed=14, absent_hip=Side.LEFT),
    PhantomSpec(**SMALL, seed=15, osteoporosis=True, kernel=Kernel.BONE, noise_hu=40.0),
    PhantomSpec(**SMALL, seed=16, filled_foramina=frozenset({(Side.RIGHT, "S1")})),
)
RARE_EVERY, COPIED_EVERY, TWO_SERIES_EVERY = 13, 7, 5
NOISE_HU = 6.0
"""Added to each study's voxels, so that no two are the same."""


def write_trial_export(folder: Path, studies: int) -> Path:
    """Write the export, and a file that is no image."""
    for number, volume in enumerate(_volumes(studies)):
        place = folder / f"ward-{number // WARD + 1:02d}" / f"PATIENT^NO {number}" / "study"
        write_dicom_series(volume, place)
        if number % BROKEN_EVERY == BROKEN_EVERY - 1:
            break_study(place, KINDS[number // BROKEN_EVERY % len(KINDS)])
        elif number % COPIED_EVERY == 0:
            shutil.copytree(place, place.with_name("sent again"))
        elif number % TWO_SERIES_EVERY == 0:
            _add_series(place)
    (folder / "readme.txt").write_text("not an image\n")
    return folder


def _volumes(studies: int) -> Iterator[Volume]:
    made: dict[PhantomSpec, Volume] = {}
    for number in range(studies):
        rare = number % RARE_EVERY == RARE_EVERY - 1
        spec = RARE[number // RARE_EVERY % len(RARE)] if rare else USUAL[number % len(USUAL)]
        if spec not in made:
            made[spec] = make_phantom(spec).volume
        hu, grid = made[spec].hu, made[spec].grid
        noise = np.random.default_rng(number).normal(0.0, NOISE_HU, hu.shape)
        yield Volume(np.clip(hu + np.round(noise), -1024, 3071).astype(np.int16), grid)


def _add_series(place: Path) -> None:
    """Add a second series of every other slice, which is the worse one."""
    slices = sorted(map(pydicom.dcmread, place.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    for ds in slices[::2]:
        ds.SeriesInstanceUID = f"{ds.SeriesInstanceUID[:60]}.2"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID[:60]}.2"
        ds.save_as(place / f"thick-{ds.InstanceNumber}")
