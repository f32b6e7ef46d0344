"""Frame times of dragging the implant in the review window, written into docs/review.md.

Needs the extra ``viewer`` and a display: ``xvfb-run -a -s "-screen 0 1366x768x24" python script/measure_review.py``.
Without ``--case`` a phantom of 300 x 512 x 512 voxels is made and planned first, which takes a minute.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sacroplan.plane_view import PlaneView
from napari_sacroplan.review import make_viewer
from napari_sacroplan.review_widget import ReviewWidget
from pipelines.results import write_case
from planner.case import CaseSettings, plan_case
from planner.images import write_volume
from sample_data.phantom import PhantomSpec, make_phantom

PAGE = Path(__file__).resolve().parents[1] / "docs" / "review.md"
BEGIN, END = "<!-- frames: script/measure_review.py -->", "<!-- end of frames -->"
SPACING_ZYX_MM = (0.79, 0.586, 0.75)
FRAMES = 100
WARM = 10
"""Frames before, in which caches are filled."""

Times = list[tuple[float, float]]
"""Seconds by the clock, and seconds of the main thread's own work, of each frame."""


def planned(folder: Path) -> Path:
    """Plan the phantom."""
    write_volume(folder / "ct.nii.gz", make_phantom(PhantomSpec(spacing_zyx_mm=SPACING_ZYX_MM)).volume)
    write_case(plan_case(folder / "ct.nii.gz", CaseSettings()), folder / "plan", figures=False)
    return folder / "plan"


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Run something, and say how long it took."""
    clock, work = time.perf_counter(), time.thread_time()
    action()
    return time.perf_counter() - clock, time.thread_time() - work


def path_of_hand(count: int) -> Iterator[QPoint]:
    """Pixels that a hand goes through."""
    for k in range(count):
        yield QPoint(round(12 * np.sin(k / 4)), round(8 * np.cos(k / 5)))


def drag(review: ReviewWidget, name: str) -> Times:
    """Drag the whole implant in a view by real mouse events; each is a frame, re-checked and drawn."""
    view, events = review.views[name], QApplication.instance().processEvents
    start = QPoint(*np.rint(view.to_px(_plane(view), review.session.placement.centre_lps)).astype(int).tolist())
    button, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mousePress(view, button, keys, start)

    def move(shift: QPoint) -> None:
        QTest.mouseMove(view, start + shift)
        events()

    times = [timed(lambda shift=shift: move(shift)) for shift in path_of_hand(FRAMES + WARM)]
    review.let_go()
    events()
    return times[WARM:]


def _plane(view: PlaneView) -> Any:
    return view.plane_of(view.session)


def checks(review: ReviewWidget) -> Times:
    """Measure placements as a drag does."""
    checker, start = review.session.checker(), review.session.placement
    places = [start.moved((0.2 * p.x(), 0, 0.2 * p.y())) for p in path_of_hand(FRAMES + WARM)]
    return [timed(lambda place=place: checker.check(place)) for place in places][WARM:]


def scenes(dock: Any) -> Times:
    """Let the 3-D scene follow."""

    def follow() -> None:
        dock.scene.follow_now()
        QApplication.instance().processEvents()

    times = []
    start = dock.review.session.placement
    for shift in list(path_of_hand(20)):
        dock.review.session._drag = start.moved((0.2 * shift.x(), 0, 0.2 * shift.y()))
        times.append(timed(follow))
    dock.review.session.cancel_drag()
    return times[2:]


def row(words: str, times: Times) -> str:
    """Write a line of the table."""
    clock, work = (1000 * np.array(values) for values in zip(*times, strict=True))
    return f"| {words} | {np.median(work):.1f} | {np.percentile(work, 95):.1f} | {np.median(clock):.1f} |"


def table(dock: Any) -> str:
    """Measure all, and write the table."""
    review = dock.review
    shape = " x ".join(map(str, review.session.case.volume.grid.shape_zyx))
    dock.scene.follows_drags = False
    lines = [
        f"Scan of {shape} voxels round the pelvis, window of 1366 x 768, {FRAMES} frames: ms of the main thread's own",
        "work, and by the clock of a machine with other work to do.",
        "",
        "| a frame of a drag | work, median | 95th percentile | clock, median |",
        "| --- | --- | --- | --- |",
        row("placement measured again", checks(review)),
        row("all of it, six views and tables drawn, dragged in *down the implant*", drag(review, "down the implant")),
        row("the same, dragged in *axial*", drag(review, "axial")),
        row("3-D scene, by software OpenGL; not in each frame", scenes(dock)),
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and put the table into the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--case", type=Path, help="a result folder whose scan lies beside it")
    case = arguments.parse_args().case
    with tempfile.TemporaryDirectory() as scratch:
        viewer, dock = make_viewer()
        viewer.window.resize(1366, 768)
        dock.open_result(case or planned(Path(scratch)))
        while dock.review is None or dock.job is not None:
            QApplication.instance().processEvents()
        for _ in range(50):
            QApplication.instance().processEvents()
        found = table(dock)
        dock.close_case()
        viewer.close()
    print(found)
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{found}\n{END}", text, flags=re.DOTALL),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
