"""Radiographs of the placement that is shown, without a window."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sacroplan.c_arm import beam_of, outline_mm, take_all, views_of
from planner.figures.c_arm import VIEW_WORDS
from planner.labels import Side


def test_views_are_the_plans_and_the_one_down_the_implant_turns_with_it(session):
    case, start = session.case, session.placement
    written = case.plan.sides["left"].fluoroscopy.views
    views = views_of(case, Side.LEFT, start)
    assert list(views) == list(VIEW_WORDS)
    for name, view in views.items():
        assert view.angles == pytest.approx((written[name].orbital_deg, written[name].tilt_deg), abs=0.1)
    turned = views_of(case, Side.LEFT, start.with_tip(start.tip_lps + np.array([0, 0, 3.0])))
    off = np.abs(np.subtract(turned["down_the_implant"].angles, views["down_the_implant"].angles))
    assert off[1] == pytest.approx(np.degrees(np.arctan(3.0 / start.length_mm)), abs=1.5)
    assert turned["ap"] == views["ap"]


def test_without_an_implant_there_is_no_view_down_it(session):
    written = set(views_of(session.case, Side.LEFT, None))
    assert written <= set(VIEW_WORDS)


def test_end_on_the_implant_is_a_disc_and_from_the_front_its_length(session):
    views = views_of(session.case, Side.LEFT, session.placement)
    down = outline_mm(session.placement, beam_of(session.case, Side.LEFT, views["down_the_implant"]))
    assert np.linalg.norm(down - down.mean(axis=0), axis=1) == pytest.approx(
        session.placement.diameter_mm / 2, rel=0.03, abs=0.05
    )
    across = outline_mm(session.placement, beam_of(session.case, Side.LEFT, views["lateral"]))
    reach = np.linalg.norm(across[:, None] - across[None], axis=-1).max()
    assert session.placement.diameter_mm < reach < 1.1 * np.hypot(session.placement.length_mm, 12)


def test_radiographs_show_something_and_the_absorber_is_made_once(session):
    views = views_of(session.case, Side.LEFT, session.placement)
    told = []
    absorber, taken = take_all(session.case, Side.LEFT, {"ap": views["ap"]}, None, told.append)
    again, _ = take_all(session.case, Side.LEFT, {"joint": views["joint"]}, absorber, told.append)
    assert again is absorber
    assert told == ["radiograph AP", "radiograph Joint view"]
    (picture,) = taken
    assert picture.brightness.dtype == np.uint8
    assert picture.brightness.std() > 20
    assert picture.letters["top"] == "S"
    assert {picture.letters["left"], picture.letters["right"]} == {"L", "R"}
