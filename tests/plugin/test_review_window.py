"""The window under a virtual display, with real mouse events and real rendering.

``SACROPLAN_SCREENSHOTS=FOLDER`` keeps a picture of each state.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import time
import weakref
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_sacroplan.c_arm import outline_mm
from napari_sacroplan.preferences import Preferences
from napari_sacroplan.session import Session
from planner import NOTICE
from planner.decisions import read_record
from planner.labels import Side
from planner.volume import Volume

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of napari and Qt are not ours

CASES = 20
"""Opened one after another to look for leaks."""

WARM_CASES = 5
"""Of those, so many until caches are full."""

SIX_VIEWS = {"axial", "coronal", "sagittal", "down the implant", "across the joint", "along the joint"}


def opened(window, folder):
    _, dock, qtbot = window
    before = dock.review
    dock.open_result(folder)
    qtbot.waitUntil(lambda: dock.review is not before and dock.review is not None, timeout=60_000)
    qtbot.waitUntil(lambda: dock.job is None, timeout=20_000)
    dock.window().activateWindow()  # there is no window manager to do it
    dock.review.take_keys()
    qtbot.waitUntil(dock.review.views["axial"].hasFocus, timeout=5_000)
    return dock.review


def shot(window, name):
    """Keep what the window shows, if it is asked for."""
    viewer, _, qtbot = window
    folder = os.environ.get("SACROPLAN_SCREENSHOTS")
    if folder:
        qtbot.wait(400)
        viewer.window.screenshot(str(Path(folder) / f"review_{name}.png"), canvas_only=False, flash=False)


def drag(qtbot, view, start_lps, shift_mm, modifier=None):
    """Take the implant at a point and move the mouse by some mm of the picture, in steps, as a hand does."""
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtTest import QTest

    modifier = modifier or Qt.KeyboardModifier.NoModifier
    plane = view.plane_of(view.session)
    x, y = view.to_px(plane, start_lps)
    first = QPoint(round(x), round(y))
    QTest.mousePress(view, Qt.MouseButton.LeftButton, modifier, first)
    steps = np.linspace(0, 1, 6)[1:]
    frames = []
    for share in steps:
        right, down = np.array(shift_mm) / view.mm_per_px * share
        start = time.perf_counter()
        QTest.mouseMove(view, QPointF(first.x() + right, first.y() + down).toPoint())
        qtbot.wait(1)
        frames.append(time.perf_counter() - start)
    end = QPoint(round(first.x() + right), round(first.y() + down))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, modifier, end)
    return frames


def test_a_whole_review_by_hand(window, own_folder):
    """Load, inspect, drag, undo, approve, save, reopen."""
    from qtpy.QtCore import Qt

    _, _, qtbot = window
    review = opened(window, own_folder)
    session = review.session
    assert set(review.views) == SIX_VIEWS
    assert "LEFT, candidate 1" in review.judge.state.text()
    assert session.check().grade.upper() in review.judge.state.text()
    shot(window, "open")

    # inspect: a row of the table jumps to its witness point
    row = next(r for r in range(review.judge.table.rowCount()) if "ventral" in review.judge.table.item(r, 0).text())
    review.judge.table.cellClicked.emit(row, 0)
    assert np.allclose(session.cursor_lps, session.check().clearances["ventral_cortex"].at_lps)
    shot(window, "witness")
    review.to_implant()

    # drag the whole implant 4 mm in the picture down the implant
    view, start = review.views["down the implant"], session.placement
    drag(qtbot, view, start.centre_lps, (4.0, 0.0))
    change = session.placement.change_from(start)
    assert change["entry_mm"] == pytest.approx(4.0, abs=2 * view.mm_per_px)
    assert change["axis_deg"] == 0
    assert "edited" in review.judge.state.text()
    shot(window, "dragged")

    # undo brings it back; redo and snap back, too
    qtbot.keyClick(review, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.placement is start

    # approve and reopen
    review.decide.name.setText("A. Tester")
    review.tabs.setCurrentWidget(review.decide)
    qtbot.mouseClick(review.decide.buttons["approved"], Qt.MouseButton.LeftButton)
    assert "Written: left approved" in review.decide.said.text()
    shot(window, "decided")
    assert [e.verdict for e in read_record(own_folder)] == ["approved"]
    again = opened(window, own_folder)
    assert again is not review
    assert "A. Tester: left approved" in again.decide.entries.item(0).text()


def test_ends_are_dragged_and_turn_about_each_other(window, own_folder):
    from qtpy.QtCore import Qt

    _, _, qtbot = window
    review = opened(window, own_folder)
    session, view = review.session, review.views["across the joint"]
    start = session.placement
    drag(qtbot, view, start.tip_lps, (3.0, 0.0))
    assert np.array_equal(session.placement.entry_lps, start.entry_lps)
    assert session.placement.change_from(start)["tip_mm"] == pytest.approx(3.0, abs=0.8)
    session.undo()
    drag(qtbot, view, start.entry_lps, (-3.0, 0.0))
    assert np.array_equal(session.placement.tip_lps, start.tip_lps)
    session.undo()
    drag(qtbot, review.views["axial"], start.centre_lps, (2.0, 0.0), Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(session.placement.entry_lps, start.entry_lps)
    assert session.placement.change_from(start)["tip_mm"] > 1


def test_an_implant_that_is_not_round_is_drawn_as_it_was_planned_and_follows_the_hand(window, boxed):
    _, dock, qtbot = window
    review = opened(window, boxed)
    session, layer = review.session, dock.scene.implant
    corners = np.vstack(
        [session.placement.corners_lps + end for end in (session.placement.entry_lps, session.placement.tip_lps)]
    )
    assert np.allclose(np.sort(layer.data[0][:8, ::-1], axis=0), np.sort(corners, axis=0), atol=1e-3)
    shot(window, "box")
    view = review.views["across the joint"]
    drag(qtbot, view, session.placement.tip_lps, (3.0, 0.0))
    dock.scene.follow_now()
    assert session.edited
    vertices = np.asarray(layer.data[0])[:8, ::-1]
    away = vertices[4:] - session.placement.tip_lps
    assert np.allclose(away @ session.placement.direction_lps, 0, atol=1e-3)
    assert np.allclose(np.linalg.norm(away, axis=1), np.hypot(4, 2), atol=1e-3)
    shot(window, "box_turned")


def test_a_broken_path_is_told_in_words_and_only_overridden(window, own_folder):
    from qtpy.QtCore import Qt

    _, _, qtbot = window
    review = opened(window, own_folder)
    session, view = review.session, review.views["down the implant"]
    towards = view.plane_of(session).to_mm(session.check().clearances["neural"].at_lps)
    drag(qtbot, view, session.placement.centre_lps, towards * 0.9)
    assert session.check().broken
    assert "RED" in review.judge.state.text()
    assert "Breaks:" in review.judge.why.text()
    states = [review.judge.table.item(r, 2).text() for r in range(review.judge.table.rowCount())]
    assert any(state.startswith("BROKEN by") for state in states)
    shot(window, "broken")
    review.decide.name.setText("A. Tester")
    review.approve()
    assert "cannot be approved" in review.decide.said.text()
    review.decide.text.setPlainText("agreed with the patient's surgeon")
    qtbot.mouseClick(review.decide.buttons["overridden"], Qt.MouseButton.LeftButton)
    assert read_record(own_folder)[-1].verdict == "overridden"
    shot(window, "overridden")


def test_clicking_links_the_crosshair_of_all_views(window, own_folder):
    from qtpy.QtCore import QPoint, Qt

    viewer, _, qtbot = window
    review = opened(window, own_folder)
    session, view = review.session, review.views["axial"]
    plane = view.plane_of(session)
    where = QPoint(12, 15)
    expected = view.to_lps(plane, where.toPointF())
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=where)
    assert np.allclose(session.cursor_lps, expected)
    assert np.allclose(review.views["coronal"].plane_of(session).centre_lps, expected)
    viewer.dims.ndisplay = 2
    session.look_at(session.placement.centre_lps)
    qtbot.wait(120)
    assert np.allclose(viewer.dims.point[-3:], session.cursor_lps[::-1], atol=1.5)
    shot(window, "slices")
    viewer.dims.set_point(0, session.cursor_lps[2] + 6)
    qtbot.wait(50)
    assert session.cursor_lps[2] == pytest.approx(viewer.dims.point[-3], abs=1e-6)


def test_window_and_level_by_dragging_and_by_key(window, own_folder):
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    _, _, qtbot = window
    review = opened(window, own_folder)
    view = review.views["coronal"]
    before = review.window_hu.limits
    QTest.mousePress(view, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, QPoint(40, 40))
    QTest.mouseMove(view, QPoint(70, 40))
    QTest.mouseRelease(view, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, QPoint(70, 40))
    assert review.window_hu.limits != before
    qtbot.keyClick(review, Qt.Key.Key_T)
    assert review.window_hu.limits == (-160.0, 240.0)
    shot(window, "soft")
    qtbot.keyClick(review, Qt.Key.Key_B)
    assert review.window_hu.limits == before


def test_keys_do_what_the_sheet_says(window, own_folder):
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QDialog, QLabel

    _, _, qtbot = window
    review = opened(window, own_folder)
    session = review.session
    qtbot.keyClick(review, Qt.Key.Key_S)
    assert session.side is Side.RIGHT
    shot(window, "right")
    start = session.placement
    qtbot.keyClick(review, Qt.Key.Key_PageUp)
    assert np.allclose(session.placement.tip_lps - start.tip_lps, 0.5 * start.direction_lps)
    qtbot.keyClick(review, Qt.Key.Key_Right)
    assert session.placement.tip_lps[0] > start.tip_lps[0]
    qtbot.keyClick(review, Qt.Key.Key_Home)
    assert not session.placement.change_from(start)["tip_mm"]
    qtbot.keyClick(review, Qt.Key.Key_L)
    assert session.locked
    assert "locked" in review.judge.state.text()
    qtbot.keyClick(review, Qt.Key.Key_F1)
    (sheet,) = review.findChildren(QDialog, "keys")
    words = sheet.findChild(QLabel).text()
    assert "Ctrl+Return" in words
    assert "next candidate" in words
    if folder := os.environ.get("SACROPLAN_SCREENSHOTS"):
        sheet.grab().save(str(Path(folder) / "review_keys.png"))
    sheet.close()


def test_the_keyboard_goes_through_panels_witnesses_and_findings(window, own_folder):
    from qtpy.QtCore import Qt

    _, _, qtbot = window
    review = opened(window, own_folder)
    session = review.session
    start = session.cursor_lps
    qtbot.keyClick(review, Qt.Key.Key_W)
    assert np.allclose(session.cursor_lps, session.check().clearances["neural"].at_lps)
    qtbot.keyClick(review, Qt.Key.Key_N)
    assert not np.allclose(session.cursor_lps, start)
    for key, panel in (
        (Qt.Key.Key_F6, review.correct),
        (Qt.Key.Key_F7, review.decide),
        (Qt.Key.Key_F8, review.c_arm),
        (Qt.Key.Key_F5, review.judge),
    ):
        qtbot.keyClick(review, key)
        assert review.tabs.currentWidget() is panel
    review.decide.name.setText("A. Tester")
    review.decide.text.setPlainText("as discussed")
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(review, Qt.Key.Key_K, both)
    assert [e.verdict for e in read_record(own_folder)] == ["comment"]


def test_corrections_follow_the_panel(window, own_folder):
    _, _, _qtbot = window
    review = opened(window, own_folder)
    session, panel = review.session, review.correct
    review.tabs.setCurrentWidget(panel)
    other = next(i for i in range(panel.size.count()) if panel.size.itemData(i) != session.placement.size)
    panel.size.setCurrentIndex(other)
    panel.size.activated.emit(other)
    assert session.placement.size == tuple(panel.size.itemData(other))
    panel.margins["cortex_mm"].setValue(7.5)
    assert session.limits.cortex_mm == 7.5
    assert "still counts as broken" in panel.note.text()
    shot(window, "correct")


def test_painting_a_keepout_plans_its_side_anew(window, own_folder):
    viewer, dock, qtbot = window
    review = opened(window, own_folder)
    session = review.session
    before = session.placement
    dock.replan()
    assert "Nothing was painted" in dock.said.text()
    layer = dock.scene.keepouts
    index = np.rint(layer.world_to_data(before.centre_lps[::-1])).astype(int)
    z, y, x = (slice(k - 3, k + 4) for k in index)
    layer.data[z, y, x] = 1
    layer.refresh()
    layer.visible, viewer.dims.ndisplay = True, 2
    session.look_at(before.centre_lps)
    qtbot.wait(120)
    shot(window, "painted")
    dock.replan()
    qtbot.waitUntil(lambda: dock.job is None, timeout=60_000)
    assert "Planned anew after painting keep-outs" in dock.said.text()
    assert session.repainted == ("keep-outs",)
    if session.placement is not None:
        assert session.placement.change_from(before)["tip_mm"] > 1


def test_a_scan_is_planned_in_a_thread_and_a_cancel_leaves_nothing(window, planned, tmp_path):
    _, dock, qtbot = window
    stages = []
    source = planned.parent / "ct.nii.gz"
    dock.plan(source, tmp_path / "out")
    dock.job.stage.connect(stages.append)
    qtbot.waitUntil(lambda: len(stages) >= 2, timeout=60_000)
    shot(window, "planning")
    assert dock.cancel.isVisible()
    dock.stop()
    qtbot.waitUntil(lambda: dock.job is None, timeout=60_000)
    assert "Cancelled" in dock.said.text()
    assert not (tmp_path / "out").exists()
    assert dock.review is None


def test_a_scan_that_is_refused_is_told_in_one_sentence_with_its_remedy(window, tmp_path):
    _, dock, qtbot = window
    (tmp_path / "empty").mkdir()
    dock.open_any(tmp_path / "empty")
    qtbot.waitUntil(lambda: dock.job is None, timeout=30_000)
    words = dock.said.text()
    assert "empty" in words
    assert "Traceback" not in words
    assert "\n" not in words
    assert dock.review is None


def test_the_notice_is_always_visible(window, own_folder):
    from qtpy.QtWidgets import QLabel

    viewer, dock, _ = window
    assert NOTICE in viewer.title
    assert viewer.text_overlay.visible
    assert viewer.text_overlay.text == NOTICE
    notice = dock.findChild(QLabel, "notice")
    for open_first in (False, True):
        if open_first:
            opened(window, own_folder)
        assert notice.text() == NOTICE
        assert notice.isVisible()
        assert notice.width() >= notice.sizeHint().width()


def test_it_fits_a_small_screen(window, own_folder):
    viewer, _, _ = window
    review = opened(window, own_folder)
    _, _, width, height = viewer.window.geometry()
    assert width <= 1366
    assert height <= 768
    for view in review.views.values():
        assert view.width() >= 150
        assert view.height() >= 150


def test_left_is_left_in_the_scene_seen_from_behind(window, own_folder):
    """Render one dot to the patient's left and one to cranial, and find them in the picture."""
    viewer, dock, qtbot = window
    opened(window, own_folder)
    centre = dock.review.session.case.joints[Side.LEFT].vertices_lps.mean(axis=0) * (0, 1, 1)
    for layer in viewer.layers:
        layer.visible = False
    viewer.axes.visible = False
    places = {"left": (40, 0, 0), "up": (0, 0, 40), "behind": (0, 30, 0), "before": (0, -30, 0)}
    colours = {"left": (255, 0, 0), "up": (0, 255, 0), "behind": (0, 0, 255), "before": (255, 255, 0)}
    for name, place in places.items():
        colour = [v / 255 for v in colours[name]]
        size = 14 if name == "before" else 8
        viewer.add_points([(centre + place)[::-1]], size=size, face_color=[colour], border_width=0)
    qtbot.wait(300)
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    at = {}
    for name, colour in colours.items():
        there = np.abs(picture - colour).sum(axis=-1) < 60
        assert there.any(), name
        at[name] = np.argwhere(there).mean(axis=0)
    assert at["left"][1] < at["behind"][1] - 20  # the patient's left is at the left, seen from behind
    assert at["up"][0] < at["behind"][0] - 20
    assert np.allclose(at["behind"], at["before"], atol=4)  # the one behind hides the middle of the one before


def used_mb():
    """Memory of this process, once what the allocator holds back is given up."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / 1e6


def test_nothing_is_left_of_twenty_cases(window, case):
    from qtpy.QtWidgets import QApplication

    viewer, dock, qtbot = window
    viewer.window.resize(900, 560)
    counts, cases, memory = set(), [], []
    for _ in range(CASES):
        volume = Volume(case.volume.hu.copy(), case.volume.grid)
        session = Session(replace(case, volume=volume))
        cases.append(weakref.ref(session.case))
        dock.show_session(session)
        del volume, session
        qtbot.wait(30)
        counts.add((len(viewer.layers), len(QApplication.allWidgets())))
        memory.append(used_mb())
    assert len({layers for layers, _ in counts}) == 1
    assert max(widgets for _, widgets in counts) - min(widgets for _, widgets in counts) <= 300  # one case's own
    assert sum(ref() is not None for ref in cases) == 1
    grown = (memory[-1] - memory[WARM_CASES]) / (CASES - 1 - WARM_CASES)
    assert grown < case.volume.hu.nbytes / 1e6 / 2, [round(mb) for mb in memory]
    dock.close_case()
    qtbot.wait(100)
    assert len(viewer.layers) == 0
    gc.collect()
    assert not any(ref() is not None for ref in cases)


def test_no_worker_holds_a_case(window, own_folder):
    _, dock, qtbot = window
    first = weakref.ref(opened(window, own_folder).session.case)
    second = weakref.ref(opened(window, own_folder).session.case)
    qtbot.wait(100)
    gc.collect()
    assert first() is None
    assert second() is dock.review.session.case


def test_the_c_arm_card_follows_an_edited_path(window, own_folder):
    _, _, qtbot = window
    review = opened(window, own_folder)
    session, panel = review.session, review.c_arm
    review.tabs.setCurrentWidget(panel)
    qtbot.waitUntil(lambda: all(view.taken is not None for view in panel.views.values()), timeout=60_000)
    before = {name: view.taken for name, view in panel.views.items()}
    down = panel.views["down_the_implant"]
    outline = outline_mm(session.placement, before["ap"].beam)
    drag(qtbot, review.views["across the joint"], session.placement.tip_lps, (4.0, 0.0))
    assert np.abs(outline_mm(session.placement, before["ap"].beam).mean(axis=0) - outline.mean(axis=0)).max() > 0.5
    qtbot.waitUntil(lambda: panel._job is None, timeout=60_000)
    assert np.abs(np.subtract(down.taken.view.angles, before["down_the_implant"].view.angles)).max() > 2
    assert all(panel.views[name].taken is taken for name, taken in before.items() if name != "down_the_implant")
    shadow = outline_mm(session.placement, down.taken.beam)
    assert np.linalg.norm(shadow, axis=1).max() < session.placement.diameter_mm  # end-on: a disc near the middle
    shot(window, "c_arm")


def test_a_finding_jumps_to_its_own_place(window, own_folder):
    place = (31.0, 12.5, -40.25)
    plan = json.loads((own_folder / "plan.json").read_text())
    facts = {"code": "vacuum", "level": "note", "side": "left", "message": "Gas.", "at_lps_mm": place}
    plan["findings"].append(facts)
    (own_folder / "plan.json").write_text(json.dumps(plan))
    review = opened(window, own_folder)
    review.judge.findings.setCurrentRow(review.judge.findings.count() - 1)
    assert np.allclose(review.session.cursor_lps, place)


def test_settings_are_those_of_naparis_preferences(window, own_folder):
    from napari import settings

    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari has no settings of plugins")
    ours = settings.get_plugin_settings("sacroplan").review
    ours.reviewer, ours.window, ours.nudge_mm = "B. Tester", "soft tissue", 1.5
    try:
        review = opened(window, own_folder)
    finally:
        ours.reviewer, ours.window, ours.nudge_mm = "", "bone", 0.5
    assert review.decide.name.text() == "B. Tester"
    assert review.window_hu.limits == (-160.0, 240.0)
    start = review.session.placement
    review.nudge_up()
    assert review.session.placement.tip_lps[2] - start.tip_lps[2] == pytest.approx(1.5)


def test_the_defaults_are_those_of_the_manifest():
    from importlib.resources import files

    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(str(files("napari_sacroplan") / "napari.yaml"))
    properties = manifest.contributions.configurations["review"].properties
    assert {name: each.default for name, each in properties.items()} == asdict(Preferences())
