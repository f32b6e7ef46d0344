"""The report on a screen: one file that needs no network, with a viewer of slices and surfaces in it (NiiVue)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from planner import NOTICE
from planner.plan import PlanDocument, SideDocument
from planner.report import contents
from planner.report.compare import beside_tables
from planner.report.config import ReportConfig
from planner.report.contents import Table, Tone
from planner.report.scene import make_scene

if TYPE_CHECKING:
    from planner.report.write import ReportCase

__all__ = ["write_html"]

PICTURES = {
    "sheet": "All views",
    "c_arm": "C-arm card",
    "gap_map": "Gap of the joint",
    "compare": "Lateral rods",
    "injection": "Needle",
}
"""Figures of a side, in order."""

NIIVUE = "niivue/niivue.umd.js"
"""NiiVue 0.69.0 as its package on npm has it, BSD-2-Clause (`niivue/LICENSE`); not changed."""


def write_html(path: Path, case: ReportCase, pictures: Mapping[str, bytes], config: ReportConfig) -> Path:
    """Write the report.

    Parameters
    ----------
    path : Path
        Of the file.
    case : ReportCase
        The plan and what the viewer shows.
    pictures : mapping of str to bytes
        Figures as JPEG by their names.
    config : ReportConfig
        Patient and voxels of the viewer.
    """
    scene = make_scene(case.document, case.volume, case.bones, case.keepouts, config.viewer_mm)
    parts = [
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>sacroplan report</title>",
        "<meta name='viewport' content='width=device-width'>",
        f"<style>{_asset('web/report.css')}</style></head><body>",
        *_body(case.document, pictures, config),
        *_tables([contents.settings_table(case.document, case.versions)]),
        f"<footer>{escape(NOTICE)}</footer>",
        f"<script type='application/json' id='scene'>{json.dumps(scene)}</script>",
        f"<script>{_inline(_asset(NIIVUE))}</script><script>{_inline(_asset('web/viewer.js'))}</script>",
        "</body></html>\n",
    ]
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _asset(name: str) -> str:
    return files("planner.report").joinpath(name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """Keep a script from ending its own element."""
    return script.replace("</script", "<\\/script")


def _body(document: PlanDocument, pictures: Mapping[str, bytes], config: ReportConfig) -> Iterator[str]:
    yield f"<header><b>{escape(NOTICE)}</b><span>{escape(config.patient or 'no patient identifiers')}</span></header>"
    yield "<h1>Posterior sacroiliac joint fusion: plan</h1>"
    yield from _findings(document)
    for side, entry in document.sides.items():
        yield _badge(f"{side.upper()}: {contents.side_tone(entry).word}", contents.side_tone(entry))
        yield from (f"<p>{escape(words)}</p>" for words in contents.side_words(entry))
    yield VIEWER
    for side, entry in document.sides.items():
        yield from _side(side, entry, pictures)
    yield "<h2>What software cannot see: to be checked by people</h2>"
    yield from (f"<label class='check'><input type='checkbox'>{escape(words)}</label>" for words in contents.CHECKLIST)


VIEWER = """<h2>Viewer</h2><div id='buttons'></div>
<div id='viewer'><canvas id='slices'></canvas><canvas id='surfaces'></canvas></div>
<p class='small' id='told'>The viewer needs WebGL 2, which this browser does not offer or has not started yet.</p>
<p class='small'>Drag to move the crosshair or to turn the bones, scroll to go through slices. R is the patient's right,
seen from the feet; the bones from behind. CT reduced for display; the plan was made on the full scan.</p>"""


def _findings(document: PlanDocument) -> Iterator[str]:
    yield "<h2>Findings</h2><table>"
    rows = contents.finding_rows(document)
    for tone, side, message in rows:
        yield f"<tr><td>{_badge(tone.word, tone, 'span')}</td><td>{escape(side)}</td><td>{escape(message)}</td></tr>"
    yield "</table>"
    if not rows:
        yield "<p>Nothing was found that must be told. See what software cannot see, below.</p>"


def _side(side: str, entry: SideDocument, pictures: Mapping[str, bytes]) -> Iterator[str]:
    yield f"<h2>{side.upper()} sacroiliac joint</h2>"
    tables = [contents.joint_table(entry)]
    if entry.candidates:
        tables = [contents.candidate_table(entry), contents.clearance_table(entry.candidates[0]), *tables]
    if entry.fluoroscopy:
        tables.append(contents.c_arm_table(entry.fluoroscopy))
    tables += beside_tables(entry)
    yield from _tables([table for table in tables if table])
    if entry.fluoroscopy:
        yield f"<p>{escape(contents.safe_zone_words(entry.fluoroscopy))}</p>"
    for end, title in PICTURES.items():
        data = pictures.get(f"{side}_{end}")
        if data:
            source = base64.b64encode(data).decode("ascii")
            yield f"<img alt='{title}, {side} side' src='data:image/jpeg;base64,{source}'>"


def _tables(tables: list[Table]) -> Iterator[str]:
    for table in tables:
        head, *rows = table.rows
        yield f"<h3>{escape(table.title)}</h3><table><tr>{''.join(f'<th>{escape(word)}</th>' for word in head)}</tr>"
        yield from (f"<tr>{''.join(f'<td>{escape(word)}</td>' for word in row)}</tr>" for row in rows)
        yield "</table>"


def _badge(words: str, tone: Tone, element: str = "div") -> str:
    return f"<{element} class='badge' style='color:{tone.ink};background:{tone.paper}'>{escape(words)}</{element}>"
