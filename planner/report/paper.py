"""What pages are set in: styles, tables, badges and pictures. Nothing is smaller than 6.5 points."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import escape

from PIL import Image as Raster
from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, Paragraph, Spacer, TableStyle
from reportlab.platypus import Table as PdfTable

from planner.report.contents import Table, Tone

__all__ = [
    "BODY",
    "INK",
    "RULE",
    "SECTION",
    "TITLE",
    "badge",
    "beside",
    "cell",
    "height_of",
    "picture",
    "rows_of",
    "table",
    "text",
]

INK, RULE, SHADE = HexColor("#1A1A1A"), HexColor("#9CA3AF"), HexColor("#E5E7EB")

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=7.2, leading=8.6, textColor=INK)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=6.6, leading=7.5)
HEAD = ParagraphStyle("head", parent=SMALL, fontName="Helvetica-Bold")
TITLE = ParagraphStyle("title", parent=BODY, fontName="Helvetica-Bold", fontSize=13, leading=16)
SECTION = ParagraphStyle("section", parent=BODY, fontName="Helvetica-Bold", fontSize=8, leading=10)

PADDING = 0.65
"""Above and below the words of a table, points."""

GUTTER = 3 * mm
"""Between columns of a page."""

CROP_QUALITY = 92
"""Of a picture that is cut, and so packed once more."""


def table(content: Table, width: float, shares: Sequence[float]) -> list[Flowable]:
    """Set a table under its title; `shares` are the widths of its columns."""
    head, *rows = content.rows
    cells = [[Paragraph(escape(word), HEAD) for word in head], *([text(word) for word in row] for row in rows)]
    style = [
        *_tight(2.0),
        ("BACKGROUND", (0, 0), (-1, 0), SHADE),
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, RULE),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    ]
    widths = [share * width for share in shares]
    return [Paragraph(escape(content.title), SECTION), PdfTable(cells, widths, style=TableStyle(style))]


def beside(columns: Sequence[Sequence[Flowable]], widths: Sequence[float]) -> Flowable:
    """Set columns side by side, each as high as it needs."""
    cells: list[object] = []
    gapped: list[float] = []
    for column, width in zip(columns, widths, strict=True):
        cells += [list(column) or [Spacer(0, 0)], ""]
        gapped += [width, GUTTER]
    style = TableStyle([*_tight(0.0), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return PdfTable([cells[:-1]], gapped[:-1], style=style)


def badge(words: str, tone: Tone, width: float) -> Flowable:
    """Words on the colour of a state, in a frame that tells it without colour."""
    style = [*_tight(4.0), ("BACKGROUND", (0, 0), (-1, -1), HexColor(tone.paper)), ("BOX", (0, 0), (-1, -1), 1.2, INK)]
    style += [("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5)]
    return PdfTable([[cell(words, tone, 8.5)]], [width], style=TableStyle(style), spaceAfter=2)


def rows_of(cells: Sequence[Sequence[Flowable]], widths: Sequence[float], papers: Sequence[str] = ()) -> Flowable:
    """Rows without a head, ruled; `papers` colour the first column."""
    style = [*_tight(2.0), ("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LINEBELOW", (0, 0), (-1, -1), 0.25, RULE)]
    style += [("BACKGROUND", (0, k), (0, k), HexColor(paper)) for k, paper in enumerate(papers)]
    return PdfTable([list(row) for row in cells], list(widths), style=TableStyle(style))


def cell(words: str, tone: Tone, size: float = 6.6) -> Flowable:
    """Words in the ink of a tone."""
    ink = HexColor(tone.ink)
    return Paragraph(
        escape(words), ParagraphStyle("tone", parent=HEAD, textColor=ink, fontSize=size, leading=size + 1.4)
    )


def text(words: str) -> Flowable:
    """Words of a table."""
    return Paragraph(escape(words), SMALL)


def picture(data: bytes, width: float, height: float, keep: float = 0.0) -> Flowable:
    """Fit a JPEG into a box; `keep` is how much of its top is kept, as a share of its width, where not all."""
    with Raster.open(BytesIO(data)) as raster:
        across, down = raster.size
        if 0 < keep * across < down:
            down = round(keep * across)
            packed = BytesIO()
            raster.crop((0, 0, across, down)).save(packed, "JPEG", quality=CROP_QUALITY, subsampling=0)
            data = packed.getvalue()
    scale = min(width / across, height / down)
    return Image(BytesIO(data), across * scale, down * scale)


def height_of(flowables: Sequence[Flowable], width: float) -> float:
    """Height of flowables one below the other; they break nowhere."""
    heights = [flowable.wrap(width, 1e6)[1] + flowable.getSpaceAfter() for flowable in flowables]
    return float(sum(heights))


def _tight(side: float) -> list[tuple[object, ...]]:
    every = ((0, 0), (-1, -1))
    return [
        ("LEFTPADDING", *every, side),
        ("RIGHTPADDING", *every, side),
        ("TOPPADDING", *every, PADDING),
        ("BOTTOMPADDING", *every, PADDING),
    ]
