"""``summary.html``: what a reader sees of a batch, and a browser that sorts and finds."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pipelines.batch import page as batch_page
from pipelines.batch.histogram import BINS, histogram
from pipelines.batch.model import Outcome, Status, Study
from pipelines.batch.record import record_of, write_record
from pipelines.batch.summary import write_summary
from pipelines.batch.thumbnail import THUMBNAIL, write_thumbnail
from planner import NOTICE

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
STUDY = Study("1.2", ("a",), (), 0, {}, "content")
CASES = 12
FAR = 3
"""The case whose gap is far off."""


def plan_of(number):
    side = {
        "status": "planned", "grade": "green", "gap_median_mm": 30.0 if number == FAR else 2 + number / 10,
        "gap_p95_mm": 3.0, "articular_area_mm2": 1500.0, "corridor_mm": 2.0, "neural_proven_mm": 4.0,
        "least_proven_mm": 3.5, "diameter_mm": 8.0, "length_mm": 20.0, "articular_share": 0.9, "score": 0.9,
    }  # fmt: skip
    findings = [("slice-spacing", "note", "both")] + [("metal", "warn", "left")] * (number == 1)
    return {"findings": findings, "sides": {"left": side}, "seconds": 1.0}


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """A batch of a dozen planned cases, one refused and one not reached."""
    out = tmp_path_factory.mktemp("out")
    keys = [f"{number:020x}" for number in range(CASES)]
    for number, key in enumerate(keys):
        folder = out / "cases" / key
        (folder / "figures").mkdir(parents=True)
        write_record(folder, record_of(key, STUDY, Outcome(Status.PLANNED), [], plan_of(number)))
        Image.new("RGB", (90, 60), (number, 0, 0)).save(folder / "figures" / "cover.png")
        write_thumbnail(folder)
    refused = Outcome(Status.REFUSED, "geometry", "Slice <3> is missing.")
    (out / "cases" / ("f" * 20)).mkdir()
    write_record(out / "cases" / ("f" * 20), record_of("f" * 20, STUDY, refused, [], {}))
    write_summary(out, out / "cases", [*keys, "f" * 20, "e" * 20], Counter({"MR": 2}))
    return out


@pytest.fixture(scope="module")
def text(batch):
    return (batch / "summary.html").read_text()


def test_counts_reasons_and_findings_are_told(text):
    assert NOTICE in text
    assert "<b>16</b>studies" in text
    assert "<td>refused: geometry<td>1" in text
    assert "<td>left: not-reached<td>1" in text
    assert "<td>metal<td>1<td>8 %" in text
    assert "<td>MR<td>2" in text


def test_words_from_outside_are_escaped(text):
    assert "Slice &lt;3&gt; is missing." in text
    assert "Slice <3>" not in text


def test_every_planned_case_has_its_picture_and_its_row(text, batch):
    assert text.count("<img ") == CASES
    assert all((batch / source).is_file() for source in re.findall(r"src='([^']+)'", text))
    assert text[text.index("id=cases") :].count("<tr>") == 1 + CASES + 2


def test_the_case_far_off_is_flagged_where_it_stands_and_comes_first(text):
    key = f"{FAR:020x}"
    assert f"<code>{key}</code></a><td>left<td>gap, mm<td class=outlier>30" in text
    body = text[text.index("id=cases") :]
    assert re.findall(r"<code>(\w+)</code>", body)[0] == key
    assert "<td data-v='30.0' class=outlier>30" in body
    assert text.count("class=outlier") == 2


def test_of_very_many_cases_those_that_need_a_look_are_shown(batch, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_page, "MOST_ROWS", 3)
    shutil.copytree(batch / "cases", tmp_path / "cases")
    keys = [folder.name for folder in (tmp_path / "cases").iterdir()]
    write_summary(tmp_path, tmp_path / "cases", [*keys, "e" * 20], {})
    text = (tmp_path / "summary.html").read_text()
    assert f"3 of {CASES + 2} cases; all are in summary.csv." in text
    shown = re.findall(r"<code>(\w+)</code>", text[text.index("id=cases") :])
    assert shown == [f"{FAR:020x}", "e" * 20, "f" * 20]


def test_bars_are_as_high_as_their_counts():
    svg = histogram([0.0] * 4 + [1.0] * 2 + [2.0], [2.0])
    assert re.findall(r"height='([\d.]+)'", svg) == ["36", "18", "9"]
    assert svg.count("class=far") == 1
    assert histogram([5.0], []).count("<rect") == 1
    assert histogram(list(np.arange(BINS * 3.0)), []).count("<rect") == BINS


def test_a_thumbnail_is_the_picture_without_its_paper(tmp_path):
    (tmp_path / "figures").mkdir()
    page = np.full((200, 300, 3), 255, np.uint8)
    page[40:140, 20:280] = (10, 60, 90)
    page[10, 20:40] = 0  # words
    Image.fromarray(page).save(tmp_path / "figures" / "cover.png")
    with Image.open(write_thumbnail(tmp_path)) as small:
        assert small.size == (260, 100)
        assert small.info["Comment"] == NOTICE
        assert np.ptp(np.asarray(small).reshape(-1, 3), axis=0).tolist() == [0, 0, 0]
    assert write_thumbnail(tmp_path / "none") is None
    assert (tmp_path / THUMBNAIL).is_file()


CLICKS = """<script>
const heads=[...document.querySelectorAll('#cases th')];
const column=name=>heads.findIndex(head=>head.textContent===name);
const shown=at=>[...document.querySelectorAll('#cases tbody tr:not([hidden])')].map(row=>row.cells[at].textContent);
const told=[];
for(const name of ['left gap mm','left gap mm','status'])
 {heads[column(name)].click();told.push(shown(column(name)).join(' '));}
const find=document.getElementById('find');
find.value='METAL';find.dispatchEvent(new Event('input'));told.push(String(shown(0).length));
document.body.innerHTML='<pre id=told>'+told.join('|')+'</pre>';
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium to click with")
def test_a_browser_sorts_and_finds(batch, text, tmp_path):
    (tmp_path / "page.html").write_text(text.replace("</body>", CLICKS + "</body>"))
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    up, down, statuses, found = re.search(r"<pre id=\"told\">(.*?)</pre>", done.stdout, re.DOTALL)[1].split("|")
    gaps = [float(word) for word in up.split()]
    assert len(gaps) == CASES
    assert gaps == sorted(gaps)
    assert [float(word) for word in down.split()] == sorted(gaps, reverse=True)
    assert statuses.split() == ["left", *["planned"] * CASES, "refused"]
    assert found == "1"
