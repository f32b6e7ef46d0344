"""Everything that is written for other programs, from a plan and its labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from planner.dicom import DicomOrigin, read_study
from planner.exports.config import ExportConfig
from planner.exports.markups import write_markups
from planner.exports.mesh_files import MESH_WRITERS
from planner.exports.nrrd import write_seg_nrrd
from planner.exports.surfaces import Surface, bone_surface, implant_surface
from planner.exports.terminology import BONE_STRUCTURES, KEEPOUT_STRUCTURES
from planner.plan import PlanDocument
from planner.segmentation.shapes import boxes_of
from planner.volume import LabelMap, PlacedLabels

__all__ = ["ExportCase", "export_jobs", "write_exports", "write_study_objects"]

NO_DICOM = "the input is not DICOM"
NOT_ASKED = "exports.dicom is off"


@dataclass(frozen=True, eq=False)
class ExportCase:
    """What exports are made of.

    Attributes
    ----------
    document : PlanDocument
        The plan.
    bones, keepouts : LabelMap
        On the grid that was worked on.
    placed : PlacedLabels
        The bones where they lie in the scan's own grid.
    origin : DicomOrigin or None
        The CT's files; None where it is no DICOM.
    placed_keepouts : PlacedLabels or None
        The keep-outs where they lie in the scan's own grid, for ``dicom/``.
    """

    document: PlanDocument
    bones: LabelMap
    keepouts: LabelMap
    placed: PlacedLabels
    origin: DicomOrigin | None
    placed_keepouts: PlacedLabels | None = None


def write_exports(case: ExportCase, folder: Path, config: ExportConfig, attachments: Sequence[Path] = ()) -> str:
    """Write ``markups/``, ``meshes/``, ``*.seg.nrrd`` and ``dicom/`` into a result folder.

    Parameters
    ----------
    case : ExportCase
        What they are made of.
    folder : Path
        The result folder.
    config : ExportConfig
        Which are written.
    attachments : sequence of Path
        Figures and report, for ``dicom/``.

    Returns
    -------
    str
        Why there is no ``dicom/``; empty where there is.
    """
    for write in export_jobs(case, folder, config):
        write()
    return write_study_objects(case, folder, config, attachments)


def export_jobs(case: ExportCase, folder: Path, config: ExportConfig) -> list[Callable[[], None]]:
    """Give what writes ``markups/``, ``*.seg.nrrd`` and ``meshes/``, in any order and process; see `write_exports`."""
    jobs: list[Callable[[], None]] = [partial(_write_slicer, case, folder)] if config.slicer else []
    return [*jobs, partial(_write_meshes, case, folder / "meshes", config)] if config.meshes else jobs


def write_study_objects(case: ExportCase, folder: Path, config: ExportConfig, attachments: Sequence[Path] = ()) -> str:
    """Write ``dicom/``, with the surfaces that lie in ``meshes/``; returns why there is none, see `write_exports`."""
    return _write_dicom(case, folder / "dicom", config, [*attachments, *sorted((folder / "meshes").glob("*.stl"))])


def _write_slicer(case: ExportCase, folder: Path) -> None:
    write_markups(folder / "markups", case.document)
    write_seg_nrrd(folder / "labels.seg.nrrd", case.bones, BONE_STRUCTURES)
    write_seg_nrrd(folder / "keepout.seg.nrrd", case.keepouts, KEEPOUT_STRUCTURES)


def _write_meshes(case: ExportCase, folder: Path, config: ExportConfig) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, surface in _surfaces(case, config.mesh_mm):
        for kind in config.meshes:
            MESH_WRITERS[kind](folder / f"{name}.{kind}", surface)


def _surfaces(case: ExportCase, cell_mm: float) -> Iterator[tuple[str, Surface]]:
    boxes = boxes_of(case.bones.values)
    for structure in BONE_STRUCTURES:
        box = boxes.get(structure.value)
        if box is not None:
            yield structure.name, bone_surface(case.bones, structure.value, box, cell_mm)
    for side, entry in case.document.sides.items():
        for one in entry.candidates:
            ends = one.implant_entry_lps_mm, one.implant_tip_lps_mm
            yield f"implant_{side}_{one.rank}", implant_surface(*ends, one.implant.diameter_mm, one.corners_lps)


def _write_dicom(case: ExportCase, folder: Path, config: ExportConfig, attachments: Sequence[Path]) -> str:
    if not config.dicom:
        return NOT_ASKED
    if case.origin is None:
        return NO_DICOM
    from planner.exports.dicom.objects import Target
    from planner.exports.dicom.write import what_lacks, write_dicom

    study = read_study(case.origin)
    reason = what_lacks(study)
    if not reason:
        target = Target(study, case.document)
        write_dicom(folder, target, case.placed, attachments, config.segmentation, case.placed_keepouts)
    return reason
