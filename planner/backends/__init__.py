"""Programs that label the bones; each foreign one in one file that alone imports it, and only when it is asked for."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Backend"]


class Backend(StrEnum):
    """Names on the command line; the first is the default and needs nothing else."""

    SHAPE_MODEL = "shape-model"
    TOTALSEGMENTATOR = "totalsegmentator"
