"""A placement keeps its size through every move, and says how far it went."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sacroplan.placement import Placement

HERE = Placement(np.array([10.0, 60.0, 5.0]), np.array([14.0, 43.0, 7.0]), 8.0)

shifts = st.tuples(*[st.floats(-20, 20)] * 3).filter(lambda v: max(map(abs, v)) > 0.1)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shifts)
def test_a_shift_moves_both_ends_alike(shift):
    moved = HERE.moved(shift)
    assert np.allclose(moved.entry_lps - HERE.entry_lps, shift)
    assert np.allclose(moved.tip_lps - HERE.tip_lps, shift)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shifts)
def test_turning_an_end_leaves_the_other_and_the_length(shift):
    about_tip, about_entry = HERE.with_entry(HERE.entry_lps + shift), HERE.with_tip(HERE.tip_lps + shift)
    assert np.array_equal(about_tip.tip_lps, HERE.tip_lps)
    assert np.array_equal(about_entry.entry_lps, HERE.entry_lps)
    for turned in (about_tip, about_entry):
        assert np.linalg.norm(turned.tip_lps - turned.entry_lps) == pytest.approx(HERE.length_mm, abs=0.006)
    towards = HERE.entry_lps + shift - HERE.tip_lps
    assert np.allclose(np.cross(about_tip.direction_lps, towards), 0, atol=1e-9)


def test_an_end_cannot_be_turned_onto_the_other():
    assert HERE.with_entry(HERE.tip_lps) is HERE
    assert HERE.with_tip(HERE.entry_lps) is HERE


def test_another_size_lies_about_the_same_centre():
    other = HERE.with_size(10.0, 25.0)
    assert other.size == (10.0, 25.0)
    assert np.allclose(other.centre_lps, HERE.centre_lps)
    assert np.allclose(other.direction_lps, HERE.direction_lps)


def test_change_is_told_in_millimetres_and_degrees():
    turned = HERE.with_tip(HERE.tip_lps + np.array([3.0, 0.0, 0.0]))
    change = turned.change_from(HERE)
    expected = np.degrees(np.arccos(turned.direction_lps @ HERE.direction_lps))
    assert change["entry_mm"] == 0
    assert change["axis_deg"] == pytest.approx(expected, abs=1e-3)
    assert change["tip_mm"] == pytest.approx(2 * HERE.length_mm * np.sin(np.radians(expected) / 2), abs=0.01)
    assert HERE.change_from(HERE) == dict.fromkeys(change, 0.0)


def test_ends_cannot_be_changed_in_place_or_be_nowhere():
    with pytest.raises(ValueError, match="read-only"):
        HERE.entry_lps[0] = 0
    with pytest.raises(ValueError, match="entry_lps must be three finite numbers"):
        Placement(np.array([np.nan, 0, 0]), np.zeros(3), 8.0)
    with pytest.raises(ValueError, match="length and a diameter"):
        Placement(np.zeros(3), np.zeros(3), 8.0)


def test_a_pose_of_the_search_and_back():
    pose = np.concatenate([HERE.centre_lps, HERE.direction_lps])
    assert np.allclose(HERE.at(pose).entry_lps, HERE.entry_lps, atol=0.01)


def flat_box(direction):
    """A box of 12 x 4 mm, its width to cranial as far as its axis leaves that."""
    along = np.array([0.0, 0.0, 1.0]) - direction[2] * direction
    along /= np.linalg.norm(along)
    return np.array([[6.0, 2], [-6, 2], [-6, -2], [6, -2]]), np.stack([along, np.cross(along, direction)])


BOX = Placement(HERE.entry_lps, HERE.tip_lps, 12.0, *flat_box(HERE.direction_lps))


def test_a_round_implant_has_no_corners():
    assert HERE.corners_lps is None
    assert HERE.reach_mm == 4


@settings(max_examples=20, deadline=None, derandomize=True)
@given(shifts)
def test_a_section_goes_with_every_move_and_stays_square_to_the_axis(shift):
    for moved in (BOX.moved(shift), BOX.with_entry(BOX.entry_lps + shift), BOX.with_tip(BOX.tip_lps + shift)):
        frame = np.vstack([moved.across_lps, moved.direction_lps])
        assert np.allclose(frame @ frame.T, np.eye(3), atol=1e-9)
        assert np.sign(np.linalg.det(frame)) == np.sign(np.linalg.det(np.vstack([BOX.across_lps, BOX.direction_lps])))
        assert np.allclose(np.linalg.norm(moved.corners_lps, axis=1), BOX.reach_mm)
    assert np.allclose(BOX.moved(shift).corners_lps, BOX.corners_lps)


def test_a_section_is_not_mirrored_by_a_wide_turn():
    shift = np.array([0.0, 19.0, 0.0])
    hands = [
        np.linalg.det(np.vstack([one.across_lps, one.direction_lps]))
        for one in (BOX, BOX.with_entry(BOX.entry_lps + shift), BOX.with_tip(BOX.tip_lps + shift))
    ]
    assert np.allclose(hands, hands[0])


def test_a_section_keeps_its_side_to_the_joint_when_it_turns():
    turned = BOX.with_tip(BOX.tip_lps + np.array([2.0, 0.0, 0.0]))
    assert turned.across_lps[1] @ BOX.across_lps[1] > 0.99


def test_another_size_has_a_section_of_that_size():
    assert np.allclose(BOX.with_size(6.0, 20.0).corners_lps, BOX.corners_lps / 2)
