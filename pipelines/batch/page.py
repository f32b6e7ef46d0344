"""``summary.html``: one page without a network, sortable by a click on a column's head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pipelines.batch.cohort import Distribution
from pipelines.batch.table import SIDES, Row
from pipelines.batch.thumbnail import THUMBNAIL
from planner import NOTICE

__all__ = ["page"]

STYLE = """
:root{color-scheme:light dark;--line:#8884;--bad:#c62828;--warn:#b26a00;--good:#2e7d32}
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1500px;padding:0 1rem}
.notice{border-left:4px solid var(--bad);padding:.3rem .8rem;font-weight:600}
h2{margin-top:2rem} table{border-collapse:collapse} td,th{padding:.35rem .6rem;border-bottom:1px solid var(--line);
text-align:left;vertical-align:top;font-variant-numeric:tabular-nums}
#cases{width:100%} #cases th{cursor:pointer;position:sticky;top:0;background:Canvas;min-width:3.5rem}
th[aria-sort=ascending]::after{content:" \\25B2"} th[aria-sort=descending]::after{content:" \\25BC"}
img{width:120px;display:block;border-radius:4px} .scroll{overflow-x:auto}
.planned{color:var(--good)} .failed,.refused,.left{color:var(--bad)} .outlier{color:var(--warn)}
.tiles{display:flex;gap:1rem;flex-wrap:wrap}.tile{border:1px solid var(--line);border-radius:8px;padding:.6rem 1rem}
.tile b{display:block;font-size:1.6rem} code{font-size:12px} input{font:inherit;padding:.3rem .6rem;width:20rem}
"""
SCRIPT = """
const table=document.getElementById('cases'),body=table.tBodies[0];
for(const head of table.tHead.rows[0].cells)head.addEventListener('click',()=>{
 const up=head.getAttribute('aria-sort')!=='ascending',at=head.cellIndex;
 for(const other of table.tHead.rows[0].cells)other.removeAttribute('aria-sort');
 head.setAttribute('aria-sort',up?'ascending':'descending');
 const key=row=>row.cells[at].dataset.v??row.cells[at].textContent;
 const order=(a,b)=>{const x=key(a),y=key(b);if(x===''||y==='')return x===y?0:x===''?1:-1;
  const c=isNaN(x)||isNaN(y)?x.localeCompare(y):x-y;return up?c:-c;};
 body.append(...[...body.rows].sort(order));});
document.getElementById('find').addEventListener('input',event=>{
 const words=event.target.value.toLowerCase();
 for(const row of body.rows)row.hidden=!row.textContent.toLowerCase().includes(words);});
"""

SHOWN = ("gap_median_mm", "least_proven_mm", "corridor_mm", "diameter_mm", "length_mm", "score")
"""Figures of a side in the table; all are in ``summary.csv``."""
WORDS = {
    "gap_median_mm": "gap, mm",
    "gap_p95_mm": "gap, 95th percentile, mm",
    "articular_area_mm2": "articular area, mm²",
    "least_proven_mm": "least proven clearance, mm",
    "neural_proven_mm": "proven neural clearance, mm",
    "corridor_mm": "corridor (safe entry radius), mm",
    "diameter_mm": "implant diameter, mm",
    "length_mm": "implant length, mm",
    "articular_share": "share in the articular zone",
    "score": "score",
}


def page(
    rows: Sequence[Row], cohort: Iterable[Distribution], no_ct: Mapping[str, int], folder: str, cases: Path
) -> str:
    """Make the page.

    Parameters
    ----------
    rows : sequence of dict
        See `pipelines.batch.table`.
    cohort : iterable of Distribution
        Over all sides.
    no_ct : mapping of str to int
        Studies without CT, by their modalities.
    folder : str
        Of the cases, relative to the page.
    cases : Path
        The same, to see which pictures there are.
    """
    parts = [
        f"<h1>sacroplan batch</h1><p class=notice>{NOTICE}</p>",
        _tiles(rows, no_ct),
        _counts("Failures and refusals by reason", _reasons(rows)),
        _counts("Findings", Counter(f for row in rows for f in (row["findings"] or "").split("; ") if f)),
        _counts("Studies without CT, by modality", no_ct),
        "<h2>Cohort</h2>" + _cohort(cohort),
        "<h2>Outliers</h2>" + _outliers(rows),
        "<h2>Cases</h2><p><input id=find placeholder='find a case, status, finding' aria-label='Find'></p>",
        _cases(rows, folder, cases),
    ]
    head = f"<meta charset=utf-8><title>sacroplan batch</title><style>{STYLE}</style>"
    body = f"<body>{''.join(parts)}<script>{SCRIPT}</script></body>"
    return f"<!doctype html><html lang=en><head>{head}</head>{body}</html>\n"


def _reasons(rows: Iterable[Row]) -> Counter[str]:
    return Counter(f"{row['status']}: {row['reason']}" for row in rows if row["reason"])


def _tiles(rows: Sequence[Row], no_ct: Mapping[str, int]) -> str:
    counts = Counter(row["status"] for row in rows)
    tiles = {"studies": len(rows) + sum(no_ct.values()), **counts, "without CT": sum(no_ct.values())}
    sides = Counter(row[f"{side}_status"] for row in rows for side in SIDES if row[f"{side}_status"])
    tiles |= {f"sides {name}": count for name, count in sorted(sides.items())}
    cells = "".join(f"<div class=tile><b>{count}</b>{escape(str(name))}</div>" for name, count in tiles.items())
    return f"<div class=tiles>{cells}</div>"


def _counts(title: str, counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    body = "".join(f"<tr><td>{escape(name)}<td>{count}" for name, count in ordered)
    return f"<h2>{title}</h2><table>{body}</table>"


def _cohort(cohort: Iterable[Distribution]) -> str:
    body = "".join(
        f"<tr><td>{WORDS[one.measure]}<td>{one.count}"
        + "".join(f"<td>{v:.4g}" for v in (one.least, one.lower_quartile, one.median, one.upper_quartile, one.most))
        for one in cohort
    )
    heads = "<th>measure<th>sides<th>least<th>quartile<th>median<th>quartile<th>most"
    return f"<table><thead><tr>{heads}</thead><tbody>{body}</tbody></table>" if body else "<p>No figures.</p>"


def _outliers(rows: Iterable[Row]) -> str:
    found = [row for row in rows if row["outliers"]]
    body = "".join(f"<tr><td><code>{row['case']}</code><td class=outlier>{escape(row['outliers'])}" for row in found)
    return f"<table>{body}</table>" if body else "<p>None.</p>"


def _cases(rows: Iterable[Row], folder: str, cases: Path) -> str:
    names = ["picture", "case", "status", "why", "findings"]
    names += [f"{side} {WORDS.get(name, name)}" for side in SIDES for name in ("plan", *SHOWN)]
    heads = "".join(f"<th>{name}" for name in (*names, "seconds"))
    body = "".join(_case(row, folder, cases) for row in rows)
    return f"<div class=scroll><table id=cases><thead><tr>{heads}</thead><tbody>{body}</tbody></table></div>"


def _case(row: Row, folder: str, cases: Path) -> str:
    key, place = row["case"], f"{folder}/{row['case']}"
    picture = f"<img loading=lazy alt='' src='{place}/{THUMBNAIL}'>" if (cases / key / THUMBNAIL).is_file() else ""
    why = ": ".join(escape(text) for text in (row["reason"], row["message"]) if text)
    cells = [
        f"<td>{picture}",
        f"<td><a href='{place}/'><code>{key}</code></a>",
        f"<td class={row['status']}>{row['status']}",
        f"<td>{why}",
        f"<td>{escape(row['findings'] or '')}",
    ]
    for side in SIDES:
        cells.append(f"<td>{escape(row[f'{side}_status'] or '')} {escape(row[f'{side}_grade'] or '')}")
        cells += [_number(row[f"{side}_{name}"]) for name in SHOWN]
    return "<tr>" + "".join(cells) + _number(row["seconds"])


def _number(value: Any) -> str:
    return "<td data-v=''>" if value is None else f"<td data-v='{value}'>{value:.4g}"
