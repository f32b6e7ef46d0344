"""The review window's dock: six linked views, what speaks for and against, corrections and decisions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_sacroplan.c_arm_panel import CArmPanel
from napari_sacroplan.correct_panel import CorrectPanel
from napari_sacroplan.decide_panel import DecidePanel
from napari_sacroplan.judge_panel import JudgePanel
from napari_sacroplan.keys import KEYS, cheat_sheet
from napari_sacroplan.plane_view import WINDOWS, PlaneView, Window
from napari_sacroplan.planes import STANDARD, Plane, along_joint_plane, down_plane, out_of_joint_plane
from napari_sacroplan.preferences import Preferences
from napari_sacroplan.session import Session
from planner import NOTICE

__all__ = ["ReviewWidget"]

FIELDS_MM = {"axial": 130.0, "coronal": 130.0, "sagittal": 130.0}
"""What the standard views show at first; the views along the implant show 60 mm."""

IMPLANT_FIELD_MM = 60.0

SHEET_PX = 900
"""Width of the sheet of keys."""


class ReviewWidget(QWidget):
    """Shows a session and lets a hand change it."""

    shown = Signal()
    """Something that other views must follow has changed."""

    replan_asked = Signal()
    room_asked = Signal()

    def __init__(self, session: Session, preferences: Preferences | None = None) -> None:
        super().__init__()
        self.session, self.preferences = session, preferences or Preferences()
        session.name = session.name or self.preferences.reviewer
        self.window_hu = Window(*WINDOWS[self.preferences.window])
        self.views = {name: self._view(name, plane_of) for name, plane_of in _planes().items()}
        self.judge, self.correct, self.decide = JudgePanel(), CorrectPanel(session), DecidePanel(session)
        self.c_arm = CArmPanel(session)
        self.tabs = self._tabs()
        self._lay_out()
        self.judge.jumped.connect(session.look_at)
        self.correct.painted.connect(self.replan_asked)
        self._listed: tuple[object, ...] = ()
        session.changed = self.refresh
        for key, (method, _) in KEYS.items():
            shortcut = QShortcut(QKeySequence(key), self, getattr(self, method))
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self.refresh()

    def _view(self, name: str, plane_of: Callable[[Session], Plane | None]) -> PlaneView:
        view = PlaneView(self.session, self.window_hu, plane_of, name)
        view.field_mm = FIELDS_MM.get(name, IMPLANT_FIELD_MM)
        view.windowed.connect(self._redraw)
        return view

    def _tabs(self) -> QTabWidget:
        tabs = QTabWidget()
        tabs.setObjectName("tabs")
        parts = {"Judge": self.judge, "Correct": self.correct, "Decide": self.decide, "C-arm": self.c_arm}
        for words, part in parts.items():
            tabs.addTab(part, words)
        tabs.setMinimumWidth(320)
        return tabs

    def _lay_out(self) -> None:
        pictures = QWidget()
        grid = QGridLayout(pictures)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        for number, view in enumerate(self.views.values()):
            grid.addWidget(view, number // 2, number % 2)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(pictures)
        split.addWidget(self.tabs)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addLayout(self._bar())
        layout.addWidget(split, 1)

    def _bar(self) -> QHBoxLayout:
        bar = QHBoxLayout()
        bar.addStretch(1)
        for words, tip, action in (
            ("Side", "S", self.switch_side),
            ("Candidate", "C", self.next_candidate),
            ("Bone", "B", self.bone_window),
            ("Soft", "T", self.soft_window),
            ("Panels", "F2", self.make_room),
            ("Keys", "F1", self.show_keys),
        ):
            button = QPushButton(words)
            button.setToolTip(f"Key {tip}")
            button.clicked.connect(lambda _=False, action=action: action())
            bar.addWidget(button)
        return bar

    def refresh(self) -> None:
        """Draw what the session holds now."""
        checked = self.session.check()
        self.judge.show_check(self.session, checked)
        listed = (id(self.session.case), self.session.side, self.session.rank)
        if listed != self._listed:
            self._listed = listed
            self.judge.show_side(self.session)
        if not self.session.held:
            self.correct.refresh()
        self.c_arm.follow()
        self._redraw()
        self.shown.emit()

    def take_keys(self) -> None:
        """Take the keyboard's focus."""
        self.views["axial"].setFocus()

    def _redraw(self) -> None:
        for view in self.views.values():
            view.update()

    # what the keys do

    def switch_side(self) -> None:
        """Look at the other side."""
        self.session.switch_side()

    def next_candidate(self) -> None:
        """Look at the next candidate."""
        self.session.next_candidate()

    def to_implant(self) -> None:
        """Bring the crosshair to the implant."""
        self.session.to_implant()
        self.refresh()

    def bone_window(self) -> None:
        """Window for bone."""
        self._set_window("bone")

    def soft_window(self) -> None:
        """Window for soft tissue."""
        self._set_window("soft tissue")

    def _set_window(self, name: str) -> None:
        self.window_hu.centre, self.window_hu.width = WINDOWS[name]
        self._redraw()

    def nudge_left(self) -> None:
        """Move the implant to the patient's right."""
        self._nudge((-1.0, 0.0, 0.0))

    def nudge_right(self) -> None:
        """Move the implant to the patient's left."""
        self._nudge((1.0, 0.0, 0.0))

    def nudge_up(self) -> None:
        """Move the implant to cranial."""
        self._nudge((0.0, 0.0, 1.0))

    def nudge_down(self) -> None:
        """Move the implant to caudal."""
        self._nudge((0.0, 0.0, -1.0))

    def deeper(self) -> None:
        """Push the implant in."""
        if self.session.placement is not None:
            self._nudge(self.session.placement.direction_lps)

    def shallower(self) -> None:
        """Draw the implant back."""
        if self.session.placement is not None:
            self._nudge(-self.session.placement.direction_lps)

    def _nudge(self, direction_lps: tuple[float, float, float] | NDArray[np.float64]) -> None:
        if self.session.placement is not None:
            self.session.place(self.session.placement.moved(self.preferences.nudge_mm * np.asarray(direction_lps)))

    def tip_left(self) -> None:
        """Turn the tip to the patient's right."""
        self._turn((-1.0, 0.0, 0.0))

    def tip_right(self) -> None:
        """Turn the tip to the patient's left."""
        self._turn((1.0, 0.0, 0.0))

    def tip_up(self) -> None:
        """Turn the tip to cranial."""
        self._turn((0.0, 0.0, 1.0))

    def tip_down(self) -> None:
        """Turn the tip to caudal."""
        self._turn((0.0, 0.0, -1.0))

    def _turn(self, direction_lps: tuple[float, float, float]) -> None:
        placement = self.session.placement
        if placement is not None:
            self.session.place(
                placement.with_tip(placement.tip_lps + self.preferences.nudge_mm * np.asarray(direction_lps))
            )

    def optimise(self) -> None:
        """Climb from here."""
        self.session.optimise()

    def snap_back(self) -> None:
        """Return to the proposal."""
        self.session.snap_back()

    def undo(self) -> None:
        """Go a step back."""
        self.session.undo()

    def redo(self) -> None:
        """Go a step forward."""
        self.session.redo()

    def let_go(self) -> None:
        """Take the implant out of the hand that drags it."""
        for view in self.views.values():
            view.let_go()
        self.session.cancel_drag()

    def toggle_lock(self) -> None:
        """Hold or free the implant."""
        self.session.toggle_lock()

    def replan_painted(self) -> None:
        """Plan anew what depends on what was painted."""
        self.replan_asked.emit()

    def make_room(self) -> None:
        """Hide napari's own panels, or show them."""
        self.room_asked.emit()

    def approve(self) -> None:
        """Approve this side."""
        self.to_decide()
        self.decide.decide("approved")

    def reject(self) -> None:
        """Reject this side."""
        self.to_decide()
        self.decide.decide("rejected")

    def override(self) -> None:
        """Override what this side breaks, for the reason that is written."""
        self.to_decide()
        self.decide.decide("overridden")

    def comment(self) -> None:
        """Write the comment down."""
        self.to_decide()
        self.decide.decide("comment")

    def next_witness(self) -> None:
        """Look at where the next clearance is least."""
        self.to_judge()
        self.judge.next_witness()

    def next_finding(self) -> None:
        """Look at the next finding."""
        self.to_judge()
        self.judge.next_finding()

    def to_judge(self) -> None:
        """Show the panel."""
        self.tabs.setCurrentWidget(self.judge)

    def to_correct(self) -> None:
        """Show the panel, ready for the keyboard."""
        self.tabs.setCurrentWidget(self.correct)
        self.correct.size.setFocus()

    def to_decide(self) -> None:
        """Show the panel."""
        self.tabs.setCurrentWidget(self.decide)

    def to_c_arm(self) -> None:
        """Show the panel."""
        self.tabs.setCurrentWidget(self.c_arm)

    def show_keys(self) -> None:
        """Show the cheat sheet."""
        dialog = QDialog(self)
        dialog.setObjectName("keys")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(f"Keys. {NOTICE}")
        label = QLabel(cheat_sheet())
        label.setWordWrap(True)
        label.setMinimumWidth(SHEET_PX)
        QVBoxLayout(dialog).addWidget(label)
        dialog.show()

    def folder(self) -> Path:
        """Give the result folder under review."""
        return self.session.case.folder


def _planes() -> dict[str, Callable[[Session], Plane | None]]:
    """Six views, and where each looks."""
    standard = {name: _standard(plane) for name, plane in STANDARD.items()}
    order = ("axial", "down the implant", "coronal", "across the joint", "sagittal", "along the joint")
    all_views: dict[str, Callable[[Session], Plane | None]] = {
        **standard,
        "down the implant": lambda session: down_plane(session.placement) if session.placement else None,
        "across the joint": lambda session: _beside(session, out_of_joint_plane),
        "along the joint": lambda session: _beside(session, along_joint_plane),
    }
    return {name: all_views[name] for name in order}


def _standard(plane: Plane) -> Callable[[Session], Plane | None]:
    return lambda session: plane.at(session.cursor_lps)


def _beside(session: Session, lay: Callable[..., Plane]) -> Plane | None:
    placement, checker = session.placement, session.checker()
    if placement is None or checker is None:
        return None
    return lay(placement, checker.out_of_joint_lps(placement))
