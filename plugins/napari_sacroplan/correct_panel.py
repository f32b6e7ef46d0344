"""Size, target, margins, and the steps of a correction."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sacroplan.lettering import wrapped
from napari_sacroplan.session import Session
from planner.joint.model import Third

__all__ = ["CorrectPanel"]

MARGINS = {
    "neural_mm": ("canal, foramina", 2.0, 10.0),
    "cortex_mm": ("cortex", 0.5, 10.0),
    "implant_to_margin_mm": ("anterior margin", 0.5, 20.0),
    "sciatic_notch_mm": ("sciatic notch", 0.5, 30.0),
}
"""Margins that can be set here: words, least and most, mm."""

THIRDS = {
    "middle third": Third.MIDDLE,
    "superior third": Third.SUPERIOR,
    "inferior third": Third.INFERIOR,
}
"""Targets, as they are offered."""


class CorrectPanel(QWidget):
    """Changes the session; reads it back after every change."""

    painted = Signal()
    """Plan anew what depends on what was painted."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.size = QComboBox()
        self.size.setObjectName("size")
        for diameter, length in session.case.implant.sizes():
            self.size.addItem(f"{diameter:g} x {length:g} mm", (diameter, length))
        self.third = QComboBox()
        self.third.addItems(list(THIRDS))
        self.margins = {name: self._margin(name) for name in MARGINS}
        self.note = wrapped("", 6)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addLayout(self._form())
        layout.addLayout(self._buttons())
        layout.addWidget(self.note)
        layout.addStretch(1)
        self.size.activated.connect(lambda _: session.resize(*self.size.currentData()))
        self.third.activated.connect(lambda _: session.set_third(THIRDS[self.third.currentText()]))

    def _margin(self, name: str) -> QDoubleSpinBox:
        _, least, most = MARGINS[name]
        box = QDoubleSpinBox()
        box.setObjectName(name)
        box.setRange(least, most)
        box.setSingleStep(0.5)
        box.setDecimals(1)
        box.setSuffix(" mm")
        box.setKeyboardTracking(False)
        box.setValue(getattr(self.session.limits, name))
        box.valueChanged.connect(self._set_margins)
        return box

    def _form(self) -> QFormLayout:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Size", self.size)
        form.addRow("Target", self.third)
        for name, (words, _, _) in MARGINS.items():
            form.addRow(f"Margin: {words}", self.margins[name])
        return form

    def _buttons(self) -> QGridLayout:
        grid = QGridLayout()
        actions = (
            ("Optimise here (O)", self.session.optimise),
            ("Proposal (Home)", self.session.snap_back),
            ("Undo (Ctrl+Z)", self.session.undo),
            ("Redo (Ctrl+Shift+Z)", self.session.redo),
            ("Lock or free (L)", self.session.toggle_lock),
            ("Re-plan painted (P)", self.painted.emit),
        )
        for number, (words, action) in enumerate(actions):
            button = QPushButton(words)
            button.clicked.connect(lambda _=False, action=action: action())
            grid.addWidget(button, number // 2, number % 2)
        return grid

    def _set_margins(self) -> None:
        self.session.set_limits(**{name: box.value() for name, box in self.margins.items()})

    def refresh(self) -> None:
        """Show what the session holds."""
        placement = self.session.placement
        if placement is not None:
            self.size.setCurrentIndex(self.size.findText(f"{placement.diameter_mm:g} x {placement.length_mm:g} mm"))
        self.setEnabled(placement is not None)
        words = "Paint on the layers “bones (labels)” or “canal and foramina (labels)”, then re-plan."
        if self.session.limits != self.session.case.config.trajectory.constraints:
            words = "Margins differ from the plan's own: what they hide still counts as broken in the record. " + words
        self.note.setText(words)
