"""The bench resumes, measures children alone, and its page says what was missed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest

from planner import NOTICE

SCRIPTS = Path(__file__).resolve().parents[3] / "script"
MACHINE = {"cores": 2, "load": 0.25, "processor": "A processor", "python": "3.11.7", "date": "2026-01-01"}
GOALS = {"100x512x512": [None, None], "300x512x512": [12.0, 1500.0]}


@pytest.fixture(scope="module")
def scripts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import bench
        import performance_page

        yield bench, performance_page
    for name in ("bench", "performance_page"):
        sys.modules.pop(name)


@pytest.fixture
def bench(scripts):
    return scripts[0]


@pytest.fixture
def page(scripts):
    return scripts[1]


def scan(seconds, peak_mb, code="now"):
    stages = [{"name": "read", "seconds": 1.0, "peak_rss_mb": 300.0},
              {"name": "segment bones", "seconds": seconds - 1.0, "peak_rss_mb": peak_mb}]  # fmt: skip
    return {
        "code": code, "machine": MACHINE, "load_before": 0.5, "seconds": seconds + 2, "cpu_s": seconds + 3,
        "stages": stages, "peak_mb": peak_mb, "read_mb": 158.0, "status": {"left": "planned", "right": "no-safe-path"},
    }  # fmt: skip


RESULTS = {
    "kernels": {
        "code": "now",
        "machine": MACHINE,
        "kernels": {"job": {"sacroplan": 0.002, "scipy": 0.001, "edt": 0.006}},
    },
    "scan-300x512x512": scan(13.0, 1200.0),
    "scan-100x512x512": scan(5.0, 700.0),
}


def test_what_was_measured_on_this_code_is_not_measured_again(bench, tmp_path):
    path, times = tmp_path / "a.json", []

    def measure():
        times.append(1)
        return {"value": len(times)}

    for code in ("one", "one", "two", "two"):
        bench.keep(path, code, measure)
    assert len(times) == 2
    kept = json.loads(path.read_text())
    assert (kept["code"], kept["value"], kept["machine"]["cores"]) == ("two", 2, os.cpu_count())


def test_a_failed_measurement_leaves_nothing(bench, tmp_path):
    def fail():
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        bench.keep(tmp_path / "a.json", "one", fail)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_follows_the_code(bench, tmp_path):
    (tmp_path / "planner").mkdir()
    (tmp_path / "planner" / "a.py").write_text("x = 1\n")
    before = bench.digest(tmp_path)
    (tmp_path / "planner" / "notes.md").write_text("words\n")
    assert bench.digest(tmp_path) == before
    (tmp_path / "planner" / "a.py").write_text("x = 2\n")
    assert bench.digest(tmp_path) != before


def test_a_childs_memory_is_measured_apart_from_that_of_others():
    code = """
import json, sys
import bench
grow = "b = bytearray(400_000_000); b[::4096] = b[::4096]"
print(json.dumps([bench.run([sys.executable, "-c", what])._asdict() for what in ("pass", grow, "pass")]))
"""
    done = subprocess.run(  # from a process as small as the script's own: this one may have grown above the child
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPTS, check=True, timeout=60
    )
    before, large, after = json.loads(done.stdout)
    assert large["peak_mb"] > 380
    assert max(before["peak_mb"], after["peak_mb"]) < 100
    assert 0 < before["cpu_s"] <= before["seconds"] * (os.cpu_count() or 1)


def test_a_failed_child_ends_the_run(bench, capfd):
    with pytest.raises(SystemExit, match="ended with 3"):
        bench.run([sys.executable, "-c", "raise SystemExit(3)"])


def test_goals_of_the_page_are_for_sizes_that_are_timed(bench):
    names = [size.name for size in (*bench.SIZES, bench.LARGE)]
    assert names == ["100x512x512", "300x512x512", "1000x512x512", "2000x1024x1024"]
    assert (bench.LARGE.goal_s, bench.LARGE.goal_mb) == (90.0, 4000.0)


def test_scans_are_listed_by_size_and_held_against_their_goals(page):
    small, middle = page.scan_rows(RESULTS, GOALS)
    assert small[0] == "100 x 512 x 512"
    assert (small[3], small[7]) == ("-", "-")
    assert middle[2:4] == ["13.0", "<= 12 s: missed"]
    assert middle[6:9] == ["1200", "<= 1500 MB: met", "left planned, right no-safe-path"]
    assert middle[-2:] == ["2", "0.50"]


def test_a_faster_library_is_named(page):
    (row,) = page.kernel_rows(RESULTS["kernels"]["kernels"])
    assert row == ["job", "2.0", "scipy 0.50, edt 3.00", "scipy"]


def test_a_library_as_fast_as_we_are_is_not(page):
    (row,) = page.kernel_rows({"job": {"sacroplan": 1.0, "scipy": 0.97}})
    assert row[-1] == "none"


def test_the_page_tells_all_and_what_is_out_of_date(page):
    text = page.page({**RESULTS, "scan-100x512x512": scan(5.0, 700.0, code="before")}, GOALS, "now")
    assert NOTICE in text
    assert "A processor, 2 cores" in text
    assert "**Measured on earlier code**: scan-100x512x512." in text
    assert "| segment bones | 4.00 | 700 | 12.00 | 1200 |" in text
    assert "earlier code" not in page.page(RESULTS, GOALS, "now")


def test_the_plot_is_drawn(page, tmp_path):
    page.plot(RESULTS, GOALS, tmp_path / "images" / "scaling.png")
    picture = matplotlib.image.imread(tmp_path / "images" / "scaling.png")
    assert picture.shape[1] > 900
    assert picture.std() > 0.05


def test_equal_results_give_equal_bytes(page, tmp_path):
    for name in ("a.png", "b.png"):
        page.plot(RESULTS, GOALS, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
