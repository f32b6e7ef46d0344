"""Colours and words of the figures: one table. Okabe and Ito's palette, safe for the colour-blind."""

from __future__ import annotations

from planner.labels import Label
from planner.trajectory.model import SidePlan

__all__ = [
    "ARTICULAR",
    "BONES",
    "BONE_NAMES",
    "BONE_WORDS",
    "GUARD",
    "IMPLANT",
    "KEEPOUT",
    "KEEPOUT_RGB",
    "LIGAMENTOUS",
    "PAPER",
    "SAFE",
    "grade_words",
    "status_words",
]

BONES = {
    Label.SACRUM: "#E69F00",
    Label.LEFT_HIP: "#56B4E9",
    Label.RIGHT_HIP: "#009E73",
    Label.LUMBAR: "#CC79A7",
    Label.LEFT_FEMUR: "#999999",
    Label.RIGHT_FEMUR: "#999999",
}
"""Outline of each bone."""

BONE_WORDS = {
    Label.SACRUM: "sacrum",
    Label.LEFT_HIP: "left hip bone",
    Label.RIGHT_HIP: "right hip bone",
    Label.LUMBAR: "L5 and above",
    Label.LEFT_FEMUR: "femur",
    Label.RIGHT_FEMUR: "femur",
}
"""Legend of `BONES`."""

BONE_NAMES = {
    Label.SACRUM: "sacrum",
    Label.LEFT_HIP: "hip bone",
    Label.RIGHT_HIP: "hip bone",
    Label.LUMBAR: "L5",
    Label.LEFT_FEMUR: "femur",
    Label.RIGHT_FEMUR: "femur",
}
"""Written on the bones themselves."""

KEEPOUT = "#D55E00"
"""Canal and foramina, filled."""

KEEPOUT_RGB = (0xD5 / 255, 0x5E / 255, 0.0)
"""The same, as shares."""

ARTICULAR = LIGAMENTOUS = "#F0E442"
"""Joint line: solid where articular, dotted in the ligamentous recess."""

IMPLANT = "#FFFFFF"
"""Implant's outline, on a dark casing."""

SAFE = "#56B4E9"
"""Dall's safe zone."""

GUARD = "#FFFFFF"
"""The safety ring, dashed: told from the implant without colour."""

PAPER, INK, FAINT = "#FFFFFF", "#1A1A1A", "#5A5A5A"
"""Background, text, and less important text."""

STATUS_WORDS = {
    "planned": "plan proposed",
    "unverified": "plan proposed but NOT VERIFIED",
    "no-safe-path": "NO SAFE PATH",
    "not-planned": "not planned",
}

GRADE_WORDS = {
    "green": "green (every clearance at least 5 mm)",
    "amber": "amber (smallest clearance 3 to 5 mm)",
}


def status_words(plan: SidePlan | None) -> str:
    """Status of a side in words."""
    return STATUS_WORDS.get(plan.status, plan.status) if plan else "not planned"


def grade_words(grade: str) -> str:
    """Grade of a candidate in words."""
    return GRADE_WORDS.get(grade, grade)
