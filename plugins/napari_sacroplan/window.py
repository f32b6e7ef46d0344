"""The review window: a viewer, the dock beside it, and the jobs between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sacroplan.jobs import Job, plan_scan
from napari_sacroplan.keys import KEYS
from napari_sacroplan.preferences import read_preferences
from napari_sacroplan.recheck import Checkers, make_checkers
from napari_sacroplan.reopen import ReviewedCase, reopen
from napari_sacroplan.replan import replan_painted
from napari_sacroplan.review_widget import ReviewWidget
from napari_sacroplan.scene_layers import SceneLayers
from napari_sacroplan.session import Session
from planner import NOTICE

__all__ = ["ReviewWindow"]

NAPARI_KEYS = {
    "Ctrl+": "Control-",
    "Shift+": "Shift-",
    "PgUp": "PageUp",
    "PgDown": "PageDown",
    "Return": "Enter",
    "Esc": "Escape",
}
"""Qt's names of keys, and napari's."""

SETTLED_MS = 100
"""After this Qt has laid the window out anew."""

REVIEW_SHARE = 0.68
"""Of the window's width, once napari's own panels are hidden."""


class ReviewWindow(QWidget):
    """The dock that napari holds: opens a result folder or a scan, and shows its review.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where the layers go.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.review: ReviewWidget | None = None
        self.scene: SceneLayers | None = None
        self.job: Job | None = None
        self._first = True
        self.said = QLabel("Open a result folder, or plan a CT.")
        self.said.setObjectName("status")
        self.said.setWordWrap(True)
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self.stop)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addLayout(self._bar())
        self._layout.addStretch(1)
        self._busy(False)
        napari_viewer.text_overlay.text = NOTICE
        napari_viewer.text_overlay.visible = True
        napari_viewer.title = f"sacroplan review. {NOTICE}"
        self._bind_keys()

    def _bar(self) -> QHBoxLayout:
        bar = QHBoxLayout()
        bar.addWidget(_notice())
        for words, action in (("Open result", self.ask_result), ("Plan CT", self.ask_scan)):
            button = QPushButton(words)
            button.clicked.connect(lambda _=False, action=action: action())
            bar.addWidget(button)
        bar.addWidget(self.said, 1)
        bar.addWidget(self.progress)
        bar.addWidget(self.cancel)
        return bar

    def _bind_keys(self) -> None:
        """Make the keys work while the canvas has the focus, too."""
        for key, (method, _) in KEYS.items():
            name = key
            for ours, theirs in NAPARI_KEYS.items():
                name = name.replace(ours, theirs)
            self.viewer.bind_key(name, self._key(method), overwrite=True)

    def _key(self, method: str) -> Any:
        def pressed(viewer: Any) -> None:
            if self.review is not None:
                getattr(self.review, method)()

        return pressed

    # what is opened

    def ask_result(self) -> None:
        """Ask for a result folder."""
        folder = QFileDialog.getExistingDirectory(self, "Result folder of a plan")
        if folder:
            self.open_result(Path(folder))

    def ask_scan(self) -> None:
        """Ask for a DICOM folder."""
        folder = QFileDialog.getExistingDirectory(self, "DICOM folder of a pelvic CT")
        if folder:
            self.plan(Path(folder))

    def open_any(self, path: Path, ct: Path | None = None) -> None:
        """Open a result folder; anything else is a scan to plan first."""
        folder = path.parent if path.name == "plan.json" else path
        if (folder / "plan.json").is_file():
            self.open_result(folder, ct)
        else:
            self.plan(path)

    def open_result(self, folder: Path, ct: Path | None = None) -> None:
        """Read a result folder in a thread and show it."""

        def work(say: Any) -> Session:
            say("read the result and its scan")
            case = reopen(folder, ct)
            say("prepare both sides")
            return Session(case, checkers=make_checkers(case))

        self._start(work).done.connect(self.show_session)

    def plan(self, source: Path, out: Path | None = None) -> None:
        """Plan a scan in a thread and show the result, which lies beside it."""
        out = out or source.with_name(f"{source.name.split('.')[0]}-plan")
        self._start(plan_scan(source, out)).done.connect(lambda folder: self.open_result(folder, source))

    def _start(self, work: Any) -> Job:
        self.stop()
        job = self.job = Job(work)
        job.stage.connect(lambda name: self.said.setText(f"{name[0].upper()}{name[1:]} …"))
        job.failed.connect(self._failed)
        job.cancelled.connect(lambda: self.said.setText("Cancelled; nothing was written."))
        job.ended.connect(lambda: self._busy(False) if self.job is job else None)
        self._busy(True)
        job.start()
        return job

    def _failed(self, words: str) -> None:
        self.said.setStyleSheet("color: #E69F00")
        self.said.setText(words)

    def stop(self) -> None:
        """Cancel the job, if one runs."""
        if self.job is not None:
            self.job.cancel()
            self.said.setText("Cancelling at the next stage …")

    def _busy(self, busy: bool) -> None:
        if busy:
            self.said.setStyleSheet("")
        else:
            self.job = None
        self.progress.setVisible(busy)
        self.cancel.setVisible(busy)

    def show_session(self, session: Session) -> None:
        """Put a case up for review; an earlier one leaves nothing behind."""
        self.close_case()
        case = session.case
        preferences = read_preferences()
        self.scene = SceneLayers(self.viewer, session, follows_drags=preferences.scene_follows_drags)
        self.review = ReviewWidget(session, preferences)
        self.review.shown.connect(self.scene.follow)
        self.review.replan_asked.connect(self.replan)
        self.review.room_asked.connect(self.make_room)
        self._layout.insertWidget(1, self.review, 1)
        self._layout.setStretch(2, 0)  # the free room is the review's
        if self._first:
            self._first = False
            self.make_room()
            QTimer.singleShot(SETTLED_MS, self._look)  # the canvas has another size now
        self.review.take_keys()
        without = "" if case.has_ct else " The scan is not at hand: bone quality and skin are unknown; open with --ct."
        self.said.setText(f"{case.folder.name} is open.{without}")

    def _look(self) -> None:
        if self.scene is not None:
            self.scene.look_from_behind()

    def make_room(self) -> None:
        """Hide napari's own panels, or show them again; what is free goes to the review."""
        main = self.window()
        if not isinstance(main, QMainWindow):
            return
        docks = [dock for dock in main.findChildren(QDockWidget) if not dock.isAncestorOf(self)]
        own = [dock for dock in docks if main.dockWidgetArea(dock) == Qt.DockWidgetArea.LeftDockWidgetArea]
        shown = any(dock.isVisible() for dock in own)
        for dock in own:
            dock.setVisible(not shown)
        mine = [dock for dock in main.findChildren(QDockWidget) if dock.isAncestorOf(self)]
        main.resizeDocks(mine, [round(REVIEW_SHARE * main.width())], Qt.Orientation.Horizontal)

    def replan(self) -> None:
        """Plan anew what depends on what was painted."""
        if self.review is None or self.scene is None:
            return
        case, (bones, keepouts) = self.review.session.case, self.scene.painted()
        if bones is None and keepouts is None:
            self.said.setText("Nothing was painted.")
            return

        def work(say: Any) -> tuple[ReviewedCase, tuple[str, ...], Checkers]:
            after, painted = replan_painted(case, bones, keepouts, say)
            return after, painted, make_checkers(after)

        self._start(work).done.connect(self._replanned)

    def _replanned(self, outcome: tuple[ReviewedCase, tuple[str, ...], Checkers]) -> None:
        if self.review is None or self.scene is None:
            return
        case, painted, checkers = outcome
        self.review.session.replanned(case, painted, checkers)
        self.scene.build()
        self.said.setText(f"Planned anew after painting {' and '.join(painted)}.")

    def close_case(self) -> None:
        """Take the review and its layers away."""
        if self.scene is not None:
            self.scene.clear()
            self.scene = None
        if self.review is not None:
            self._layout.removeWidget(self.review)
            self._layout.setStretch(1, 1)
            self.review.session.changed = lambda: None
            self.review.c_arm.stop()
            self.review.setParent(None)
            self.review.deleteLater()
            self.review = None


def _notice() -> QLabel:
    """Stands there from the first moment, whatever is open."""
    notice = QLabel(NOTICE)
    notice.setObjectName("notice")
    notice.setStyleSheet("color: #F0E442; font-weight: bold; font-size: 12px; padding: 2px")
    return notice
