"""The label tables of the contract: bones, keep-outs and sides. One table for one fact."""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["SACRAL_LEVELS", "Keepout", "Label", "Side", "foramen_value"]

SACRAL_LEVELS = ("S1", "S2", "S3", "S4")
"""Levels whose foramina are labelled, cranial first."""


class Label(IntEnum):
    """Values of ``labels.nii.gz``. Bones are solid; foramina and canal are not bone."""

    BACKGROUND = 0
    SACRUM = 1
    LEFT_HIP = 2
    RIGHT_HIP = 3
    LUMBAR = 4
    LEFT_FEMUR = 5
    RIGHT_FEMUR = 6


class Keepout(IntEnum):
    """Values of ``keepout.nii.gz`` that have no side; foramina are `foramen_value`."""

    NONE = 0
    CANAL = 1
    SOFT = 31


class Side(StrEnum):
    """The patient's side."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def hip(self) -> Label:
        """The hip bone of this side."""
        return Label.LEFT_HIP if self is Side.LEFT else Label.RIGHT_HIP

    @property
    def lateral_x(self) -> int:
        """Sign of LPS x that points away from the midline: +1 for left, -1 for right."""
        return 1 if self is Side.LEFT else -1

    @property
    def other(self) -> Side:
        """The opposite side."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


def foramen_value(side: Side, level: str) -> int:
    """Value of a foramen in ``keepout.nii.gz``: 11-14 left S1-S4, 21-24 right S1-S4."""
    return (11 if side is Side.LEFT else 21) + SACRAL_LEVELS.index(level)
