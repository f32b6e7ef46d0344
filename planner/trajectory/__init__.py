"""Trajectories: hard constraints, score and search for one posterior implant in the sacroiliac joint."""

from planner.trajectory.config import TrajectoryConfig
from planner.trajectory.model import Candidate, Clearance, PlacementError, SidePlan
from planner.trajectory.plan import plan_side

__all__ = ["Candidate", "Clearance", "PlacementError", "SidePlan", "TrajectoryConfig", "plan_side"]
