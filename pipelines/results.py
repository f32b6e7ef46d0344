"""A case on disk: a result folder is complete or absent, because it is written beside its place and renamed into it."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipelines.place_of_result import MANIFEST, REVIEW, complete_or_absent
from pipelines.side_by_side import run_side_by_side
from planner import NOTICE, __version__
from planner.backends.gpu import find_card
from planner.case import Case
from planner.config import PlanConfig
from planner.exports import ExportCase, export_jobs, write_study_objects
from planner.figures import FigureCase, figure_jobs
from planner.images import write_placed_labels
from planner.joint import write_joint_ply
from planner.report import ReportCase, write_reports
from planner.report.jpeg import is_shown, jpeg_of
from planner.stages import peak_rss_mb

__all__ = ["DEPENDENCIES", "MANIFEST", "REVIEW", "complete_or_absent", "figure_case", "write_case"]

DEPENDENCIES = (
    "numpy",
    "scipy",
    "scikit-image",
    "SimpleITK",
    "pydicom",
    "numba",
    "connected-components-3d",
    "edt",
    "highdicom",
)
"""Distributions whose versions bear on a result."""


def write_case(case: Case, folder: Path, *, figures: bool = True) -> list[Path]:
    """Write a case's result folder.

    Parameters
    ----------
    case : Case
        What `planner.case.plan_case` gave.
    folder : Path
        Made, or replaced if it holds an earlier result.
    figures : bool
        Draw the pictures, and write the reports that show them.

    Returns
    -------
    list of Path
        The pictures, in `folder`.

    Raises
    ------
    planner.errors.ConfigError
        If `folder` holds something that is not a result of this program, or cannot be written.
    """
    with complete_or_absent(folder) as partial:
        (partial / "plan.json").write_text(case.document.to_json(), encoding="utf-8")
        write_placed_labels(partial / "labels.nii.gz", case.place.to_input(case.anatomy.bones.labels))
        write_placed_labels(partial / "keepout.nii.gz", case.place.to_input(case.anatomy.keepouts.mask))
        for side, joint in case.anatomy.joints.items():
            write_joint_ply(partial / f"joint_{side}.ply", joint)
        pictures, lacks = _write_for_others(case, partial, figures=figures)
        manifest = {**_manifest(case, lacks), "shown": _digests(partial)}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return [folder / picture.relative_to(partial) for picture in pictures]


def _write_for_others(case: Case, folder: Path, *, figures: bool) -> tuple[list[Path], str]:
    """Write pictures, reports and exports on all cores; returns the pictures, and why there is no ``dicom/``.

    What needs nothing else comes first, then what shows or holds it.
    """
    config, exported = case.settings.config, _exported(case)
    drawing = figure_jobs(figure_case(case), folder / "figures") if figures else []
    first: list[Callable[[], dict[Path, bytes] | None]] = [partial(_packed, draw) for draw in drawing]
    done = run_side_by_side([*first, *export_jobs(exported, folder, config.exports)])
    drawn = {path: jpeg for figure in done if figure for path, jpeg in figure.items()}
    pictures = sorted(drawn)
    shown = {path.stem: jpeg for path, jpeg in drawn.items() if jpeg}
    pdf, html = (config.report.model_copy(update={other: False}) for other in ("html", "pdf"))

    def paper() -> str:
        written = write_reports(_told(case), folder, pdf, shown) if pictures else []
        return write_study_objects(exported, folder, config.exports, [*pictures, *written])

    def page() -> str:
        if pictures:
            write_reports(_told(case), folder, html, shown)
        return ""

    lacks, _ = run_side_by_side([paper, page])
    return pictures, lacks


def _packed(draw: Callable[[], list[Path]]) -> dict[Path, bytes]:
    """Draw, and make those that the reports show JPEG; the bytes of others are empty."""
    return {path: jpeg_of(path) if is_shown(path) else b"" for path in draw()}


def figure_case(case: Case) -> FigureCase:
    """Take what figures are drawn from out of a case."""
    anatomy = case.anatomy
    return FigureCase(
        volume=anatomy.volume,
        bones=anatomy.bones,
        joints=anatomy.joints,
        keepouts=anatomy.keepouts,
        plans=case.plans,
        cards=case.cards,
        fluoroscopy=case.settings.config.fluoroscopy,
        endplate=anatomy.bearings.endplate,
        lateral=case.lateral,
        injections=case.injections,
    )


def _told(case: Case) -> ReportCase:
    anatomy = case.anatomy
    return ReportCase(case.document, anatomy.volume, anatomy.bones.labels, anatomy.keepouts.mask, _made_by(case))


def _made_by(case: Case) -> dict[str, str]:
    """Programs and settings for the report; the manifest has every setting."""
    settings = case.settings
    config, usual = (c.model_dump(mode="json", exclude={"report"}) for c in (settings.config, PlanConfig()))
    changed = [
        f"{section}.{key} = {value}"
        for section, values in config.items()
        for key, value in values.items()
        if value != usual[section][key]
    ]
    return {
        "sacroplan": __version__,
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {_version(name)}" for name in DEPENDENCIES),
        "implant asked for": settings.implant,
        "settings other than usual": "; ".join(changed) or "none",
    }


def _exported(case: Case) -> ExportCase:
    bones, keepouts = case.anatomy.bones.labels, case.anatomy.keepouts.mask
    placed = (case.place.to_input(labels) for labels in (bones, keepouts))
    return ExportCase(case.document, bones, keepouts, next(placed), case.origin, next(placed))


def _manifest(case: Case, no_dicom: str) -> dict[str, object]:
    settings = case.settings
    return {
        "notice": NOTICE,
        "sacroplan": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in DEPENDENCIES},
        "gpu": card.name if (card := find_card()) else None,
        "segmentation": case.anatomy.segmentation.model_dump(mode="json"),
        "input_sha256": case.document.input.sha256,
        "input": dict(case.description),
        "settings": {
            "sides": [side.value for side in settings.sides],
            "implant": settings.implant,
            "labels_given": settings.labels is not None,
            "backend": settings.backend.value,
            "resample": settings.resample,
            "config": settings.config.model_dump(mode="json", exclude={"report": {"patient"}}),
        },
        "dicom": {"written": not no_dicom, "reason": no_dicom},
        "stages": [
            {"name": record.name, "seconds": record.seconds, "peak_rss_mb": record.peak_rss_mb}
            for record in case.stages
        ],
        "peak_rss_mb": peak_rss_mb(),
    }


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of what shows the scan: a pack takes such a file only as it was written."""
    shown = [*sorted((folder / "figures").glob("*.png")), *folder.glob("report.html")]
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in shown}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
