"""``summary.html``: one page without a network, sortable by a click on a column's head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pipelines.batch.cohort import Distribution
from pipelines.batch.histogram import histogram
from pipelines.batch.table import SIDES, Row, is_outlier
from pipelines.batch.thumbnail import THUMBNAIL
from planner import NOTICE

__all__ = ["page"]

STYLE = """
:root{color-scheme:light dark;--line:#8884;--bad:#c62828;--warn:#b26a00;--good:#2e7d32}
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1900px;padding:0 1rem}
.notice{border-left:4px solid var(--bad);padding:.3rem .8rem;font-weight:600}
h2{margin-top:2rem} table{border-collapse:collapse} td,th{padding:.35rem .6rem;border-bottom:1px solid var(--line);
text-align:left;vertical-align:top;font-variant-numeric:tabular-nums}
#cases td:nth-child(4){min-width:16rem;max-width:26rem} #cases td:nth-child(5){white-space:nowrap}
#cases th{cursor:pointer;position:sticky;top:0;background:Canvas;min-width:3.2rem}
svg{fill:#5b8db8;display:block} .far{fill:var(--warn)} .side{border-left:2px solid var(--line)}
.columns{display:flex;gap:4rem;flex-wrap:wrap}
th[aria-sort=ascending]::after{content:" \\25B2"} th[aria-sort=descending]::after{content:" \\25BC"}
img{width:180px;display:block;border-radius:4px}
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

REPORT = "report.html"
HEADS = {
    "plan": "plan",
    "gap_median_mm": "gap mm",
    "least_proven_mm": "clear mm",
    "corridor_mm": "corridor mm",
    "diameter_mm": "⌀ mm",
    "length_mm": "length mm",
    "score": "score",
}
"""Short words over the table's columns; `WORDS` explains them where the pointer rests."""
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
MOST_ROWS = 5000
"""Cases that a browser shows and sorts at once [P]: of more, those that need a look come first."""


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
    planned = sum(row["status"] == "planned" for row in rows)
    parts = [
        f"<h1>sacroplan batch</h1><p class=notice>{NOTICE}</p>",
        _tiles(rows, no_ct),
        "<div class=columns>",
        _counts("Failures and refusals by reason", _reasons(rows)),
        _counts("Findings", Counter(f for row in rows for f in (row["findings"] or "").split("; ") if f), planned),
        _counts("Studies without CT, by modality", no_ct),
        "</div><h2>Cohort</h2>" + _cohort(cohort, rows),
        "<h2>Outliers</h2>" + _outliers(rows, folder, cases),
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


def _counts(title: str, counts: Mapping[str, int], of: int = 0) -> str:
    """List counts, most first; as shares too, where they are `of` something."""
    if not counts:
        return ""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shares = [f"<td>{100 * count / of:.0f} %" if of else "" for _, count in ordered]
    body = "".join(
        f"<tr><td>{escape(name)}<td>{count}{share}" for (name, count), share in zip(ordered, shares, strict=True)
    )
    return f"<div><h2>{title}</h2><table>{body}</table></div>"


def _cohort(cohort: Iterable[Distribution], rows: Sequence[Row]) -> str:
    body = "".join(
        f"<tr><td>{WORDS[one.measure]}<td>{histogram(*_values(rows, one.measure))}<td>{one.count}"
        + "".join(f"<td>{v:.4g}" for v in (one.least, one.lower_quartile, one.median, one.upper_quartile, one.most))
        for one in cohort
    )
    heads = "<th>measure<th>distribution<th>sides<th>least<th>quartile<th>median<th>quartile<th>most"
    return f"<table><thead><tr>{heads}</thead><tbody>{body}</tbody></table>" if body else "<p>No figures.</p>"


def _values(rows: Iterable[Row], measure: str) -> tuple[list[float], list[float]]:
    """Give a measure's values of all sides, and the outliers among them."""
    found = [(row[f"{s}_{measure}"], is_outlier(row, s, measure)) for row in rows for s in SIDES]
    known = [(value, far) for value, far in found if value is not None]
    return [value for value, _ in known], [value for value, far in known if far]


def _outliers(rows: Iterable[Row], folder: str, cases: Path) -> str:
    body = "".join(
        f"<tr><td>{_link(row['case'], folder, cases)}<td>{side}<td>{WORDS[name]}"
        f"<td class=outlier>{row[f'{side}_{name}']:.4g}"
        for row in rows
        for side in SIDES
        for name in WORDS
        if is_outlier(row, side, name)
    )
    return f"<table>{body}</table>" if body else "<p>None.</p>"


def _cases(rows: Sequence[Row], folder: str, cases: Path) -> str:
    heads = "".join(f"<th>{name}" for name in ("picture", "case", "status", "why", "findings"))
    for side in SIDES:
        heads += "".join(
            f"<th title='{side} {WORDS.get(name, name)}'{' class=side' if name == 'plan' else ''}>{side} {word}"
            for name, word in HEADS.items()
        )
    shown = sorted(rows, key=lambda row: (row["status"] == "planned" and not row["outliers"], row["case"]))[:MOST_ROWS]
    more = f"<p>{len(shown)} of {len(rows)} cases; all are in summary.csv.</p>" if len(shown) < len(rows) else ""
    body = "".join(_case(row, folder, cases) for row in shown)
    return f"{more}<table id=cases><thead><tr>{heads}<th>seconds</tr></thead><tbody>{body}</tbody></table>"


def _case(row: Row, folder: str, cases: Path) -> str:
    key, place = row["case"], f"{folder}/{row['case']}"
    picture = f"<img loading=lazy alt='' src='{place}/{THUMBNAIL}'>" if (cases / key / THUMBNAIL).is_file() else ""
    why = ": ".join(escape(text) for text in (row["reason"], row["message"]) if text)
    cells = [
        f"<td>{picture}",
        f"<td>{_link(key, folder, cases)}",
        f"<td class={row['status']}>{row['status']}",
        f"<td>{why}",
        f"<td>{'<br>'.join(escape(one) for one in (row['findings'] or '').split('; '))}",
    ]
    for side in SIDES:
        cells.append(f"<td class=side>{escape(row[f'{side}_status'] or '')} {escape(row[f'{side}_grade'] or '')}")
        cells += [_number(row[f"{side}_{name}"], far=is_outlier(row, side, name)) for name in HEADS if name != "plan"]
    return "<tr>" + "".join(cells) + _number(row["seconds"])


def _link(key: str, folder: str, cases: Path) -> str:
    """Lead to a case's report, or to its folder where it has none."""
    page = REPORT if (cases / key / REPORT).is_file() else ""
    return f"<a href='{folder}/{key}/{page}'><code>{key}</code></a>"


def _number(value: Any, *, far: bool = False) -> str:
    return "<td data-v=''>" if value is None else f"<td data-v='{value}'{' class=outlier' if far else ''}>{value:.4g}"
