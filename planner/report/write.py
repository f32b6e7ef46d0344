"""Both reports of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner.plan import PlanDocument
from planner.report.config import ReportConfig
from planner.volume import LabelMap, Volume

__all__ = ["ReportCase", "write_reports"]

FIGURES = ("cover", "_sheet", "_c_arm", "_gap_map")
"""Ends of the names of the figures that the reports show."""


@dataclass(frozen=True, eq=False)
class ReportCase:
    """What a report is made of.

    Attributes
    ----------
    document : PlanDocument
        The plan.
    volume : Volume
        CT on the working grid, for the viewer.
    bones, keepouts : LabelMap
        On the same grid.
    versions : mapping of str to str
        Programs and settings that made the plan.
    """

    document: PlanDocument
    volume: Volume
    bones: LabelMap
    keepouts: LabelMap
    versions: Mapping[str, str]


def write_reports(case: ReportCase, folder: Path, config: ReportConfig, figures: Sequence[Path]) -> list[Path]:
    """Write ``report.pdf`` and ``report.html`` into a result folder.

    Parameters
    ----------
    case : ReportCase
        What they are made of.
    folder : Path
        The result folder.
    config : ReportConfig
        Which are written.
    figures : sequence of Path
        Figures of the case; those that a report shows are taken from among them.

    Returns
    -------
    list of Path
        What was written.
    """
    from planner.report.html import write_html
    from planner.report.pdf import jpeg_of, write_pdf  # a quarter of a second to import

    written = []
    shown = [path for path in figures if path.stem.endswith(FIGURES)]
    pictures = {path.stem: jpeg_of(path) for path in shown} if config.pdf or config.html else {}
    if config.pdf:
        written.append(write_pdf(folder / "report.pdf", case.document, pictures, config, case.versions))
    if config.html:
        written.append(write_html(folder / "report.html", case, pictures, config))
    return written
