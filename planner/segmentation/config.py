"""Settings of the bone stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SegmentationConfig"]


class SegmentationConfig(BaseModel):
    """Thresholds of the bone stage; `[P]` marks our own choice.

    Attributes
    ----------
    bone_hu : float
        A voxel outside the drawn surfaces is bone above this: expert labels of thin-slice CT end at 200-250 HU [P].
    soft_hu : float
        A voxel inside the drawn surfaces and open to the outside is not bone below this: enhanced muscle is below [P].
    add_mm, carve_mm : float
        How far the image may put the border outside and inside the drawn surfaces [P].
    dorsal_mm : float
        The same as `add_mm` for the processes behind the sacrum, which differ most between people [P].
    joint_mm : float
        Nothing is added where two bones of the pelvis lie closer than this: the drawn faces hold there [P].
    metal_hu : float
        Metal above this (clinical.md, section 7: 2500 HU).
    metal_mm3 : float
        Smallest cluster of metal that is reported [P].
    low_confidence : float
        Bones below this confidence are reported [P].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bone_hu: float = Field(default=200.0, gt=0)
    soft_hu: float = Field(default=100.0, ge=0)
    add_mm: float = Field(default=3.0, ge=0)
    dorsal_mm: float = Field(default=12.0, ge=0)
    carve_mm: float = Field(default=2.0, ge=0)
    joint_mm: float = Field(default=5.0, ge=0)
    metal_hu: float = Field(default=2500.0, gt=0)
    metal_mm3: float = Field(default=100.0, gt=0)
    low_confidence: float = Field(default=0.5, ge=0, le=1)
