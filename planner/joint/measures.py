"""What is reported of a joint: area and gap of the articular zone, whole and by third, and the sides' difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.joint.config import JointConfig, ThirdsDefinition
from planner.joint.limbs import Limbs, fit_limbs, thirds_along_c
from planner.joint.mesh import Sheet
from planner.joint.model import Joint, Third, Zone
from planner.labels import Side

__all__ = ["GapMeasure", "JointMeasures", "measure_joint", "side_difference"]


@dataclass(frozen=True)
class GapMeasure:
    """Area and gap of a part of the articular zone; gaps are NaN where the part is empty."""

    area_mm2: float
    mean_mm: float
    median_mm: float
    p95_mm: float

    def __sub__(self, other: GapMeasure) -> GapMeasure:
        """Difference, number by number."""
        return GapMeasure(
            self.area_mm2 - other.area_mm2,
            self.mean_mm - other.mean_mm,
            self.median_mm - other.median_mm,
            self.p95_mm - other.p95_mm,
        )


@dataclass(frozen=True)
class JointMeasures:
    """What is reported of one joint.

    Attributes
    ----------
    whole : GapMeasure
        Of the articular zone.
    definition : str
        Of the thirds below; see `planner.joint.config.JointConfig`.
    thirds : mapping of Third to GapMeasure
        Empty where the thirds are unknown.
    limbs : Limbs or None
        Of the articular C; None where the scan cuts it off.
    """

    whole: GapMeasure
    definition: ThirdsDefinition
    thirds: Mapping[Third, GapMeasure]
    limbs: Limbs | None


def measure_joint(joint: Joint, config: JointConfig | None = None) -> JointMeasures:
    """Measure the articular zone of one joint, whole and by third."""
    definition = (config or JointConfig()).measured_thirds
    articular = joint.zone == Zone.ARTICULAR
    limbs = fit_limbs(joint)
    third = _thirds(joint, limbs, definition)
    named = (Third.SUPERIOR, Third.MIDDLE, Third.INFERIOR)
    by_third = {t: _gap(joint, articular & (third == t)) for t in named} if third.any() else {}
    return JointMeasures(_gap(joint, articular), definition, by_third, limbs)


def side_difference(measures: Mapping[Side, JointMeasures]) -> tuple[GapMeasure, dict[Third, GapMeasure]] | None:
    """Left minus right, whole and by third; None where one of the joints is not there."""
    if len(measures) < 2:
        return None
    left, right = measures[Side.LEFT], measures[Side.RIGHT]
    both = [third for third in left.thirds if third in right.thirds]
    return left.whole - right.whole, {third: left.thirds[third] - right.thirds[third] for third in both}


def _thirds(joint: Joint, limbs: Limbs | None, definition: ThirdsDefinition) -> NDArray[np.uint8]:
    if definition == "brandt-transverse":
        return joint.third
    return thirds_along_c(joint, limbs) if limbs is not None else np.zeros(len(joint.third), np.uint8)


def _gap(joint: Joint, chosen: NDArray[np.bool_]) -> GapMeasure:
    area = Sheet(joint.vertices_lps, joint.faces).vertex_areas_mm2[chosen]
    gap = joint.gap_mm[chosen].astype(np.float64)
    if not area.sum() > 0:
        return GapMeasure(0.0, float("nan"), float("nan"), float("nan"))
    median, p95 = (float(v) for v in np.percentile(gap, (50.0, 95.0)))
    return GapMeasure(float(area.sum()), float(gap @ area / area.sum()), median, p95)
