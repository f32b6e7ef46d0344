"""Approve, reject, override or comment; the record as it stands."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sacroplan.lettering import wrapped
from napari_sacroplan.session import Session
from napari_sacroplan.words import VERDICTS
from planner.decisions import Verdict
from planner.errors import SacroplanError

__all__ = ["DecidePanel"]


class DecidePanel(QWidget):
    """Writes decisions into the result folder."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.name = QLineEdit(session.name)
        self.name.setObjectName("reviewer")
        self.name.setPlaceholderText("Your name, as it shall stand in the record")
        self.text = QPlainTextEdit()
        self.text.setObjectName("reason")
        self.text.setPlaceholderText("Comment, or the reason for an override")
        self.text.setMaximumHeight(70)
        self.said = wrapped("", 3)
        self.said.setObjectName("said")
        self.entries = QListWidget()
        self.entries.setWordWrap(True)
        self.buttons: dict[Verdict, QPushButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        for part in (self.name, self.text):
            layout.addWidget(part)
        layout.addLayout(self._buttons())
        for part in (self.said, QLabel("Record (append-only)"), self.entries):
            layout.addWidget(part)
        self.name.textChanged.connect(self._named)
        self.refresh()

    def _buttons(self) -> QGridLayout:
        grid = QGridLayout()
        verdicts: tuple[tuple[Verdict, str], ...] = (
            ("approved", "Approve (Ctrl+Return)"),
            ("rejected", "Reject (Ctrl+Delete)"),
            ("overridden", "Override with reason"),
            ("comment", "Comment"),
        )
        for number, (verdict, words) in enumerate(verdicts):
            button = QPushButton(words)
            button.setObjectName(verdict)
            button.clicked.connect(lambda _=False, verdict=verdict: self.decide(verdict))
            self.buttons[verdict] = button
            grid.addWidget(button, number // 2, number % 2)
        return grid

    def _named(self, name: str) -> None:
        self.session.name = name

    def decide(self, verdict: Verdict) -> None:
        """Write a decision down, or say in one sentence why not."""
        try:
            entry = self.session.decide(verdict, self.text.toPlainText().strip())
        except SacroplanError as error:
            self.said.setStyleSheet("color: #E69F00")
            self.said.setText(str(error))
            return
        self.said.setStyleSheet("color: #009E73")
        self.said.setText(f"Written: {entry.side} {VERDICTS[entry.verdict]}.")
        self.text.clear()
        self.refresh()

    def refresh(self) -> None:
        """Read the record again."""
        self.entries.clear()
        try:
            record = self.session.record
        except SacroplanError as error:
            self.entries.addItem(str(error))
            return
        for entry in record:
            moved = f", moved {entry.changed['tip_mm']:.1f} mm at the tip" if entry.changed else ""
            broken = f", breaks {', '.join(entry.broken_mm)}" if entry.broken_mm else ""
            text = f" — {entry.text}" if entry.text else ""
            self.entries.addItem(
                f"{entry.when[:16]} {entry.name}: {entry.side} {VERDICTS[entry.verdict]}{moved}{broken}{text}"
            )
        self.entries.scrollToBottom()
