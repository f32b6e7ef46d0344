"""A batch as a cohort: each measure's distribution over its joints, and those that lie far off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["MEASURES", "Distribution", "describe", "outliers"]

MEASURES = (
    "gap_median_mm",
    "gap_p95_mm",
    "articular_area_mm2",
    "corridor_mm",
    "neural_proven_mm",
    "least_proven_mm",
    "diameter_mm",
    "length_mm",
    "articular_share",
    "score",
)
"""Figures of a side that are summed up."""

OUTLIER_Z = 3.5
"""Modified z-score beyond which a value is an outlier (Iglewicz and Hoaglin 1993)."""
MAD_SCALE = 0.6745
"""Median absolute deviation of the standard normal distribution."""
FEWEST = 8
"""Values below which nothing is called an outlier [P]."""


@dataclass(frozen=True)
class Distribution:
    """Five numbers of a measure, and how many values they come from."""

    measure: str
    count: int
    least: float
    lower_quartile: float
    median: float
    upper_quartile: float
    most: float


def describe(measure: str, values: Sequence[float]) -> Distribution | None:
    """Sum up a measure; None without a value."""
    if not values:
        return None
    five = (round(float(v), 4) for v in np.percentile(values, (0, 25, 50, 75, 100)))
    return Distribution(measure, len(values), *five)


def outliers(values: Mapping[str, float]) -> dict[str, float]:
    """Give the values far off the rest with their modified z-scores, ``0.6745 (x - median) / MAD``."""
    if len(values) < FEWEST:
        return {}
    numbers = np.array(list(values.values()))
    away = numbers - np.median(numbers)
    mad = float(np.median(np.abs(away)))
    if mad == 0:
        return {}
    scores = MAD_SCALE * away / mad
    return {name: round(float(z), 2) for name, z in zip(values, scores, strict=True) if abs(z) > OUTLIER_Z}
