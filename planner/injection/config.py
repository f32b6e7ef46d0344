"""Settings of the injection. Neural margin and notch are those of `trajectory.constraints`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from planner.trajectory.config import Limit, Positive, Section

__all__ = ["InjectionConfig"]

Angle = Annotated[float, Field(ge=-60, le=60)]


class InjectionConfig(Section):
    """A needle into the joint from behind, under the C-arm."""

    plan: bool = False
    """Plan a needle's path beside the implant (``--injection``)."""

    gauge: Annotated[int, Field(ge=18, le=25)] = 22
    """Needle, as makers number them; 22 is the usual one for joints."""

    diameter_mm: Positive = 0.72
    """Outer diameter of that needle (ISO 9626: 22 G is 0.698 to 0.730 mm)."""

    bone_mm: Limit = 1.5
    """Needle to bone, from the skin to where the joint begins `[P]`: more than the voxels of a thin-slice CT hide."""

    depth_mm: tuple[Positive, Positive] = (3.0, 12.0)
    """Tip behind the joint's dorsal edge, along the path `[P]`: in the cartilaginous joint, not through it."""

    axial_deg: tuple[Angle, Angle] = (-20.0, 45.0)
    """Direction to the sagittal plane; positive from posteromedial to anterolateral `[P]`."""

    cranial_tilt_deg: tuple[Angle, Angle] = (-30.0, 40.0)
    """Direction out of the pelvis's axial plane, positive to cranial `[P]`: injection texts tilt the C-arm by 10-25."""
