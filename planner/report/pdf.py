"""The report on paper: the same bytes for the same plan."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageBreak, PageTemplate

from planner import NOTICE
from planner.plan import PlanDocument
from planner.report.config import ReportConfig
from planner.report.jpeg import jpeg_of
from planner.report.pages import Sheet, appendix, cover, side_page
from planner.report.paper import INK, RULE

__all__ = ["jpeg_of", "write_pdf"]

PAPERS = {"A4": A4, "Letter": LETTER}

MARGIN = 10 * mm
HEADER = 5.5 * mm
"""Height of the line above and of the one below the text."""


def write_pdf(
    path: Path,
    document: PlanDocument,
    pictures: Mapping[str, bytes],
    config: ReportConfig,
    versions: Mapping[str, str],
) -> Path:
    """Write the report.

    Parameters
    ----------
    path : Path
        Of the PDF.
    document : PlanDocument
        The plan.
    pictures : mapping of str to bytes
        Figures as JPEG by their names, for example ``left_sheet``; those that are not there are left out.
    config : ReportConfig
        Paper and patient.
    versions : mapping of str to str
        Programs and settings that made the plan.
    """
    paper = PAPERS[config.paper]
    sheet = Sheet(paper[0] - 2 * MARGIN, paper[1] - 2 * (MARGIN + HEADER))
    frame = Frame(MARGIN, MARGIN + HEADER, sheet.width, sheet.height, 0, 0, 0, 0)
    story, left = cover(document, versions, pictures, sheet)
    for side, entry in document.sides.items():
        story += [PageBreak(), *side_page(side, entry, pictures, sheet)]
    story += appendix(document, pictures, left, sheet)
    template = PageTemplate("page", [frame], onPage=partial(_dress, config=config, sha256=document.input.sha256))
    options: dict[str, Any] = {"invariant": 1, "title": "sacroplan report", "author": "sacroplan", "subject": NOTICE}
    BaseDocTemplate(str(path), pagesize=paper, pageTemplates=[template], **options).build(story)
    return path


def _dress(canvas: Canvas, template: BaseDocTemplate, config: ReportConfig, sha256: str) -> None:
    """Notice, patient and page number, above and below the text of every page."""
    width, height = template.pagesize
    canvas.setFillColor(INK)
    canvas.setFont("Helvetica-Bold", 8)
    canvas.drawString(MARGIN, height - MARGIN - 2 * mm, NOTICE)
    canvas.setFont("Helvetica", 7.5)
    canvas.drawRightString(
        width - MARGIN, height - MARGIN - 2 * mm, config.patient or "no patient identifiers in this report"
    )
    canvas.drawString(MARGIN, MARGIN, f"sacroplan, scan {sha256[:12]}")
    canvas.drawCentredString(width / 2, MARGIN, NOTICE)
    canvas.drawRightString(width - MARGIN, MARGIN, f"page {canvas.getPageNumber()}")
    canvas.setStrokeColor(RULE)
    for at in (height - MARGIN - 3.6 * mm, MARGIN + 3.4 * mm):
        canvas.line(MARGIN, at, width - MARGIN, at)
