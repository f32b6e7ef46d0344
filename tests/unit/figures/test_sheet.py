"""The sheet of a side: what it shows, at sizes that can be read in print, in colours that are not needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from planner.figures import FigureCase, palette
from planner.figures.c_arm import Room
from planner.figures.oblique import oblique_plane
from planner.figures.outlines import fill_above, outline
from planner.figures.plate import PLATE_MM
from planner.figures.sheet import draw_sheet, true_axial
from planner.fluoroscopy import FluoroscopyConfig, make_card
from planner.labels import Side
from planner.segmentation.bearings import Bearings
from planner.trajectory.model import SidePlan

LEAST_POINTS = 6.5


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that are saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def spy(figure: Figure, *place: object, **options: object) -> None:
        figures.append(figure)
        save(figure, *place, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    return figures


def with_cards(case: FigureCase) -> FigureCase:
    config = FluoroscopyConfig(pixels=64)
    cards = {
        side: make_card(case.bones, Bearings({}, None, None), case.plans[side], case.joints[side], config)
        for side in case.joints
    }
    return replace(case, cards=cards, fluoroscopy=config)


def titles_of(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def texts_of(figure: Figure) -> list:
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    inside = [text for axes in figure.axes for text in (*axes.texts, axes._left_title)]
    return [text for text in (*figure.texts, *legends, *inside) if text.get_text()]


def test_a_planned_side_shows_everything_on_one_sheet(case: FigureCase, drawn: list[Figure], tmp_path: Path) -> None:
    whole = with_cards(case)
    draw_sheet(whole, Side.LEFT, Room.of(whole, Side.LEFT), tmp_path)
    said = " | ".join(titles_of(drawn[0]))
    for part in ("axial (scanner)", "true axial", "along the implant", "down the implant", "3-D", "gap of the joint"):
        assert part in said
    for view in ("AP", "Inlet", "Outlet", "True lateral", "Joint view", "Down the implant"):
        assert view in said


def test_every_word_can_be_read_in_print(case: FigureCase, drawn: list[Figure], tmp_path: Path) -> None:
    whole = with_cards(case)
    draw_sheet(whole, Side.LEFT, Room.of(whole, Side.LEFT), tmp_path)
    (figure,) = drawn
    assert figure.get_figwidth() * 25.4 == pytest.approx(PLATE_MM)  # drawn at the size that it is printed at
    assert min(text.get_size() for text in texts_of(figure)) >= LEAST_POINTS


def test_no_panel_and_no_title_lies_over_another(case: FigureCase, drawn: list[Figure], tmp_path: Path) -> None:
    whole = with_cards(case)
    draw_sheet(whole, Side.RIGHT, Room.of(whole, Side.RIGHT), tmp_path)
    (figure,) = drawn
    parts = [axes.get_window_extent() for axes in figure.axes]
    parts += [axes._left_title.get_window_extent() for axes in figure.axes if axes.get_title(loc="left")]
    parts += [legend.get_window_extent() for legend in figure.legends]
    parts += [text.get_window_extent() for text in figure.texts]
    parts = [box.padded(-1.5) for box in parts]
    clashes = [(a, b) for k, a in enumerate(parts) for b in parts[k + 1 :] if a.overlaps(b) and not _inset(a, b)]
    assert clashes == []
    assert all(box.x1 <= figure.bbox.x1 + 1 and box.x0 >= -1 for box in parts)


def _inset(one, other) -> bool:
    """The bar of colours lies in the map."""
    small, large = sorted([one, other], key=lambda box: box.width * box.height)
    return large.x0 <= small.x0 and small.x1 <= large.x1 and large.y0 <= small.y0 and small.y1 <= large.y1


def test_bones_are_named_where_they_lie(case: FigureCase, drawn: list[Figure], tmp_path: Path) -> None:
    draw_sheet(case, Side.LEFT, None, tmp_path)
    axial = drawn[0].axes[0]
    names = {text.get_text(): text.get_position() for text in axial.texts}
    assert names["hip bone"][0] > 1  # mm to the patient's left of the joint, on the picture's right
    assert names["sacrum"][0] < -1


def test_a_side_without_an_implant_shows_anatomy_alone(
    make_case: Callable[..., FigureCase], drawn: list[Figure], tmp_path: Path
) -> None:
    plans = {Side.LEFT: SidePlan(Side.LEFT, "no-safe-path", "None fits.", (), {})}
    draw_sheet(make_case(plans, sides=()), Side.LEFT, None, tmp_path)
    said = titles_of(drawn[0])
    assert [part.split()[0] for part in said] == ["axial", "true", "coronal", "sagittal", "3-D,", "gap"]
    assert "no implant" in said[4]
    assert any(text.get_text() == "no joint was found" for text in drawn[0].axes[5].texts)


def test_without_colour_bones_keep_outs_and_ring_still_differ(
    case: FigureCase, drawn: list[Figure], tmp_path: Path
) -> None:
    draw_sheet(case, Side.LEFT, None, tmp_path)
    down = drawn[0].axes[3]
    (ring,) = [patch for patch in down.patches if patch.get_linestyle() == "--"]
    assert ring.get_edgecolor()[:3] == to_rgb(palette.IMPLANT)  # as light as the implant, told from it by its dashes
    hatched = [patch for axes in drawn[0].axes[:3] for patch in axes.patches if patch.get_hatch()]
    assert hatched


@pytest.mark.parametrize("side", list(Side))
def test_the_view_in_space_is_from_behind_and_from_the_joints_own_side(case: FigureCase, side: Side) -> None:
    plane = oblique_plane(case, side, 1.3)
    toward = np.cross(plane.right_lps, plane.up_lps)
    assert toward[1] > 0.8
    assert toward[0] * side.lateral_x > 0.3
    assert toward[2] > 0.1
    assert plane.half_mm[0] == pytest.approx(1.3 * plane.half_mm[1])
    assert plane.to_plane(case.focus_lps(side)[None])[0, :2] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_the_true_axial_plane_is_level_without_an_endplate(case: FigureCase) -> None:
    right, up = true_axial(case)
    assert right == pytest.approx([1, 0, 0])
    assert up == pytest.approx([0, -1, 0])


def test_outlines_are_those_of_the_values() -> None:
    at = np.linspace(-10, 10, 81), np.linspace(-8, 8, 65)
    values = 5.0 - np.hypot(at[0][None], at[1][:, None])
    axes = Figure().add_subplot()
    outline(axes, at, values, 0.0)
    fill_above(axes, at, values, 0.0)
    (line,) = axes.collections[0].get_segments()
    assert np.linalg.norm(line, axis=1) == pytest.approx(5.0, abs=0.02)
    assert axes.patches[0].get_path().contains_point((0, 0))
    assert not axes.patches[0].get_path().contains_point((5.2, 0))


def test_nothing_is_filled_where_nothing_is_above() -> None:
    at = np.arange(4.0), np.arange(3.0)
    axes = Figure().add_subplot()
    fill_above(axes, at, np.zeros((3, 4)), 0.5)
    outline(axes, at, np.zeros((3, 4)), 0.5)
    assert not axes.patches
    assert axes.collections[0].get_segments() == []
