"""The pages of the report on paper: a cover, one page a side, and an appendix for what is good to have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, PageBreak, Paragraph, Spacer

from planner.figures.cover import PICTURE_SHAPE
from planner.plan import PlanDocument, SideDocument
from planner.report import contents
from planner.report.compare import beside_pictures, beside_tables
from planner.report.contents import Table, Tone
from planner.report.paper import BODY, SECTION, TITLE, badge, beside, cell, height_of, picture, rows_of, table, text

__all__ = ["Sheet", "appendix", "cover", "side_page"]

SPACE = Spacer(0, 1.6 * mm)

PICTURE_LEAST = 38 * mm
"""A cover's picture is at least so high; findings that do not fit beside it go to the appendix."""

PICTURE_MOST = 92 * mm

SHEET_LEAST = 0.6
"""A side's pictures are not shrunk below this share of the page's width; words then flow to the next page."""

CANDIDATES = 0.61
"""Share of the width for the candidates; clearances stand beside them."""

CONVENTION = (
    "C-arm: patient prone, detector above the back, 0/0 is the AP view of this pelvis; orbital: detector to the "
    "patient's left or right; tilt: detector to the head or the feet; seen from the detector. Simulated from CT."
)

Rows = Sequence[tuple[Tone, str, str]]


@dataclass(frozen=True)
class Sheet:
    """The space of a page between header and footer, points."""

    width: float
    height: float


def cover(
    document: PlanDocument, versions: Mapping[str, str], pictures: Mapping[str, bytes], sheet: Sheet
) -> tuple[list[Flowable], Rows]:
    """Set the first page; gives also the findings that had no room on it."""
    half = (sheet.width - 3 * mm) / 2
    title = Paragraph("Posterior sacroiliac joint fusion: plan", TITLE)
    sides = [_decision(side, entry, half) for side, entry in document.sides.items()]
    below = [SPACE, beside(sides, [half] * len(sides)), SPACE]
    last = [SPACE, *_checklist(sheet.width), SPACE, *_settings(document, versions, sheet.width)]
    room = sheet.height - height_of([title, *below, *last], sheet.width) - 2
    shown, kept, left = _findings(contents.finding_rows(document), room - PICTURE_LEAST, sheet.width)
    high = min(room - height_of(shown, sheet.width), PICTURE_MOST)
    seen = [picture(pictures["cover"], sheet.width, high, PICTURE_SHAPE)] if "cover" in pictures and high > 0 else []
    return [title, *shown, *below, *seen, *last], left if kept else ()


def _findings(rows: Rows, room: float, width: float) -> tuple[list[Flowable], bool, Rows]:
    """As many findings as fit, worst first."""
    title = Paragraph("Findings", SECTION)
    if not rows:
        words = "Nothing was found that must be told. See below what software cannot see."
        return [title, Paragraph(words, BODY)], False, ()
    for count in range(len(rows), 0, -1):
        made = [title, _finding_table(rows[:count], width)]
        left = rows[count:]
        if left:
            made.append(Paragraph(f"{len(left)} more, none of them worse, in the appendix.", BODY))
        if height_of(made, width) <= room or count == 1:
            break
    return made, bool(left), left


def _finding_table(rows: Rows, width: float) -> Flowable:
    cells = [[cell(tone.word, tone), text(side), text(message)] for tone, side, message in rows]
    widths = [share * width for share in (0.11, 0.06, 0.83)]
    return rows_of(cells, widths, [tone.paper for tone, _, _ in rows])


def _decision(side: str, entry: SideDocument, width: float) -> list[Flowable]:
    """State of a side in a badge, then the numbers of what is proposed and the reasons."""
    tone = contents.side_tone(entry)
    glance = contents.glance_table(entry)
    told = [rows_of([[text(a), text(b)] for a, b in glance], (0.34 * width, 0.66 * width))] if glance else []
    words = [Paragraph(escape(words), BODY) for words in contents.side_words(entry)]
    return [badge(f"{side.upper()}: {tone.word}", tone, width), *told, *words]


def _checklist(width: float) -> list[Flowable]:
    half = (width - 3 * mm) / 2
    rows = [[text("[   ]"), text(words)] for words in contents.CHECKLIST]
    middle = -(-len(rows) // 2)
    columns = [[rows_of(part, (0.06 * half, 0.94 * half))] for part in (rows[:middle], rows[middle:])]
    title = Paragraph("What software cannot see: to be checked by people", SECTION)
    return [title, beside(columns, (half, half))]


def _settings(document: PlanDocument, versions: Mapping[str, str], width: float) -> list[Flowable]:
    return table(contents.settings_table(document, versions), width, (0.16, 0.84))


def side_page(side: str, entry: SideDocument, pictures: Mapping[str, bytes], sheet: Sheet) -> list[Flowable]:
    """Set one page for a side: state, all pictures, candidates, clearances."""
    tone, name = contents.side_tone(entry), f"{side.upper()} sacroiliac joint"
    first, second = _shares(sheet, 0.34)
    head: list[Flowable] = [beside([[Paragraph(name, TITLE)], [badge(tone.word, tone, second)]], (first, second))]
    head += [Paragraph(escape(words), BODY) for words in contents.reasons(entry)]
    below: list[Flowable] = [SPACE, beside(_columns(entry, sheet), _shares(sheet, CANDIDATES))]
    card = entry.fluoroscopy
    if card:
        below.insert(0, Paragraph(escape(f"{CONVENTION} {contents.safe_zone_words(card)}".strip()), BODY))
    room = sheet.height - height_of([*head, SPACE, *below], sheet.width) - 2
    seen = pictures.get(f"{side}_sheet")
    if seen is None:
        return [*head, *below]
    return [*head, SPACE, picture(seen, sheet.width, max(room, SHEET_LEAST * sheet.width)), *below]


def _shares(sheet: Sheet, first: float) -> tuple[float, float]:
    """Widths of two columns."""
    width = sheet.width - 3 * mm
    return first * width, (1 - first) * width


def _columns(entry: SideDocument, sheet: Sheet) -> tuple[list[Flowable], list[Flowable]]:
    wide, narrow = _shares(sheet, CANDIDATES)
    left: list[Flowable] = []
    right: list[Flowable] = []
    if entry.candidates:
        content = contents.candidate_table(entry)
        columns = len(content.rows[0]) - 1
        left = table(content, wide, (0.29, *[0.71 / columns] * columns))
        right = _clearances(contents.clearance_table(entry.candidates[0]), narrow)
    joint = contents.joint_table(entry)
    if joint:
        made = table(joint, narrow if left else wide, (0.42, 0.58))
        (right if left else left).extend(made)
    return left, right


def _clearances(content: Table, width: float) -> list[Flowable]:
    return [*table(content, width, (0.405, 0.09, 0.14, 0.365)), SPACE]


def appendix(document: PlanDocument, pictures: Mapping[str, bytes], left: Rows, sheet: Sheet) -> Iterator[Flowable]:
    """Set what is good to have: the C-arm's views large, clearances of the other candidates, findings left over."""
    parts = [part for side, entry in document.sides.items() for part in _more(side, entry, pictures, sheet)]
    if left:
        parts.append(KeepTogether([Paragraph("Findings, continued", SECTION), _finding_table(left, sheet.width)]))
    if parts:
        yield from (PageBreak(), Paragraph("Appendix", TITLE), *parts)


def _more(side: str, entry: SideDocument, pictures: Mapping[str, bytes], sheet: Sheet) -> Iterator[Flowable]:
    if entry.fluoroscopy:
        card = contents.c_arm_table(entry.fluoroscopy)
        made = table(Table(f"{side.upper()}: {card.title}", card.rows), sheet.width, (0.16, 0.16, 0.16, 0.52))
        seen = pictures.get(f"{side}_c_arm")
        yield KeepTogether([*made, SPACE, *([picture(seen, sheet.width, 0.62 * sheet.height)] if seen else [])])
        yield SPACE
    others = [_clearances(contents.clearance_table(one), _shares(sheet, 0.5)[0]) for one in entry.candidates[1:3]]
    if others:
        columns = beside(others, _shares(sheet, 0.5)[: len(others)])
        yield KeepTogether([Paragraph(f"{side.upper()}: other candidates", SECTION), columns])
        yield SPACE
    for content, name in zip(beside_tables(entry), beside_pictures(entry), strict=True):
        shares = (0.22, *[0.78 / (len(content.rows[0]) - 1)] * (len(content.rows[0]) - 1))
        seen = pictures.get(f"{side}_{name}")
        shown = [picture(seen, sheet.width, 0.55 * sheet.height)] if seen else []
        made = table(Table(f"{side.upper()}: {content.title}", content.rows), sheet.width, shares)
        yield KeepTogether([*made, SPACE, *shown])
        yield SPACE
