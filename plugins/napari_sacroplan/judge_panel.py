"""What speaks for and against a placement: state, constraints, clearances, findings, and why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sacroplan.lettering import wrapped
from napari_sacroplan.recheck import Checked
from napari_sacroplan.session import Session
from napari_sacroplan.words import CLEARANCES, CONSTRAINTS, GRADE_LETTERS, LEVEL_COLOURS, STATUS
from planner.labels import Side
from planner.plan import FindingDocument
from planner.trajectory.model import Clearance

__all__ = ["JudgePanel", "headline"]

ROW_PX = 19
CONSTRAINT_OF = {
    "neural": "neural-clearance",
    "access_neural": "cannula-clearance",
    "ventral_cortex": "ventral-cortex",
    "outer_iliac_cortex": "outer-iliac-cortex",
    "sciatic_notch": "sciatic-notch",
    "anterior_margin": "anterior-margin",
}
"""The constraint that a clearance is held against."""

OF_THE_PATH = ("breach-probability",)
"""Findings about the first candidate: looked at where it has the least room."""

BREACHED, KEPT, UNJUDGED = GRADE_LETTERS["red"], GRADE_LETTERS["green"], "#C0C0C0"

WHY_LINES = 6
"""Kept free below the table, so that nothing moves while the implant does."""


class JudgePanel(QWidget):
    """Tables that follow the implant; a row jumps to its witness point."""

    jumped = Signal(object)
    """An LPS point to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.state = _label(15, 1)
        self.why = _label(11, WHY_LINES)
        self.table = _table()
        self.findings = QListWidget()
        self.findings.setObjectName("findings")
        self.findings.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        parts = (self.state, self.table, self.why, QLabel("Findings"), self.findings)
        for part, share in zip(parts, (0, 5, 0, 0, 2), strict=True):
            layout.addWidget(part, share)
        self._colour = ""
        self._points: list[NDArray[np.float64] | None] = []
        self._finding_points: list[NDArray[np.float64] | None] = []
        self.table.cellClicked.connect(lambda row, column: self._jump(self._points, row))
        self.findings.currentRowChanged.connect(lambda row: self._jump(self._finding_points, row))

    def _jump(self, points: list[NDArray[np.float64] | None], row: int) -> None:
        if 0 <= row < len(points) and points[row] is not None:
            self.jumped.emit(points[row])

    def next_witness(self) -> None:
        """Go to the next row, after the last to the first."""
        row = (self.table.currentRow() + 1) % max(1, self.table.rowCount())
        self.table.setCurrentCell(row, 0)
        self._jump(self._points, row)

    def next_finding(self) -> None:
        """Go to the next finding, after the last to the first."""
        row = (self.findings.currentRow() + 1) % max(1, self.findings.count())
        self.findings.setCurrentRow(row)
        self._jump(self._finding_points, row)

    def show_side(self, session: Session) -> None:
        """List the findings of the side looked at; called when side or candidate change."""
        self.findings.blockSignals(True)
        self.findings.clear()
        self._finding_points = []
        for finding in session.case.plan.findings:
            if finding.side not in ("both", session.side.value):
                continue
            item = QListWidgetItem(f"{finding.level.upper()}: {finding.message}")
            item.setForeground(QBrush(QColor(LEVEL_COLOURS[finding.level])))
            self.findings.addItem(item)
            self._finding_points.append(_place_of(session, finding))
        if not self._finding_points:
            self.findings.addItem("none for this side")
        self.findings.blockSignals(False)

    def show_check(self, session: Session, checked: Checked | None) -> None:
        """Follow the implant."""
        colour = GRADE_LETTERS.get(checked.grade, "#FFFFFF") if checked else "#FFFFFF"
        self.state.setText(headline(session, checked))
        if colour != self._colour:  # Qt lays out anew after every style sheet
            self._colour = colour
            self.state.setStyleSheet(f"color: {colour}; font-weight: bold; font-size: 15px")
        self.why.setText(_reason(session, checked))
        rows = _rows(session, checked) if checked else []
        if self.table.rowCount() != len(rows):
            self.table.setRowCount(len(rows))
        self._points = [point for *_, point in rows]
        for row, (name, number, state, broken, _) in enumerate(rows):
            shade = QColor(BREACHED if broken else KEPT if state else UNJUDGED)
            for column, text in enumerate((name, number, state)):
                item = self.table.item(row, column)
                if item is None:
                    item = QTableWidgetItem()
                    self.table.setItem(row, column, item)
                if item.text() != text:
                    item.setText(text)
                    item.setToolTip(text)
                if column and item.foreground().color() != shade:
                    item.setForeground(QBrush(shade))


def headline(session: Session, checked: Checked | None) -> str:
    """Side, candidate, state and grade in words."""
    side = session.side.value.upper()
    if checked is None or session.candidate is None:
        return f"{side}: {STATUS[session.document.status]}"
    count = len(session.document.candidates)
    edited = ", edited" if session.edited else ""
    locked = ", locked" if session.locked else ""
    return f"{side}, candidate {session.rank} of {count}{edited}{locked}: {checked.grade.upper()}"


def _reason(session: Session, checked: Checked | None) -> str:
    placement, candidate = session.placement, session.candidate
    if checked is None or placement is None or candidate is None:
        return session.document.reason
    told = [f"Not verified: {session.document.reason}"] if session.document.status == "unverified" else []
    told.append(
        f"{candidate.implant.id} {placement.diameter_mm:g} x {placement.length_mm:g} mm, {checked.third} third, "
        f"{100 * checked.articular_share:.0f} % articular, score {checked.score:.2f}; "
        f"{checked.axial_deg:.0f}° axial, {checked.tilt_deg:+.0f}° cranial."
    )
    if checked.broken:
        told.append("Breaks: " + ", ".join(CONSTRAINTS.get(name, name) for name in checked.broken) + ".")
    elif session.edited:
        told.append(f"What binds: {CONSTRAINTS.get(checked.binding, checked.binding)}.")
    else:
        told.append(candidate.why)
    return " ".join(told)


def _rows(session: Session, checked: Checked) -> list[tuple[str, str, str, bool, NDArray[np.float64] | None]]:
    rows = [
        _clearance_row(words, checked.clearances[name], checked.slack.get(CONSTRAINT_OF.get(name, "")))
        for name, words in CLEARANCES.items()
        if name in checked.clearances
    ]
    centre = session.placement.centre_lps if session.placement else None
    for name, left in checked.slack.items():
        if name not in CONSTRAINT_OF.values():
            rows.append((CONSTRAINTS.get(name, name), f"{left:+.1f} left", _state(left), left < 0, centre))
    return rows


def _clearance_row(
    words: str, clearance: Clearance, left: float | None
) -> tuple[str, str, str, bool, NDArray[np.float64] | None]:
    broken = left is not None and left < 0
    return words, f"{clearance.mm:.1f} mm", "" if left is None else _state(left), broken, clearance.at_lps


def _state(left: float) -> str:
    return f"BROKEN by {-left:.1f}" if left < 0 else "kept"


def _place_of(session: Session, finding: FindingDocument) -> NDArray[np.float64] | None:
    """Where a finding is looked at: its own place, the foramen it names, what binds, or else the joint."""
    if finding.at_lps_mm is not None:
        return np.array(finding.at_lps_mm)
    side = session.side if finding.side == "both" else Side(finding.side)
    for foramen in session.document.foramina:
        if f"{foramen.level} {foramen.aspect}" in finding.message and side is session.side:
            return np.array(foramen.centre_lps_mm)
    if finding.code in OF_THE_PATH and session.document.candidates:
        nearest = min(session.document.candidates[0].clearance.values(), key=lambda clearance: clearance.mm)
        return np.array(nearest.at_lps_mm)
    joint = session.case.joints.get(side)
    return joint.vertices_lps.mean(axis=0) if joint is not None and len(joint.vertices_lps) else None


def _label(size_px: int, lines: int) -> QLabel:
    label = wrapped("", lines)
    label.setStyleSheet(f"font-size: {size_px}px")
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setObjectName("clearances")
    table.setHorizontalHeaderLabels(["clearance, constraint", "measured", "state"])
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(ROW_PX)
    table.verticalHeader().setMinimumSectionSize(ROW_PX)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    header = table.horizontalHeader()
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column, width in ((1, 62), (2, 106)):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        table.setColumnWidth(column, width)
    table.setStyleSheet("font-size: 11px")
    return table
