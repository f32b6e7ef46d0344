"""Settings of the bone stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SegmentationConfig"]


class SegmentationConfig(BaseModel):
    """Thresholds of the bone stage; `[P]` marks our own choice.

    Attributes
    ----------
    bone_share : float
        A voxel outside the drawn surface of a bone belongs to it if brighter than this share of the median HU on that
        surface (where cortex is half-way to soft tissue): expert labels of thin-slice CT end at about 0.7 [P].
    bone_hu : tuple of float
        Bounds of that threshold, HU: enhanced muscle is below, dense cortex above [P].
    soft_hu : float
        A voxel inside the drawn surfaces and open to the outside is not bone below this: enhanced muscle is below [P].
    add_mm, carve_mm : float
        How far the image may put the border outside and inside the drawn surfaces [P].
    deep_mm, cortex_hu : float
        A way into the drawn surface as wide as three voxels without a voxel above ``cortex_hu`` carves this far [P].
    far_mm, far_hu : float
        A bright part that hangs on a hip bone this far out, and mostly above this, is bone: fragment or spur [P].
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

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    bone_share: float = Field(default=0.7, gt=0, le=1)
    bone_hu: tuple[float, float] = (100.0, 250.0)
    soft_hu: float = Field(default=100.0, ge=0)
    add_mm: float = Field(default=3.0, ge=0)
    deep_mm: float = Field(default=10.0, ge=0)
    cortex_hu: float = 160.0
    far_mm: float = Field(default=12.0, ge=0)
    far_hu: float = 320.0
    dorsal_mm: float = Field(default=12.0, ge=0)
    carve_mm: float = Field(default=2.0, ge=0)
    joint_mm: float = Field(default=5.0, ge=0)
    metal_hu: float = Field(default=2500.0, gt=0)
    metal_mm3: float = Field(default=100.0, gt=0)
    low_confidence: float = Field(default=0.5, ge=0, le=1)
