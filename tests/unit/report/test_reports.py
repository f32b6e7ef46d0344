"""Both files: whole, the same bytes every time, without identifiers or a network; in a browser, if there is one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportlab.lib.pagesizes import LETTER

from planner import NOTICE
from planner.images import read_labels
from planner.report import ReportCase, ReportConfig, write_reports
from planner.report.contents import CHECKLIST
from planner.report.html import NIIVUE
from planner.report.scene import NEURAL_VALUE, make_scene, mz3_bytes

NIIVUE_SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def written(told: ReportCase, figures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pdf, html = write_reports(told, tmp_path_factory.mktemp("result"), ReportConfig(), figures)
    return pdf, html


@pytest.fixture(scope="module")
def scene(told: ReportCase) -> dict:
    return make_scene(told.document, told.volume, told.bones, told.keepouts, 2.0)


def pages_of(pdf: Path) -> list[str]:
    """Text of each page: what the drawing operators of its stream show."""
    streams = re.findall(rb"/ASCII85Decode /FlateDecode[^>]*>>\s*stream\r?\n(.*?)~>endstream", pdf.read_bytes(), re.S)
    shown = [zlib.decompress(base64.a85decode(stream)) for stream in streams]
    words = [b" ".join(re.findall(rb"\((.*?)(?<!\\)\) Tj", page)) for page in shown if b" Tj" in page]
    return [page.decode("latin-1").replace("\\(", "(").replace("\\)", ")") for page in words]


def test_every_page_bears_the_notice_and_its_number(written: tuple[Path, Path]) -> None:
    pages = pages_of(written[0])
    assert len(pages) == 1 + 2 + 1  # a cover, one a side, an appendix
    for number, page in enumerate(pages, start=1):
        assert page.count(NOTICE) == 2, number
        assert f"page {number}" in page


def test_the_cover_tells_findings_first(written: tuple[Path, Path]) -> None:
    cover = pages_of(written[0])[0]
    assert cover.index("REVIEW ONLY") < cover.index("WARNING") < cover.index("LEFT: PLAN PROPOSED")
    assert "RIGHT: NO SAFE PATH" in cover


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_a_side_keeps_to_its_page_whatever_is_said(
    told: ReportCase, figures: dict[str, bytes], paper: str, tmp_path: Path
) -> None:
    left = told.document.sides["left"]
    (one,) = left.candidates
    others = [one.model_copy(update={"rank": rank, "why": "Longer words. " * 20}) for rank in (1, 2, 3)]
    long = left.model_copy(update={"candidates": others, "status": "unverified", "reason": "Not found: S3. " * 12})
    sides = {"left": long, "right": long}
    document = told.document.model_copy(update={"sides": sides})
    square = figures["left_sheet"]
    pictures = {**figures, "left_sheet": square, "right_sheet": square}
    (pdf,) = write_reports(replace(told, document=document), tmp_path, ReportConfig(html=False, paper=paper), pictures)
    pages = pages_of(pdf)
    for number, side in ((1, "LEFT"), (2, "RIGHT")):
        assert f"{side} sacroiliac joint" in pages[number]
        for part in ("candidate 3", "Clearances of candidate 1", "nearest point, LPS mm", "articular area", "C-arm:"):
            assert part in pages[number]
    assert "Clearances of candidate 3" in " ".join(pages[3:])


def test_findings_without_room_go_to_the_appendix_and_the_cover_says_so(
    told: ReportCase, figures: dict[str, bytes], tmp_path: Path
) -> None:
    many = [
        told.document.findings[0].model_copy(update={"level": level, "message": f"{level} {k}: " + "much to say " * 12})
        for level, count in (("note", 60), ("refuse", 2))
        for k in range(count)
    ]
    case = replace(told, document=told.document.model_copy(update={"findings": many}))
    (pdf,) = write_reports(case, tmp_path, ReportConfig(html=False), figures)
    pages = pages_of(pdf)
    assert "refuse 0" in pages[0]
    assert "refuse 1" in pages[0]
    assert "What software cannot see" in pages[0]
    assert "more, none of them worse, in the appendix" in pages[0]
    whole = " ".join(pages)
    assert all(f"note {k}:" in whole for k in range(60))


def test_words_of_the_report_are_large_enough(written: tuple[Path, Path]) -> None:
    streams = re.findall(
        rb"/ASCII85Decode /FlateDecode[^>]*>>\s*stream\r?\n(.*?)~>endstream", written[0].read_bytes(), re.S
    )
    pages = [zlib.decompress(base64.a85decode(stream)) for stream in streams]
    sizes = {float(size) for page in pages for size in re.findall(rb"/F\d+ ([\d.]+) Tf", page)}
    assert sizes
    assert min(sizes) >= 6.5


def test_the_same_case_gives_the_same_bytes(
    told: ReportCase, figures: dict[str, bytes], written: tuple[Path, Path], tmp_path: Path
) -> None:
    again = write_reports(told, tmp_path, ReportConfig(), figures)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_paper_patient_and_kind_are_asked_for(told: ReportCase, figures: dict[str, bytes], tmp_path: Path) -> None:
    config = ReportConfig(html=False, paper="Letter", patient="Case 7 <b>")
    (pdf,) = write_reports(told, tmp_path, config, figures)
    assert f"{LETTER[0]:g} {LETTER[1]:g}".encode() in pdf.read_bytes().replace(b"  ", b" ")
    assert all("Case 7 <b>" in page for page in pages_of(pdf))
    assert write_reports(told, tmp_path / "none", ReportConfig(html=False, pdf=False), figures) == []


def test_a_report_without_pictures_is_still_a_report(told: ReportCase, tmp_path: Path) -> None:
    pdf, html = write_reports(told, tmp_path, ReportConfig(), {})
    assert "candidate 1" in " ".join(pages_of(pdf))
    assert "src='data:image" not in html.read_text(encoding="utf-8")


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.pictures: list[str] = []
        self.text: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        self.pictures += [dict(attrs)["alt"] or ""] if tag == "img" else []

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def page(written: tuple[Path, Path]) -> Reader:
    reader = Reader()
    reader.feed(written[1].read_text(encoding="utf-8"))
    return reader


def test_the_page_asks_for_nothing_from_outside(page: Reader) -> None:
    assert page.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)


def test_the_page_says_what_the_paper_says(page: Reader) -> None:
    text = " ".join(page.text)
    assert text.count(NOTICE) == 2
    for words in ("REVIEW ONLY", "Metal <near> the joint & more.", "NO SAFE PATH", "4.2 (3.4) mm", *CHECKLIST):
        assert words in text
    assert page.pictures == ["All views, left side", "C-arm card, left side", "Gap of the joint, right side"]


def test_the_viewer_is_niivue_as_published() -> None:
    import planner.report

    script = Path(planner.report.__file__).parent / NIIVUE
    assert hashlib.sha256(script.read_bytes()).hexdigest() == NIIVUE_SHA256
    assert "BSD 2-Clause" in (script.parent / "LICENSE").read_text()


def test_the_viewers_labels_lie_where_the_plans_do(told: ReportCase, scene: dict, tmp_path: Path) -> None:
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(base64.b64decode(scene["labels"]))
    shown = read_labels(path)
    for label in (1, 2, 3):
        index = np.argwhere(shown.values == label)
        assert len(index) > 100
        points = shown.grid.to_lps(index[:: max(1, len(index) // 50)])
        at = np.rint(told.bones.grid.to_index(points)).astype(int)
        np.testing.assert_array_equal(told.bones.values[tuple(at.T)], label)
    assert (shown.values == NEURAL_VALUE).any()


def test_the_viewer_finds_voxels_from_points(scene: dict, tmp_path: Path) -> None:
    """The rows given to the script agree with the header of the labels it paints into."""
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(base64.b64decode(scene["labels"]))
    grid = read_labels(path).grid
    assert scene["size"] == list(reversed(grid.shape_zyx))
    rows = np.array(scene["index_from_ras"])
    for index_zyx in ([0, 0, 0], [3, 5, 9]):
        ras = grid.to_lps(index_zyx) * [-1, -1, 1]
        np.testing.assert_allclose(rows @ [*ras, 1.0], index_zyx[::-1], atol=1e-3)


def test_implants_are_in_ras_and_surfaces_can_be_read_back(told: ReportCase, scene: dict) -> None:
    (implant,) = scene["implants"]
    (candidate,) = told.document.sides["left"].candidates
    np.testing.assert_allclose(
        np.array(implant["ends_ras_mm"]) * [-1, -1, 1], [candidate.implant_entry_lps_mm, candidate.implant_tip_lps_mm]
    )
    assert np.linalg.norm(implant["rim_ras_mm"], axis=1) == pytest.approx(4.0, abs=1e-3)
    packed = gzip.decompress(base64.b64decode(implant["mz3"]))
    magic, parts, faces, vertices, skip = struct.unpack("<HHIII", packed[:16])
    assert (magic, parts, skip) == (0x5A4D, 3, 0)
    corners = np.frombuffer(packed, np.int32, 3 * faces, 16)
    points = np.frombuffer(packed, np.float32, 3 * vertices, 16 + 12 * faces).reshape(-1, 3)
    assert corners.max() == vertices - 1
    middle = np.mean(implant["ends_ras_mm"], axis=0)
    assert np.linalg.norm(points - middle, axis=1).max() == pytest.approx(np.hypot(10.0, 4.0), abs=0.05)
    assert [bone["name"] for bone in scene["bones"]] == ["sacrum", "left hip bone", "right hip bone"]
    assert mz3_bytes.__doc__


def test_the_scene_in_the_page_is_whole(written: tuple[Path, Path]) -> None:
    text = written[1].read_text(encoding="utf-8")
    found = re.search(r"id='scene'>(.*?)</script>", text, re.S)
    assert found
    assert set(json.loads(found[1])) == {"ct", "labels", "size", "index_from_ras", "bones", "implants"}
    assert text.count("</script>") == 3


OPTIONS = (
    "--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=60000",
)  # fmt: skip
"""Without a network, and with WebGL on any machine."""


def browse(page: Path, folder: Path, *options: str) -> str:
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={folder / 'browser'}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=True).stdout


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium to open the page in")


@pytest.mark.slow
@needs_browser
def test_the_viewer_starts_in_a_browser_without_a_network(written: tuple[Path, Path], tmp_path: Path) -> None:
    dom = browse(written[1], tmp_path, "--dump-dom")
    assert 'data-viewer="ready"' in dom, re.findall(r"could not start[^<]*", dom)
    assert dom.count('data-group="implant"') == 1


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(("width", "height"), [(1280, 1400), (500, 1800)])
def test_a_screenshot_shows_the_viewer_drawn(
    written: tuple[Path, Path], width: int, height: int, tmp_path: Path
) -> None:
    """Dark canvases with bright bone in them, on a page of paper white, at a desk and in a narrow window."""
    picture = tmp_path / "page.png"
    browse(written[1], tmp_path, f"--window-size={width},{height}", f"--screenshot={picture}")
    with Image.open(picture) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    assert pixels.shape == (height, width, 3)
    dark = pixels.max(axis=-1) < 40
    rows = np.flatnonzero(dark.mean(axis=1) > 0.3)
    assert len(rows) > 250  # the canvases
    drawn = pixels[rows[0] : rows[-1]]
    grey = (np.ptp(drawn, axis=-1) < 12) & (drawn.max(axis=-1) > 90)
    coloured = np.ptp(drawn, axis=-1) > 60
    assert grey.mean() > 0.01  # CT
    assert coloured.mean() > 0.01  # labels and bones
    assert (pixels[:, -3:] > 200).mean() > 0.9  # nothing runs out of the window on the right
    if width > 1000:
        assert _seen_from_behind(drawn[:, int(0.62 * width) :])


def _seen_from_behind(surfaces: np.ndarray) -> bool:
    """Whether the blue left hip bone lies to the left of the green right one."""
    red, green, blue = np.moveaxis(surfaces, -1, 0)
    left_hip = (blue > green + 8) & (blue > red + 20) & (green > 40)
    right_hip = (green > blue + 8) & (green > red + 20)
    assert left_hip.sum() > 200
    assert right_hip.sum() > 200
    return bool(np.median(np.nonzero(left_hip)[1]) < np.median(np.nonzero(right_hip)[1]))
