"""The C-arm card: a simulated radiograph of every view, with what cannot be seen on it drawn over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Polygon
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from planner.figures import palette
from planner.figures.model import Cylinder, FigureCase
from planner.figures.page import Heading, Page
from planner.figures.palette import status_words
from planner.figures.panel import CASING, SCREEN, Type, letters, scale_bar
from planner.fluoroscopy import Absorber, Beam, CArmCard, CArmView, FluoroscopyConfig, develop, take_radiograph
from planner.fluoroscopy.angles import Angles
from planner.fluoroscopy.views import DOWN
from planner.joint import anterior_margin_lps, dorsal_mouth_lps
from planner.joint.model import Joint, Zone
from planner.labels import Side

__all__ = ["VIEW_WORDS", "Room", "angle_words", "draw_c_arm", "draw_view", "silhouette"]

VIEW_WORDS = {
    "ap": "AP",
    "inlet": "Inlet",
    "outlet": "Outlet",
    "lateral": "True lateral",
    "joint": "Joint view",
    DOWN: "Down the implant",
}
"""Order and names of the views."""

OF_BOTH = ("ap", "inlet", "outlet")
"""Views that are aimed between both joints."""

PANEL_IN = 2.8
"""Small enough that the words can be read when the card is as wide as a page."""

CARD_PIXELS = 340
"""Columns and rows of a radiograph on the card at most: somewhat more than the page shows `[P]`."""

LINE_HALF_MM = 22.0
"""Half the length of a line of the safe zone `[P]`."""

CONVENTION = (
    "Patient prone, detector above the back, 0/0 = AP of the pelvis; orbital: detector to the patient's left or right; "
    "tilt: detector to the head or the feet. Seen from the detector."
)

Vector = NDArray[np.float64]
Picture = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Room:
    """A side of a case on the table, and the C-arm beside it."""

    case: FigureCase
    side: Side
    absorber: Absorber
    config: FluoroscopyConfig
    taken: dict[tuple[Angles, Side | None], Picture] = field(default_factory=dict)

    @classmethod
    def of(cls, case: FigureCase, side: Side) -> Room:
        """Prepare a side of a case."""
        config = case.fluoroscopy.model_copy(update={"pixels": min(case.fluoroscopy.pixels, CARD_PIXELS)})
        return cls(case, side, Absorber.of(case.volume, config.voxel_mm), config)

    @classmethod
    def of_sides(cls, case: FigureCase) -> dict[Side, Room]:
        """Prepare the sides that have a card, and take the radiographs that both show: processes inherit them."""
        if not case.cards:
            return {}
        first = cls.of(case, next(iter(case.cards)))
        rooms = {side: replace(first, side=side) for side in case.cards}  # they share what is taken
        for room in rooms.values():
            for name in OF_BOTH:
                room.picture(room.card.views[name])
        return rooms

    @property
    def card(self) -> CArmCard:
        """Views of the side."""
        return self.case.cards[self.side]

    def picture(self, view: CArmView) -> Picture:
        """Radiograph of a view, taken once."""
        taken = view.angles, None if view.name in OF_BOTH else self.side
        if taken not in self.taken:
            self.taken[taken] = develop(take_radiograph(self.absorber, self.beam(view)))
        return self.taken[taken]

    def beam(self, view: CArmView) -> Beam:
        """Aim at the side's implant or joint, or between both."""
        foci = [self.case.focus_lps(each) for each in Side]
        at = np.mean(foci, axis=0) if view.name in OF_BOTH else self.case.focus_lps(self.side)
        return Beam.aim(view.angles, at, self.case.bones.frame, self.config)

    def sides(self, view: CArmView) -> tuple[Side, ...]:
        """Sides whose overlays are drawn in a view."""
        return tuple(Side) if view.name in OF_BOTH else (self.side,)


def draw_c_arm(room: Room, folder: Path) -> Path:
    """Draw all views of one side."""
    case, side, card = room.case, room.side, room.card
    page = Page(_heading(case, side, card), (PANEL_IN,) * 3, PANEL_IN, rows=2)
    page.legend([], ["implant", "margin", "mouth", "ventral", "dorsal", *(["safe zone"] if card.safe_zone else [])])
    views = [card.views[name] for name in VIEW_WORDS if name in card.views]
    for axes, view in zip(page.axes, views, strict=False):
        draw_view(axes, room, view)
    for axes in page.axes[len(views) :]:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not drawn: no joint\nor no implant", ha="center", color=palette.FAINT)
    return page.save(folder / f"{side}_c_arm.png", "Simulated from CT: no scatter, no noise, nothing outside the scan.")


def draw_view(axes: Axes, room: Room, view: CArmView, size: Type = SCREEN) -> None:
    """Draw one radiograph with its overlays."""
    beam, case = room.beam(view), room.case
    half = beam.half_field_mm
    axes.imshow(room.picture(view), cmap="gray", vmin=0, vmax=1, origin="lower", extent=(-half, half, -half, half))
    implants = case.implants()
    for side in room.sides(view):
        _draw_joint(axes, case.joints.get(side), beam, size)
        _draw_foramina(axes, case, side, beam, size)
        if side in implants:
            _draw_implant(axes, implants[side], beam, size)
        if view.name == "ap":
            _draw_safe_zone(axes, case, side, beam, size)
    words = angle_words(view.angles)
    _dress(axes, beam, f"{VIEW_WORDS[view.name]}\n{words.replace(', ', chr(10)) if size.names else words}", size)


def angle_words(angles: Angles) -> str:
    """Angles as an operator sets them, to whole degrees."""
    orbital, tilt = round(angles.orbital_deg), round(angles.tilt_deg)
    aside = f" to the {'left' if orbital > 0 else 'right'}" if orbital else ""
    along = f" to the {'head' if tilt > 0 else 'feet'}" if tilt else ""
    return f"orbital {abs(orbital)}°{aside}, tilt {abs(tilt)}°{along}"


def silhouette(implant: Cylinder, beam: Beam) -> Vector:
    """Outline of the implant's shadow in a radiograph, (n, 2) mm."""
    flat = beam.project(implant.rims_lps())
    outline: Vector = flat[ConvexHull(flat).vertices]
    return outline


def _heading(case: FigureCase, side: Side, card: CArmCard) -> Heading:
    state = status_words(case.plans.get(side))
    lines = [CONVENTION, *_safe_words(card)]
    return Heading(f"{side.value.upper()} sacroiliac joint: C-arm card", state[0].upper() + state[1:], lines)


def _safe_words(card: CArmCard) -> list[str]:
    zone = card.safe_zone
    if zone is None:
        return []
    words = f"Safe zone (Dall): the implant is contained over {zone.height_mm:.0f} mm from level to level."
    if zone.psis_to_margin_mm is not None:
        words += (
            f" PSIS to anterior joint margin {zone.psis_to_margin_mm:.0f} mm, safe depth {zone.safe_depth_mm:.0f} mm."
        )
    return [words]


def _draw_joint(axes: Axes, joint: Joint | None, beam: Beam, size: Type) -> None:
    if joint is None or not (joint.zone == Zone.ARTICULAR).any():
        return
    for line, style in ((anterior_margin_lps(joint), "-"), (dorsal_mouth_lps(joint), ":")):
        if len(line):
            axes.plot(*beam.project(line).T, ls=style, lw=1.2 * size.line, color=palette.ARTICULAR, alpha=0.9)


def _draw_foramina(axes: Axes, case: FigureCase, side: Side, beam: Beam, size: Type) -> None:
    for foramen in case.keepouts.foramina:
        if foramen.side is side:
            x, y = beam.project(foramen.centre_lps)
            radius = foramen.width_mm / 2 * beam.magnification(foramen.centre_lps)
            style = "-" if foramen.aspect == "ventral" else "--"
            line = {"fill": False, "ls": style, "lw": 1.1 * size.line, "path_effects": CASING}
            axes.add_patch(Circle((x, y), radius, ec=palette.KEEPOUT, **line))
            if foramen.aspect == "ventral" and size is SCREEN:
                axes.text(x, y, foramen.level, size=6.5, color="#FFFFFF", ha="center", va="center", path_effects=CASING)


def _draw_implant(axes: Axes, implant: Cylinder, beam: Beam, size: Type) -> None:
    outline = silhouette(implant, beam)
    axes.add_patch(Polygon(outline, fc="#FFFFFF40", ec="#000000", lw=3.0 * size.line))
    axes.add_patch(Polygon(outline, fill=False, ec=palette.IMPLANT, lw=1.5 * size.line))


def _draw_safe_zone(axes: Axes, case: FigureCase, side: Side, beam: Beam, size: Type) -> None:
    card = case.cards.get(side)
    if card is None or card.safe_zone is None:
        return
    across = LINE_HALF_MM * case.bones.frame.left_lps
    for place in (card.safe_zone.cranial_lps, card.safe_zone.caudal_lps):
        ends = beam.project(np.stack([place - across, place + across]))
        axes.plot(*ends.T, ls="-.", lw=1.4 * size.line, color=palette.SAFE, path_effects=CASING)


def _dress(axes: Axes, beam: Beam, caption: str, size: Type) -> None:
    half = beam.half_field_mm
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)
    axes.set_axis_off()
    letters(axes, beam.right_lps, beam.up_lps, size=size)
    scale_bar(axes, (half, half), size=size)
    axes.set_title(caption, size=size.word, loc="left", pad=3, color=palette.INK, linespacing=1.1)
