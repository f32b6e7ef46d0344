from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from planner.figures import FigureCase
from planner.figures.c_arm import OF_BOTH, Room, angle_words, draw_c_arm, draw_view, silhouette
from planner.figures.sheet import draw_sheet
from planner.fluoroscopy import FluoroscopyConfig, make_card
from planner.fluoroscopy.angles import Angles
from planner.fluoroscopy.views import DOWN
from planner.keepout.model import Foramen, Keepouts
from planner.labels import Side
from planner.segmentation.bearings import Bearings

CONFIG = FluoroscopyConfig(pixels=96)


@pytest.fixture(scope="module")
def carded(case: FigureCase) -> FigureCase:
    bearings = Bearings({}, None, None)
    cards = {side: make_card(case.bones, bearings, case.plans[side], case.joints[side], CONFIG) for side in Side}
    mouth = Foramen(Side.LEFT, "S1", "ventral", np.array([22.0, -25.0, 0.0]), 10.0, 1.0)
    keepouts = Keepouts(case.keepouts.mask, (mouth,), case.keepouts.canal_lps)
    return replace(case, cards=cards, fluoroscopy=CONFIG, keepouts=keepouts)


@pytest.mark.parametrize(
    ("angles", "words"),
    [
        ((0.0, 0.0), "orbital 0°, tilt 0°"),
        ((-28.2, 15.4), "orbital 28° to the right, tilt 15° to the head"),
        ((90.0, -0.4), "orbital 90° to the left, tilt 0°"),
        ((0.3, -20.0), "orbital 0°, tilt 20° to the feet"),
    ],
)
def test_angles_are_told_as_an_operator_sets_them(angles: tuple[float, float], words: str) -> None:
    assert angle_words(Angles(*angles)) == words


@pytest.mark.parametrize("side", list(Side))
def test_an_implant_is_a_disc_down_its_axis_and_a_rod_from_the_side(carded: FigureCase, side: Side) -> None:
    room, implant = Room.of(carded, side), carded.implants()[side]
    down = silhouette(implant, room.beam(carded.cards[side].views[DOWN]))
    assert np.linalg.norm(down - down.mean(axis=0), axis=1) == pytest.approx(implant.radius_mm, rel=0.05)
    lateral = silhouette(implant, room.beam(carded.cards[side].views["lateral"]))
    assert np.ptp(lateral, axis=0) == pytest.approx([20.0, 8.0], rel=0.02)


def test_each_side_gets_its_card_the_same_bytes_every_time(carded: FigureCase, tmp_path: Path) -> None:
    first = [draw_c_arm(Room.of(carded, side), tmp_path) for side in Side]
    assert [path.name for path in first] == ["left_c_arm.png", "right_c_arm.png"]
    before = first[0].read_bytes()
    assert draw_c_arm(Room.of(carded, Side.LEFT), tmp_path).read_bytes() == before


def test_radiographs_that_both_sides_show_are_taken_once(carded: FigureCase) -> None:
    rooms = Room.of_sides(carded)
    assert list(rooms) == list(carded.cards)
    left, right = (rooms[side] for side in Side)
    assert len(left.taken) == len(OF_BOTH)
    for name in OF_BOTH:
        view = left.card.views[name]
        assert right.picture(right.card.views[name]) is left.picture(view)
        assert (left.picture(view) == Room.of(carded, Side.RIGHT).picture(right.card.views[name])).all()
    assert left.picture(left.card.views["joint"]) is not right.picture(right.card.views["joint"])
    assert len(left.taken) == len(OF_BOTH) + 2


def test_a_case_without_cards_takes_no_radiographs(case: FigureCase) -> None:
    assert Room.of_sides(case) == {}


def test_sheet_and_card_show_the_same_radiographs(
    carded: FigureCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, shown = Room.of(carded, Side.LEFT), []
    save = Figure.savefig

    def spy(figure: Figure, path: Path, **options: Any) -> None:
        shown.append([axes.images[0].get_array() for axes in figure.axes if axes.images])
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    draw_sheet(carded, Side.LEFT, room, tmp_path)
    draw_c_arm(room, tmp_path)
    on_sheet, on_card = shown
    assert len(on_card) == len(room.taken) == 6
    for one, other in zip(on_sheet[-6:], on_card, strict=True):
        np.testing.assert_array_equal(one, other)


def test_overlays_lie_on_the_bones_of_the_radiograph(carded: FigureCase) -> None:
    axes = Figure().add_subplot()
    view = carded.cards[Side.LEFT].views["ap"]
    draw_view(axes, Room.of(carded, Side.LEFT), view)
    letters = {text.get_text(): text.get_position() for text in axes.texts if text.get_text() in "LRSI"}
    assert letters["L"][0] < 0.1 < 0.9 < letters["R"][0]
    (mouth,) = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert mouth.get_center()[0] == pytest.approx(-22 * 650 / 625, abs=0.5)  # to the picture's left, nearer to the tube
    assert mouth.get_radius() == pytest.approx(5 * 650 / 625, rel=0.02)
    picture = np.asarray(axes.images[0].get_array())
    middle, edge = picture[40:56, 40:56].mean(), picture[:, -12:].mean()
    assert middle > edge


def test_a_side_without_an_implant_says_that_a_view_is_missing(carded: FigureCase, tmp_path: Path) -> None:
    plans = {side: replace(plan, candidates=()) for side, plan in carded.plans.items()}
    card = make_card(carded.bones, Bearings({}, None, None), plans[Side.LEFT], carded.joints[Side.LEFT], CONFIG)
    assert DOWN not in card.views
    bare = replace(carded, plans=plans, cards={Side.LEFT: card})
    written = draw_c_arm(Room.of(bare, Side.LEFT), tmp_path)
    assert written.read_bytes()[:4] == b"\x89PNG"
