#!/usr/bin/env python3
"""Make CT with exact truth from surfaces of real bones, plan on it, and score the plans.

    script/evaluate make --out DIR --source hubmap --case M [--spacing 3 0.9 0.9] [--tilt 8 0 3] [--look osteoporosis]
    script/evaluate run --out DIR [--cases CASE ...] [--table docs/accuracy.md]

`make` writes ``DIR/CASE/{ct,labels}.nii.gz``, ``keepout.nii.gz`` where the truth is known, and ``made.json``.
Sources, read from the folder ``--data``:

hubmap
    Cases M and F: HuBMAP CCF 3D reference pelves (Visible Human, CC BY 4.0, smoothed by an artist). No model
    has seen them.
jhu
    Cases 0-27: JHU pelvis atlas (Han et al. 2019, 10.1088/1361-6560/ab1456, CC BY 4.0). The shape model is
    built from them.
fracsegnet
    Cases 002 and 004: real CT of bones (MIT, Liu et al., MICCAI 2023) with expert labels; tissue is put
    behind the bones.
totalsegmentator
    Case example: a real CT of 3 mm with metal in a hip (Apache-2.0); the truth is another model's labels.

`run` plans each case with the ``sacroplan`` command, scores it with the scoring tool, and writes a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from accuracy_page import accuracy_page
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from planner import NOTICE
from planner.grid import Grid
from planner.labels import Label
from planner.volume import LabelMap, Volume
from sample_data.made_ct import CtLook, DistanceField, MadeCt, Surface, clothe, distance_field, render_ct
from sample_data.made_neighbours import add_neighbours
from sample_data.sacral_holes import keepout_field
from sample_data.signed_distance import sample_affine

ROOT = Path(__file__).resolve().parent.parent

LPS_FROM_GLTF_MM = 1000.0 * np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""glTF is in metres with y up and the figure facing +z: x is the figure's left, z its front."""

PARTS_CLOSE_MM = 2.5
"""HuBMAP's ilium, ischium and pubis are apart by up to twice this; with less the female's right hip stays hollow."""

HIP_ML = (150.0, 650.0)
"""Volume of an adult hip bone, with room; less is a shell that was not filled."""

ADULT_WIDTH_MM = (220.0, 340.0)
"""Width of an adult pelvis across the crests, with room; outside it the units are wrong."""

AROUND_MM = ((62.0, 58.0, 12.0), (62.0, 85.0, 18.0))
"""Scan beyond the bones: right, front, below; left, back, above [P]."""

LOOKS = {
    "soft": CtLook(),
    "bone": CtLook(psf_mm=0.35, sharpen=0.8, noise_hu=45.0, noise_grain_mm=0.4),
    "osteoporosis": CtLook(
        cortex_mm=(0.7, 1.4), cortex_hu=(550.0, 850.0), trabecular_hu=85.0, texture_hu=45.0, noise_hu=25.0
    ),
    "noisy": CtLook(noise_hu=45.0, noise_grain_mm=1.2),
}
"""Kernels and patients to make."""

SEEN = {
    "hubmap": "no",
    "jhu": "yes: the shape model is built from these subjects",
    "fracsegnet": "no; fractured on one side",
    "totalsegmentator": "no",
}
"""Whether the shape model has seen the source."""

COMMAND = "from pipelines.cli import main; main()"
"""The ``sacroplan`` command, by this very Python."""

Anatomy = dict[Label, list[Surface]]
HIPS = (Label.LEFT_HIP, Label.RIGHT_HIP)


def read_hubmap(data: Path, case: str) -> Anatomy:
    """Read a HuBMAP pelvis in LPS mm, parts named _L and _R folded into hip bones.

    The spongy parts are left out: their surfaces are open, and the compact shells close round them by themselves.
    """
    import trimesh

    scene = trimesh.load(data / "hubmap_pelvis" / f"VH_{case}_Pelvis.glb")
    parts: Anatomy = {Label.SACRUM: [], Label.LEFT_HIP: [], Label.RIGHT_HIP: []}
    for name in sorted(scene.graph.nodes_geometry):
        if "spongy" in name:
            continue
        placed, key = scene.graph[name]
        mesh = scene.geometry[key].copy()
        mesh.apply_transform(placed)
        mesh.merge_vertices()
        label = Label.LEFT_HIP if name.endswith("_L") else Label.RIGHT_HIP if name.endswith("_R") else Label.SACRUM
        parts[label].append(Surface(np.asarray(mesh.vertices) @ LPS_FROM_GLTF_MM.T, np.asarray(mesh.faces, np.int32)))
    return checked(parts)


def read_jhu(data: Path, case: str) -> Anatomy:
    """Read one of the 28 pelves of the JHU atlas (its sacrum is S1-S3)."""
    atlas = np.load(data / "jhu_pelvis_atlas" / "surfaces_28.npz")
    names = {Label.SACRUM: "sacrum_s1_s3", Label.LEFT_HIP: "hip_left", Label.RIGHT_HIP: "hip_right"}
    points = {label: atlas[f"{name}_points_lps_mm"][int(case)].astype(float) for label, name in names.items()}
    faces = {label: atlas[f"{name}_triangles"].astype(np.int32) for label, name in names.items()}
    return checked({label: [Surface(points[label], faces[label])] for label in names})


def checked(anatomy: Anatomy) -> Anatomy:
    """Pass an anatomy on if its left is left, its back is back and it has the size of an adult.

    Raises
    ------
    ValueError
        If it does not.
    """
    centre = {label: np.concatenate([p.vertices_lps for p in parts]).mean(axis=0) for label, parts in anatomy.items()}
    points = np.concatenate([p.vertices_lps for label in HIPS for p in anatomy[label]])
    width = float(np.ptp(points[:, 0]))
    if not centre[Label.LEFT_HIP][0] > centre[Label.SACRUM][0] > centre[Label.RIGHT_HIP][0]:
        raise ValueError(f"left and right hips are on the wrong sides: {centre}")
    if not centre[Label.SACRUM][1] > points[:, 1].mean() or not centre[Label.SACRUM][2] > points[:, 2].mean():
        raise ValueError(f"the sacrum is not behind and above the hips: {centre}")
    if not ADULT_WIDTH_MM[0] < width < ADULT_WIDTH_MM[1]:
        raise ValueError(f"a pelvis {width:.0f} mm wide, expected {ADULT_WIDTH_MM} mm")
    return anatomy


def turned(anatomy: Anatomy, tilt_deg: Sequence[float]) -> Anatomy:
    """Turn the patient about the x, y and z axes of LPS, round the middle of the bones."""
    middle = np.concatenate([p.vertices_lps for parts in anatomy.values() for p in parts]).mean(axis=0)
    turn = Rotation.from_euler("xyz", tilt_deg, degrees=True).as_matrix()
    return {
        label: [Surface((p.vertices_lps - middle) @ turn.T, p.faces) for p in parts] for label, parts in anatomy.items()
    }


def scan_grid(anatomy: Anatomy, spacing_zyx_mm: Sequence[float]) -> Grid:
    """Upright grid round the bones and the body."""
    points = np.concatenate([p.vertices_lps for parts in anatomy.values() for p in parts])
    low, high = points.min(axis=0) - AROUND_MM[0], points.max(axis=0) + AROUND_MM[1]
    shape = ((high - low)[::-1] / np.asarray(spacing_zyx_mm)).astype(int)
    return Grid.from_spacing((int(shape[0]), int(shape[1]), int(shape[2])), spacing_zyx_mm, np.round(low, 3))


def keepout_on(field: NDArray[np.uint8], sacrum: DistanceField, grid: Grid, labels: LabelMap) -> LabelMap:
    """Bring the keep-outs from the sacrum's lattice to the scan's grid by the nearest node; bone stays bone."""
    origin = sacrum.origin_mm
    lattice = Grid.from_spacing(field.shape, sacrum.spacing_mm, origin)  # type: ignore[arg-type]
    values = np.zeros(grid.shape_zyx, np.uint8)
    box = grid.box_around(lattice.corners_lps(), 0.0)
    voxels = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1)
    nearest = np.round(lattice.to_index(grid.to_lps(voxels))).astype(int)
    inside = ((nearest >= 0) & (nearest < field.shape)).all(axis=-1)
    view = values[box]
    view[inside] = field[tuple(nearest[inside].T)]
    values[labels.values > 0] = 0
    return LabelMap(values, grid)


def joint_gaps(bones: Mapping[Label, DistanceField]) -> dict[str, Any]:
    """Measure the gap of the source before it is carved: over the mid-surface where it is below 5 mm."""
    sacrum = bones[Label.SACRUM]
    lattice = Grid.from_spacing(sacrum.values_mm.shape, sacrum.spacing_mm, sacrum.origin_mm)  # type: ignore[arg-type]
    report: dict[str, Any] = {}
    for hip in HIPS:
        s = sacrum.values_mm
        h = sample_affine(bones[hip], lattice.lps_from_zyx, lattice.shape_zyx)
        gap = (s + h)[(np.abs(s - h) < sacrum.spacing_mm) & (s + h < 5)]
        cell = sacrum.spacing_mm**2 / 2
        report[hip.name.lower()] = {
            "gap_mm_percentiles_0_5_50_95": np.percentile(gap, [0, 5, 50, 95]).round(2).tolist(),
            "area_below_1_5_mm_cm2": round(float((gap < 1.5).sum() * cell / 100), 2),
            "area_overlapping_cm2": round(float((gap < 0).sum() * cell / 100), 2),
        }
    return report


def write_image(values: NDArray[Any], grid: Grid, path: Path) -> None:
    """Write an array on an orthogonal grid as an image file."""
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing(grid.spacing_zyx_mm[::-1].tolist())
    image.SetOrigin(grid.origin_lps_mm.tolist())
    image.SetDirection(grid.directions_lps[::-1].T.ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def write_case(folder: Path, made: MadeCt, keepout: LabelMap | None, facts: Mapping[str, Any]) -> None:
    """Write scan, truth and what made them."""
    write_image(made.volume.hu, made.volume.grid, folder / "ct.nii.gz")
    write_image(made.labels.values, made.labels.grid, folder / "labels.nii.gz")
    if keepout is not None:
        write_image(keepout.values, keepout.grid, folder / "keepout.nii.gz")
    (folder / "made.json").write_text(json.dumps({"notice": NOTICE, **facts}, indent=1) + "\n")


def make_from_surfaces(arguments: argparse.Namespace, folder: Path) -> None:
    """Make a case from a HuBMAP or JHU pelvis."""
    read = read_hubmap if arguments.source == "hubmap" else read_jhu
    anatomy = turned(read(arguments.data, arguments.case), arguments.tilt)
    close = PARTS_CLOSE_MM if arguments.source == "hubmap" else 0.0
    bones = {label: distance_field(parts, close if label in HIPS else 0.0) for label, parts in anatomy.items()}
    for hip in HIPS:
        volume_ml = float((bones[hip].values_mm < 0).sum()) * bones[hip].spacing_mm ** 3 / 1000
        if not HIP_ML[0] < volume_ml < HIP_ML[1]:
            raise ValueError(f"the {hip.name.lower()} of {volume_ml:.0f} ml is not solid, expected {HIP_ML} ml")
    gaps = joint_gaps(bones)
    if arguments.neighbours:
        bones = add_neighbours(bones)
    made = render_ct(bones, scan_grid(anatomy, arguments.spacing), LOOKS[arguments.look])
    keepout = keepout_on(keepout_field(bones[Label.SACRUM]), bones[Label.SACRUM], made.volume.grid, made.labels)
    write_case(folder, made, keepout, facts_of(arguments) | {"gap_before_carving": gaps})


def make_from_bones_ct(arguments: argparse.Namespace, folder: Path) -> None:
    """Make a case from a real CT of bones with expert labels."""
    stem = arguments.data / "fracsegnet" / arguments.case
    image, expert = (SimpleITK.ReadImage(f"{stem}_{kind}.nii.gz") for kind in ("bones", "labels"))
    grid = Grid(image.GetSize()[::-1], matrix_of(image))
    scan, orientation = Volume(SimpleITK.GetArrayFromImage(image).astype(np.int16), grid).canonical()
    fragments = orientation.apply(SimpleITK.GetArrayFromImage(expert))
    labels = np.digitize(fragments, [1, 11, 21, 31]).astype(np.uint8) % 4
    centres = [scan.grid.to_lps(np.argwhere(labels == label)).mean(axis=0) for label in (1, 2, 3)]
    if not centres[1][0] > centres[0][0] > centres[2][0]:
        raise ValueError(f"left and right hips are on the wrong sides: {centres}")
    made = MadeCt(clothe(scan, scan.hu != 0, LOOKS[arguments.look]), LabelMap(np.ascontiguousarray(labels), scan.grid))
    write_case(folder, made, None, facts_of(arguments))


def copy_real_scan(arguments: argparse.Namespace, folder: Path) -> None:
    """Make a case of a real scan as it is, with the labels of TotalSegmentator for truth."""
    source = arguments.data / "totalseg_example"
    grid, values = {}, {}
    for name, file in (("ct", "ct"), ("labels", "labels_1sac_2hipL_3hipR_4L5")):
        image = SimpleITK.ReadImage(str(source / f"{file}.nii.gz"))
        grid[name], values[name] = Grid(image.GetSize()[::-1], matrix_of(image)), SimpleITK.GetArrayFromImage(image)
    made = MadeCt(
        Volume(np.clip(values["ct"], -1024, 32767).astype(np.int16), grid["ct"]),
        LabelMap(values["labels"].astype(np.uint8), grid["labels"]),
    )
    write_case(folder, made, None, facts_of(arguments))


def matrix_of(image: SimpleITK.Image) -> NDArray[np.float64]:
    """``lps_from_zyx`` of an image."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def facts_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Say what made the case."""
    keys = ("source", "case", "spacing", "tilt", "look", "neighbours")
    return {key: getattr(arguments, key) for key in keys} | {"seen_by_shape_model": SEEN[arguments.source]}


def make(arguments: argparse.Namespace) -> int:
    """Make one case."""
    name = arguments.name or f"{arguments.source}_{arguments.case}_{arguments.spacing[0]:g}mm"
    folder = arguments.out / name
    makers = {"fracsegnet": make_from_bones_ct, "totalsegmentator": copy_real_scan}
    makers.get(arguments.source, make_from_surfaces)(arguments, folder)
    print(folder)
    return 0


def plan_case(scan: Path, out: Path) -> dict[str, Any]:
    """Plan one scan with the command that users have, in a process of its own."""
    start, load = time.perf_counter(), os.getloadavg()[0]
    child = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "plan", str(scan), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit_code": child.returncode,
        "message": said.strip().splitlines()[-1] if child.returncode and said.strip() else "",
        "seconds": round(time.perf_counter() - start, 1),
        "peak_rss_mb": round(usage.ru_maxrss / 1024),
        "load": round(load, 1),
    }


def score_case(out: Path, truth: Path, tool: Path) -> dict[str, Any]:
    """Score a result folder with the independent tool."""
    done = subprocess.run(
        [sys.executable, str(tool), "all", str(out), str(truth)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "the scoring tool failed"}
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def run(arguments: argparse.Namespace) -> int:
    """Plan and score the cases, and write the tables."""
    names = arguments.cases or sorted(path.parent.name for path in arguments.out.glob("*/made.json"))
    rows = []
    for name in names:
        folder = arguments.out / name
        facts = json.loads((folder / "made.json").read_text())
        cost = plan_case(folder / "ct.nii.gz", folder / "plan")
        score = score_case(folder / "plan", folder, arguments.score) if cost["exit_code"] == 0 else {}
        rows.append({"name": name, "facts": facts, "cost": cost, "score": score})
        print(f"{name}: {cost['message'] or score.get('error') or 'done'}, {cost['seconds']} s", file=sys.stderr)
        (arguments.out / "scores.json").write_text(json.dumps(rows, indent=1) + "\n")
        if arguments.table:
            arguments.table.write_text(accuracy_page(rows), encoding="utf-8")
    if not arguments.table:
        print(accuracy_page(rows))
    return int(any(row["cost"]["exit_code"] for row in rows))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make", help="make one case")
    maker.add_argument("--source", choices=tuple(SEEN), required=True)
    maker.add_argument("--case", required=True)
    maker.add_argument("--name", help="folder's name; default SOURCE_CASE_SPACING")
    maker.add_argument("--spacing", type=float, nargs=3, default=[1.0, 0.8, 0.8], help="z y x, mm")
    maker.add_argument("--tilt", type=float, nargs=3, default=[0.0, 0.0, 0.0], help="degrees about LPS x, y, z")
    maker.add_argument("--look", choices=tuple(LOOKS), default="soft")
    maker.add_argument("--neighbours", action=argparse.BooleanOptionalAction, default=True, help="add L5 and femora")
    maker.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    maker.set_defaults(function=make)
    runner = commands.add_parser("run", help="plan and score cases that were made")
    runner.add_argument("--cases", nargs="*", help="default: all that were made")
    runner.add_argument("--table", type=Path, help="file for the tables; default: standard output")
    runner.add_argument(
        "--score", type=Path, default=ROOT.parent / "shared" / "tools" / "score.py", help="scoring tool"
    )
    runner.set_defaults(function=run)
    for command in (maker, runner):
        command.add_argument("--out", type=Path, required=True, help="folder of the cases")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = parse(argv)
    result: int = arguments.function(arguments)
    return result


if __name__ == "__main__":
    sys.exit(main())
