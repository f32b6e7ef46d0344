"""Both reports of a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.plan import PlanDocument
from planner.report.config import ReportConfig
from planner.volume import LabelMap, Volume

__all__ = ["ReportCase", "write_reports"]


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


def write_reports(case: ReportCase, folder: Path, config: ReportConfig, pictures: Mapping[str, bytes]) -> list[Path]:
    """Write ``report.pdf`` and ``report.html`` into a result folder.

    Parameters
    ----------
    case : ReportCase
        What they are made of.
    folder : Path
        The result folder.
    config : ReportConfig
        Which are written.
    pictures : mapping of str to bytes
        Figures of the case as JPEG (`planner.report.jpeg`) by their names; those that are not there are left out.

    Returns
    -------
    list of Path
        What was written.
    """
    written = []
    if config.pdf:
        from planner.report.pdf import write_pdf  # a quarter of a second to import

        written.append(write_pdf(folder / "report.pdf", case.document, pictures, config, case.versions))
    if config.html:
        from planner.report.html import write_html

        written.append(write_html(folder / "report.html", case, pictures, config))
    return written
