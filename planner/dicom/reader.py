"""From a folder, zip or file of DICOM to one series on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from planner.dicom.geometry import DUPLICATE_MM, MIN_SLICES, Flaw, Stack
from planner.dicom.headers import Known, Slice, as_uid, read_instance
from planner.dicom.pixels import check_pixels
from planner.dicom.resampling import ResampledSource
from planner.dicom.score import Verdict, judge, kernel_name
from planner.dicom.series import Series, SeriesReport, group_slices
from planner.dicom.sources import Source, open_source
from planner.dicom.study import DicomOrigin
from planner.dicom.voxels import SliceSource
from planner.errors import GeometryError, NoSeriesError, UnreadableFileError
from planner.findings import Finding, Level
from planner.source import VoxelSource, read_whole
from planner.volume import Volume

__all__ = ["DicomScan", "list_dicom", "read_dicom"]

CONE_BEAM_TYPES = {"CONEBEAM", "CONE_BEAM", "CBCT"}
"""Words of ImageType by which makers mark it."""
CONE_BEAM_NAMES = ("CBCT", "CONE BEAM", "CONEBEAM", "CONE-BEAM", "DYNACT", "DYNA CT", "XPERCT")
"""Words of series, protocol and study by which it is told [P]."""
AXIAL_COSINE = 0.7
"""Images whose normal lies nearer to the body's axis than 45 degrees are axial."""


@dataclass(frozen=True, eq=False)
class DicomScan:
    """A series as found: a file to name in messages, its voxels, what to say of it, and facts that identify no one.

    ``origin`` is where its slices are; None of what is no DICOM.
    """

    file: str
    source: VoxelSource
    findings: tuple[Finding, ...]
    description: dict[str, Any]
    origin: DicomOrigin | None = None

    def load(self) -> Volume:
        """Read every voxel, on the series' own grid."""
        return read_whole(self.source)


@dataclass(frozen=True, eq=False)
class _Ranked:
    """A series with its verdict."""

    series: Series
    verdict: Verdict
    bar: Flaw | None

    @classmethod
    def of(cls, series: Series, *, resample: bool) -> _Ranked:
        return cls(series, judge(series), series.bar(resample=resample))

    @property
    def rank(self) -> tuple[Any, ...]:
        """Key to sort by, best first: readable, CT, score, more slices, then the hash."""
        hopeless = self.bar is not None and isinstance(self.bar.error, NoSeriesError)
        count = len(self.series.slices)
        return self.bar is not None, hopeless, not self.series.is_ct, -self.verdict.score, -count, self.series.key


@dataclass(frozen=True, eq=False)
class _Inventory:
    """What an input holds: its series, best first, and the CT files that are damaged."""

    ranked: tuple[_Ranked, ...]
    damaged: tuple[str, ...]

    @property
    def best(self) -> _Ranked:
        return self.ranked[0]


def read_dicom(path: Path, *, resample: bool = False) -> DicomScan:
    """Find the best CT series below `path`; its headers are read, its pixels only checked for being there.

    Raises
    ------
    InputRefusedError
        The reason why the best series cannot be read, where none can.
    """
    with open_source(path) as source:
        inventory = _take_stock(source, path, resample=resample)
        best = inventory.best
        _check_whole(inventory)
        if best.bar is not None:
            raise best.bar.error
        assert best.series.stack is not None  # a series without a stack is barred
        check_pixels(source, best.series.slices)
    voxels, stack, recorded = _voxels(path, best.series, best.series.stack)
    findings = (*recorded, *_input_findings(inventory))
    description = _describe(best, stack, resampled=bool(recorded))
    origin = DicomOrigin(path, tuple((s.instance.file, s.frame) for s in stack.slices), not recorded)
    return DicomScan(best.series.first.label, voxels, findings, description, origin)


def list_dicom(path: Path, *, resample: bool = False) -> list[SeriesReport]:
    """Describe every series below `path`, best first."""
    with open_source(path) as source:
        inventory = _take_stock(source, path, resample=resample)
    return [_report(item, chosen=item is inventory.best) for item in inventory.ranked]


def _take_stock(source: Source, path: Path, *, resample: bool) -> _Inventory:
    names = source.names()
    slices, damaged = _scan(source, names)
    ranked = [_Ranked.of(series, resample=resample) for series in group_slices(slices)]
    if not ranked:
        raise NoSeriesError(
            f"{path.name}: found {len(names)} files, none of them a whole DICOM image ({len(damaged)} damaged), "
            "expected a CT series.",
            "Give the folder or zip that holds the CT images, or one image file (.nii.gz, .nrrd, .mha).",
        )
    return _Inventory(tuple(sorted(ranked, key=lambda item: item.rank)), tuple(damaged))


def _check_whole(inventory: _Inventory) -> None:
    """Refuse a damaged CT file beside the chosen series: it may be its last slice, which nothing else would miss."""
    folders = {PurePosixPath(s.instance.file).parent for s in inventory.best.series.slices}
    for name in inventory.damaged:
        if PurePosixPath(name).parent in folders:
            raise UnreadableFileError(
                f"{name}: found a CT file whose header is cut short or damaged, expected a whole one.",
                "Export or copy the file again, or remove it if it belongs to another series.",
            )


def _scan(source: Source, names: list[str]) -> tuple[list[Slice], list[str]]:
    slices: list[Slice] = []
    damaged = []
    known: Known = {}
    for name in names:
        with source.open(name) as stream:
            found = read_instance(stream, name, known)
        if found is None:
            damaged.append(name)
        slices += found or []
    return slices, damaged


def _report(item: _Ranked, *, chosen: bool) -> SeriesReport:
    series, instance = item.series, item.series.first.instance
    refusals = tuple(f"refused: {flaw.kind}" for flaw in series.bars)
    return SeriesReport(
        key=series.key,
        number=instance.number,
        modality=instance.modality[:4],
        slices=len(series.slices),
        score=item.verdict.score,
        chosen=chosen and item.bar is None,
        reasons=(*refusals, *item.verdict.reasons),
    )


def _voxels(path: Path, series: Series, stack: Stack) -> tuple[VoxelSource, Stack, list[Finding]]:
    kinds = [flaw.kind for flaw in series.bars]
    if not kinds:
        return SliceSource(path, stack.slices, stack.even_grid()), stack, []
    stack = _without_copies(path, stack)
    slices = SliceSource(path, stack.slices, stack.grid(len(stack.slices), stack.gap_mm))
    return ResampledSource(stack, slices), stack, [_resampled(kinds, stack)]


def _resampled(kinds: list[str], stack: Stack) -> Finding:
    return Finding(
        "resampled",
        Level.WARN,
        "both",
        f"Resampled onto an even, upright grid of {stack.gap_mm:.2f} mm slices, as asked for: {', '.join(kinds)}; "
        f"the widest gap was {stack.gaps_mm.max():.2f} mm, the tilt {stack.tilt_deg():.2f} degrees.",
    )


def _without_copies(path: Path, stack: Stack) -> Stack:
    """Drop slices that repeat their neighbour to the bit; different images at one place stay refused."""
    copies = {int(k) + 1 for k in np.flatnonzero(stack.gaps_mm <= DUPLICATE_MM)}
    slices = SliceSource(path, stack.slices, stack.grid(len(stack.slices), 1.0))
    for k in sorted(copies):
        one, other = (plane.copy() for plane in slices.planes([k - 1, k]))
        if not np.array_equal(one, other):
            raise GeometryError(
                f"Duplicate slices: {stack.slices[k].label} and {stack.slices[k - 1].label} lie at one place; "
                "found different images, expected identical ones to drop.",
                "Split the phases or acquisitions into a folder each.",
            )
    if len(stack.slices) - len(copies) < MIN_SLICES:
        raise GeometryError(
            f"{stack.slices[0].label}: found copies of one slice, expected at least {MIN_SLICES} slices.",
            "Give the folder that holds the whole series.",
        )
    return stack.without(copies) if copies else stack


def _input_findings(inventory: _Inventory) -> Iterator[Finding]:
    """Say what matters of the other files and of how the series was stored."""
    patients = {r.series.first.instance.patient for r in inventory.ranked if r.series.is_ct}
    if len(patients) > 1:
        message = f"The input holds CT of {len(patients)} patients, expected 1: check that this is the right one."
        yield Finding("several-patients", Level.REVIEW_ONLY, "both", message)
    if any(s.instance.lossy for s in inventory.best.series.slices):
        message = "The images were compressed with loss: fine detail at the joint faces may be changed."
        yield Finding("lossy-compression", Level.WARN, "both", message)
    yield from _kind_findings(inventory.best.series)
    better = [r for r in inventory.ranked if r.bar and r.verdict.score > inventory.best.verdict.score]
    if better:
        kinds = ", ".join(sorted({r.bar.kind for r in better if r.bar}))
        message = f"{len(better)} series with a higher score could not be read: {kinds}."
        yield Finding("better-series-refused", Level.WARN, "both", message)
    if inventory.damaged:
        message = f"{len(inventory.damaged)} damaged CT files in other folders of the input were left out."
        yield Finding("damaged-files", Level.WARN, "both", message)


def _kind_findings(series: Series) -> Iterator[Finding]:
    """Say where the header tells of cone-beam CT, or of axial images that are mirrored."""
    first, stack = series.first, series.stack
    words = {word.upper() for word in first.image_type}
    if words & CONE_BEAM_TYPES or any(name in first.instance.hints for name in CONE_BEAM_NAMES):
        message = (
            "The header tells of cone-beam CT: its numbers are no Hounsfield units, what rests on HU does not hold."
        )
        yield Finding("cone-beam", Level.REVIEW_ONLY, "both", message)
    if stack is not None and "ORIGINAL" in words:
        across = np.cross(first.row_lps or (0, 0, 0), first.column_lps or (0, 0, 0))
        if across[2] < -AXIAL_COSINE:
            message = (
                "Axial images are stored as seen from the head, which scanners seldom do: a header that was mirrored "
                "looks the same. Check left and right."
            )
            yield Finding("seen-from-head", Level.WARN, "both", message)


def _describe(best: _Ranked, stack: Stack, *, resampled: bool) -> dict[str, Any]:
    first = best.series.first
    return {
        "format": "DICOM",
        "modality": first.instance.modality,
        "kernel": kernel_name(best.series),
        "slice_thickness_mm": first.thickness_mm,
        "patient_position": first.instance.patient_position[:4],
        "slices": len(stack.slices),
        "transfer_syntax": as_uid(first.instance.transfer_syntax).name,
        "resampled": resampled,
        "widest_gap_mm": round(float(stack.gaps_mm.max()), 6),
        "series": best.series.key,
        "series_reasons": list(best.verdict.reasons),
    }
