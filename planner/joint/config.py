"""Settings of the joint stage."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["JointConfig", "ThirdsDefinition"]

ThirdsDefinition = Literal["brandt-transverse", "c-length"]
"""Transverse slabs (Brandt, 10.1097/BRS.0000000000005218), or equal parts of the articular C's own middle line."""


class JointConfig(BaseModel):
    """How the mid-surface, its gap and its zones are found."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    spacing_mm: float = Field(default=0.8, ge=0.4, le=2.0)
    """Voxel of the isotropic region the sheet is cut from; vertices lie about as far apart `[P]`."""

    recess_gap_mm: float = Field(default=14.0, ge=6.0, le=25.0)
    """Facing bones further apart than this are not joint: the whole interval reads 7-10 mm on CT,
    the recess is wider (clinical notes, section 2) `[P]`."""

    articular_gap_mm: float = Field(default=5.0, gt=1.0, le=8.0)
    """Widest gap of the articular zone: 4.39 mm is the widest of 400 (Demir 2007), rounded up `[P]`. In a narrower
    joint it ends at a narrower gap, see `planner.joint.zones`."""

    articular_angle_deg: float = Field(default=45.0, gt=0.0, le=90.0)
    """Faces that diverge by more are not near-parallel `[P]`."""

    facing_angle_deg: float = Field(default=110.0, gt=0.0, le=180.0)
    """Faces that diverge by more do not face each other: the sheet ends there `[P]`."""

    neck_mm: float = Field(default=2.5, ge=0.0, le=10.0)
    """Half-width of the narrowest bridge that keeps two parts of the articular zone one `[P]`."""

    use_profiles: bool = True
    """Correct the faces by the intensity profile across the gap; off: labels only."""

    gap_hu: float = Field(default=90.0, ge=-100.0, le=250.0)
    """Cartilage and fluid between the faces, of which nothing is seen pure where the gap is thin: hyaline
    cartilage reads 70-110 HU on unenhanced CT `[P]`."""

    shift_limit_mm: float = Field(default=1.5, ge=0.0, le=4.0)
    """A face is moved no further than this from its label `[P]`."""

    widening_mm: float = Field(default=4.0, gt=0.0)
    """Gap at the anterior margin above which the joint is called widened (Corridor Finder)."""

    asymmetry_mm: float = Field(default=2.0, gt=0.0)
    """Difference of the sides' anterior gaps above which one is called widened (Corridor Finder)."""

    bridge_area_mm2: float = Field(default=80.0, gt=0.0)
    """Smallest bone bridge across the articular zone that is reported as ankylosis; more in voxels larger than 1.25 mm.
    Up to 70 mm2 were found on real scans of open joints `[P]`."""

    measured_thirds: ThirdsDefinition = "brandt-transverse"
    """Thirds by which area and gap are reported. Implants are always placed by Brandt's."""
