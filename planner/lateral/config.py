"""The lateral approach as data: corridor, target, spacing and limits. What both approaches share is in `[trajectory]`.

"Clinical notes" is the project's list of figures with their sources; `[P]` marks a choice of this project.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from planner.trajectory.config import Limit, NotNegative, Positive, Ramp, Section

__all__ = ["LateralConfig", "LateralScore"]

Angle = Annotated[float, Field(ge=-60, le=60)]


class LateralScore(Section):
    """What makes one bundle of rods better than another `[P]`. The weights sum to 1."""

    in_sacrum: NotNegative = 0.30
    """Length in the sacrum, from the least to the target."""

    spacing: NotNegative = 0.25
    """Axis to axis of neighbours, from the least to the target."""

    clearance: NotNegative = 0.25
    """Clearance to neural structures and ventral cortex and, for a fifth of it, bone quality round the rods."""

    articular: NotNegative = 0.05
    """Rods that cross the joint in its articular zone, not in the ligamentous recess."""

    square: NotNegative = 0.15
    """Rods square to the joint."""

    clearance_mm: Ramp = Ramp(zero=3.0, one=5.0)
    """Smallest clearance, as for the posterior implant."""

    square_deg: Ramp = Ramp(zero=45.0, one=15.0)
    """Angle of a rod to the joint's normal where it crosses."""

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> LateralScore:
        total = self.in_sacrum + self.spacing + self.clearance + self.articular + self.square
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the weights sum to {total:g}, not to 1")
        return self


class LateralConfig(Section):
    """The lateral approach. Neural margin, notch and outlines' margin are those of `trajectory.constraints`."""

    compare: bool = False
    """Plan lateral rods beside the posterior implant, for comparison (``--compare lateral``): about a second more."""

    implant: str = "IFUSE"
    """Catalogue entry; its count is how many rods are planned."""

    in_sacrum_mm: Positive = 30.0
    """Target length of each rod within the sacrum (Int J Spine Surg 2021;15:853)."""

    least_in_sacrum_mm: Positive = 12.0
    """A rod with less is not proposed `[P]`."""

    spacing_mm: Positive = 22.0
    """Target distance of neighbouring rods, axis to axis: holds better than 13 mm (Int J Spine Surg 2021;15:853)."""

    least_spacing_mm: Positive = 13.0
    """Rods nearer to each other than this are not proposed (the poorer of the two spacings tested there)."""

    length_step_mm: Positive = 5.0
    """Lengths between the catalogue's smallest and largest come in steps of this `[P]`."""

    proud_mm: tuple[NotNegative, NotNegative] = (1.0, 6.0)
    """The near end stands this far out of the ilium on the axis: what is left by the length's steps `[P]`."""

    cortex_mm: Limit = 3.0
    """Rod to the ventral cortex of the sacrum `[P]`: it may not be pierced."""

    containment_mm: NotNegative = 1.0
    """From where it is wholly within the ilium to its tip, a rod keeps this far inside the bones' outer walls and the
    joint between them `[P]`."""

    closing_mm: Positive = 2.5
    """Radius of the closing that joins the bones: gaps up to twice this count as joint. The articular zone's do, the
    ligamentous recess does not: there a rod would lie beside the sacrum, not in it `[P]`."""

    to_anterior_deg: tuple[Angle, Angle] = (-10.0, 35.0)
    """Direction in the pelvis's axial plane: 0 is straight to the midline, positive turns the tip to anterior `[P]`."""

    cranial_tilt_deg: tuple[Angle, Angle] = (-15.0, 15.0)
    """Direction out of the pelvis's axial plane, positive to cranial `[P]`."""

    joint_angle_deg: Annotated[float, Field(gt=0, le=60)] = 45.0
    """Largest angle of a rod to the joint's normal where it crosses: beyond, it runs along the joint `[P]`."""

    score: LateralScore = LateralScore()
