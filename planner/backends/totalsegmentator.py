"""TotalSegmentator (Wasserthal et al., Radiol Artif Intell 2023, 10.1148/ryai.230024) as a maker of coarse labels.

It is an optional extra, imported when `TotalSegmentator.label_bones` runs and never before. It loads its weights from
the network the first time, and reports that it was used unless its own settings forbid it.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from planner.errors import BackendError, ConfigError
from planner.foreign_classes import TOTALSEGMENTATOR
from planner.given_labels import check_joint, own_values
from planner.images import read_labels, write_volume
from planner.volume import LabelMap, Volume

__all__ = ["TotalSegmentator"]

MODULE, DISTRIBUTION = "totalsegmentator", "TotalSegmentator"
INSTALL = 'pip install "sacroplan[totalsegmentator]"'

GRID_TOLERANCE_MM = 0.01
"""Its file comes back with float32 axes."""


@dataclass(frozen=True)
class TotalSegmentator:
    """The installed package.

    Attributes
    ----------
    version : str
        Of the distribution; ``unknown`` where it was not installed by pip.
    """

    version: str

    @classmethod
    def find(cls) -> TotalSegmentator:
        """Find the package without importing it.

        Raises
        ------
        planner.errors.ConfigError
            If it is not installed.
        """
        if not cls.is_installed():
            raise ConfigError(
                "--backend totalsegmentator: the package TotalSegmentator is not installed.", f"Install it: {INSTALL}"
            )
        try:
            return cls(version(DISTRIBUTION))
        except PackageNotFoundError:
            return cls("unknown")

    @staticmethod
    def is_installed() -> bool:
        """Whether the package can be found."""
        return find_spec(MODULE) is not None

    def label_bones(self, volume: Volume) -> LabelMap:
        """Label the bones of a volume that is cropped to the pelvis.

        On the CPU, with one thread for resampling and saving, and without mirroring (its own default): the settings
        that leave least to chance.

        Returns
        -------
        LabelMap
            `planner.labels.Label` values on the volume's grid.

        Raises
        ------
        planner.errors.BackendError
            If it fails, for example without its weights and without a network, or answers on another grid.
        planner.errors.LabelsError
            If it finds no sacrum or no hip bone.
        """
        with TemporaryDirectory(prefix="sacroplan-") as name:
            scan, result = Path(name) / "ct.nii.gz", Path(name) / "labels.nii.gz"
            write_volume(scan, volume)
            _predict(scan, result)
            labels = own_values(read_labels(result))
        if not labels.grid.same_as(volume.grid, GRID_TOLERANCE_MM):
            raise BackendError("TotalSegmentator gave labels on another grid than the scan's.", "Report it.")
        placed = LabelMap(labels.values, volume.grid)
        check_joint(placed, "TotalSegmentator's result", "Plan with --backend shape-model.")
        return placed


def _predict(scan: Path, result: Path) -> None:
    """Run it on a file; what it prints goes to stderr, because stdout is this program's result."""
    try:
        with redirect_stdout(sys.stderr):
            import_module(f"{MODULE}.python_api").totalsegmentator(
                input=scan,
                output=result,
                ml=True,
                task="total",
                roi_subset=[entry.name for entry in TOTALSEGMENTATOR],
                device="cpu",
                nr_thr_resamp=1,
                nr_thr_saving=1,
                quiet=True,
            )
    except (Exception, SystemExit) as error:  # its own affair; it exits where a licence is missing
        raise BackendError(
            f"TotalSegmentator failed ({type(error).__name__}).",
            "Run it once by itself to see why: it needs its weights, and a network to load them the first time.",
        ) from error
    if not result.is_file():
        raise BackendError("TotalSegmentator wrote no labels.", "Run it once by itself to see why.")
