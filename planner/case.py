"""One case, from a scan to its plans: the order of the stages is written here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner import __version__
from planner.backends import Backend
from planner.backends.totalsegmentator import TotalSegmentator
from planner.config import PlanConfig
from planner.dicom import DicomOrigin
from planner.errors import ConfigError
from planner.findings import Finding, Level
from planner.fluoroscopy import CArmCard, make_card, with_views
from planner.given_labels import read_given_labels
from planner.grid import Orientation
from planner.implants import Implant, load_catalogue
from planner.injection import InjectionPlan, plan_injection
from planner.joint import Joint, dorsal_mouth_at, extract_joint, measure_joint, side_difference_findings
from planner.keepout import Keepouts, find_keepouts
from planner.labels import Side
from planner.lateral import LateralPlan, lateral_implant, plan_lateral
from planner.place import Place, working_place
from planner.plan import (
    InputDocument,
    PlanDocument,
    SegmentationDocument,
    canal_points,
    describe_difference,
    describe_fluoroscopy,
    describe_frame,
    describe_injection,
    describe_lateral,
    describe_side,
    finding_document,
    landmark_points,
    relate_to_planes,
)
from planner.reading import Scan, read_scan, scan_of
from planner.segmentation import (
    Bearings,
    Bones,
    PelvisPose,
    ShapeModel,
    bones_from_labels,
    crop_box,
    density_findings,
    dysmorphism_findings,
    find_bearings,
    load_shape_model,
    locate_pelvis,
    s1_trabecular_hu,
    segment_bones,
    thin_cells,
    transition_findings,
)
from planner.stages import StageLog, StageRecord
from planner.trajectory import SidePlan, plan_side
from planner.trajectory.task import Anatomy as SideAnatomy
from planner.volume import Volume

__all__ = ["Anatomy", "Case", "CaseSettings", "plan_case"]

BOTH_SIDES = (Side.LEFT, Side.RIGHT)
DEFAULT_IMPLANT = "GENERIC-DOWEL"


@dataclass(frozen=True)
class CaseSettings:
    """What the user asks for.

    Attributes
    ----------
    sides : tuple of Side
        Sides to plan; empty stops after the keep-outs.
    implant : str
        Identifier in the catalogue.
    catalogue : Path or None
        The user's own implants, over those shipped.
    labels : Path or None
        A given segmentation in place of our own.
    backend : Backend
        What labels the bones where none are given.
    resample : bool
        Accept uneven slices or gantry tilt, and record it.
    shape_model : Path or None
        A shape model in place of the one shipped: for measuring on people that the latter was built from.
    config : PlanConfig
        Settings of the stages.
    """

    sides: tuple[Side, ...] = BOTH_SIDES
    implant: str = DEFAULT_IMPLANT
    catalogue: Path | None = None
    labels: Path | None = None
    backend: Backend = Backend.SHAPE_MODEL
    resample: bool = False
    shape_model: Path | None = None
    config: PlanConfig = field(default_factory=PlanConfig)

    @property
    def model(self) -> ShapeModel:
        """The shape model to use."""
        return load_shape_model(self.shape_model) if self.shape_model else load_shape_model()


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Bones, joints and keep-outs of one scan, on the working grid, and what labelled the bones."""

    volume: Volume
    bones: Bones
    bearings: Bearings
    s1_hu: float | None
    segmentation: SegmentationDocument
    joints: Mapping[Side, Joint]
    keepouts: Keepouts


@dataclass(frozen=True, eq=False)
class Case:
    """All that is known of one case.

    Attributes
    ----------
    document : PlanDocument
        What goes into ``plan.json``.
    description : mapping
        Facts of the series that identify no one.
    settings : CaseSettings
        What was asked for.
    place : Place
        From the working grid to the input's own.
    anatomy : Anatomy
        Bones, joints and keep-outs.
    plans : mapping of Side to SidePlan
        Both sides, those not asked for too.
    stages : tuple of StageRecord
        What each stage cost.
    cards : mapping of Side to CArmCard
        The C-arm's views, and what Dall measures.
    origin : DicomOrigin or None
        The CT's files; None where it is no DICOM.
    lateral : mapping of Side to LateralPlan
        Lateral rods, for comparison; empty unless asked for.
    injections : mapping of Side to InjectionPlan
        Needles' paths; empty unless asked for.
    """

    document: PlanDocument
    description: Mapping[str, Any]
    settings: CaseSettings
    place: Place
    anatomy: Anatomy
    plans: Mapping[Side, SidePlan]
    stages: tuple[StageRecord, ...]
    cards: Mapping[Side, CArmCard]
    origin: DicomOrigin | None = None
    lateral: Mapping[Side, LateralPlan] = field(default_factory=dict)
    injections: Mapping[Side, InjectionPlan] = field(default_factory=dict)


def plan_case(source: Path | Volume, settings: CaseSettings | None = None, log: StageLog | None = None) -> Case:
    """Plan one case. Nothing is written.

    Parameters
    ----------
    source : Path or Volume
        DICOM folder, zip or file, NIfTI, NRRD, MHA or zarr; or a CT in memory, at any orientation.
    settings : CaseSettings, optional
        What the user asks for; both sides with the default implant unless told otherwise.
    log : StageLog, optional
        Told of each stage as it begins; raising from its ``on_start`` cancels.

    Raises
    ------
    planner.errors.SacroplanError
        If the input is refused or a setting is wrong.
    """
    settings, log = settings or CaseSettings(), log or StageLog()
    _check(settings)
    implant = load_catalogue(settings.catalogue).plannable(settings.implant)
    with log.stage("read"):
        scan = scan_of(source) if isinstance(source, Volume) else read_scan(source, resample=settings.resample)
    with log.stage("locate pelvis"):
        pose = locate_pelvis(thin_cells(scan.cells), settings.model)
    with log.stage("read pelvis"):
        volume, place, sha256 = _read_pelvis(scan, pose, settings.model)
    description, origin, findings = scan.description, scan.origin, (*scan.findings, *place.findings())
    del scan  # decoded slices are let go: from here on only the pelvis is held
    anatomy = _measure(volume, place, pose, settings, log)
    findings = _unique((*findings, *_anatomy_findings(anatomy)))
    with log.stage("search trajectories"), ThreadPoolExecutor(len(BOTH_SIDES)) as pool:  # the search holds no lock
        found = pool.map(lambda side: _plan(side, anatomy, implant, settings, findings), BOTH_SIDES)
        plans = dict(zip(BOTH_SIDES, found, strict=True))
    lateral, injections = _plan_beside(anatomy, plans, settings, findings, log)
    findings = _unique((*findings, *(f for side in BOTH_SIDES for f in plans[side].findings)))
    with log.stage("turn the C-arm"):
        cards = {side: _card(side, anatomy, plans[side], settings.config) for side in BOTH_SIDES}
        plans = {side: with_views(plans[side], cards[side], anatomy.bones) for side in BOTH_SIDES}
    document = _with_cards(_document(sha256, place, findings, anatomy, plans, settings.config), cards)
    document = _with_others(document, lateral, injections)
    stages = tuple(log.records)
    return Case(document, description, settings, place, anatomy, plans, stages, cards, origin, lateral, injections)


def _card(side: Side, anatomy: Anatomy, plan: SidePlan, config: PlanConfig) -> CArmCard:
    return make_card(anatomy.bones, anatomy.bearings, plan, anatomy.joints.get(side), config.fluoroscopy)


def _with_cards(document: PlanDocument, cards: Mapping[Side, CArmCard]) -> PlanDocument:
    sides = {
        side.value: document.sides[side.value].model_copy(update={"fluoroscopy": describe_fluoroscopy(card)})
        for side, card in cards.items()
    }
    return document.model_copy(update={"sides": sides})


def _with_others(
    document: PlanDocument, lateral: Mapping[Side, LateralPlan], injections: Mapping[Side, InjectionPlan]
) -> PlanDocument:
    """Add lateral rods and needles to their sides."""
    sides = dict(document.sides)
    for side, rods in lateral.items():
        sides[side.value] = sides[side.value].model_copy(update={"lateral": describe_lateral(rods)})
    for side, needle in injections.items():
        sides[side.value] = sides[side.value].model_copy(update={"injection": describe_injection(needle)})
    return document.model_copy(update={"sides": sides})


def _plan_beside(
    anatomy: Anatomy,
    plans: Mapping[Side, SidePlan],
    settings: CaseSettings,
    findings: tuple[Finding, ...],
    log: StageLog,
) -> tuple[dict[Side, LateralPlan], dict[Side, InjectionPlan]]:
    """Plan what was asked for beside the posterior implant, on the sides that one was planned for."""
    config, shared = settings.config, settings.config.trajectory
    if not (config.lateral.compare or config.injection.plan):
        return {}, {}
    landmarks = anatomy.bearings.landmarks_lps
    sides = {
        side: SideAnatomy(anatomy.volume, anatomy.bones, anatomy.joints[side], anatomy.keepouts, landmarks)
        for side in BOTH_SIDES
        if not _why_not(side, anatomy, settings, findings)
    }

    def rods(side: Side) -> LateralPlan:
        best = next(iter(plans[side].candidates), None)
        implant = lateral_implant(settings.catalogue, config.lateral)
        return plan_lateral(sides[side], implant, config.lateral, shared, best)

    def needle(side: Side) -> InjectionPlan:
        return plan_injection(sides[side], config.injection, shared.constraints)

    with log.stage("plan rods and needle"), ThreadPoolExecutor(len(BOTH_SIDES)) as pool:
        lateral = dict(zip(sides, pool.map(rods, sides), strict=True)) if config.lateral.compare else {}
        injections = dict(zip(sides, pool.map(needle, sides), strict=True)) if config.injection.plan else {}
    return lateral, injections


def _check(settings: CaseSettings) -> None:
    """Refuse what cannot be done before anything is read."""
    if settings.config.lateral.compare:
        lateral_implant(settings.catalogue, settings.config.lateral)
    if settings.backend is Backend.TOTALSEGMENTATOR:
        if settings.labels is not None:
            raise ConfigError("--labels and --backend totalsegmentator were both given.", "Give one of them.")
        TotalSegmentator.find()


def _read_pelvis(scan: Scan, pose: PelvisPose, model: ShapeModel) -> tuple[Volume, Place, str]:
    canonical = Orientation.to_canonical(scan.grid).apply_grid(scan.grid)
    place = working_place(scan.grid, crop_box(canonical, pose, model))
    volume = scan.read(place.box, place.blocks)
    return volume, place, scan.sha256(volume)


def _measure(volume: Volume, place: Place, pose: PelvisPose, settings: CaseSettings, log: StageLog) -> Anatomy:
    config = settings.config
    with log.stage("segment bones"):
        bones, segmentation = _label_bones(volume, place, pose, settings)
    with log.stage("measure joints and keep-outs"), ThreadPoolExecutor(len(BOTH_SIDES)) as pool:
        joints = [pool.submit(extract_joint, volume, bones, side, config.joint) for side in bones.planned_sides]
        bearings = find_bearings(volume, bones)
        keepouts = pool.submit(find_keepouts, volume, bones, config.keepout, bearings.landmarks_lps).result()
        found = {side: joint.result() for side, joint in zip(bones.planned_sides, joints, strict=True)}
    shown = {side: joint for side, joint in found.items() if len(joint.faces)}
    s1_hu = s1_trabecular_hu(volume, bones.labels, bearings.endplate)
    return Anatomy(volume, bones, bearings, s1_hu, segmentation, shown, keepouts)


def _label_bones(
    volume: Volume, place: Place, pose: PelvisPose, settings: CaseSettings
) -> tuple[Bones, SegmentationDocument]:
    """Label the bones by the shape model, or fit it to labels that were given or that another program makes."""
    model, config = settings.model, settings.config.segmentation
    if settings.labels is not None:
        given = read_given_labels(settings.labels, place.grid)
        bones = bones_from_labels(volume, place.from_input(given.labels), model, config)
        origin = SegmentationDocument(backend="given-labels", given_as=given.source)
        return replace(bones, findings=(*given.findings, *bones.findings)), origin
    if settings.backend is Backend.TOTALSEGMENTATOR:
        backend = TotalSegmentator.find()
        bones = bones_from_labels(volume, backend.label_bones(volume), model, config)
        return bones, SegmentationDocument(backend="totalsegmentator", version=backend.version)
    return segment_bones(volume, pose, model, config), SegmentationDocument(backend="shape-model", version=__version__)


def _anatomy_findings(anatomy: Anatomy) -> Iterable[Finding]:
    yield from anatomy.bones.findings
    for side in BOTH_SIDES:
        if side in anatomy.joints:
            yield from anatomy.joints[side].findings
    yield from side_difference_findings(anatomy.joints)
    yield from anatomy.keepouts.findings
    yield from transition_findings(anatomy.bones)
    yield from dysmorphism_findings(anatomy.bones, anatomy.bearings.endplate)
    yield from density_findings(anatomy.s1_hu)


def _unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys(findings))


def _plan(
    side: Side, anatomy: Anatomy, implant: Implant, settings: CaseSettings, findings: tuple[Finding, ...]
) -> SidePlan:
    reason = _why_not(side, anatomy, settings, findings)
    if reason:
        return SidePlan(side, "not-planned", reason, (), {})
    joint = anatomy.joints[side]
    landmarks = anatomy.bearings.landmarks_lps
    return plan_side(
        anatomy.volume, anatomy.bones, joint, anatomy.keepouts, implant, settings.config.trajectory, landmarks
    )


def _why_not(side: Side, anatomy: Anatomy, settings: CaseSettings, findings: tuple[Finding, ...]) -> str:
    """Say why a side is not planned at all; empty where it is."""
    if side not in settings.sides:
        return "This side was not asked for."
    for finding in findings:
        if finding.level is Level.REFUSE and finding.side in ("both", side.value):
            return finding.message
    if side not in anatomy.bones.planned_sides:
        return f"The {side} hip bone or the sacrum beside it is not in the scan."
    if side not in anatomy.joints:
        return f"The {side} sacroiliac joint was not found in the scan."
    return ""


def _landmarks(anatomy: Anatomy) -> dict[str, NDArray[np.float64]]:
    """Landmarks that the scan shows, and the joints' dorsal mouths at the height of each dorsal foramen found."""
    places = dict(anatomy.bearings.landmarks_lps)
    for foramen in anatomy.keepouts.foramina:
        if foramen.aspect == "dorsal" and foramen.side in anatomy.joints:
            mouth = dorsal_mouth_at(anatomy.joints[foramen.side], foramen.centre_lps)
            if mouth is not None:
                places[f"{foramen.side}_joint_dorsal_mouth_{foramen.level.lower()}"] = mouth
    return places


def _document(
    sha256: str,
    place: Place,
    findings: tuple[Finding, ...],
    anatomy: Anatomy,
    plans: Mapping[Side, SidePlan],
    config: PlanConfig,
) -> PlanDocument:
    grid = place.grid
    spacing_z, spacing_y, spacing_x = (round(float(v), 6) for v in grid.spacing_zyx_mm)
    complete = len(anatomy.joints) == 2 and not any(joint.truncated for joint in anatomy.joints.values())
    landmarks = _landmarks(anatomy)
    measures = {side: measure_joint(joint, config.joint) for side, joint in anatomy.joints.items()}
    return PlanDocument(
        input=InputDocument(
            sha256=sha256,
            shape_zyx=grid.shape_zyx,
            spacing_zyx_mm=(spacing_z, spacing_y, spacing_x),
            complete=complete,
            blocks_zyx=place.stored_blocks,
        ),
        segmentation=anatomy.segmentation,
        findings=[finding_document(f) for f in findings],
        sides={
            side.value: relate_to_planes(
                describe_side(
                    plans[side],
                    anatomy.joints.get(side),
                    anatomy.keepouts.foramina,
                    landmarks,
                    anatomy.bones.joint_sureness.get(side),
                    measures.get(side),
                ),
                anatomy.bearings,
            )
            for side in BOTH_SIDES
        },
        pelvic_frame=describe_frame(anatomy.bones.frame, anatomy.bearings),
        landmarks=landmark_points(landmarks),
        left_minus_right=describe_difference(measures),
        s1_trabecular_hu=round(anatomy.s1_hu, 1) if anatomy.s1_hu is not None else None,
        canal_lps_mm=canal_points(anatomy.keepouts.canal_lps),
        soft_keepouts_ml=dict(anatomy.keepouts.soft_ml),
    )
