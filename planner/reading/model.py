"""What a reader found: a scan that is counted into cells, and whose voxels can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from planner.cells import Cells
from planner.dicom import DicomOrigin
from planner.findings import Finding
from planner.grid import Grid
from planner.reading.fingerprint import scan_sha256
from planner.source import ONE, Blocks, VoxelSource, read_box, read_whole
from planner.volume import Box, Volume

__all__ = ["Scan"]


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan, and what must be said of it; its voxels are not in memory.

    Attributes
    ----------
    source : VoxelSource
        Its voxels on the input's own grid and orientation.
    cells : Cells
        The whole scan in cells of a few millimetres, in canonical orientation.
    findings : tuple of Finding
        Slice spacing, resampling, repaired parts.
    description : dict
        Facts that identify no one: ``format``, ``modality``, ``kernel``, ``slice_thickness_mm``, ``patient_position``,
        ``slices``, ``transfer_syntax``, ``resampled``.
    origin : DicomOrigin or None
        Where the slices are that it was read from; None where it is no DICOM.
    """

    source: VoxelSource
    cells: Cells
    findings: tuple[Finding, ...]
    description: dict[str, Any]
    origin: DicomOrigin | None = None

    @property
    def grid(self) -> Grid:
        """The input's own grid."""
        return self.source.grid

    def read(self, box: Box, blocks: Blocks = ONE) -> Volume:
        """Read a box of the canonical grid; see `planner.source.read_box`."""
        return read_box(self.source, box, blocks)

    def load(self) -> Volume:
        """Read every voxel, on the input's own grid."""
        return read_whole(self.source)

    def sha256(self, part: Volume) -> str:
        """Name the scan by its content; see `planner.reading.fingerprint.scan_sha256`.

        Parameters
        ----------
        part : Volume
            The canonical box that is planned on.
        """
        return scan_sha256(self.grid, self.cells, part)
