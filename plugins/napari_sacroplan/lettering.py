"""Words over pictures, drawn once each: they are the same in every frame."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter
from qtpy.QtWidgets import QLabel

__all__ = ["draw_letters", "draw_text", "wrapped"]


def wrapped(text: str, lines: int) -> QLabel:
    """Label of so many lines at least; its height hangs on no width, so that its text moves nothing else."""
    label = QLabel(text)
    label.setWordWrap(True)
    policy = label.sizePolicy()
    policy.setHeightForWidth(False)
    label.setSizePolicy(policy)
    label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    label.setMinimumHeight(lines * label.fontMetrics().lineSpacing())
    return label


def draw_letters(painter: QPainter, area: QRectF, letters: Mapping[str, str]) -> None:
    """Write the patient's letters at the edges of a picture."""
    flag = Qt.AlignmentFlag
    places = {
        "left": flag.AlignLeft | flag.AlignVCenter,
        "right": flag.AlignRight | flag.AlignVCenter,
        "top": flag.AlignTop | flag.AlignHCenter,
        "bottom": flag.AlignBottom | flag.AlignHCenter,
    }
    for side, letter in letters.items():
        draw_text(painter, area, letter, places[side], bold=True)


def draw_text(painter: QPainter, area: QRectF, text: str, align: Any, *, bold: bool = False) -> None:
    """Write over a picture: readable on bone and on air."""
    word = _word(text, bold, painter.device().devicePixelRatioF())
    width, height = word.width() / word.devicePixelRatio(), word.height() / word.devicePixelRatio()
    flag, x, y = Qt.AlignmentFlag, area.left(), area.top()
    if align & flag.AlignRight:
        x = area.right() - width
    elif align & flag.AlignHCenter:
        x = area.center().x() - width / 2
    if align & flag.AlignBottom:
        y = area.bottom() - height
    elif align & flag.AlignVCenter:
        y = area.center().y() - height / 2
    painter.drawImage(QPointF(round(x), round(y)), word)


@lru_cache(maxsize=64)
def _word(text: str, bold: bool, ratio: float) -> QImage:
    """White letters with a dark edge."""
    font = QFont()
    font.setPixelSize(14 if bold else 12)
    font.setBold(bold)
    box = QFontMetrics(font).boundingRect(text)
    size = box.size() + QSize(6, 2)
    word = QImage(size * ratio, QImage.Format.Format_ARGB32_Premultiplied)
    word.setDevicePixelRatio(ratio)
    word.fill(0)
    painter = QPainter(word)
    painter.setFont(font)
    area = QRectF(0, 0, size.width(), size.height())
    for colour, steps in (("#000000", ((-1, 0), (1, 0), (0, -1), (0, 1))), ("#FFFFFF", ((0, 0),))):
        painter.setPen(QColor(colour))
        for right, down in steps:
            painter.drawText(area.translated(right, down), Qt.AlignmentFlag.AlignCenter, text)
    painter.end()
    return word
