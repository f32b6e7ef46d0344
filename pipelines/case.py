"""A case as commands, batches and the plugin run it: `planner.case`, where the order of the stages is written."""

from planner.case import Anatomy, Case, CaseSettings
from planner.case import plan_case as run_case

__all__ = ["Anatomy", "Case", "CaseSettings", "run_case"]
