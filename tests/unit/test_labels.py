"""The tables of the contract."""

from __future__ import annotations

import pytest

from planner.labels import SACRAL_LEVELS, Keepout, Label, Side, foramen_value


def test_label_values_are_those_of_the_contract():
    assert [label.value for label in Label] == [0, 1, 2, 3, 4, 5, 6]
    assert (Keepout.CANAL, Keepout.SOFT) == (1, 31)


@pytest.mark.parametrize(("side", "expected"), [(Side.LEFT, [11, 12, 13, 14]), (Side.RIGHT, [21, 22, 23, 24])])
def test_foramen_values_are_those_of_the_contract(side, expected):
    assert [foramen_value(side, level) for level in SACRAL_LEVELS] == expected


def test_left_is_the_patients_left():
    assert Side.LEFT.lateral_x == 1
    assert Side.LEFT.hip is Label.LEFT_HIP
    assert Side.LEFT.other is Side.RIGHT
    assert Side.RIGHT.other.hip is Label.LEFT_HIP
