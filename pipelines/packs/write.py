"""From a result folder to a pack: every file is written anew from values; none is copied that could hold a name."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pipelines.packs.decisions import DECISIONS, decisions_of, told_of, write_decisions
from pipelines.packs.guard import found_in, identifiers_of
from pipelines.packs.implants import write_implants
from pipelines.packs.pseudonyms import Pseudonyms
from pipelines.packs.shown import FIGURE, Shown, read_manifest
from pipelines.packs.study import METHOD, OPTIONS, Named, pseudonymous, read_named
from planner import NOTICE, __version__
from planner.dicom.study import SourceStudy
from planner.errors import ConfigError
from planner.exports import ExportCase, ExportConfig, write_exports
from planner.grid import Orientation
from planner.images import read_labels, write_labels
from planner.implants import Catalogue
from planner.joint import read_joint_ply
from planner.plan import PlanDocument
from planner.report.config import ReportConfig
from planner.schema import read_plan
from planner.volume import Box, LabelMap, PlacedLabels

__all__ = ["PackReport", "write_pack"]

REPORT_FIGURES = re.compile(r"cover|.*_(sheet|c_arm|gap_map|compare|injection)")
MARGIN_VOXELS = 2
"""Round the bones, so that their surfaces close."""
MOMENT = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive: the clock would change the bytes."""
MODE = 0o644 << 16
OPENING = f"""sacroplan case pack. {NOTICE}

implants.csv     implants by side and rank, with the other sizes of each
report.pdf       the plan on paper, with the C-arm card; report.html, where it is here, the same for a browser
figures/         pictures
meshes/          bones and implants for printing: STL, LPS mm
markups/         the plan for 3D Slicer
dicom/           segmentations, structured report, pictures and report as DICOM, under pseudonyms
decisions.json   where it is here, what was decided on review, and where the implant was put: it counts over the plan
plan.json        the plan; labels.nii.gz and keepout.nii.gz are what it was planned on
pack.json        what is in here, and how it was de-identified
"""


@dataclass(frozen=True)
class PackReport:
    """What a pack holds.

    Attributes
    ----------
    members : tuple of str
        Files in it.
    left_out : mapping of str to str
        What is not in it, and why.
    """

    members: tuple[str, ...]
    left_out: dict[str, str]


def write_pack(folder: Path, file: Path, pseudonyms: Pseudonyms, catalogue: Catalogue) -> PackReport:
    """Write the de-identified pack of a case.

    Parameters
    ----------
    folder : Path
        Result folder of ``plan``.
    file : Path
        The zip, made or replaced as a whole.
    pseudonyms : Pseudonyms
        Of this site.
    catalogue : Catalogue
        To name other sizes from.

    Raises
    ------
    UnreadableFileError
        If `folder` holds no result.
    ConfigError
        If an identifier of the patient is found in what would be packed: then nothing is written.
    """
    document = read_plan(folder)
    named = read_named(folder / "dicom/seg.dcm") if (folder / "dicom/seg.dcm").is_file() else None
    sha256 = hashlib.sha256(pseudonyms.code("input", document.input.sha256, 64).encode()).hexdigest()
    document = document.model_copy(update={"input": document.input.model_copy(update={"sha256": sha256})})
    decisions = decisions_of(folder)
    document = told_of(document, decisions)
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=file.absolute().parent, prefix=".pack-") as scratch:
        inside = Path(scratch) / "pack"
        identifiers = _identifiers(folder, named)
        shown = Shown.of(folder)
        left_out = dict(_fill(folder, inside, document, named, pseudonyms, shown))
        if reason := _take_page(folder, inside, identifiers, document, shown):
            left_out["report.html"] = reason
        write_implants(inside / "implants.csv", document, catalogue)
        if decisions:
            write_decisions(inside / DECISIONS, decisions)
        _describe(inside, left_out)
        _check(inside, identifiers)
        members = _zip(inside, Path(scratch) / "pack.zip")
        (Path(scratch) / "pack.zip").replace(file)
    return PackReport(members, left_out)


def _fill(
    folder: Path, inside: Path, document: PlanDocument, named: Named | None, pseudonyms: Pseudonyms, shown: Shown
) -> Iterator[tuple[str, str]]:
    """Write everything but the list of contents; give what is left out with the reason."""
    inside.mkdir()
    (inside / "plan.json").write_text(document.to_json(), encoding="utf-8")
    (inside / "README.txt").write_text(OPENING, encoding="utf-8")
    labels, keepouts = (read_labels(folder / name) for name in ("labels.nii.gz", "keepout.nii.gz"))
    write_labels(inside / "labels.nii.gz", labels)
    write_labels(inside / "keepout.nii.gz", keepouts)
    for name in ("joint_left.ply", "joint_right.ply"):
        if (folder / name).is_file():
            _copy_surface(folder / name, inside / name)
    figures = list(_redraw(shown, inside / "figures"))
    report = _write_report(inside, document, figures)
    case = _export_case(document, labels, keepouts)
    write_exports(case, inside, ExportConfig(dicom=False))
    if named is None:
        yield "dicom/", "the result has none: the scan was no DICOM, or exports.dicom is off"
    else:
        study = pseudonymous(named, labels.grid.shape_zyx[0], pseudonyms)
        _write_dicom(inside, case, study, [*figures, report, *sorted((inside / "meshes").glob("*.stl"))])
    for path in sorted((folder / "figures").glob("*")):
        if not FIGURE.fullmatch(path.name):
            yield "a file in figures/", "no figure of this program has such a name"
        elif reason := shown.why_not(path):
            yield f"figures/{path.name}", reason


def _copy_surface(source: Path, path: Path) -> None:
    """Keep a surface's numbers, and of its header what says how they are stored."""
    vertices, faces = read_joint_ply(source)
    head, _, _ = source.read_bytes().partition(b"end_header\n")
    *vertex, face = [line for line in head.decode("ascii").splitlines() if line.startswith("property")]
    counts = f"element vertex {len(vertices)}", f"element face {len(faces)}"
    opening = ("ply", "format binary_little_endian 1.0", f"comment {NOTICE}")
    header = "\n".join([*opening, counts[0], *vertex, counts[1], face, "end_header\n"])
    triangles = np.zeros(len(faces), np.dtype([("count", "u1"), ("corners", "<i4", (3,))]))
    triangles["count"], triangles["corners"] = 3, faces
    path.write_bytes(header.encode() + vertices.tobytes() + triangles.tobytes())


def _redraw(shown: Shown, target: Path) -> Iterator[Path]:
    """Keep the pixels of our own figures as they were written; texts inside the files go."""
    target.mkdir()
    for path in sorted((shown.folder / "figures").glob("*.png")):
        if FIGURE.fullmatch(path.name) and not shown.why_not(path):
            with Image.open(path) as picture:
                Image.fromarray(np.asarray(picture.convert("RGB"))).save(target / path.name)
            yield target / path.name


def _write_report(inside: Path, document: PlanDocument, figures: list[Path]) -> Path:
    from planner.report.pdf import jpeg_of, write_pdf

    pictures = {path.stem: jpeg_of(path) for path in figures if REPORT_FIGURES.fullmatch(path.stem)}
    return write_pdf(inside / "report.pdf", document, pictures, ReportConfig(), {"sacroplan": __version__})


def _export_case(document: PlanDocument, labels: LabelMap, keepouts: LabelMap) -> ExportCase:
    """Turn labels on the scan's own grid to the axes that exports are made on, as small as holds the bones."""
    orientation = Orientation.to_canonical(labels.grid)
    grid = orientation.apply_grid(labels.grid)
    turned = [LabelMap(np.ascontiguousarray(orientation.apply(m.values)), grid) for m in (labels, keepouts)]
    box = _box(turned[0].values)
    bones, avoided = (_placed(one) for one in (labels, keepouts))
    return ExportCase(document, turned[0].crop(box), turned[1].crop(box), bones, None, avoided)


def _placed(labels: LabelMap) -> PlacedLabels:
    own = _box(labels.values, 0)
    return PlacedLabels(labels.grid, own, np.ascontiguousarray(labels.values[own]))


def _box(values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], margin: int = MARGIN_VOXELS) -> Box:
    spans = []
    for axis in range(3):
        found = np.flatnonzero(values.any(axis=tuple(other for other in range(3) if other != axis)))
        low, high = (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 1)
        spans.append(slice(max(0, low - margin), min(values.shape[axis], high + margin)))
    return spans[0], spans[1], spans[2]


def _write_dicom(inside: Path, case: ExportCase, study: SourceStudy, attachments: list[Path]) -> None:
    from planner.exports.dicom.objects import Target
    from planner.exports.dicom.write import write_dicom

    target = Target(study, case.document)
    write_dicom(inside / "dicom", target, case.placed, attachments, keepouts=case.placed_keepouts)


def _describe(inside: Path, left_out: dict[str, str]) -> None:
    content = {
        "schema": "sacroplan.pack/1",
        "notice": NOTICE,
        "sacroplan": __version__,
        "deidentification": {"method": METHOD, "options": [list(option) for option in OPTIONS]},
        "files": {name: hashlib.sha256((inside / name).read_bytes()).hexdigest() for name in _names(inside)},
        "left_out": left_out,
    }
    (inside / "pack.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _take_page(folder: Path, inside: Path, identifiers: set[bytes], document: PlanDocument, shown: Shown) -> str:
    """Copy the offline report, which holds the CT round the joints and cannot be drawn anew; say why it is not."""
    page = folder / "report.html"
    if not page.is_file():
        return "the result has none"
    if any(_printed(folder)):
        return "the settings had a patient printed on it"
    if found_in(page, identifiers):
        return "an identifier of the patient was found in it"
    if reason := shown.why_not(page):
        return reason
    own = read_plan(folder).input.sha256
    (inside / page.name).write_bytes(page.read_bytes().replace(own.encode(), document.input.sha256.encode()))
    return ""


def _identifiers(folder: Path, named: Named | None) -> set[bytes]:
    """Collect what must not be in the pack."""
    texts = [text for text in _printed(folder) if text]
    if named is None:
        return {text.encode() for text in texts}
    return identifiers_of(named.header, [named.series, *(uid for _, uid in named.slices)], texts)


def _check(inside: Path, identifiers: set[bytes]) -> None:
    leaks = [name for name in _names(inside) if found_in(inside / name, identifiers)]
    if leaks:
        raise ConfigError(
            f"An identifier of the patient would stand in {', '.join(leaks)} of the pack; nothing was written.",
            "Plan the case again, without the patient in the settings or the implant's name.",
        )


def _printed(folder: Path) -> Iterator[str]:
    """Give what the settings had printed on the report."""
    config = read_manifest(folder).get("settings", {}).get("config", {})
    for section in config.values():
        if isinstance(section, dict):
            yield str(section.get("patient", ""))


def _names(inside: Path) -> list[str]:
    return sorted(path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file())


def _zip(inside: Path, file: Path) -> tuple[str, ...]:
    names = _names(inside)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            member = zipfile.ZipInfo(name, MOMENT)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, MODE
            archive.writestr(member, (inside / name).read_bytes())
    return tuple(names)
