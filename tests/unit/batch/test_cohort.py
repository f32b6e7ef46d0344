"""Distributions, and what lies far off."""

from __future__ import annotations

import numpy as np

from pipelines.batch.cohort import FEWEST, describe, outliers


def test_five_numbers():
    one = describe("score", [1.0, 2.0, 3.0, 4.0, 5.0])
    assert (one.count, one.least, one.lower_quartile, one.median, one.upper_quartile, one.most) == (5, 1, 2, 3, 4, 5)
    assert describe("score", []) is None


def test_the_one_far_off_is_found_with_its_score():
    values = {str(k): float(v) for k, v in enumerate([*range(10), 100])}
    found = outliers(values)
    away = abs(np.array(list(values.values())) - 5.0)
    assert found == {"10": round(0.6745 * 95 / float(np.median(away)), 2)}


def test_few_or_equal_values_have_none():
    assert outliers({str(k): float(k**4) for k in range(FEWEST - 1)}) == {}
    assert outliers({**{str(k): 1.0 for k in range(20)}, "far": 9.0}) == {}
