"""What the commands print: plain text that reads well in a terminal, a log and a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from planner import NOTICE
from planner.case import Case
from planner.dicom.series import SeriesReport
from planner.implants import Catalogue
from planner.plan import CandidateDocument, SideDocument
from planner.verify import Verification

__all__ = ["implant_table", "render", "series_table", "summarise", "verification_table"]

WIDTH = 118


def summarise(case: Case, folder: Path, pictures: Sequence[Path]) -> str:
    """Say what was found and proposed, and where it lies."""
    document = case.document
    lines = [NOTICE]
    lines += [f"{finding.level:<11} {finding.side:<5}  {finding.message}" for finding in document.findings]
    for side, entry in document.sides.items():
        lines += ["", *_side(side, entry)]
    seconds = sum(record.seconds for record in case.stages)
    lines += ["", f"{seconds:.1f} s from files to plan; results in {folder}"]
    lines += [f"  {picture}" for picture in pictures]
    return "\n".join(lines)


def _side(side: str, entry: SideDocument) -> list[str]:
    lines = [f"{side.upper()}: {entry.status}" + (f". {entry.reason}" if entry.reason else "")]
    if entry.joint is not None and entry.joint.gap_median_mm is not None:
        lines.append(
            f"  joint: articular area {entry.joint.articular_area_mm2 / 100:.1f} cm2, "
            f"gap median {entry.joint.gap_median_mm:.1f} mm, 95 % below {entry.joint.gap_p95_mm:.1f} mm"
            + ("" if entry.joint.confidence is None else f", confidence {entry.joint.confidence:.2f}")
        )
    if entry.foramina:
        found = sorted({f"{f.level} {f.aspect}" for f in entry.foramina})
        lines.append(f"  foramina found: {', '.join(found)}")
    return lines + [_candidate(candidate) for candidate in entry.candidates]


def _candidate(candidate: CandidateDocument) -> str:
    implant, angles = candidate.implant, candidate.angles_deg
    clearances = ", ".join(
        f"{name.replace('_', ' ')} {clearance.mm:.1f} mm" for name, clearance in candidate.clearance.items()
    )
    return (
        f"  {candidate.rank}. {candidate.grade}, score {candidate.score:.2f}: {implant.id} "
        f"{implant.diameter_mm:g} x {implant.length_mm:g} mm, {candidate.third} third, "
        f"{angles.axial_to_sagittal:.0f} deg to the sagittal plane, {angles.cranial_tilt:.0f} deg cranial; "
        f"{clearances}; binds: {candidate.binding}"
    )


def render(table: Table) -> str:
    """Print a table as text of one width, with the notice under it."""
    text = StringIO()
    Console(file=text, width=WIDTH, color_system=None).print(table)
    return text.getvalue().rstrip() + f"\n{NOTICE}"


def series_table(reports: Sequence[SeriesReport]) -> str:
    """Every series, the chosen one marked, with the reasons."""
    table = Table("chosen", "series", "modality", "slices", "score", "reasons", box=SIMPLE)
    for report in reports:
        table.add_row(
            "yes" if report.chosen else "",
            f"{report.number} ({report.key})",
            report.modality,
            str(report.slices),
            f"{report.score:.2f}",
            "; ".join(report.reasons),
        )
    return render(table)


def implant_table(catalogue: Catalogue) -> str:
    """Every implant with its sizes and where they come from."""
    table = Table("id", "maker", "approach", "shape", "diameters mm", "lengths mm", "source", box=SIMPLE)
    for implant in catalogue.implants:
        table.add_row(
            implant.id,
            implant.maker,
            implant.approach,
            implant.shape or "not known",
            _sizes(implant.diameters_mm),
            _sizes(implant.lengths_mm),
            implant.source,
        )
    return render(table)


def _sizes(values: Sequence[float] | None) -> str:
    return ", ".join(f"{value:g}" for value in values) if values else "not known"


def verification_table(verification: Verification) -> str:
    """Every check with what was found."""
    table = Table("", "check", "side", "found", box=SIMPLE)
    for check in verification.checks:
        verdict = ("ok" if check.passed else "FAILED") if check.checked else "?"
        table.add_row(verdict, check.name, check.side, check.message)
    return render(table)
