"""Settings of the bone stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SegmentationConfig"]


class SegmentationConfig(BaseModel):
    """Thresholds of the bone stage; `[P]` marks our own choice."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    bone_share: float = Field(default=0.7, gt=0, le=1)
    """A voxel outside the drawn surface of a bone belongs to it if brighter than this share of the median HU on that
    surface (where cortex is half-way to soft tissue): expert labels of thin-slice CT end at about 0.7 `[P]`."""

    bone_hu: tuple[float, float] = (100.0, 250.0)
    """Bounds of that threshold, HU: enhanced muscle is below, dense cortex above `[P]`."""

    border_share: tuple[float, float] = (0.3, 0.45)
    """The border of a bone is where the image has risen by this share from muscle to the cortex next to it, for slices
    of ``border_mm``. Half is where the edge of a thick cortex lies; experts' labels of thin slices reach out to about
    0.2 (FracSegNet), hand labels of 3 mm slices to about 0.5 `[P]`."""

    border_mm: tuple[float, float] = (1.25, 2.5)
    """Slices to which ``border_share`` belongs; between them it changes evenly `[P]`."""

    soft_hu: float = Field(default=100.0, ge=0)
    """A voxel inside the drawn surfaces and open to the outside is not bone below this; enhanced muscle is `[P]`."""

    add_mm: float = Field(default=3.0, ge=0)
    """How far outside the drawn surfaces the image may put the border `[P]`."""

    carve_mm: float = Field(default=2.0, ge=0)
    """How far inside the drawn surfaces the image may put the border `[P]`."""

    deep_mm: float = Field(default=10.0, ge=0)
    """The same where a way three voxels wide, without a voxel above ``cortex_hu``, leads in `[P]`."""

    cortex_hu: float = 160.0
    """Brighter voxels close such a way `[P]`."""

    far_mm: float = Field(default=12.0, ge=0)
    """A bright part that hangs on a hip bone this far out is bone: fragment or spur `[P]`."""

    far_hu: float = 320.0
    """Most of such a part is brighter than this: enhanced vessels are not `[P]`."""

    uneven_hu: float = Field(default=60.0, ge=0)
    """Standard deviation of such a part is above this: contrast in bowel or bladder is even (35 HU in a made scan,
    fragments 75-320) `[P]`."""

    dorsal_mm: float = Field(default=12.0, ge=0)
    """``add_mm`` for the processes behind the sacrum, which differ most between people `[P]`."""

    joint_mm: float = Field(default=5.0, ge=0)
    """Nothing is added where two bones of the pelvis lie closer than this: the drawn faces hold there `[P]`."""

    metal_hu: float = Field(default=2500.0, gt=0)
    """Metal is above this (clinical notes, section 7)."""

    metal_mm3: float = Field(default=100.0, gt=0)
    """Smallest cluster of metal that is reported `[P]`."""

    low_confidence: float = Field(default=0.6, ge=0, le=1)
    """Joints whose outlines are good with less than this probability are reported; at 0.5 a few bad ones of the made
    scans were not `[P]`."""
