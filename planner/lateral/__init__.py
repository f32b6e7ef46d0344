"""The lateral comparison: parallel rods from the side through the ilium into the sacrum, beside the posterior plan."""

from planner.lateral.config import LateralConfig
from planner.lateral.model import LateralPlan, Rod
from planner.lateral.plan import lateral_implant, plan_lateral

__all__ = ["LateralConfig", "LateralPlan", "Rod", "lateral_implant", "plan_lateral"]
