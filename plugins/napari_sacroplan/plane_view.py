"""One picture of the patient: a resampled plane with what is cut by it, and a hand on the implant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QLineF, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sacroplan.lettering import draw_letters, draw_text
from napari_sacroplan.meshes import implant_mesh
from napari_sacroplan.placement import Placement
from napari_sacroplan.planes import Plane, cut_mesh, paint, ring_mm, sample_plane
from napari_sacroplan.session import Session
from planner.figures.palette import BONES, KEEPOUT

__all__ = ["WINDOWS", "PlaneView", "Window"]

MOUSE = "Click: crosshair. Drag the implant, Shift: entry, Ctrl: tip. Right-drag: window. Wheel: slices."

HANDLE_PX = 9
"""A handle is taken from this near."""

LEAST_PX = 110
"""A picture is no smaller: two rows of three go onto a screen of 1366 x 768."""

GAP_FULL_MM = 6.0
"""Gap whose colour is the last of the scale, as in the surface layer."""

HU_PER_PX = 4.0
"""Window and level change this much with each pixel of a drag."""

FAR_FIELDS = 1.5
"""What lies farther from the middle than this many fields is in no picture."""

SCALE_BAR_MM = 10.0

GAP_BINS = 4
"""Colours that the joint's line is drawn in."""

GAP_NARROW, GAP_WIDE = np.array([0, 34, 78]), np.array([254, 232, 56])
"""Ends of the scale (cividis), which the colour-blind see alike."""

ZOOM_STEP = 1.2
FIELD_MM = (20.0, 400.0)


@dataclass
class Window:
    """Which HU are black and which white."""

    centre: float = 400.0
    width: float = 1400.0

    @property
    def limits(self) -> tuple[float, float]:
        """Black and white."""
        return self.centre - self.width / 2, self.centre + self.width / 2

    def shift(self, right_px: float, down_px: float) -> None:
        """Drag: to the right widens, upward brightens."""
        self.width = float(np.clip(self.width + HU_PER_PX * right_px, 20.0, 4000.0))
        self.centre = float(np.clip(self.centre + HU_PER_PX * down_px, -1000.0, 3000.0))


WINDOWS = {"bone": (400.0, 1400.0), "soft tissue": (40.0, 400.0)}
"""Presets: centre and width, HU."""


@dataclass
class Drag:
    """What the mouse holds: a part of the implant, the crosshair or the window."""

    part: str
    start: QPointF
    placement: Placement | None = None


@dataclass
class Picture:
    """The resampled plane as it was last drawn, and what it was drawn from."""

    key: tuple[object, ...] = ()
    image: QImage | None = None
    pixels: NDArray[np.uint32] | None = field(default=None, repr=False)


class PlaneView(QWidget):
    """Draws a plane through the patient and lets a hand move crosshair, window and implant."""

    windowed = Signal()
    """The window was changed by dragging."""

    def __init__(self, session: Session, window: Window, plane_of: Callable[[Session], Plane | None], name: str):
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(f"{name} view")
        self.setToolTip(MOUSE)
        self.setMinimumSize(LEAST_PX, LEAST_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.session, self.window_hu, self.plane_of = session, window, plane_of
        self.field_mm = 120.0
        self._drag: Drag | None = None
        self._picture = Picture()

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """Ask for a third of what a review takes."""
        return QSize(200, 200)

    # where things are

    @property
    def mm_per_px(self) -> float:
        """Width of a pixel."""
        return self.field_mm / float(max(1, min(self.width(), self.height())))

    def to_px(self, plane: Plane, points_lps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points to the widget's pixels ``(..., 2)``."""
        middle = np.array([self.width() / 2, self.height() / 2])
        pixels: NDArray[np.float64] = plane.to_mm(points_lps) / self.mm_per_px + middle
        return pixels

    def to_lps(self, plane: Plane, where: QPointF) -> NDArray[np.float64]:
        """Map a pixel to the point in the plane."""
        middle = np.array([self.width() / 2, self.height() / 2])
        return plane.to_lps((np.array([where.x(), where.y()]) - middle) * self.mm_per_px)

    # what is drawn

    def paintEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Draw the picture and what lies over it."""
        painter = QPainter(self)
        plane = self.plane_of(self.session)
        if plane is None:
            painter.fillRect(self.rect(), QColor("#202020"))
            draw_text(painter, QRectF(self.rect()), "no implant", Qt.AlignmentFlag.AlignCenter)
            return
        self._draw_image(painter, plane)
        self._draw_crosshair(painter, plane)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_implant(painter, plane)
        self._draw_words(painter, plane)

    def _draw_image(self, painter: QPainter, plane: Plane) -> None:
        case, shape = self.session.case, (self.height(), self.width())
        key = (
            id(case),
            plane.centre_lps.tobytes(),
            plane.right_lps.tobytes(),
            plane.down_lps.tobytes(),
            shape,
            self.field_mm,
            self.window_hu.limits,
        )
        if self._picture.key != key:
            labels = (case.bones.labels, case.keepouts.mask)
            pixels = np.empty(shape, np.uint32)
            sampled = sample_plane(case.volume, labels, plane, shape, self.mm_per_px)
            paint(*sampled, self.window_hu.limits, _colours(), pixels)
            image = QImage(pixels.data, shape[1], shape[0], 4 * shape[1], QImage.Format.Format_RGB32)
            self._draw_joints(image, plane)
            self._picture = Picture(key, image, pixels)  # the image does not own its pixels
        if self._picture.image is not None:
            painter.drawImage(0, 0, self._picture.image)

    def _draw_joints(self, image: QImage, plane: Plane) -> None:
        """Draw into the picture itself, which stays while the plane does."""
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for joint in self.session.case.joints.values():
            if not len(joint.faces):
                continue
            segments, faces = cut_mesh(joint.vertices_lps, joint.faces, plane)
            bins = (np.clip(joint.gap_mm[joint.faces[faces, 0]] / GAP_FULL_MM, 0, 1) * (GAP_BINS - 0.001)).astype(int)
            for bin_ in np.unique(bins).tolist():
                colour = GAP_NARROW + (GAP_WIDE - GAP_NARROW) * (bin_ / (GAP_BINS - 1))
                painter.setPen(QPen(QColor(*(int(v) for v in colour)), 2.2))
                self._draw_segments(painter, segments[bins == bin_])
        painter.end()

    def _draw_segments(self, painter: QPainter, segments: NDArray[np.float64]) -> None:
        middle = np.array([self.width() / 2, self.height() / 2])
        near = np.abs(segments).max(axis=(1, 2), initial=0.0) <= self.field_mm * FAR_FIELDS
        ends = (segments[near] / self.mm_per_px + middle).reshape(-1, 4).tolist()
        painter.drawLines([QLineF(*four) for four in ends])

    def _draw_crosshair(self, painter: QPainter, plane: Plane) -> None:
        x, y = self.to_px(plane, self.session.cursor_lps).tolist()
        painter.setPen(QPen(QColor(86, 180, 233, 150), 1))
        gap = 6
        painter.drawLine(QPointF(0, y), QPointF(x - gap, y))
        painter.drawLine(QPointF(x + gap, y), QPointF(self.width(), y))
        painter.drawLine(QPointF(x, 0), QPointF(x, y - gap))
        painter.drawLine(QPointF(x, y + gap), QPointF(x, self.height()))

    def _draw_implant(self, painter: QPainter, plane: Plane) -> None:
        placement = self.session.placement
        if placement is None:
            return
        segments, _ = cut_mesh(*implant_mesh(placement), plane)
        for colour, width in (("#101010", 4.0), ("#FFFFFF", 1.8)):
            painter.setPen(QPen(QColor(colour), width))
            self._draw_segments(painter, segments)
        if self.objectName() == "down the implant":
            self._draw_ring(painter, plane, placement)
            return
        entry, tip = self.to_px(plane, np.stack([placement.entry_lps, placement.tip_lps])).tolist()
        painter.setPen(QPen(QColor("#FFFFFF"), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(*entry), QPointF(*tip))
        painter.setPen(QPen(QColor("#101010"), 1))
        painter.setBrush(QColor("#FFFFFF"))
        painter.drawEllipse(QPointF(*entry), 4, 4)
        painter.drawPolygon(QPolygonF([QPointF(tip[0] + a, tip[1] + b) for a, b in ((0, -5), (5, 0), (0, 5), (-5, 0))]))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _draw_ring(self, painter: QPainter, plane: Plane, placement: Placement) -> None:
        """Ring that no canal or foramen may enter."""
        ring = self.to_px(plane, plane.to_lps(ring_mm(placement, plane, self.session.limits.neural_mm)))
        painter.setPen(QPen(QColor("#56B4E9"), 1.5, Qt.PenStyle.DashLine))
        painter.drawPolygon(QPolygonF([QPointF(*point) for point in ring.tolist()]))

    def _draw_words(self, painter: QPainter, plane: Plane) -> None:
        edge, area = 3, QRectF(self.rect()).adjusted(3, 2, -3, -2)
        draw_letters(painter, area, plane.letters)
        draw_text(painter, area, plane.name, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft)
        length = SCALE_BAR_MM / self.mm_per_px
        painter.setPen(QPen(QColor("#FFFFFF"), 2))
        right, bottom = self.width() - 2 * edge, self.height() - 2 * edge
        painter.drawLine(QPointF(right - length, bottom), QPointF(right, bottom))

    # what the hand does

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Take what lies under the mouse."""
        where, plane = event.position(), self.plane_of(self.session)
        if plane is None:
            return
        if event.button() == Qt.MouseButton.RightButton:
            self._drag = Drag("window", where)
            return
        part = self._part_at(plane, where, event.modifiers())
        self._drag = Drag(part, where, self.session.placement)
        if part == "crosshair":
            self.session.look_at(self.to_lps(plane, where))

    def _part_at(self, plane: Plane, where: QPointF, keys: Any) -> str:
        placement = self.session.placement
        if placement is None or self.session.locked:
            return "crosshair"
        entry, tip = self.to_px(plane, np.stack([placement.entry_lps, placement.tip_lps]))
        mouse = np.array([where.x(), where.y()])
        away = {"entry": float(np.linalg.norm(mouse - entry)), "tip": float(np.linalg.norm(mouse - tip))}
        near = min(away, key=away.__getitem__)
        radius = max(placement.reach_mm / self.mm_per_px, HANDLE_PX)
        if _to_segment(mouse, entry, tip) > radius:
            return "crosshair"
        if keys & Qt.KeyboardModifier.ShiftModifier:
            return "entry"
        if keys & Qt.KeyboardModifier.ControlModifier:
            return "tip"
        apart = float(np.linalg.norm(entry - tip))
        return near if away[near] <= HANDLE_PX and apart > 3 * HANDLE_PX else "whole"

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Follow the mouse with what it holds."""
        drag, plane = self._drag, self.plane_of(self.session)
        if drag is None or plane is None:
            return
        where = event.position()
        if drag.part == "window":
            self.window_hu.shift(where.x() - drag.start.x(), where.y() - drag.start.y())
            drag.start = where
            self.windowed.emit()
        elif drag.part == "crosshair":
            self.session.look_at(self.to_lps(plane, where))
        elif drag.placement is not None:
            right, down = (where.x() - drag.start.x()) * self.mm_per_px, (where.y() - drag.start.y()) * self.mm_per_px
            self.session.drag(_moved(drag.part, drag.placement, right * plane.right_lps + down * plane.down_lps))

    def mouseReleaseEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Let go."""
        if self._drag is not None and self._drag.part in ("entry", "tip", "whole"):
            self.session.drop()
        self._drag = None

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._drag = None

    def wheelEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Go through slices; with Ctrl, zoom."""
        notches = event.angleDelta().y() / 120
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.field_mm = float(np.clip(self.field_mm / ZOOM_STEP**notches, *FIELD_MM))
            self.update()
            return
        plane = self.plane_of(self.session)
        if plane is not None:
            step = float(np.abs(plane.normal_lps @ np.diag(self.session.case.volume.grid.spacing_zyx_mm[::-1])).sum())
            self.session.look_at(self.session.cursor_lps + notches * step * plane.normal_lps)


def _moved(part: str, placement: Placement, shift_lps: NDArray[np.float64]) -> Placement:
    if part == "entry":
        return placement.with_entry(placement.entry_lps + shift_lps)
    if part == "tip":
        return placement.with_tip(placement.tip_lps + shift_lps)
    return placement.moved(shift_lps)


def _to_segment(point: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    along = b - a
    square = float(along @ along)
    share = 0.0 if square == 0 else float(np.clip((point - a) @ along / square, 0, 1))
    return float(np.linalg.norm(point - a - share * along))


@cache
def _colours() -> NDArray[np.float64]:
    """Colours of the bones' labels, and last the one of the keep-outs, ``(257, 3)``."""
    table = np.zeros((257, 3))
    for label, hexadecimal in BONES.items():
        table[label] = _rgb(hexadecimal)
    table[-1] = _rgb(KEEPOUT)
    return table


def _rgb(hexadecimal: str) -> tuple[int, int, int]:
    colour = QColor(hexadecimal)
    return colour.red(), colour.green(), colour.blue()
