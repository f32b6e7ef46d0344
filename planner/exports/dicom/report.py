"""The plan as a Comprehensive 3D structured report (PS3.3 A.35.13) by TID 1500, Measurement Report.

One measurement group (TID 1501) a joint, a foramen's mouth and a candidate. Each point of the plan is where one of the
measurements was taken: the entry that of the safe entry radius, the tip that of the depth, a witness that of its
clearance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import Comprehensive3DSRStorage

from planner import NOTICE, __version__
from planner.exports.dicom.concepts import own_scheme
from planner.exports.dicom.content import Unit, code, container, identifier, number, place, text
from planner.exports.dicom.objects import Kind, Target, referenced_series, save
from planner.exports.terminology import OWN_SCHEME, SIDES, Concept
from planner.labels import Side
from planner.plan import CandidateDocument, ForamenDocument, JointDocument, PlanDocument, Point, SideDocument

__all__ = ["KIND", "write_report"]

KIND = Kind(Comprehensive3DSRStorage, "SR", "sacroplan plan", 9003)

TITLE = Concept("126000", "DCM", "Imaging Measurement Report")
LANGUAGE = Concept("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = Concept("en-US", "RFC5646", "English (United States)")
OBSERVER_TYPE = Concept("121005", "DCM", "Observer Type")
DEVICE = Concept("121007", "DCM", "Device")
DEVICE_UID = Concept("121012", "DCM", "Device Observer UID")
DEVICE_NAME = Concept("121013", "DCM", "Device Observer Name")
PROCEDURE = Concept("121058", "DCM", "Procedure reported")
CT = Concept("25045-6", "LN", "CT unspecified body region")
MEASUREMENTS = Concept("126010", "DCM", "Imaging Measurements")
EVALUATIONS = Concept("C0034375", "UMLS", "Qualitative Evaluations")
GROUP = Concept("125007", "DCM", "Measurement Group")
TRACKING = Concept("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Concept("112040", "DCM", "Tracking Unique Identifier")
FINDING = Concept("121071", "DCM", "Finding")
SITE = Concept("363698007", "SCT", "Finding Site")
LATERALITY = Concept("272741003", "SCT", "Laterality")
SACRUM = Concept("54735007", "SCT", "Sacrum")
SI_JOINT = Concept("39723000", "SCT", "Sacroiliac joint")
IMPLANT = Concept("40388003", "SCT", "Implant")
FORAMEN = Concept("SACRAL-FORAMEN", OWN_SCHEME, "Sacral foramen")
LENGTH = Concept("410668003", "SCT", "Length")
DIAMETER = Concept("81827009", "SCT", "Diameter")
AREA = Concept("42798000", "SCT", "Area")

MM = Unit("mm", "UCUM", "millimeter")
MM2 = Unit("mm2", "UCUM", "square millimeter")
DEGREES = Unit("deg", "UCUM", "degree")
HOUNSFIELD = Unit("[hnsf'U]", "UCUM", "Hounsfield unit")
ONE = Unit("1", "UCUM", "no units")

CODE_LETTERS, MEANING_LETTERS = 16, 64
"""Longest Code Value and Code Meaning (SH, LO)."""
HASH_LETTERS = 6
"""Of a hash that ends a shortened code."""


def write_report(path: Path, target: Target) -> Path:
    """Write a plan as a structured report."""
    data = target.new(KIND, 1)
    tree = _tree(target)
    del tree.RelationshipType  # the root belongs to nothing
    data.update(tree)
    data.CompletionFlag, data.VerificationFlag, data.PreliminaryFlag = "COMPLETE", "UNVERIFIED", "PRELIMINARY"
    data.ReferencedPerformedProcedureStepSequence = Items([])
    data.PerformedProcedureCodeSequence = Items([])
    data.CodingSchemeIdentificationSequence = own_scheme()
    template, evidence = Dataset(), Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "1500"
    data.ContentTemplateSequence = Items([template])
    evidence.StudyInstanceUID = str(target.header.StudyInstanceUID)
    evidence.ReferencedSeriesSequence = _evidence(target)
    data.PertinentOtherEvidenceSequence = Items([evidence])
    return save(data, path)


def _evidence(target: Target) -> Items:
    series = referenced_series(target.study)
    series[0].ReferencedSOPSequence = series[0].ReferencedInstanceSequence
    del series[0].ReferencedInstanceSequence
    return series


def _tree(target: Target) -> Dataset:
    return container("", TITLE, [
        code("HAS CONCEPT MOD", LANGUAGE, ENGLISH),
        code("HAS OBS CONTEXT", OBSERVER_TYPE, DEVICE),
        identifier("HAS OBS CONTEXT", DEVICE_UID, target.uid("device")),
        text("HAS OBS CONTEXT", DEVICE_NAME, f"sacroplan {__version__}"),
        code("HAS CONCEPT MOD", PROCEDURE, CT),
        container("CONTAINS", MEASUREMENTS, _groups(target)),
        container("CONTAINS", EVALUATIONS, _evaluations(target.document)),
    ])  # fmt: skip


def _evaluations(document: PlanDocument) -> Iterator[Dataset]:
    yield text("CONTAINS", _own("notice"), NOTICE)
    for side, entry in document.sides.items():
        yield text("CONTAINS", _own(f"{side} status"), f"{entry.status}. {entry.reason}".strip())
    for finding in document.findings:
        words = f"{finding.level}, {finding.side}: {finding.message}"
        yield text("CONTAINS", _own(finding.code.replace("-", " ")), words)


def _groups(target: Target) -> Iterator[Dataset]:
    for side, entry in target.document.sides.items():
        yield from _side_groups(target, Side(side), entry)


def _side_groups(target: Target, side: Side, entry: SideDocument) -> Iterator[Dataset]:
    if entry.joint is not None:
        yield _group(target, side, f"{side} sacroiliac joint", SI_JOINT, _joint(entry.joint))
    for foramen in entry.foramina:
        name = f"{side} {foramen.level} {foramen.aspect} foramen"
        yield _group(target, side, name, FORAMEN, _foramen(target, foramen))
    for candidate in entry.candidates:
        name = f"{side} implant, candidate {candidate.rank}"
        yield _group(target, side, name, IMPLANT, _candidate(target, candidate))


def _group(target: Target, side: Side, name: str, finding: Concept, children: Iterator[Dataset]) -> Dataset:
    site = SACRUM if finding is FORAMEN else SI_JOINT
    return container("CONTAINS", GROUP, [
        text("HAS OBS CONTEXT", TRACKING, name),
        identifier("HAS OBS CONTEXT", TRACKING_UID, target.uid("tracking", name)),
        code("CONTAINS", FINDING, finding),
        code("HAS CONCEPT MOD", SITE, site, [code("HAS CONCEPT MOD", LATERALITY, SIDES[side])]),
        *children,
    ])  # fmt: skip


def _joint(joint: JointDocument) -> Iterator[Dataset]:
    yield number(AREA, joint.articular_area_mm2, MM2)
    for name, gap in (("median gap", joint.gap_median_mm), ("95th percentile of gap", joint.gap_p95_mm)):
        if gap is not None:
            yield number(_own(name), gap, MM)


def _foramen(target: Target, foramen: ForamenDocument) -> Iterator[Dataset]:
    yield number(DIAMETER, foramen.width_mm, MM, _place(target, foramen.centre_lps_mm))
    yield number(_own("confidence"), foramen.confidence, ONE)


def _candidate(target: Target, candidate: CandidateDocument) -> Iterator[Dataset]:
    entry, tip, skin = candidate.implant_entry_lps_mm, candidate.implant_tip_lps_mm, candidate.skin_entry_lps_mm
    yield number(LENGTH, candidate.implant.length_mm, MM, _place(target, entry, tip))
    yield number(DIAMETER, candidate.implant.diameter_mm, MM)
    yield number(_own("safe entry radius"), candidate.safe_entry_radius_mm, MM, _place(target, entry))
    yield number(_own("depth from bone"), candidate.depth_from_bone_mm, MM, _place(target, tip))
    if skin is not None and candidate.depth_from_skin_mm is not None:
        yield number(_own("depth from skin"), candidate.depth_from_skin_mm, MM, _place(target, skin, tip))
    for name, clearance in candidate.clearance.items():
        words = name.replace("_", " ")
        yield number(_own(f"clearance, {words}"), clearance.mm, MM, _place(target, clearance.at_lps_mm))
        yield number(_own(f"proven clearance, {words}"), clearance.proven_mm, MM)
    yield from _angles(candidate)
    yield number(_own("articular share"), candidate.articular_share, ONE)
    yield number(_own("breach, navigated"), candidate.breach_probability.navigated, ONE)
    yield number(_own("breach, fluoroscopic"), candidate.breach_probability.fluoroscopic, ONE)
    yield number(_own("mean HU round implant"), candidate.hu_shell_mean, HOUNSFIELD)
    for name, word in (("third", candidate.third), ("grade", candidate.grade)):
        yield code("CONTAINS", _own(name), _own(word))


def _angles(candidate: CandidateDocument) -> Iterator[Dataset]:
    yield number(_own("axial angle to sagittal"), candidate.angles_deg.axial_to_sagittal, DEGREES)
    yield number(_own("cranial tilt"), candidate.angles_deg.cranial_tilt, DEGREES)
    for view, angles in candidate.c_arm.items():
        words = view.replace("_", " ")
        yield number(_own(f"C-arm {words}, orbital"), angles.orbital_deg, DEGREES)
        yield number(_own(f"C-arm {words}, tilt"), angles.tilt_deg, DEGREES)


def _place(target: Target, *points: Point) -> Dataset:
    return place(points, target.frame_of_reference)


def _own(words: str) -> Concept:
    """Code of our own: its words in capitals, cut where they are too long, with a hash that keeps them apart."""
    value = "-".join(words.upper().replace(",", " ").split())
    if len(value) > CODE_LETTERS:
        digest = hashlib.sha256(words.encode()).hexdigest()[:HASH_LETTERS].upper()
        value = f"{value[: CODE_LETTERS - HASH_LETTERS - 1]}-{digest}"
    return Concept(value, OWN_SCHEME, (words[0].upper() + words[1:])[:MEANING_LETTERS])
