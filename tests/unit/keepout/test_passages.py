"""Looking through the sacrum: spots of a shadow, and the levels of what was seen."""

from __future__ import annotations

import numpy as np
import pytest

from planner.keepout.levels import group_pairs, level_of_each
from planner.keepout.passages import Passage, away_from_ray, find_spots
from planner.keepout.shadow import BESIDE_MM
from planner.labels import Side

EXPECTED = {0: 15.0, 1: 37.0, 2: 57.0}
ENDS = np.array([[0.0, 0.0, 10.0], [0.0, 0.0, -10.0]])


def passage(side: Side, along_mm: float) -> Passage:
    return Passage(side, along_mm, 20.0, 300.0, 150.0, 5.0, ENDS, np.zeros((1, 1, 1), bool))


def both(*along_mm: float) -> list[Passage]:
    return [passage(side, along) for along in along_mm for side in Side]


def shadow(*holes: tuple[int, float, float, float], bone_hu: float = 400.0) -> np.ndarray:
    """Bone with round holes: row, distance from the midline, radius and value of each."""
    values = np.full((90, len(BESIDE_MM)), bone_hu)
    rows = np.arange(90)[:, None]
    for row, beside, radius, hu in holes:
        values[np.hypot(rows - row, BESIDE_MM - beside) <= radius] = hu
    return values


def test_each_dark_hole_is_one_spot():
    spots = find_spots(shadow((20, 20.0, 4.0, 10.0), (45, 18.0, 3.0, -60.0)))
    assert [(s.low_hu, s.rim_hu) for s in spots] == [(10.0, 400.0), (-60.0, 400.0)]
    assert [abs(s.row - row) <= 4 for s, row in zip(spots, (20, 45), strict=True)] == [True, True]
    assert spots[0].half_hu == 205.0


@pytest.mark.parametrize(
    "hole",
    [
        (20, 20.0, 4.0, 250.0),
        (20, 7.0, 2.0, 10.0),
        (20, 34.0, 2.0, 10.0),
        (20, 20.0, 0.5, 10.0),
        (45, 20.0, 14.0, 10.0),
    ],
)
def test_what_is_bright_medial_lateral_small_or_large_is_no_spot(hole):
    assert not find_spots(shadow(hole))


def test_a_shallow_spot_is_none_and_a_spot_in_dark_bone_is_one():
    assert not find_spots(shadow((20, 20.0, 4.0, 10.0), bone_hu=80.0))
    assert len(find_spots(shadow((20, 20.0, 4.0, -60.0), bone_hu=80.0))) == 1


def test_a_notch_of_the_edge_is_no_spot():
    values = shadow((20, 20.0, 4.0, 10.0))
    values[:20] = np.inf
    assert not find_spots(values)


def test_a_shadow_without_rays_has_no_spots():
    assert not find_spots(np.full((30, len(BESIDE_MM)), np.inf))


def test_levels_of_both_sides_are_pairs():
    assert group_pairs(both(15.0, 40.0)) == [(0, 1), (2, 3)]
    apart = [passage(Side.LEFT, 15.0), passage(Side.RIGHT, 26.0), passage(Side.LEFT, 28.0)]
    assert group_pairs(apart) == [(0,), (1, 2)]


@pytest.mark.parametrize(
    ("along_mm", "levels"),
    [
        ((15.0, 37.0, 57.0, 78.0), [0, 1, 2, 3]),
        ((22.0, 44.0, 63.0), [0, 1, 2]),
        ((12.0, 26.0, 40.0, 53.0), [0, 1, 2, 3]),
        ((37.0, 57.0, 78.0), [1, 2, 3]),
        ((15.0, 57.0), [0, 2]),
        ((-6.0, 15.0, 37.0, 57.0, 76.0), [-1, 0, 1, 2, 3]),
        ((15.0, 37.0, 57.0, 76.0, 92.0), [0, 1, 2, 3, 4]),
    ],
)
def test_columns_are_numbered_from_the_top(along_mm, levels):
    found = level_of_each(both(*along_mm), EXPECTED)
    assert found == [k for k in levels for _ in Side]


def test_one_side_may_lack_a_level_and_a_stray_spot_has_none():
    found = [*both(15.0, 57.0), passage(Side.LEFT, 37.0)]
    assert level_of_each(found, EXPECTED) == [0, 0, 2, 2, 1]
    assert level_of_each([*both(15.0, 37.0, 57.0), passage(Side.LEFT, 47.0)], EXPECTED)[-1] is None


def test_without_a_fitted_shape_the_first_is_s1():
    assert level_of_each(both(30.0, 52.0, 72.0), {}) == [0, 0, 1, 1, 2, 2]
    assert level_of_each([], EXPECTED) == []


def test_distance_from_a_ray():
    assert away_from_ray(np.array([3.0, 4.0, 50.0]), ENDS) == pytest.approx(5.0)
