"""The diagnostic injection of the joint: a needle's path from the skin to the articular zone."""

from planner.injection.config import InjectionConfig
from planner.injection.model import InjectionPlan
from planner.injection.plan import plan_injection

__all__ = ["InjectionConfig", "InjectionPlan", "plan_injection"]
