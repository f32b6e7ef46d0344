"""Read every file of a result folder back by other programs, run the DICOM validators, and write both tables.

``python script/formats_page.py RESULT [--page docs/formats.md]`` prints the tables, or writes them into the page
between its marks. RESULT is the folder of a DICOM input, for example that of ``sacroplan demo``.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import highdicom
import numpy as np
import SimpleITK
import trimesh
from numpy.typing import NDArray
from pydicom import dcmread

from planner.exports.terminology import OWN_SCHEME
from planner.joint import read_joint_ply
from planner.plan import PlanDocument
from planner.schema import read_plan

LIMIT_MM = 0.01
"""Farther than this from where the plan has it, a point counts as lost."""

SAMPLES = 20_000
"""Labelled voxels of a file that are placed at most."""

Points = NDArray[np.float64]


class Row(NamedTuple):
    """One line of the table of what is read back."""

    file: str
    compared: str
    reader: str
    farthest_mm: float


def read_back(folder: Path) -> Iterator[Row]:
    """Measure how far points and voxels of each file lie from where ``plan.json`` and ``labels.nii.gz`` have them."""
    plan = read_plan(folder)
    points = plan_points(plan)
    marked = [np.array(one["position"]) for path in (folder / "markups").glob("*.mrk.json") for one in _controls(path)]
    yield Row(
        "markups/*.mrk.json", "entries, tips, skin, witnesses, mouths", "json", farthest(points, np.array(marked))
    )
    ends = implant_ends(plan)
    for kind in ("stl", "ply", "obj"):
        surfaces = {name: folder / "meshes" / f"{name}.{kind}" for name in ends}
        if all(path.is_file() for path in surfaces.values()):
            away = max(farthest(ends[name], _corners(path)) for name, path in surfaces.items())
            yield Row(f"meshes/*.{kind}", "entries and tips in the implants' end faces", "trimesh", away)
    joints = [abs(_corners(path) - _own_corners(path)).max() for path in sorted(folder.glob("joint_*.ply"))]
    if joints:
        yield Row("joint_*.ply", "every vertex, with our reader's", "trimesh", float(max(joints)))
    scene = re.search(r"id='scene'>(.*?)</script>", (folder / "report.html").read_text("utf-8"), re.S)
    if scene:
        shown = [np.array(one["ends_ras_mm"]) * [-1, -1, 1] for one in json.loads(scene[1])["implants"]]
        yield Row(
            "report.html", "implants of the viewer", "json", farthest(np.concatenate(list(ends.values())), *shown)
        )
    yield from _labels(folder)
    yield from _dicom(folder, points)


def plan_points(plan: PlanDocument) -> Points:
    """Entries, tips, skin entries, witnesses and mouths of foramina, ``(n, 3)`` LPS mm."""
    found = [foramen.centre_lps_mm for entry in plan.sides.values() for foramen in entry.foramina]
    for entry in plan.sides.values():
        for one in entry.candidates:
            found += [one.implant_entry_lps_mm, one.implant_tip_lps_mm]
            found += [one.skin_entry_lps_mm] if one.skin_entry_lps_mm else []
            found += [clearance.at_lps_mm for clearance in one.clearance.values()]
    return np.array(found)


def implant_ends(plan: PlanDocument) -> dict[str, Points]:
    """Entry and tip of each implant by the name of its surface."""
    return {
        f"implant_{side}_{one.rank}": np.array([one.implant_entry_lps_mm, one.implant_tip_lps_mm])
        for side, entry in plan.sides.items()
        for one in entry.candidates
    }


def farthest(points: Points, *among: Points) -> float:
    """Largest distance of a point to the nearest of others, mm."""
    others = np.concatenate([np.reshape(one, (-1, 3)) for one in among])
    return float(max((np.linalg.norm(others - point, axis=1).min() for point in points), default=0.0))


def _controls(path: Path) -> list[dict[str, list[float]]]:
    (one,) = json.loads(path.read_text("utf-8"))["markups"]
    return list(one["controlPoints"])


def _corners(path: Path) -> Points:
    return np.asarray(trimesh.load(path, process=False).vertices, np.float64)


def _own_corners(path: Path) -> Points:
    vertices, _ = read_joint_ply(path)
    return np.stack([vertices[axis] for axis in "xyz"], axis=1).astype(np.float64)


class Placed(NamedTuple):
    """Labels as another program reads them: values ``(z, y, x)`` and where a voxel's index lies, LPS mm."""

    values: NDArray[np.uint8]
    to_lps: Callable[[Points], Points]
    to_index: Callable[[Points], Points]


def _by_simpleitk(path: Path) -> Placed:
    image = SimpleITK.ReadImage(str(path))
    matrix = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    origin = np.array(image.GetOrigin())
    inverse = np.linalg.inv(matrix)
    return Placed(
        SimpleITK.GetArrayFromImage(image),
        lambda index: index[:, ::-1] @ matrix.T + origin,
        lambda points: ((points - origin) @ inverse.T)[:, ::-1],
    )


def _by_highdicom(path: Path, names: dict[str, int]) -> Placed:
    seg = highdicom.seg.segread(path)
    volume = seg.get_volume(combine_segments=True, relabel=False)
    table = np.zeros(256, np.uint8)
    for number in seg.segment_numbers:
        table[number] = names[str(seg.get_segment_description(number).SegmentLabel)]
    to_index = volume.map_reference_to_indices
    return Placed(table[volume.array], volume.map_indices_to_reference, to_index)


def _labels(folder: Path) -> Iterator[Row]:
    for name in ("labels", "keepout"):
        truth = _by_simpleitk(folder / f"{name}.nii.gz")
        there = _by_simpleitk(folder / f"{name}.seg.nrrd")
        yield Row(f"{name}.seg.nrrd", f"voxels, with {name}.nii.gz", "SimpleITK", misplaced(truth, there))


def _dicom(folder: Path, points: Points) -> Iterator[Row]:
    from planner.exports.terminology import BONE_STRUCTURES, KEEPOUT_STRUCTURES

    names = {one.name: int(one.value) for one in (*BONE_STRUCTURES, *KEEPOUT_STRUCTURES)}
    for name, of in (("seg", "labels"), ("seg_keepout", "keepout")):
        path = folder / "dicom" / f"{name}.dcm"
        if path.is_file():
            away = misplaced(_by_simpleitk(folder / f"{of}.nii.gz"), _by_highdicom(path, names))
            yield Row(f"dicom/{name}.dcm", f"voxels, with {of}.nii.gz", "highdicom", away)
    report = dcmread(folder / "dicom" / "sr.dcm")
    told = [np.reshape(one.GraphicData, (-1, 3)) for one in _items(report) if "GraphicData" in one]
    there_and_back = max(farthest(points, *told), farthest(np.concatenate(told), points))
    yield Row("dicom/sr.dcm", "entries, tips, skin, witnesses, mouths, both ways", "pydicom", there_and_back)
    for path in sorted((folder / "dicom").glob("mesh_*.dcm")):
        held = dcmread(path)
        surface = folder / "meshes" / f"{path.stem.removeprefix('mesh_')}.stl"
        assert held.EncapsulatedDocument[: held.EncapsulatedDocumentLength] == surface.read_bytes(), path.name
    yield Row("dicom/mesh_*.dcm", "the STL, to the byte", "pydicom", 0.0)


def _items(data: object) -> Iterator[object]:
    for item in getattr(data, "ContentSequence", ()):
        yield item
        yield from _items(item)


def misplaced(truth: Placed, other: Placed) -> float:
    """Largest distance of a labelled voxel from the one of the same label; infinite where one is missing."""
    drawn = np.argwhere(other.values)
    if len(drawn) != np.count_nonzero(truth.values):
        return float("inf")
    some = drawn[:: max(1, len(drawn) // SAMPLES)]
    points = other.to_lps(some.astype(np.float64))
    nearest = np.rint(truth.to_index(points)).astype(int)
    if not np.array_equal(truth.values[tuple(nearest.T)], other.values[tuple(some.T)]):
        return float("inf")
    return float(np.linalg.norm(truth.to_lps(nearest.astype(np.float64)) - points, axis=1).max())


class Verdict(NamedTuple):
    """What a validator says of all objects of a sort."""

    objects: str
    files: int
    dciodvfy_errors: int
    dciodvfy_warnings: int
    dcmtk_errors: int


SORTS = ("seg", "seg_keepout", "sr", "figure_", "document_", "mesh_")


def validate(folder: Path) -> Iterator[Verdict]:
    """Run ``dciodvfy`` and ``dcmdump`` (for the report also ``dsrdump``) over all of ``dicom/``."""
    for sort in SORTS:
        whole = [folder / f"{sort}.dcm"] if not sort.endswith("_") else sorted(folder.glob(f"{sort}*.dcm"))
        files = [path for path in whole if path.is_file()]
        lines = [line for path in files for line in _told("dciodvfy", path)]
        known = [line for line in lines if OWN_SCHEME not in line]
        dumps = [line for path in files for line in _told("dcmdump", path)]
        dumps += [line for path in files if sort == "sr" for line in _told("dsrdump", path)]
        yield Verdict(
            f"`{sort}{'*' * sort.endswith('_')}.dcm`",
            len(files),
            sum(line.startswith("Error") for line in known),
            sum(line.startswith("Warning") for line in known),
            sum(line.startswith(("E:", "F:")) for line in dumps),
        )


def _told(program: str, path: Path) -> Sequence[str]:
    done = subprocess.run([program, str(path)], capture_output=True, text=True, errors="replace", check=False)
    return [*done.stderr.splitlines(), *(["E: no exit"] if program != "dciodvfy" and done.returncode else [])]


def tables(folder: Path) -> dict[str, str]:
    """Both tables in Markdown, by the name of their place on the page."""
    rows = [f"| `{row.file}` | {row.compared} | {row.reader} | {row.farthest_mm:.1g} |" for row in read_back(folder)]
    head = "| file | compared | read by | largest distance, mm |\n| --- | --- | --- | --- |\n"
    found = {"read back": head + "\n".join(rows)}
    if shutil.which("dciodvfy") and shutil.which("dcmdump"):
        head = "| objects | files | dciodvfy: errors | warnings | dcmtk: errors |\n| --- | --- | --- | --- | --- |\n"
        lines = [f"| {' | '.join(map(str, verdict))} |" for verdict in validate(folder / "dicom")]
        found["validated"] = head + "\n".join(lines)
    return found


def write_page(page: Path, made: dict[str, str]) -> None:
    """Put the tables between their marks."""
    text = page.read_text("utf-8")
    for name, table in made.items():
        start, end = f"<!-- {name} -->\n\n", f"\n\n<!-- end of {name} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = f"{before}{start}{table}{end}{after}"
    page.write_text(text, "utf-8")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    made = tables(given.result)
    if given.page:
        write_page(given.page, made)
    print("\n\n".join(made.values()))


if __name__ == "__main__":
    main()
