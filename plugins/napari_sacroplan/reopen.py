"""A result folder, read back as the values that the stages gave: what a review is held against.

`plan.json` rounds to a micrometre, so what is measured again agrees with it to a few of those. The scan itself is not
in the folder: without it, tissue is drawn from the labels and bone quality and skin are unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from planner.config import PlanConfig
from planner.errors import ImplantError, InputRefusedError, LabelsError, SacroplanError, UnreadableFileError
from planner.grid import Orientation
from planner.images import read_labels
from planner.implants import Implant, load_catalogue
from planner.joint import Joint, read_joint_ply
from planner.joint.model import Thirds
from planner.keepout import Keepouts
from planner.keepout.model import Foramen
from planner.labels import Label, Side
from planner.place import Place
from planner.plan import CandidateDocument, JointDocument, PelvicFrameDocument, PlanDocument, SideDocument
from planner.reading import read_scan
from planner.segmentation import Bones
from planner.segmentation.model import PelvicFrame, ShapeFit, Sureness
from planner.trajectory.config import TrajectoryConfig
from planner.volume import LabelMap, Volume

__all__ = ["ReviewedCase", "find_ct", "landmarks_of", "reopen"]

AROUND_MM = 60.0
"""Of the scan, this much round the labels is read; to posterior more, for the skin behind the joint [P]."""

BEHIND_MM = 120.0
"""To posterior."""

MADE_HU = {"bone": 300, "tissue": 40}
"""What stands for the scan where it is not there: bone beside even tissue, for orientation alone."""

HELD_AGAINST = ("constraints", "score", "instruments", "placement")
"""Sections of the trajectory's settings that decide what a placement is worth."""

LIKELY_CT = ("dicom", "ct", "CT", "DICOM", "ct.nii.gz", "ct.nrrd", "ct.mha")
"""Beside a result folder, names under which its scan is looked for."""


@dataclass(frozen=True, eq=False)
class ReviewedCase:
    """One result folder, on the working grid.

    Attributes
    ----------
    folder : Path
        The result folder.
    plan : PlanDocument
        As proposed; never changed.
    plan_sha256 : str
        Of the bytes of ``plan.json``.
    config : PlanConfig
        The settings that the plan was made with.
    implant : Implant
        What was planned with.
    volume : Volume
        The scan, or what stands for it.
    has_ct : bool
        Whether `volume` is the scan.
    bones, keepouts, joints
        As the stages gave them.
    place : Place
        How the working grid lies in the files' grid.
    """

    folder: Path
    plan: PlanDocument
    plan_sha256: str
    config: PlanConfig
    implant: Implant
    volume: Volume
    has_ct: bool
    bones: Bones
    keepouts: Keepouts
    joints: Mapping[Side, Joint]
    place: Place


def reopen(folder: Path, ct: Path | None = None) -> ReviewedCase:
    """Read a result folder, and its scan if it is given or lies beside it.

    Raises
    ------
    planner.errors.SacroplanError
        If a file is missing or damaged, or the scan is not the one that was planned on.
    """
    folder = folder.absolute()
    text = _text(folder / "plan.json")
    plan, (config, implant_id) = _plan(text), _settings(folder / "manifest.json")
    labels, keepout = (read_labels(folder / f"{name}.nii.gz") for name in ("labels", "keepout"))
    place = _place(labels, plan.input.blocks_zyx)
    bones = _bones(place.from_input(labels), plan)
    volume = _read_ct(ct, place) if ct else _guessed_ct(folder, place)
    return ReviewedCase(
        folder=folder,
        plan=plan,
        plan_sha256=hashlib.sha256(text.encode()).hexdigest(),
        config=config,
        implant=_implant(implant_id, plan),
        volume=volume or _stand_in(bones.labels),
        has_ct=volume is not None,
        bones=bones,
        keepouts=Keepouts(place.from_input(keepout), _foramina(plan), np.zeros((0, 3))),
        joints={side: joint for side in Side if (joint := _joint(folder, side, plan)) is not None},
        place=place,
    )


def find_ct(folder: Path) -> Path | None:
    """Find the scan under a likely name beside the folder; None if there is nothing."""
    return next((place for name in LIKELY_CT if (place := folder.parent / name).exists()), None)


def landmarks_of(plan: PlanDocument, side: Side) -> dict[str, NDArray[np.float64]]:
    """Landmarks of a side under the names that the search knows; the notch also where only the fit has it."""
    entry = plan.sides[side.value]
    found = {
        f"{side}_{name.removesuffix('_lps_mm')}": np.array(point, np.float64) for name, point in entry.landmarks.items()
    }
    notch = entry.candidates[0].clearance.get("sciatic_notch") if entry.candidates else None
    if notch is not None:  # a landmark is its own witness
        found.setdefault(f"{side}_sciatic_notch", np.array(notch.at_lps_mm))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path.name} cannot be read in this folder.", "Plan the case again.") from error


def _plan(text: str) -> PlanDocument:
    try:
        return PlanDocument.model_validate_json(text)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UnreadableFileError(
            f"plan.json is not as this version writes it (at {where}).", "Plan the case again with this version."
        ) from error


def _settings(manifest: Path) -> tuple[PlanConfig, str]:
    try:
        settings: dict[str, Any] = json.loads(_text(manifest))["settings"]
        return _config(settings["config"]), str(settings["implant"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableFileError(
            "manifest.json does not hold the settings of the plan.", "Plan the case again with this version."
        ) from error


def _config(written: dict[str, Any]) -> PlanConfig:
    """Read settings that may be another version's: what placements are held against as written, of the rest what fits.

    Raises
    ------
    ValueError
        If constraints, score, instruments or placement errors are not as this version knows them.
    """
    held = {name: written["trajectory"][name] for name in HELD_AGAINST}
    config = PlanConfig(trajectory=TrajectoryConfig.model_validate(held))
    for name, section in written.items():
        whole = {**held, "search": section["search"]} if name == "trajectory" else section
        with suppress(ValidationError):
            config = PlanConfig.model_validate({**config.model_dump(), name: whole})
    return config


def _implant(identifier: str, plan: PlanDocument) -> Implant:
    """Look the implant up in the catalogue; one of a user's own catalogue is known by the sizes that are proposed."""
    try:
        return load_catalogue(None).plannable(identifier)
    except ImplantError:
        proposed = [c for side in plan.sides.values() for c in side.candidates]
        if not proposed:
            raise
        return Implant(
            id=identifier,
            maker="",
            approach="posterior",
            count=1,
            **_outline(proposed[0]),
            diameters_mm=tuple(sorted({c.implant.diameter_mm for c in proposed})),
            lengths_mm=tuple(sorted({c.implant.length_mm for c in proposed})),
            source="sizes that the plan proposes",
        )


def _outline(candidate: CandidateDocument) -> dict[str, Any]:
    """Shape that has a candidate's cross-section: the corners tell a triangle and a box from a hull of two barrels."""
    if candidate.section is None:
        return {"shape": "cylinder"}
    corners = np.array(candidate.section.corners_mm)
    along, out = np.abs(corners).max(axis=0)
    shape = {3: "triangular rod", 4: "box"}.get(len(corners), "twin barrel")
    if shape == "triangular rod":  # on its own height, not on its width
        return {"shape": shape, "across_joint": bool(along > out)}
    share = {"height_share": min(along, out) / max(along, out)} if shape == "box" else {}
    return {"shape": shape, "across_joint": bool(out > along), **share}


def _place(labels: LabelMap, blocks: tuple[int, int, int]) -> Place:
    """Working grid: the labelled box and some room, in the blocks that the plan was made in."""
    orientation = Orientation.to_canonical(labels.grid)
    values = orientation.apply(labels.values)
    steps = tuple(blocks[axis] for axis in orientation.order)
    spacing = orientation.apply_grid(labels.grid).spacing_zyx_mm
    box = []
    for axis, step in enumerate(steps):
        there = np.flatnonzero(values.any(axis=tuple(k for k in range(3) if k != axis)))
        if not len(there):
            raise LabelsError("labels.nii.gz holds no bone.", "Plan the case again.")
        room = [AROUND_MM, BEHIND_MM if axis == 1 else AROUND_MM]
        low, high = (int(mm / (spacing[axis] * step)) * step for mm in room)
        first, last = int(there[0]), int(there[-1]) + 1
        start = first - min(low, first // step * step)
        stop = last + min(high, (values.shape[axis] - last) // step * step)
        box.append(slice(start, start + (stop - start) // step * step))
    return Place(labels.grid, orientation, (box[0], box[1], box[2]), (steps[0], steps[1], steps[2]))


def _read_ct(path: Path, place: Place) -> Volume:
    scan = read_scan(path, resample=True)
    if not scan.grid.same_as(place.grid, tolerance_mm=0.01):
        found, expected = (" x ".join(map(str, grid.shape_zyx)) for grid in (scan.grid, place.grid))
        raise LabelsError(
            f"{path.name}: this scan of {found} voxels does not lie where the plan's labels of {expected} voxels lie.",
            "Give the scan that was planned on with --ct, or none.",
        )
    return scan.read(place.box, place.blocks)


def _guessed_ct(folder: Path, place: Place) -> Volume | None:
    """Read what lies beside the folder if it is the scan: nobody named it, so it is no error if it is not."""
    path = find_ct(folder)
    try:
        return _read_ct(path, place) if path else None
    except InputRefusedError:
        return None


def _stand_in(labels: LabelMap) -> Volume:
    hu = np.where(labels.values != Label.BACKGROUND, MADE_HU["bone"], MADE_HU["tissue"]).astype(np.int16)
    return Volume(hu, labels.grid)


def _foramina(plan: PlanDocument) -> tuple[Foramen, ...]:
    return tuple(
        Foramen(side, f.level, f.aspect, np.array(f.centre_lps_mm), f.width_mm, f.confidence)
        for side in Side
        for f in plan.sides[side.value].foramina
    )


def _bones(labels: LabelMap, plan: PlanDocument) -> Bones:
    if plan.pelvic_frame is None:
        raise UnreadableFileError("plan.json holds no pelvic frame.", "Plan the case again with this version.")
    nothing = ShapeFit({}, {}, np.eye(4), np.zeros(0), float("nan"), {})
    sureness = {side: sure for side in Side if (sure := _sureness(plan.sides[side.value])) is not None}
    return Bones(labels, nothing, _frame(plan.pelvic_frame), {}, joint_sureness=sureness)


def _frame(document: PelvicFrameDocument) -> PelvicFrame:
    matrix = np.eye(4)
    axes = (document.left_lps, document.posterior_lps, document.cranial_lps)
    matrix[:3, :3] = np.stack([np.array(axis) / np.linalg.norm(axis) for axis in axes], axis=1)
    matrix[:3, 3] = document.origin_lps_mm
    return PelvicFrame(matrix)


def _sureness(side: SideDocument) -> Sureness | None:
    joint = side.joint
    if joint is None or joint.outline_error_mm is None:
        return None
    return Sureness(joint.confidence or 0.0, joint.outline_error_mm)


def _joint(folder: Path, side: Side, plan: PlanDocument) -> Joint | None:
    document = plan.sides[side.value].joint
    path = folder / f"joint_{side}.ply"
    if document is None or not path.is_file():
        return None
    try:
        return _joint_of(path, side, document, plan)
    except SacroplanError:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableFileError(f"{path.name} cannot be read.", "Plan the case again.") from error


def _joint_of(path: Path, side: Side, document: JointDocument, plan: PlanDocument) -> Joint:
    vertices, faces = read_joint_ply(path)
    thirds, frame = document.thirds, plan.pelvic_frame
    axis = np.array(thirds.axis_lps, np.float64)
    bounds = np.array(thirds.bounds_mm if thirds.bounds_mm else (0.0,) * 4, np.float64)
    return Joint(
        side=side,
        vertices_lps=np.stack([vertices[name] for name in "xyz"], axis=1).astype(np.float64),
        faces=faces,
        gap_mm=vertices["gap_mm"].astype(np.float32),
        zone=vertices["zone"],
        third=vertices["third"],
        thirds=Thirds(thirds.definition, axis / np.linalg.norm(axis), bounds, thirds.bounds_mm is not None),
        articular_area_mm2=document.articular_area_mm2,
        gap_median_mm=document.gap_median_mm or float("nan"),
        gap_p95_mm=document.gap_p95_mm or float("nan"),
        truncated=document.truncated,
        posterior_lps=np.array(frame.posterior_lps if frame else (0.0, 1.0, 0.0)),
    )
