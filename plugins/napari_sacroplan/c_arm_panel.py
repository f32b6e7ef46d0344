"""The C-arm card: angles and outlines follow the hand, the radiograph down the implant when it lets go."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_sacroplan.c_arm import Radiograph, outline_mm, take_all, views_of
from napari_sacroplan.jobs import Job
from napari_sacroplan.lettering import draw_letters, draw_text, wrapped
from napari_sacroplan.reopen import ReviewedCase
from napari_sacroplan.session import Session
from planner.figures.c_arm import VIEW_WORDS, angle_words
from planner.fluoroscopy import Absorber
from planner.fluoroscopy.angles import Angles
from planner.labels import Side

__all__ = ["CArmPanel"]

LEAST_PX = 130
"""A radiograph is no smaller."""

CAPTION_PX, LETTER_PX = 44, 11
"""Three lines above it."""

SAME_DEG = 0.05
"""Angles that differ by less are the same picture."""

CONVENTION = "Patient prone. Detector to the patient's left or right, to the head or the feet; 0/0 is AP."


class RadiographView(QWidget):
    """One radiograph with the implant's outline as it lies now."""

    def __init__(self, session: Session, name: str) -> None:
        super().__init__()
        self.setObjectName(f"radiograph {name}")
        self.setMinimumSize(LEAST_PX, LEAST_PX + CAPTION_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.session, self.name = session, name
        self.angles: Angles | None = None
        self.taken: Radiograph | None = None

    def paintEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Draw caption, radiograph and outline."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        words = angle_words(self.angles).replace(", ", "\n") if self.angles else "not known"
        painter.setPen(self.palette().windowText().color())
        font = painter.font()
        font.setPixelSize(LETTER_PX)
        painter.setFont(font)
        painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignLeft, f"{VIEW_WORDS[self.name].upper()}\n{words}")
        side = min(self.width(), self.height() - CAPTION_PX)
        place = QRectF(0, CAPTION_PX, side, side)
        painter.fillRect(place, QColor("#202020"))
        if self.taken is None:
            flag = Qt.AlignmentFlag.AlignCenter
            draw_text(painter, place, "…" if self.session.case.has_ct else "no scan", flag)
            return
        pixels = np.ascontiguousarray(self.taken.brightness[::-1])
        rows, columns = pixels.shape
        painter.drawImage(place, QImage(pixels.data, columns, rows, columns, QImage.Format.Format_Grayscale8))
        self._draw_outline(painter, place, self.taken)
        draw_letters(painter, place.adjusted(2, 1, -2, -1), self.taken.letters)

    def _draw_outline(self, painter: QPainter, place: QRectF, taken: Radiograph) -> None:
        placement = self.session.placement
        if placement is None:
            return
        flat = outline_mm(placement, taken.beam) / (2 * taken.beam.half_field_mm) * (1, -1) + 0.5
        corners = QPolygonF([QPointF(place.x() + x * place.width(), place.y() + y * place.height()) for x, y in flat])
        for colour, width in (("#101010", 3.5), ("#FFFFFF", 1.6)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawPolygon(corners)


class CArmPanel(QWidget):
    """All views of a side; radiographs are taken in a thread, and only while somebody looks."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.views = {name: RadiographView(session, name) for name in VIEW_WORDS}
        self._job: Job | None = None
        self._of: tuple[ReviewedCase, Side] | None = None
        self._absorber: Absorber | None = None
        grid = QGridLayout()
        grid.setSpacing(4)
        for number, view in enumerate(self.views.values()):
            grid.addWidget(view, number // 2, number % 2)
        words = wrapped(f"{CONVENTION} The outline is the implant as it lies now.", 3)
        words.setStyleSheet("font-size: 11px")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addWidget(words)
        layout.addLayout(grid, 1)

    def showEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Take what is missing."""
        self.follow()

    def follow(self) -> None:
        """Show the views of the placement that is shown; take radiographs that are missing, once no hand holds it."""
        if not self.isVisible():
            return
        session = self.session
        now = session.case, session.side
        if self._of is None or self._of[0] is not now[0] or self._of[1] is not now[1]:
            self._absorber = self._absorber if self._of and self._of[0] is now[0] else None
            self._of = now
            self.stop()
            for view in self.views.values():
                view.taken = None
        views = views_of(*now, session.placement)
        for name, view in self.views.items():
            view.angles = views[name].angles if name in views else None
            view.update()
        missing = {name: view for name, view in views.items() if not _is_taken(self.views[name].taken, view.angles)}
        if missing and session.case.has_ct and not session.held and self._job is None:
            self._take(missing)

    def _take(self, missing: dict[str, Any]) -> None:
        (case, side), absorber = self._of or (self.session.case, self.session.side), self._absorber
        job = self._job = Job(lambda say: take_all(case, side, missing, absorber, say))
        job.done.connect(lambda outcome: self._taken(outcome) if self._job is job else None)
        job.ended.connect(lambda: self._ended(job))
        job.start()

    def _taken(self, outcome: tuple[Absorber, list[Radiograph]]) -> None:
        self._absorber, taken = outcome
        for radiograph in taken:
            self.views[radiograph.view.name].taken = radiograph

    def _ended(self, job: Job) -> None:
        if self._job is job:
            self._job = None
            self.follow()  # the implant may have been moved since

    def stop(self) -> None:
        """Wait for nothing any more."""
        if self._job is not None:
            self._job.cancel()
            self._job = None


def _is_taken(taken: Radiograph | None, angles: Angles) -> bool:
    return taken is not None and bool(np.abs(np.subtract(taken.view.angles, angles)).max() < SAME_DEG)
