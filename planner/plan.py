"""The document ``plan.json``, schema ``sacroplan.plan/1``: what other programs read.

Lengths are rounded to a micrometre, shares and scores to 1e-4: the text does not depend on the last bit of a sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from planner import NOTICE
from planner.findings import Finding
from planner.fluoroscopy.card import CArmCard
from planner.injection.model import InjectionPlan
from planner.joint.limbs import Limbs
from planner.joint.measures import GapMeasure, JointMeasures, side_difference
from planner.joint.model import Joint, Third
from planner.keepout.model import Foramen
from planner.labels import Side
from planner.lateral.model import BoneVolumes, LateralPlan, Rod
from planner.outcome import Status
from planner.segmentation.bearings import Bearings, FlatPlace
from planner.segmentation.model import PelvicFrame, Sureness
from planner.trajectory.model import Candidate, Clearance, NoPath, SidePlan, ThirdBest

__all__ = [
    "SCHEMA",
    "InputDocument",
    "PlanDocument",
    "SegmentationDocument",
    "SideDocument",
    "canal_points",
    "describe_difference",
    "describe_fluoroscopy",
    "describe_frame",
    "describe_injection",
    "describe_lateral",
    "describe_side",
    "finding_document",
    "landmark_points",
    "relate_to_planes",
]

SCHEMA: Literal["sacroplan.plan/1"] = "sacroplan.plan/1"

Point = tuple[float, float, float]
Share = Annotated[float, Field(ge=0, le=1)]


class Document(BaseModel):
    """Base of the document's parts: nothing unknown, nothing infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputDocument(Document):
    """The scan that was planned on.

    ``complete`` is false where the scan cuts off a joint or a bone next to it. ``blocks_zyx`` are the voxels along each
    axis whose mean is one voxel of what was worked on: the labels are constant in such blocks, from the first labelled
    voxel on.
    """

    sha256: str
    shape_zyx: tuple[int, int, int]
    spacing_zyx_mm: Point
    complete: bool
    blocks_zyx: tuple[int, int, int] = (1, 1, 1)


class SegmentationDocument(Document):
    """What labelled the bones.

    ``version`` is the backend's (null for given labels); ``given_as`` is the kind of a given segmentation, see
    `planner.given_labels.GivenLabels.source`.
    """

    backend: Literal["shape-model", "totalsegmentator", "given-labels"]
    version: str | None = None
    given_as: str | None = None


class FindingDocument(Document):
    """See `planner.findings.Finding`; ``at_lps_mm`` is left out where a finding is nowhere in particular."""

    code: str
    level: Literal["note", "warn", "review-only", "refuse"]
    side: Literal["left", "right", "both"]
    message: str
    at_lps_mm: Point | None = None

    @model_serializer(mode="wrap")
    def _somewhere(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in write(self).items() if key != "at_lps_mm" or value is not None}


class GapDocument(Document):
    """See `planner.joint.measures.GapMeasure`; gaps are null where the part is empty."""

    area_mm2: float
    gap_mean_mm: float | None
    gap_median_mm: float | None
    gap_p95_mm: float | None


class GapByThirdDocument(Document):
    """Area and gap of the articular zone by third; ``definition`` as in `planner.joint.config.ThirdsDefinition`."""

    definition: str
    superior: GapDocument | None = None
    middle: GapDocument | None = None
    inferior: GapDocument | None = None


class LimbsDocument(Document):
    """The C of the articular zone, see `planner.joint.limbs.Limbs`; ``path_lps_mm`` from its superior end on."""

    superior_mm: float
    inferior_mm: float
    width_mm: float
    angle_deg: float
    path_lps_mm: tuple[Point, Point, Point]


class SideDifferenceDocument(Document):
    """Left minus right: the whole articular zone, and by third where both sides' thirds are known."""

    whole: GapDocument
    by_third: GapByThirdDocument


class ThirdsDocument(Document):
    """See `planner.joint.model.Thirds`; ``bounds_mm`` is null where the scan cuts the joint off."""

    definition: str
    axis_lps: Point
    bounds_mm: tuple[float, float, float, float] | None


class JointDocument(Document):
    """See `planner.joint.model.Joint`; ``surface`` is the file beside the plan.

    ``confidence`` and ``outline_error_mm`` (null where nothing speaks for it) are those of the bones' outlines at the
    joint, see `planner.segmentation.model.Sureness`.
    """

    surface: str
    articular_area_mm2: float
    gap_median_mm: float | None
    gap_p95_mm: float | None
    truncated: bool
    confidence: Share | None = None
    outline_error_mm: float | None = None
    thirds: ThirdsDocument
    gap_mean_mm: float | None = None
    by_third: GapByThirdDocument | None = None
    limbs: LimbsDocument | None = None


class EndplateDocument(Document):
    """The S1 endplate; ``slope_deg`` is its angle to the frame's axial plane, positive where it falls forwards.

    ``slope_in_scan_deg`` is the same to the scan's axial plane: the patient lies, so it is not the standing slope.
    """

    centre_lps_mm: Point
    normal_lps: Point
    slope_deg: float
    slope_in_scan_deg: float


class AnteriorPlaneDocument(Document):
    """Anterior pelvic plane; ``tilt_deg`` to the frame's coronal plane, positive where the symphysis lies behind."""

    point_lps_mm: Point
    normal_lps: Point
    tilt_deg: float
    tilt_in_scan_deg: float


class PelvicFrameDocument(Document):
    """The pelvis's own axes, in which angles and thirds are taken; what was not seen is null."""

    definition: Literal["mean-pose-of-shape-model"] = "mean-pose-of-shape-model"
    origin_lps_mm: Point
    left_lps: Point
    posterior_lps: Point
    cranial_lps: Point
    s1_endplate: EndplateDocument | None = None
    anterior_pelvic_plane: AnteriorPlaneDocument | None = None


class ForamenDocument(Document):
    """See `planner.keepout.model.Foramen`."""

    level: str
    aspect: Literal["ventral", "dorsal"]
    centre_lps_mm: Point
    width_mm: float
    confidence: Share
    axis_lps_mm: list[Point] = []


class ImplantDocument(Document):
    """The catalogue entry and its size."""

    id: str
    diameter_mm: float
    length_mm: float


class AnglesDocument(Document):
    """Insertion direction in the pelvic frame."""

    axial_to_sagittal: float
    cranial_tilt: float


class PlaneAnglesDocument(Document):
    """Insertion direction to the planes that the scan shows, not to the frame; null where one is not seen.

    ``to_s1_endplate`` is positive where the path climbs to the endplate's cranial side, ``to_anterior_plane`` where it
    runs to anterior.
    """

    to_s1_endplate: float | None = None
    to_anterior_plane: float | None = None


class CArmDocument(Document):
    """C-arm angles for a prone patient."""

    orbital_deg: float
    tilt_deg: float


class CArmViewDocument(CArmDocument):
    """One view of the C-arm card, and what it rests on."""

    basis: str


class SafeZoneDocument(Document):
    """See `planner.fluoroscopy.safe_zone.SafeZone`, of the first candidate."""

    cranial_lps_mm: Point
    caudal_lps_mm: Point
    height_mm: float
    psis_to_margin_mm: float | None
    safe_depth_mm: float | None


class FluoroscopyDocument(Document):
    """See `planner.fluoroscopy.card.CArmCard`; the angles' convention is that of `planner.fluoroscopy.angles`."""

    views: dict[str, CArmViewDocument]
    safe_zone: SafeZoneDocument | None = None


class ProofDocument(Document):
    """Terms of ``proven_mm``: ``centre_mm``, the distance to the witness, less the three that follow."""

    centre_mm: float
    voxel_mm: float = 0.0
    segmentation_margin_mm: float = 0.0
    sampling_mm: float = 0.0


class ClearanceDocument(Document):
    """See `planner.trajectory.model.Clearance`."""

    mm: float
    proven_mm: float
    at_lps_mm: Point
    proof: ProofDocument | None = None


class BreachDocument(Document):
    """Probability of a breach under the two placement-error models, with the standard error of each estimate."""

    navigated: Share
    fluoroscopic: Share
    navigated_se: float = 0.0
    fluoroscopic_se: float = 0.0


class SkinPlaceDocument(Document):
    """Skin entry from the median plane and from the PSIS, in the pelvic frame; null where either is not known."""

    from_midline: float
    lateral_of_psis: float | None = None
    posterior_of_psis: float | None = None
    cranial_of_psis: float | None = None


class BiteDocument(Document):
    """How deep the implant reaches into each bone."""

    sacrum: float
    hip: float


class SectionDocument(Document):
    """A cross-section that is not round: corners in mm along two unit vectors across the axis."""

    corners_mm: list[tuple[float, float]]
    across_lps: tuple[Point, Point]

    @property
    def corners_lps(self) -> NDArray[np.float64]:
        """Corners as vectors from the axis, LPS mm."""
        return np.asarray(np.array(self.corners_mm) @ np.array(self.across_lps))


class CandidateDocument(Document):
    """See `planner.trajectory.model.Candidate`."""

    rank: int
    grade: Literal["green", "amber"]
    score: Share
    terms: dict[str, Share]
    implant: ImplantDocument
    implant_entry_lps_mm: Point
    implant_tip_lps_mm: Point
    skin_entry_lps_mm: Point | None
    third: Literal["superior", "middle", "inferior", "unknown"]
    articular_share: Share
    depth_from_bone_mm: float
    depth_from_skin_mm: float | None
    angles_deg: AnglesDocument
    c_arm: dict[str, CArmDocument]
    clearance: dict[str, ClearanceDocument]
    breach_probability: BreachDocument
    safe_entry_radius_mm: float
    hu_shell_mean: float
    binding: str
    binding_slack_mm: float | None = None
    why: str = ""
    weights: dict[str, float] = {}
    bite_mm: BiteDocument | None = None
    angles_in_scan_deg: AnglesDocument | None = None
    angles_to_planes_deg: PlaneAnglesDocument | None = None
    skin_place_mm: SkinPlaceDocument | None = None
    hu_path: list[int] = []
    cpt: Literal["27278", "27279", ""] = ""
    bone_removed_mm3: float | None = None
    section: SectionDocument | None = None

    @property
    def corners_lps(self) -> NDArray[np.float64] | None:
        """Corners of a section that is not round, as vectors from the axis, LPS mm; None where it is round."""
        return self.section.corners_lps if self.section else None


class GiveDocument(Document):
    """See `planner.trajectory.model.Give`."""

    constraint: str
    words: str
    value: list[float]


class NoPathDocument(Document):
    """See `planner.trajectory.model.NoPath`."""

    binding: str
    reached_mm: float | None
    limit_mm: float | None
    nearest: ImplantDocument
    broken_mm: dict[str, float]
    neural_mm: float | None
    would_have_to_give: list[GiveDocument]


class ThirdBestDocument(Document):
    """See `planner.trajectory.model.ThirdBest`."""

    fits: bool
    articular_share: Share
    score: Share
    clearance_mm: float
    gap_median_mm: float | None


class BoneVolumesDocument(Document):
    """See `planner.lateral.model.BoneVolumes`."""

    sacrum: float
    hip: float


class RodDocument(Document):
    """See `planner.lateral.model.Rod`."""

    number: int
    level: str
    implant: ImplantDocument
    implant_entry_lps_mm: Point
    implant_tip_lps_mm: Point
    skin_entry_lps_mm: Point | None
    crossing_lps_mm: Point
    crossing_zone: Literal["articular", "ligamentous"]
    joint_angle_deg: float
    in_sacrum_mm: float
    in_ilium_mm: float
    proud_mm: float
    depth_from_skin_mm: float | None
    clearance: dict[str, ClearanceDocument]
    bone_removed_mm3: BoneVolumesDocument
    safe_radius_mm: float
    section: SectionDocument | None = None


class OutcomeDocument(Document):
    """See `planner.outcome.Outcome`."""

    status: Status
    reason: str


class LateralDocument(OutcomeDocument):
    """See `planner.lateral.model.LateralPlan`; there only where the comparison was asked for.

    ``posterior_bone_removed_mm3`` is that of the side's first candidate, counted in the same way.
    """

    implant_id: str
    rods: list[RodDocument] = []
    spacing_mm: list[float] = []
    to_anterior_deg: float | None = None
    cranial_tilt_deg: float | None = None
    c_arm: CArmDocument | None = None
    cpt: Literal["27279", ""] = ""
    score: Share = 0.0
    binding: str = ""
    fitting: int = 0
    bone_removed_mm3: BoneVolumesDocument | None = None
    posterior_bone_removed_mm3: BoneVolumesDocument | None = None


class InjectionDocument(OutcomeDocument):
    """See `planner.injection.model.InjectionPlan`; there only where it was asked for."""

    gauge: int
    diameter_mm: float
    entry: Literal["posterior-inferior", "middle", ""] = ""
    skin_entry_lps_mm: Point | None = None
    edge_lps_mm: Point | None = None
    tip_lps_mm: Point | None = None
    in_joint_mm: float | None = None
    depth_from_skin_mm: float | None = None
    angles_deg: AnglesDocument | None = None
    c_arm: CArmDocument | None = None
    clearance: dict[str, ClearanceDocument] = {}
    off_mid_surface_mm: float | None = None
    gap_mm: float | None = None
    binding: str = ""


class SideDocument(OutcomeDocument):
    """One side: what was found there and what is proposed."""

    joint: JointDocument | None = None
    foramina: list[ForamenDocument] = []
    landmarks: dict[str, Point] = {}
    candidates: list[CandidateDocument] = []
    rejected: dict[str, int] = {}
    no_path: NoPathDocument | None = None
    thirds_compared: dict[str, ThirdBestDocument] = {}
    fluoroscopy: FluoroscopyDocument | None = None
    lateral: LateralDocument | None = None
    injection: InjectionDocument | None = None


class PlanDocument(Document):
    """The whole of ``plan.json``."""

    model_config = ConfigDict(populate_by_name=True)

    schema_name: Literal["sacroplan.plan/1"] = Field(default=SCHEMA, alias="schema")
    notice: Literal["Research use only. Not for clinical use."] = NOTICE  # type: ignore[assignment]
    input: InputDocument
    segmentation: SegmentationDocument | None = None
    findings: list[FindingDocument]
    sides: dict[Literal["left", "right"], SideDocument]
    pelvic_frame: PelvicFrameDocument | None = None
    landmarks: dict[str, Point] = {}
    left_minus_right: SideDifferenceDocument | None = None
    s1_trabecular_hu: float | None = None
    canal_lps_mm: list[Point] = []
    soft_keepouts_ml: dict[str, float] = {}

    def to_json(self) -> str:
        """Text of ``plan.json``: the same bytes for the same plan."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


def _number(value: float, digits: int = 3) -> float:
    return round(float(value), digits) + 0.0


def _optional(value: float) -> float | None:
    return _number(value) if np.isfinite(value) else None


def _point(point: NDArray[np.float64]) -> Point:
    x, y, z = (_number(v) for v in point)
    return x, y, z


def _share(value: float) -> float:
    return min(1.0, max(0.0, _number(value, 4)))


def finding_document(finding: Finding) -> FindingDocument:
    """Write a finding down."""
    return FindingDocument.model_validate(
        {
            "code": finding.code,
            "level": finding.level.value,
            "side": finding.side,
            "message": finding.message,
            "at_lps_mm": None if finding.at_lps is None else _point(np.array(finding.at_lps)),
        }
    )


def _direction(vector: NDArray[np.float64]) -> Point:
    x, y, z = (_number(v, 6) for v in vector)
    return x, y, z


def describe_frame(frame: PelvicFrame, bearings: Bearings) -> PelvicFrameDocument:
    """Write the pelvic frame down, with the endplate and the anterior pelvic plane where they were seen."""
    return PelvicFrameDocument(
        origin_lps_mm=_point(frame.lps_from_pelvic[:3, 3]),
        left_lps=_direction(frame.left_lps),
        posterior_lps=_direction(frame.posterior_lps),
        cranial_lps=_direction(frame.cranial_lps),
        s1_endplate=_endplate(bearings.endplate, frame) if bearings.endplate else None,
        anterior_pelvic_plane=_anterior(bearings.anterior_plane, frame) if bearings.anterior_plane else None,
    )


def relate_to_planes(side: SideDocument, bearings: Bearings) -> SideDocument:
    """Add to each candidate its angles to the S1 endplate and the anterior pelvic plane, where they were seen."""
    candidates = [
        candidate.model_copy(
            update={
                "angles_to_planes_deg": PlaneAnglesDocument(
                    to_s1_endplate=_to_plane(candidate, bearings.endplate),
                    to_anterior_plane=_to_plane(candidate, bearings.anterior_plane),
                )
            }
        )
        for candidate in side.candidates
    ]
    return side.model_copy(update={"candidates": candidates})


def _to_plane(candidate: CandidateDocument, plane: FlatPlace | None) -> float | None:
    """Angle of the path to a plane, positive towards the side that its normal points to."""
    if plane is None:
        return None
    path = np.subtract(candidate.implant_tip_lps_mm, candidate.implant_entry_lps_mm)
    sine = float(path @ plane.normal_lps / np.linalg.norm(path))
    return _number(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))), 2)


def _endplate(place: FlatPlace, frame: PelvicFrame) -> EndplateDocument:
    normal = place.normal_lps
    return EndplateDocument(
        centre_lps_mm=_point(place.point_lps),
        normal_lps=_direction(normal),
        slope_deg=_angle(-normal @ frame.posterior_lps, normal @ frame.cranial_lps),
        slope_in_scan_deg=_angle(-normal[1], normal[2]),
    )


def _anterior(place: FlatPlace, frame: PelvicFrame) -> AnteriorPlaneDocument:
    normal = place.normal_lps
    return AnteriorPlaneDocument(
        point_lps_mm=_point(place.point_lps),
        normal_lps=_direction(normal),
        tilt_deg=_angle(-normal @ frame.cranial_lps, -normal @ frame.posterior_lps),
        tilt_in_scan_deg=_angle(-normal[2], -normal[1]),
    )


def _angle(opposite: Any, adjacent: Any) -> float:
    return _number(np.degrees(np.arctan2(opposite, adjacent)), 2)


def canal_points(canal_lps: NDArray[np.float64]) -> list[Point]:
    """Write down the canal's centre line, which has a point each millimetre, in steps of 5 mm."""
    return [_point(place) for place in canal_lps[::5]]


def landmark_points(landmarks_lps: Mapping[str, NDArray[np.float64]]) -> dict[str, Point]:
    """Write down the landmarks that belong to no side."""
    prefixes = tuple(f"{side}_" for side in Side)
    return {
        f"{name}_lps_mm": _point(point)
        for name, point in sorted(landmarks_lps.items())
        if not name.startswith(prefixes)
    }


def describe_difference(measures: Mapping[Side, JointMeasures]) -> SideDifferenceDocument | None:
    """Write the sides' difference down; null where one joint is missing."""
    difference = side_difference(measures)
    if difference is None:
        return None
    whole, thirds = difference
    return SideDifferenceDocument(whole=_gap(whole), by_third=_by_third(measures[Side.LEFT].definition, thirds))


def _gap(gap: GapMeasure) -> GapDocument:
    return GapDocument(
        area_mm2=_number(gap.area_mm2, 1),
        gap_mean_mm=_optional(gap.mean_mm),
        gap_median_mm=_optional(gap.median_mm),
        gap_p95_mm=_optional(gap.p95_mm),
    )


def _by_third(definition: str, thirds: Mapping[Third, GapMeasure]) -> GapByThirdDocument:
    parts = {third.name.lower(): _gap(gap) for third, gap in thirds.items()}
    return GapByThirdDocument.model_validate({"definition": definition, **parts})


def _limbs(limbs: Limbs) -> LimbsDocument:
    first, corner, last = (_point(p) for p in limbs.path_lps)
    return LimbsDocument(
        superior_mm=_number(limbs.superior_mm, 1),
        inferior_mm=_number(limbs.inferior_mm, 1),
        width_mm=_number(limbs.width_mm, 1),
        angle_deg=_number(limbs.angle_deg, 1),
        path_lps_mm=(first, corner, last),
    )


def _joint(joint: Joint, sure: Sureness | None, measures: JointMeasures | None) -> JointDocument:
    thirds = joint.thirds
    lowest, low, high, highest = (_number(v) for v in thirds.bounds_mm)
    return JointDocument(
        surface=f"joint_{joint.side}.ply",
        articular_area_mm2=_number(joint.articular_area_mm2, 1),
        gap_median_mm=_optional(joint.gap_median_mm),
        gap_p95_mm=_optional(joint.gap_p95_mm),
        truncated=joint.truncated,
        confidence=_share(sure.confidence) if sure else None,
        outline_error_mm=_optional(sure.error_mm) if sure else None,
        thirds=ThirdsDocument(
            definition=thirds.definition,
            axis_lps=tuple(_number(v, 6) for v in thirds.axis_lps),  # type: ignore[arg-type]
            bounds_mm=(lowest, low, high, highest) if thirds.known else None,
        ),
        gap_mean_mm=_optional(measures.whole.mean_mm) if measures else None,
        by_third=_by_third(measures.definition, measures.thirds) if measures else None,
        limbs=_limbs(measures.limbs) if measures and measures.limbs else None,
    )


def _foramen(foramen: Foramen) -> ForamenDocument:
    return ForamenDocument(
        level=foramen.level,
        aspect="ventral" if foramen.aspect == "ventral" else "dorsal",
        centre_lps_mm=_point(foramen.centre_lps),
        width_mm=_number(foramen.width_mm),
        confidence=_share(foramen.confidence),
        axis_lps_mm=[_point(place) for place in foramen.axis_lps],
    )


def _clearance(clearance: Clearance) -> ClearanceDocument:
    # rounded down: a bound that is rounded up is no bound
    floor = np.floor(clearance.proven_mm * 1000) / 1000
    proof = None
    if clearance.terms:
        terms = {name: _number(mm, 6) for name, mm in clearance.terms.items()}
        proof = ProofDocument(centre_mm=_number(clearance.centre_mm, 6), **terms)
    return ClearanceDocument(
        mm=_number(clearance.mm), proven_mm=_number(floor), at_lps_mm=_point(clearance.at_lps), proof=proof
    )


def _skin_place(candidate: Candidate) -> SkinPlaceDocument | None:
    if not np.isfinite(candidate.skin_from_midline_mm):
        return None
    lateral, posterior, cranial = (_optional(mm) for mm in candidate.skin_from_psis_mm)
    return SkinPlaceDocument(
        from_midline=_number(candidate.skin_from_midline_mm),
        lateral_of_psis=lateral,
        posterior_of_psis=posterior,
        cranial_of_psis=cranial,
    )


def _section(candidate: Candidate | Rod) -> SectionDocument | None:
    if candidate.section_mm is None or candidate.across_lps is None:
        return None
    along, out = (_direction(axis) for axis in candidate.across_lps)
    corners = [(_number(x), _number(y)) for x, y in candidate.section_mm]
    return SectionDocument(corners_mm=corners, across_lps=(along, out))


def _no_path(no_path: NoPath) -> NoPathDocument:
    return NoPathDocument(
        binding=no_path.binding,
        reached_mm=None if no_path.reached_mm is None else _number(no_path.reached_mm),
        limit_mm=no_path.limit_mm,
        nearest=ImplantDocument(id=no_path.implant_id, diameter_mm=no_path.diameter_mm, length_mm=no_path.length_mm),
        broken_mm={name: _number(mm) for name, mm in no_path.broken.items()},
        neural_mm=None if no_path.neural_mm is None else _number(no_path.neural_mm),
        would_have_to_give=[
            GiveDocument(constraint=g.constraint, words=g.words, value=[_number(v) for v in g.value])
            for g in no_path.gives
        ],
    )


def _third_best(best: ThirdBest) -> ThirdBestDocument:
    return ThirdBestDocument(
        fits=best.fits,
        articular_share=_share(best.articular_share),
        score=_share(best.score),
        clearance_mm=_number(best.clearance_mm),
        gap_median_mm=_optional(best.gap_mm),
    )


def _scan_angles(candidate: Candidate) -> AnglesDocument | None:
    axial, tilt = candidate.scan_axial_to_sagittal_deg, candidate.scan_cranial_tilt_deg
    if not np.isfinite((axial, tilt)).all():
        return None
    return AnglesDocument(axial_to_sagittal=_number(axial), cranial_tilt=_number(tilt))


def _candidate(rank: int, candidate: Candidate) -> CandidateDocument:
    skin = candidate.skin_entry_lps
    return CandidateDocument.model_validate(
        {
            "rank": rank,
            "grade": candidate.grade,
            "score": _share(candidate.score),
            "terms": {name: _share(value) for name, value in sorted(candidate.terms.items())},
            "implant": ImplantDocument(
                id=candidate.implant_id,
                diameter_mm=_number(candidate.diameter_mm),
                length_mm=_number(candidate.length_mm),
            ),
            "implant_entry_lps_mm": _point(candidate.implant_entry_lps),
            "implant_tip_lps_mm": _point(candidate.implant_tip_lps),
            "skin_entry_lps_mm": _point(skin) if np.isfinite(skin).all() else None,
            "third": candidate.third,
            "articular_share": _share(candidate.articular_share),
            "depth_from_bone_mm": _number(candidate.depth_from_bone_mm),
            "depth_from_skin_mm": _optional(candidate.depth_from_skin_mm),
            "angles_deg": AnglesDocument(
                axial_to_sagittal=_number(candidate.axial_to_sagittal_deg),
                cranial_tilt=_number(candidate.cranial_tilt_deg),
            ),
            "c_arm": {
                view: CArmDocument(orbital_deg=_number(orbital), tilt_deg=_number(tilt))
                for view, (orbital, tilt) in sorted(candidate.c_arm.items())
            },
            "clearance": {name: _clearance(c) for name, c in sorted(candidate.clearances.items())},
            "breach_probability": BreachDocument(
                navigated=_share(candidate.breach.navigated),
                fluoroscopic=_share(candidate.breach.fluoroscopic),
                navigated_se=_number(candidate.breach.navigated_se, 5),
                fluoroscopic_se=_number(candidate.breach.fluoroscopic_se, 5),
            ),
            "safe_entry_radius_mm": _number(candidate.safe_entry_radius_mm),
            "hu_shell_mean": _number(candidate.hu_shell_mean, 1),
            "binding": candidate.binding,
            "binding_slack_mm": _optional(candidate.binding_slack_mm),
            "why": candidate.why,
            "weights": dict(sorted(candidate.weights.items())),
            "bite_mm": BiteDocument(sacrum=_number(candidate.bite_mm[0]), hip=_number(candidate.bite_mm[1])),
            "angles_in_scan_deg": _scan_angles(candidate),
            "skin_place_mm": _skin_place(candidate),
            "hu_path": [round(hu) for hu in candidate.hu_path],
            "cpt": candidate.cpt,
            "bone_removed_mm3": _optional(candidate.bone_removed_mm3),
            "section": _section(candidate),
        }
    )


def describe_fluoroscopy(card: CArmCard) -> FluoroscopyDocument:
    """Write the C-arm card of a side down."""
    zone = card.safe_zone
    return FluoroscopyDocument(
        views={
            name: CArmViewDocument(
                orbital_deg=_number(view.angles.orbital_deg), tilt_deg=_number(view.angles.tilt_deg), basis=view.basis
            )
            for name, view in sorted(card.views.items())
        },
        safe_zone=SafeZoneDocument(
            cranial_lps_mm=_point(zone.cranial_lps),
            caudal_lps_mm=_point(zone.caudal_lps),
            height_mm=_number(zone.height_mm),
            psis_to_margin_mm=None if zone.psis_to_margin_mm is None else _number(zone.psis_to_margin_mm),
            safe_depth_mm=None if zone.safe_depth_mm is None else _number(zone.safe_depth_mm),
        )
        if zone
        else None,
    )


def describe_lateral(plan: LateralPlan) -> LateralDocument:
    """Write the lateral rods of a side down."""
    there = bool(plan.rods)
    return LateralDocument(
        status=plan.status,
        reason=plan.reason,
        implant_id=plan.implant_id,
        rods=[_rod(number, rod, plan.implant_id) for number, rod in enumerate(plan.rods, start=1)],
        spacing_mm=[_number(gap) for gap in plan.spacing_mm],
        to_anterior_deg=_optional(plan.to_anterior_deg),
        cranial_tilt_deg=_optional(plan.cranial_tilt_deg),
        c_arm=_c_arm(plan.c_arm) if there else None,
        cpt="27279" if there else "",
        score=_share(plan.score),
        binding=plan.binding,
        fitting=plan.fitting,
        bone_removed_mm3=_volumes(sum((rod.removed for rod in plan.rods), BoneVolumes(0.0, 0.0))) if there else None,
        posterior_bone_removed_mm3=_volumes(plan.posterior_removed) if plan.posterior_removed else None,
    )


def _rod(number: int, rod: Rod, implant_id: str) -> RodDocument:
    seen = bool(np.isfinite(rod.skin_lps).all())
    return RodDocument(
        number=number,
        level=rod.level,
        implant=ImplantDocument(id=implant_id, diameter_mm=_number(rod.diameter_mm), length_mm=_number(rod.length_mm)),
        implant_entry_lps_mm=_point(rod.entry_lps),
        implant_tip_lps_mm=_point(rod.tip_lps),
        skin_entry_lps_mm=_point(rod.skin_lps) if seen else None,
        crossing_lps_mm=_point(rod.crossing_lps),
        crossing_zone=rod.crossing_zone,  # type: ignore[arg-type]
        joint_angle_deg=_number(rod.joint_angle_deg, 2),
        in_sacrum_mm=_number(rod.in_sacrum_mm),
        in_ilium_mm=_number(rod.in_ilium_mm),
        proud_mm=_number(rod.proud_mm),
        depth_from_skin_mm=_optional(float(np.linalg.norm(rod.tip_lps - rod.skin_lps))),
        clearance={name: _clearance(c) for name, c in sorted(rod.clearances.items())},
        bone_removed_mm3=_volumes(rod.removed),
        safe_radius_mm=_number(rod.safe_radius_mm),
        section=_section(rod),
    )


def _volumes(volumes: BoneVolumes) -> BoneVolumesDocument:
    return BoneVolumesDocument(sacrum=_number(volumes.sacrum_mm3, 1), hip=_number(volumes.hip_mm3, 1))


def _c_arm(angles_deg: tuple[float, float]) -> CArmDocument:
    return CArmDocument(orbital_deg=_number(angles_deg[0]), tilt_deg=_number(angles_deg[1]))


def describe_injection(plan: InjectionPlan) -> InjectionDocument:
    """Write the needle's path of a side down."""
    there = bool(np.isfinite(plan.tip_lps).all())
    return InjectionDocument(
        status=plan.status,
        reason=plan.reason,
        gauge=plan.gauge,
        diameter_mm=_number(plan.diameter_mm),
        entry=plan.entry,  # type: ignore[arg-type]
        skin_entry_lps_mm=_point(plan.skin_lps) if np.isfinite(plan.skin_lps).all() else None,
        edge_lps_mm=_point(plan.edge_lps) if there else None,
        tip_lps_mm=_point(plan.tip_lps) if there else None,
        in_joint_mm=_optional(plan.in_joint_mm),
        depth_from_skin_mm=_optional(plan.depth_from_skin_mm),
        angles_deg=AnglesDocument(
            axial_to_sagittal=_number(plan.axial_to_sagittal_deg), cranial_tilt=_number(plan.cranial_tilt_deg)
        )
        if there
        else None,
        c_arm=_c_arm(plan.c_arm) if there else None,
        clearance={name: _clearance(c) for name, c in sorted(plan.clearances.items())},
        off_mid_surface_mm=_optional(plan.off_mid_surface_mm),
        gap_mm=_optional(plan.gap_mm),
        binding=plan.binding,
    )


def describe_side(
    plan: SidePlan,
    joint: Joint | None,
    foramina: tuple[Foramen, ...],
    landmarks_lps: Mapping[str, NDArray[np.float64]],
    sureness: Sureness | None = None,
    measures: JointMeasures | None = None,
) -> SideDocument:
    """Write one side down.

    Parameters
    ----------
    plan : SidePlan
        What the search proposes.
    joint : Joint or None
        None where the joint was not found.
    foramina : tuple of Foramen
        Of all sides; those of the plan's side are written.
    landmarks_lps : mapping
        Names such as ``left_psis``; those of the plan's side are written without the side.
    sureness : Sureness, optional
        Of the bones' outlines at the joint.
    measures : JointMeasures, optional
        Area and gap by third, and the limbs.
    """
    prefix = f"{plan.side}_"
    return SideDocument.model_validate(
        {
            "status": plan.status,
            "reason": plan.reason,
            "joint": _joint(joint, sureness, measures) if joint is not None else None,
            "foramina": [_foramen(f) for f in foramina if f.side is Side(plan.side)],
            "landmarks": {
                f"{name.removeprefix(prefix)}_lps_mm": _point(point)
                for name, point in sorted(landmarks_lps.items())
                if name.startswith(prefix)
            },
            "candidates": [_candidate(rank, c) for rank, c in enumerate(plan.candidates, start=1)],
            "rejected": dict(sorted(plan.rejected.items())),
            "no_path": _no_path(plan.no_path) if plan.no_path else None,
            "thirds_compared": {name: _third_best(best) for name, best in plan.thirds_compared.items()},
        }
    )
