"""Words for what the planner calls by name, and the colours that go with states. One table for each."""

from __future__ import annotations

__all__ = ["CLEARANCES", "CONSTRAINTS", "GRADE_COLOURS", "GRADE_LETTERS", "LEVEL_COLOURS", "STATUS", "VERDICTS"]

CLEARANCES = {
    "neural": "canal and foramina",
    "access_neural": "the same, way in",
    "ventral_cortex": "ventral cortex",
    "outer_iliac_cortex": "outer iliac cortex",
    "sciatic_notch": "sciatic notch",
    "anterior_margin": "anterior margin",
    "soft": "vessels, nerves",
}
"""In the order in which they are shown."""

CONSTRAINTS = {
    "neural-clearance": "canal and foramina",
    "ventral-cortex": "ventral cortex",
    "outer-iliac-cortex": "outer iliac cortex",
    "containment": "inside the outer walls",
    "middle-third": "in the target third",
    "inferior-third": "none below that third",
    "anterior-margin": "anterior margin",
    "access": "free way in",
    "axial-angle": "axial angle",
    "cranial-tilt": "cranial tilt",
    "sciatic-notch": "sciatic notch",
    "in-joint": "within the joint",
    "cannula-clearance": "cannula: canal and foramina",
    "distractor-clearance": "distractor: canal and foramina",
    "pin-clearance": "pin: canal and foramina",
}
"""What each constraint asks for."""

STATUS = {
    "planned": "Plan proposed",
    "unverified": "Plan proposed but NOT VERIFIED",
    "no-safe-path": "NO SAFE PATH",
    "not-planned": "Not planned",
}

VERDICTS = {
    "approved": "approved",
    "rejected": "rejected",
    "overridden": "OVERRIDDEN: breaks a constraint",
    "comment": "comment",
}

GRADE_COLOURS = {"green": "#009E73", "amber": "#E69F00", "red": "#D55E00"}
"""Okabe and Ito: bluish green, orange and vermilion, told apart by the colour-blind; a word always stands beside."""

GRADE_LETTERS = {"green": "#1FC99A", "amber": "#E69F00", "red": "#FF7F2A"}
"""The same hues, lighter: letters on dark grey."""

LEVEL_COLOURS = {"note": "#56B4E9", "warn": "#E69F00", "review-only": "#CC79A7", "refuse": "#D55E00"}
"""Of findings; the level's word stands beside."""
