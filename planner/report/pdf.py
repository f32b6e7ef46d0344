"""The report on paper: the same bytes for the same plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image as Raster
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    Image,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    TableStyle,
)
from reportlab.platypus import Table as PdfTable

from planner import NOTICE
from planner.plan import PlanDocument, SideDocument
from planner.report import contents
from planner.report.config import ReportConfig
from planner.report.contents import Table, Tone

__all__ = ["jpeg_of", "write_pdf"]

PAPERS = {"A4": A4, "Letter": LETTER}

MARGIN = 15 * mm
HEADER = 7 * mm
"""Height of the line above and of the one below the text."""

SHEET_HEIGHT, GAP_MAP_HEIGHT = 158 * mm, 68 * mm
"""Both fit on one page of either paper."""

JPEG_QUALITY = 88
"""Of the pictures in the report: a fifth of the PNG, and no seen difference at this size `[P]`."""

INK, RULE = HexColor("#1A1A1A"), HexColor("#9CA3AF")

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=8.5, leading=11, textColor=INK)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7.2, leading=8.8)
HEAD = ParagraphStyle("head", parent=SMALL, fontName="Helvetica-Bold")
TITLE = ParagraphStyle("title", parent=BODY, fontName="Helvetica-Bold", fontSize=16, leading=20)
SECTION = ParagraphStyle("section", parent=BODY, fontName="Helvetica-Bold", fontSize=10.5, leading=14, spaceBefore=5)
TIGHT = [("TOPPADDING", (0, 0), (-1, -1), 1.6), ("BOTTOMPADDING", (0, 0), (-1, -1), 1.6)]

SHARES = {
    2: (0.3, 0.7),
    3: (0.27, 0.365, 0.365),
    4: (0.25, 0.25, 0.25, 0.25),
}
"""Widths of a table's columns as shares of the page, by their number."""


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
    width = paper[0] - 2 * MARGIN
    frame = Frame(MARGIN, MARGIN + HEADER, width, paper[1] - 2 * (MARGIN + HEADER), 0, 0, 0, 0)
    story = [*_cover(document, pictures, width)]
    for side, entry in document.sides.items():
        story += [PageBreak(), *_numbers(side, entry, width), *_views(side, entry, pictures, width)]
    story += [PageBreak(), *_last(document, versions, width)]
    template = PageTemplate("page", [frame], onPage=partial(_dress, config=config, sha256=document.input.sha256))
    options: dict[str, Any] = {"invariant": 1, "title": "sacroplan report", "author": "sacroplan", "subject": NOTICE}
    BaseDocTemplate(str(path), pagesize=paper, pageTemplates=[template], **options).build(story)
    return path


def jpeg_of(path: Path) -> bytes:
    """Turn a figure into JPEG, which PDF and browser take as it is."""
    data = BytesIO()
    with Raster.open(path) as picture:
        picture.convert("RGB").save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return data.getvalue()


def _dress(canvas: Canvas, template: BaseDocTemplate, config: ReportConfig, sha256: str) -> None:
    """Notice, patient and page number, above and below the text of every page."""
    width, height = template.pagesize
    canvas.setFillColor(INK)
    canvas.setFont("Helvetica-Bold", 8.5)
    canvas.drawString(MARGIN, height - MARGIN, NOTICE)
    canvas.setFont("Helvetica", 8)
    canvas.drawRightString(width - MARGIN, height - MARGIN, config.patient or "no patient identifiers in this report")
    canvas.drawString(MARGIN, MARGIN, f"sacroplan, scan {sha256[:12]}")
    canvas.drawCentredString(width / 2, MARGIN, NOTICE)
    canvas.drawRightString(width - MARGIN, MARGIN, f"page {canvas.getPageNumber()}")
    canvas.setStrokeColor(RULE)
    for at in (height - MARGIN - 2 * mm, MARGIN + 4 * mm):
        canvas.line(MARGIN, at, width - MARGIN, at)


def _cover(document: PlanDocument, pictures: Mapping[str, bytes], width: float) -> Iterator[Flowable]:
    yield Paragraph("Posterior sacroiliac joint fusion: plan", TITLE)
    yield Paragraph("Findings", SECTION)
    yield _findings(document, width)
    for side, entry in document.sides.items():
        yield Spacer(0, 3 * mm)
        yield _badge(f"{side.upper()}: {contents.side_tone(entry).word}", contents.side_tone(entry), width)
        yield from (Paragraph(escape(words), BODY) for words in contents.side_words(entry))
    yield Spacer(0, 3 * mm)
    yield from _picture(pictures, "cover", width, 112 * mm)


def _findings(document: PlanDocument, width: float) -> Flowable:
    rows = contents.finding_rows(document)
    if not rows:
        return Paragraph("Nothing was found that must be told. See what software cannot see on the last page.", BODY)
    cells = [[_cell(tone.word, tone), _text(side), _text(message)] for tone, side, message in rows]
    style = [*TIGHT, ("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LINEBELOW", (0, 0), (-1, -1), 0.3, RULE)]
    style += [("BACKGROUND", (0, k), (0, k), HexColor(tone.paper)) for k, (tone, _, _) in enumerate(rows)]
    return PdfTable(cells, [0.13 * width, 0.08 * width, 0.79 * width], style=TableStyle(style))


def _numbers(side: str, entry: SideDocument, width: float) -> Iterator[Flowable]:
    tone = contents.side_tone(entry)
    yield Paragraph(f"{side.upper()} sacroiliac joint", TITLE)
    yield _badge(tone.word, tone, width)
    yield from (Paragraph(escape(words), BODY) for words in contents.side_words(entry))
    if entry.candidates:
        yield from _table(contents.candidate_table(entry), width)
        yield from _table(contents.clearance_table(entry.candidates[0]), width, (0.36, 0.14, 0.14, 0.36))
    joint = contents.joint_table(entry)
    if joint:
        yield from _table(joint, width)


def _views(side: str, entry: SideDocument, pictures: Mapping[str, bytes], width: float) -> Iterator[Flowable]:
    yield PageBreak()
    yield from _picture(pictures, f"{side}_sheet", width, SHEET_HEIGHT)
    yield Spacer(0, 2 * mm)
    yield from _picture(pictures, f"{side}_gap_map", width, GAP_MAP_HEIGHT)
    if entry.fluoroscopy is None:
        return
    yield PageBreak()
    words = contents.safe_zone_words(entry.fluoroscopy)
    yield from _table(contents.c_arm_table(entry.fluoroscopy), width, (0.16, 0.18, 0.18, 0.48))
    yield Spacer(0, 2 * mm)
    yield Paragraph(escape(words), BODY)
    yield Spacer(0, 2 * mm)
    yield from _picture(pictures, f"{side}_c_arm", width, 175 * mm)


def _last(document: PlanDocument, versions: Mapping[str, str], width: float) -> Iterator[Flowable]:
    yield Paragraph("What software cannot see: to be checked by people", SECTION)
    rows = [["[   ]", _text(words)] for words in contents.CHECKLIST]
    style = TableStyle([*TIGHT, ("VALIGN", (0, 0), (-1, -1), "TOP"), ("FONTSIZE", (0, 0), (0, -1), 8)])
    yield PdfTable(rows, [0.06 * width, 0.94 * width], style=style)
    yield from _table(contents.settings_table(document, versions), width)


def _table(table: Table, width: float, shares: Sequence[float] = ()) -> Iterator[Flowable]:
    head, *rows = table.rows
    cells = [[Paragraph(escape(word), HEAD) for word in head], *([_text(word) for word in row] for row in rows)]
    style = [
        *TIGHT,
        ("BACKGROUND", (0, 0), (-1, 0), HexColor("#E5E7EB")),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, RULE),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    ]
    widths = [share * width for share in shares or SHARES[len(head)]]
    yield KeepTogether([Paragraph(table.title, SECTION), PdfTable(cells, widths, style=TableStyle(style))])


def _badge(words: str, tone: Tone, width: float) -> Flowable:
    style = [("BACKGROUND", (0, 0), (-1, -1), HexColor(tone.paper)), ("BOX", (0, 0), (-1, -1), 1.2, INK)]
    return PdfTable([[_cell(words, tone, 10)]], [width], style=TableStyle(style), spaceAfter=1.5 * mm)


def _cell(words: str, tone: Tone, size: float = 7.2) -> Flowable:
    ink = HexColor(tone.ink)
    return Paragraph(escape(words), ParagraphStyle("tone", parent=HEAD, textColor=ink, fontSize=size, leading=size + 2))


def _text(words: str) -> Flowable:
    return Paragraph(escape(words), SMALL)


def _picture(pictures: Mapping[str, bytes], name: str, width: float, height: float) -> Iterator[Flowable]:
    """Fit a figure into a box, if it is there."""
    if name in pictures:
        with Raster.open(BytesIO(pictures[name])) as raster:
            across, down = raster.size
        scale = min(width / across, height / down)
        yield Image(BytesIO(pictures[name]), across * scale, down * scale)
