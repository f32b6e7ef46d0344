"""Settings of the trajectory stage: constraints, score, instruments, placement error and search.

"Clinical notes" is the project's list of figures with their sources; `[P]` marks a choice of this project.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Constraints",
    "Instruments",
    "PlacementModel",
    "PlacementModels",
    "Ramp",
    "Score",
    "Search",
    "TrajectoryConfig",
]

Positive = Annotated[float, Field(gt=0)]
Limit = Annotated[float, Field(gt=0, le=10)]
"""A clearance to keep: the search's distances end 2 mm beyond."""
NotNegative = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """Base of the sections: nothing unknown, nothing infinite, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Constraints(Section):
    """Hard constraints: a candidate that breaks one is never proposed (clinical notes, section 4)."""

    neural_mm: Limit = 3.0
    """Implant and instrument to any foramen or the sacral canal `[P]`; published planners use 2 mm."""

    neural_floor_mm: Positive = 2.0
    """Absolute floor of the same `[P]`: a placement that ends nearer counts as a breach."""

    segmentation_margin_mm: NotNegative = 1.0
    """Added to `neural_mm` in the search, and taken off what is called proven, for the error of the keep-outs'
    own outline: about a voxel `[P]`."""

    cortex_mm: Limit = 5.0
    """Implant to the ventral sacral and to the outer iliac cortex (10.1186/s12891-019-2771-1)."""

    containment_mm: NotNegative = 0.0
    """Implant inside the bones' outer walls by at least this, the joint between them closed (Dall, chapter 10)."""

    closing_mm: Positive = 5.0
    """Radius of the closing that joins the bones to one solid: gaps up to twice this count as joint `[P]`."""

    implant_to_margin_mm: Positive = 5.0
    """Implant tip to the anterior joint margin along the path `[P]`."""

    instrument_to_margin_mm: Positive = 10.0
    """Where instruments stop: this far short of the anterior joint margin along the path (Dall, chapter 10).
    The implant may be pushed past that stop to `implant_to_margin_mm`."""

    nibble_mm: NotNegative = 2.0
    """Bone that the cannula may meet on its way to the joint's dorsal mouth `[P]`.

    The mouth is where the bones are twice `closing_mm` apart, 10 mm, for every size. A cannula of 10 mm (an 8 mm dowel)
    has 2 mm of play there, one of 14 mm has none: so this constraint, not a hazard, bounds most safe entry radii, and
    smaller dowels score up to 0.05 more. That is kept: it is what constraint 6 says, and a cannula that docked farther
    out, where it first meets bone, would need a source for how far from the joint it may dock."""

    axial_deg: tuple[float, float] = (0.0, 40.0)
    """Insertion direction to the sagittal plane, seen axially; posteromedial to anterolateral (Dall, chapter 7)."""

    cranial_tilt_deg: tuple[float, float] = (-10.0, 30.0)
    """Insertion direction out of the pelvis's axial plane; positive points cranially (clinical notes, section 4)."""

    sciatic_notch_mm: Positive = 10.0
    """Implant to the apex of the greater sciatic notch `[P]`."""

    joint_offset_mm: Positive = 3.0
    """Implant centre to the mid-surface: farther off, the implant is no longer in the joint. The end of the score's
    ramp `[P]`."""

    joint_angle_deg: Positive = 15.0
    """Implant axis to the mid-surface: steeper, the implant crosses the joint. The end of the score's ramp `[P]`."""

    breach_probability: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Largest breach probability that passes without a warning `[P]`."""

    breach_rejects: Literal["none", "navigated", "fluoroscopic"] = "none"
    """Placement-error model under which a larger breach probability rejects a candidate instead of warning `[P]`."""


class Ramp(Section):
    """A score term: 0 at `zero` and beyond, 1 at `one` and beyond, linear between."""

    zero: float
    one: float

    @model_validator(mode="after")
    def _sloped(self) -> Ramp:
        if self.zero == self.one:
            raise ValueError("zero and one must differ")
        return self


class Score(Section):
    """Score of what the constraints leave (clinical notes, section 5) `[P]`. The weights sum to 1."""

    clearance: NotNegative = 0.30
    coplanar: NotNegative = 0.20
    articular: NotNegative = 0.15
    middle_third: NotNegative = 0.10
    bite: NotNegative = 0.10
    entry_radius: NotNegative = 0.10
    bone_quality: NotNegative = 0.05

    clearance_mm: Ramp = Ramp(zero=3.0, one=5.0)
    """Smallest clearance to neural structures, ventral and outer iliac cortex."""

    coplanar_deg: Ramp = Ramp(zero=15.0, one=5.0)
    """Angle to the mid-surface; the lower of this and `centred_mm` counts."""

    centred_mm: Ramp = Ramp(zero=3.0, one=1.0)
    """Offset of the centre from the mid-surface."""

    articular_share: Ramp = Ramp(zero=0.5, one=1.0)
    """Share of the implant's axis in the articular zone."""

    bite_difference_mm: Ramp = Ramp(zero=4.0, one=1.0)
    """Difference of the depths to which the implant reaches into the two bones."""

    entry_radius_mm: Ramp = Ramp(zero=1.0, one=5.0)
    """Safe entry radius."""

    shell_hu: Ramp = Ramp(zero=130.0, one=165.0)
    """Mean HU in the shell: < 130.5 predicts osteoporosis, > 165 excludes it (rs-7716661)."""

    green_mm: Positive = 5.0
    """Smallest clearance of a green plan; below it a plan is amber."""

    size_tolerance: NotNegative = 0.005
    """Scores that differ by no more than this are equal. Of equals the larger implant comes first, for it holds better,
    and of equal sizes that with the larger clearance: the score has flat tops, and noise in the scan must not choose on
    them `[P]`."""

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Score:
        total = sum(self.weights.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the weights sum to {total:g}, not to 1")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each term."""
        return {
            "clearance": self.clearance,
            "coplanar": self.coplanar,
            "articular": self.articular,
            "middle_third": self.middle_third,
            "bite": self.bite,
            "entry_radius": self.entry_radius,
            "bone_quality": self.bone_quality,
        }


class Instruments(Section):
    """What goes in beside the implant."""

    cannula_wall_mm: NotNegative = 1.0
    """Wall of the cannula, over the implant's diameter on each side `[P]`. From the skin to the joint's mouth."""

    distractor_wall_mm: NotNegative = 0.0
    """The distractor's two arms over the implant's outline, on each side `[P]`: they lie in the joint where the implant
    will, one on either bone (US 11,627,971), from the joint's mouth to where instruments stop."""

    pin_mm: Positive = 3.2
    """Diameter of the guide pin, that of common cannulated sets `[P]`. From the skin to where instruments stop."""

    shell_mm: Positive = 3.0
    """Thickness of the shell round the implant over which bone quality is averaged (clinical notes, section 5)."""


class PlacementModel(Section):
    """How far a placement ends from the plan: mean of the absolute error at the tip, and of the angle."""

    mean_mm: Positive
    mean_deg: Positive


class PlacementModels(Section):
    """Placement errors seen in practice (clinical notes, section 1)."""

    navigated: PlacementModel = PlacementModel(mean_mm=2.85, mean_deg=3.0)
    """Middle of the published 2.1-3.6 mm and 2.4-3.6 degrees, navigated or robotic."""

    fluoroscopic: PlacementModel = PlacementModel(mean_mm=5.0, mean_deg=4.4)
    """28 planned SI fusions under fluoroscopy: 5.0 mm at the apex and 4.4 degrees (U. Twente)."""

    log2_samples: Annotated[int, Field(ge=6, le=14)] = 9
    """Placements tried for each probability: 2 to this power, in eight replicates."""


class Search(Section):
    """Where the search looks, and how finely `[P]`."""

    centre_step_mm: Annotated[float, Field(ge=1, le=10)] = 4.0
    """Spacing of the first centres over the mid-surface in the middle third."""

    angle_step_deg: Annotated[float, Field(ge=2, le=20)] = 6.0
    """Spacing of the first directions within the joint."""

    starts: Annotated[int, Field(ge=1, le=200)] = 40
    """First trials, far from each other, from which climbs begin."""

    candidates: Annotated[int, Field(ge=1, le=3)] = 3
    """Candidates proposed at most."""

    distinct_mm: Positive = 5.0
    """Centres this far apart make two candidates distinct."""

    distinct_deg: Positive = 5.0
    """Axes this far apart make two candidates distinct."""

    guard_mm: NotNegative = 0.25
    """Held back in the search for what lies between its samples; the final check is exact."""


class TrajectoryConfig(Section):
    """All settings of the trajectory stage."""

    constraints: Constraints = Constraints()
    score: Score = Score()
    instruments: Instruments = Instruments()
    placement: PlacementModels = PlacementModels()
    search: Search = Search()
