"""Re-check a plan from the files alone. Nothing here imports the planner's search or its clearance code."""

from planner.verify.folder import verify_folder
from planner.verify.model import Check, Verification

__all__ = ["Check", "Verification", "verify_folder"]
