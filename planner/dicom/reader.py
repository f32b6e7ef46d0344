"""From a folder, zip or file of DICOM to one series on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from planner.dicom.geometry import DUPLICATE_MM, Stack
from planner.dicom.headers import Slice, read_instance
from planner.dicom.pixels import read_frames
from planner.dicom.resampling import resample_stack
from planner.dicom.score import SeriesReport, Verdict, judge, kernel_name
from planner.dicom.series import Series, group_slices
from planner.dicom.sources import Source, open_source
from planner.errors import GeometryError, NoSeriesError
from planner.findings import Finding, Level
from planner.grid import Grid
from planner.volume import Volume

__all__ = ["DicomScan", "list_dicom", "read_dicom"]

LOSSY_SYNTAXES = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
}
"""Transfer syntaxes that may lose detail: JPEG baseline and extended, JPEG-LS near-lossless, JPEG 2000, HTJ2K."""


@dataclass(frozen=True, eq=False)
class DicomScan:
    """A series as read: the volume, what to say of it, and facts that identify no one."""

    volume: Volume
    findings: tuple[Finding, ...]
    description: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Ranked:
    """A series with its verdict."""

    series: Series
    verdict: Verdict

    def rank(self, *, resample: bool) -> tuple[Any, ...]:
        """Key to sort by, best first: readable, CT, score, more slices, then the hash."""
        bar = self.series.bar(resample=resample)
        hopeless = bar is not None and isinstance(bar.error, NoSeriesError)
        count = len(self.series.slices)
        return bar is not None, hopeless, not self.series.is_ct, -self.verdict.score, -count, self.series.key


def read_dicom(path: Path, *, resample: bool = False) -> DicomScan:
    """Read the best CT series below `path`.

    Raises
    ------
    InputRefusedError
        The reason why the best series cannot be read, where none can.
    """
    with open_source(path) as source:
        ranked = _rank(source, path, resample=resample)
        best = ranked[0]
        bar = best.series.bar(resample=resample)
        if bar is not None:
            raise bar.error
        assert best.series.stack is not None  # a series without a stack is barred
        hu, grid, stack, recorded = _read_series(source, best.series, best.series.stack)
    findings = [*recorded, *_series_findings(ranked, best, resample=resample)]
    return DicomScan(Volume(hu, grid), tuple(findings), _describe(best, stack, resampled=bool(recorded)))


def list_dicom(path: Path, *, resample: bool = False) -> list[SeriesReport]:
    """Describe every series below `path`, best first."""
    with open_source(path) as source:
        ranked = _rank(source, path, resample=resample)
    return [_report(item, chosen=k == 0, resample=resample) for k, item in enumerate(ranked)]


def _rank(source: Source, path: Path, *, resample: bool) -> list[_Ranked]:
    names = source.names()
    ranked = [_Ranked(series, judge(series)) for series in group_slices(_scan(source, names))]
    if not ranked:
        raise NoSeriesError(
            f"{path.name or path}: found {len(names)} files and no DICOM image among them, expected a CT series.",
            "Give the folder or zip that holds the CT images.",
        )
    return sorted(ranked, key=lambda item: item.rank(resample=resample))


def _scan(source: Source, names: list[str]) -> list[Slice]:
    slices: list[Slice] = []
    for name in names:
        with source.open(name) as stream:
            slices += read_instance(stream, name)
    return slices


def _report(item: _Ranked, *, chosen: bool, resample: bool) -> SeriesReport:
    series, instance = item.series, item.series.first.instance
    barred = series.bar(resample=resample)
    refusals = tuple(f"refused: {flaw.kind}" for flaw in series.bars)
    return SeriesReport(
        key=series.key,
        number=instance.number,
        modality=instance.modality[:4],
        slices=len(series.slices),
        score=item.verdict.score,
        chosen=chosen and barred is None,
        reasons=(*refusals, *item.verdict.reasons),
    )


def _read_series(source: Source, series: Series, stack: Stack) -> tuple[NDArray[np.int16], Grid, Stack, list[Finding]]:
    hu = np.empty((len(stack.slices), *stack.shape_yx), dtype=np.int16)
    for index, plane in read_frames(source, stack.slices):
        hu[index] = plane
    kinds = [flaw.kind for flaw in series.bars]
    if not kinds:
        return hu, stack.even_grid(), stack, []
    stack, hu = _without_copies(stack, hu)
    even, grid = resample_stack(stack, hu)
    return even, grid, stack, [_resampled(kinds, stack)]


def _resampled(kinds: list[str], stack: Stack) -> Finding:
    return Finding(
        "resampled",
        Level.WARN,
        "both",
        f"Resampled onto an even, upright grid of {stack.gap_mm:.2f} mm slices, as asked for: {', '.join(kinds)}; "
        f"the widest gap was {stack.gaps_mm.max():.2f} mm, the tilt {stack.tilt_deg():.2f} degrees.",
    )


def _without_copies(stack: Stack, hu: NDArray[np.int16]) -> tuple[Stack, NDArray[np.int16]]:
    """Drop slices that repeat their neighbour to the bit; different images at one place stay refused."""
    copies = {int(k) + 1 for k in np.flatnonzero(stack.gaps_mm <= DUPLICATE_MM)}
    for k in sorted(copies):
        if not np.array_equal(hu[k - 1], hu[k]):
            raise GeometryError(
                f"Duplicate slices: {stack.slices[k].label} and {stack.slices[k - 1].label} lie at one place; "
                "found different images, expected identical ones to drop.",
                "Split the phases or acquisitions into a folder each.",
            )
    if not copies:
        return stack, hu
    keep = [k for k in range(len(stack.slices)) if k not in copies]
    return stack.without(copies), hu[keep]


def _series_findings(ranked: list[_Ranked], best: _Ranked, *, resample: bool) -> list[Finding]:
    findings = []
    patients = {r.series.first.instance.patient for r in ranked if r.series.is_ct}
    if len(patients) > 1:
        message = f"The input holds CT of {len(patients)} patients, expected 1: check that this is the right one."
        findings.append(Finding("several-patients", Level.REVIEW_ONLY, "both", message))
    if _is_lossy(best.series):
        message = "The images were compressed with loss: fine detail at the joint faces may be changed."
        findings.append(Finding("lossy-compression", Level.WARN, "both", message))
    better = [r for r in ranked if r.series.bar(resample=resample) and r.verdict.score > best.verdict.score]
    if better:
        kinds = sorted({flaw.kind for r in better for flaw in r.series.bars})
        message = f"{len(better)} series with a higher score could not be read: {', '.join(kinds)}."
        findings.append(Finding("better-series-refused", Level.WARN, "both", message))
    return findings


def _is_lossy(series: Series) -> bool:
    return any(s.instance.lossy or s.instance.transfer_syntax in LOSSY_SYNTAXES for s in series.slices)


def _describe(best: _Ranked, stack: Stack, *, resampled: bool) -> dict[str, Any]:
    first = best.series.first
    return {
        "format": "DICOM",
        "modality": first.instance.modality,
        "kernel": kernel_name(best.series),
        "slice_thickness_mm": first.thickness_mm,
        "patient_position": first.instance.patient_position[:4],
        "slices": len(stack.slices),
        "transfer_syntax": UID(first.instance.transfer_syntax).name,
        "resampled": resampled,
        "widest_gap_mm": round(float(stack.gaps_mm.max()), 6),
        "series": best.series.key,
        "series_reasons": list(best.verdict.reasons),
    }
