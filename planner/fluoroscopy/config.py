"""Settings of the C-arm card."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["FluoroscopyConfig"]

Positive = Annotated[float, Field(gt=0)]
Angle = Annotated[float, Field(ge=-60, le=60)]


class FluoroscopyConfig(BaseModel):
    """The C-arm's geometry, and where the joint view is looked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    source_detector_mm: Positive = 968.0
    """Focal spot to detector: that of a common mobile C-arm (Siemens ARCADIS Varic, SPR2-310.662.01)."""

    source_object_mm: Positive = 650.0
    """Focal spot to the implant: a pelvis that lies as near to the detector as a table allows `[P]`."""

    detector_mm: Positive = 300.0
    """Side of the square detector: a flat panel of 30 cm, or a 12 inch image intensifier without its corners `[P]`."""

    pixels: Annotated[int, Field(ge=64, le=2048)] = 512
    """Columns and rows of a radiograph."""

    voxel_mm: Annotated[float, Field(ge=0.3, le=4.0)] = 1.5
    """Voxels are averaged up to about this size before rays are cast `[P]`."""

    joint_view_tilt_deg: tuple[Angle, Angle] = (-25.0, -10.0)
    """Tilts among which the joint view is looked for: "10-25 degrees cephalad" (Dall, chapter 10), read as a beam that
    runs cephalad from the back, which puts the detector towards the feet: joints are sharper that way than the other
    on every scan looked at `[P]`."""

    joint_view_orbital_deg: tuple[Angle, Angle] = (-60.0, 60.0)
    """Rotations among which the joint view is looked for `[P]`."""

    margin_mm: Positive = 10.0
    """Safe depth: this far short of the anterior joint margin (Dall, chapter 10)."""

    @model_validator(mode="after")
    def _in_order(self) -> FluoroscopyConfig:
        if self.source_object_mm >= self.source_detector_mm:
            raise ValueError("source_object_mm must be less than source_detector_mm")
        for low, high in (self.joint_view_tilt_deg, self.joint_view_orbital_deg):
            if low > high:
                raise ValueError("a range must not end before it begins")
        return self
