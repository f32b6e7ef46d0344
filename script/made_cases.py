"""Make the scan and the truth of one case of `conditions`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from conditions import BASES, Condition, MadeCase
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sources import Base, load_base

from planner import NOTICE
from planner.grid import Grid
from planner.labels import Label, Side
from planner.volume import LabelMap, Volume
from sample_data import made_patient as patient
from sample_data.inlays import Inlay, InlayKind
from sample_data.made_ct import CtLook, JointFill, MadeCt, clothe, render_ct
from sample_data.phantom import PhantomSpec, make_phantom
from sample_data.signed_distance import DistanceField

__all__ = ["make_case"]

LOOKS = {
    "soft": CtLook(),
    "bone": CtLook(psf_mm=0.35, sharpen=0.8, noise_hu=45.0, noise_grain_mm=0.4),
    "osteoporosis": CtLook(
        cortex_mm=(0.5, 1.1), cortex_hu=(500.0, 800.0), trabecular_hu=60.0, texture_hu=40.0, noise_hu=25.0
    ),
    "noisy": CtLook(noise_hu=40.0, noise_grain_mm=1.2),
    "loud": CtLook(noise_hu=60.0, noise_grain_mm=0.8),
}
"""Kernels, noise and bone to make."""

DIRECTIONS = {
    "supine": ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    "prone": ((0, 0, 1), (0, -1, 0), (-1, 0, 0)),
    "feet-first": ((0, 0, -1), (0, 1, 0), (-1, 0, 0)),
    "decubitus": ((0, 0, 1), (-1, 0, 0), (0, 1, 0)),
}
"""LPS directions of slices, rows and columns; rows run down to the table."""

VIEWS = {
    "joints": ((-62.0, -48.0, -50.0), (62.0, 52.0, 50.0)),
    "sacrum": ((-80.0, -75.0, -85.0), (80.0, 80.0, 68.0)),
    "upper": ((-150.0, -110.0, -88.0), (150.0, 80.0, 75.0)),
    "cut": ((-150.0, -110.0, -10.0), (150.0, 80.0, 75.0)),
    "pelvis": ((-170.0, -130.0, -160.0), (170.0, 130.0, 95.0)),
    "long": ((-190.0, -140.0, -480.0), (190.0, 150.0, 720.0)),
}
"""Boxes of the bones that a view shows, about the middle between the joints, mm; the scan holds them at any turn."""

VIEW_MARGIN_MM = 6.0
"""Scan round those bones [P]."""

SPARSE = 4
"""Every fourth node of a bone's lattice stands for it when the scan is laid round it [P]."""

CONTRAST_HU, BLOOD_HU, URINE_HU = 320.0, 180.0, 400.0
"""Bowel, vessels and bladder with contrast medium."""

PHANTOMS = {
    "mean": PhantomSpec(),
    "varied": PhantomSpec(shape_coefficients=(1.0, -1.0, 0.8, -0.6), warp_mm=2.0, seed=3),
}
"""Bases of the phantom."""


def make_case(case: MadeCase, folder: Path, data: Path, cache: Path) -> None:
    """Write ``ct.nii.gz``, ``labels.nii.gz``, ``made.json`` and, where known, ``keepout`` and ``decoys``."""
    source, name = BASES[case.base]
    if source == "phantom":
        made, keepout = _from_phantom(case.condition, PHANTOMS[name])
    elif source == "fracsegnet":
        made, keepout = _from_bones_ct(data / "fracsegnet" / name), None
    elif source == "totalsegmentator":
        made, keepout = _real_scan(data / "totalseg_example"), None
    else:
        made, keepout = _from_base(case.condition, load_base(data, cache, source, name))
    folder.mkdir(parents=True, exist_ok=True)
    write_image(made.volume.hu, made.volume.grid, folder / "ct.nii.gz")
    write_image(made.labels.values, made.labels.grid, folder / "labels.nii.gz")
    if keepout is not None:
        write_image(keepout.values, keepout.grid, folder / "keepout.nii.gz")
    if made.decoys is not None and made.decoys.values.any():
        write_image(made.decoys.values, made.decoys.grid, folder / "decoys.nii.gz")
    facts = {"notice": NOTICE, "base": case.base, "source": source, "condition": asdict(case.condition)}
    (folder / "made.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _from_phantom(condition: Condition, spec: PhantomSpec) -> tuple[MadeCt, LabelMap]:
    box = {"spacing_zyx_mm": condition.spacing, "size_yx_mm": (200.0, 250.0), "z_range_mm": (-60.0, 85.0)}
    phantom = make_phantom(spec.model_copy(update=box))
    return MadeCt(phantom.volume, phantom.labels), phantom.keepout


def _from_bones_ct(stem: Path) -> MadeCt:
    """Put tissue behind a real CT of bones with expert labels."""
    image, expert = (SimpleITK.ReadImage(f"{stem}_{kind}.nii.gz") for kind in ("bones", "labels"))
    grid = Grid(image.GetSize()[::-1], matrix_of(image))
    scan, orientation = Volume(SimpleITK.GetArrayFromImage(image).astype(np.int16), grid).canonical()
    fragments = orientation.apply(SimpleITK.GetArrayFromImage(expert))
    labels = np.digitize(fragments, [1, 11, 21, 31]).astype(np.uint8) % 4
    centres = [scan.grid.to_lps(np.argwhere(labels == label)).mean(axis=0) for label in (1, 2, 3)]
    if not centres[1][0] > centres[0][0] > centres[2][0]:
        raise ValueError(f"left and right hips are on the wrong sides: {centres}")
    labels = np.ascontiguousarray(labels)
    return MadeCt(clothe(scan, scan.hu != 0, LOOKS["soft"]), LabelMap(labels, scan.grid))


def _real_scan(folder: Path) -> MadeCt:
    """Take a real scan as it is, with the labels of TotalSegmentator for truth."""
    ct, labels = (SimpleITK.ReadImage(str(folder / f"{n}.nii.gz")) for n in ("ct", "labels_1sac_2hipL_3hipR_4L5"))
    hu = np.clip(SimpleITK.GetArrayFromImage(ct), -1024, 32767).astype(np.int16)
    values = SimpleITK.GetArrayFromImage(labels).astype(np.uint8)
    return MadeCt(
        Volume(hu, Grid(ct.GetSize()[::-1], matrix_of(ct))),
        LabelMap(values, Grid(labels.GetSize()[::-1], matrix_of(labels))),
    )


def matrix_of(image: SimpleITK.Image) -> NDArray[np.float64]:
    """``lps_from_zyx`` of an image."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def write_image(values: NDArray[Any], grid: Grid, path: Path) -> None:
    """Write an array on an orthogonal grid as an image file."""
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing(grid.spacing_zyx_mm[::-1].tolist())
    image.SetOrigin(grid.origin_lps_mm.tolist())
    image.SetDirection(grid.directions_lps[::-1].T.ravel().tolist())
    SimpleITK.WriteImage(image, str(path), True, 1)


def _from_base(condition: Condition, base: Base) -> tuple[MadeCt, LabelMap]:
    """Render the scan in the patient's own frame; then lay its grid into LPS, turned as the patient is."""
    turn = Rotation.from_euler("xyz", condition.turn, degrees=True).as_matrix()
    bones = {label: _scaled(field, condition.scale) for label, field in base.bones.items()}
    places = patient.Places(
        {side: points * condition.scale for side, points in base.places.joints.items()},
        {
            side: (centre * condition.scale, radius * condition.scale)
            for side, (centre, radius) in base.places.heads.items()
        },
        base.places.low * condition.scale,
        base.places.high * condition.scale,
    )
    if "one-hip" in condition.extras:
        bones = {k: v for k, v in bones.items() if k not in (Label.LEFT_HIP, Label.LEFT_FEMUR)}
    scan = scan_grid(condition, bones, places.centre, turn)
    own = _turned(scan, turn.T, places.centre)
    down = turn.T @ np.array(DIRECTIONS[condition.position][1], float)
    look = _look(condition, places, (float(down[0]), float(down[1]), float(down[2])))
    made = render_ct(bones, own, look)
    sacrum = bones[Label.SACRUM]
    keepout = keepout_on(base.keepouts, sacrum, own, made.labels)
    assert made.decoys is not None
    on_scan = MadeCt(
        Volume(made.volume.hu, scan), LabelMap(made.labels.values, scan), LabelMap(made.decoys.values, scan)
    )
    return on_scan, LabelMap(keepout.values, scan)


def _scaled(field: DistanceField, scale: float) -> DistanceField:
    return DistanceField(field.values_mm * np.float32(scale), field.origin_mm * scale, field.spacing_mm * scale)


def _turned(grid: Grid, turn: NDArray[np.float64], centre: NDArray[np.float64]) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = centre - turn @ centre
    return Grid(grid.shape_zyx, matrix @ grid.lps_from_zyx)


def scan_grid(
    condition: Condition, bones: Mapping[Label, DistanceField], centre: NDArray[np.float64], turn: NDArray[np.float64]
) -> Grid:
    """Grid of the scan: round the bones that the view shows, as they lie when the patient is turned."""
    low, high = np.array(VIEWS[condition.view]) * condition.scale
    points = np.concatenate([_inside(field) for field in bones.values()]) - centre
    shown = points[((points > low) & (points < high)).all(axis=1)]
    if condition.view in ("long", "pelvis"):
        shown = np.vstack([shown, low, high])
    turned = shown @ turn.T
    low, high = turned.min(axis=0) - VIEW_MARGIN_MM, turned.max(axis=0) + VIEW_MARGIN_MM
    directions = np.array(DIRECTIONS[condition.position], float)
    corner = np.where(directions.sum(axis=0) > 0, low, high) + centre
    extent = np.abs(directions) @ (high - low)
    shape = np.maximum((extent / np.asarray(condition.spacing)).astype(int), 2)
    matrix = np.eye(4)
    matrix[:3, :3] = (directions * np.asarray(condition.spacing)[:, None]).T
    matrix[:3, 3] = np.round(corner, 3)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), matrix)


def _inside(field: DistanceField) -> NDArray[np.float64]:
    nodes = np.argwhere(field.values_mm[::SPARSE, ::SPARSE, ::SPARSE] < 0)[:, ::-1]
    points: NDArray[np.float64] = field.origin_mm + nodes * (SPARSE * field.spacing_mm)
    return points


def keepout_on(field: NDArray[np.uint8], sacrum: DistanceField, grid: Grid, labels: LabelMap) -> LabelMap:
    """Bring the keep-outs from the sacrum's lattice to the scan's grid by the nearest node; bone stays bone."""
    lattice = Grid.from_spacing(field.shape, sacrum.spacing_mm, sacrum.origin_mm)  # type: ignore[arg-type]
    values = np.zeros(grid.shape_zyx, np.uint8)
    box = grid.box_around(lattice.corners_lps(), 0.0)
    voxels = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1)
    nearest = np.round(lattice.to_index(grid.to_lps(voxels))).astype(int)
    inside = ((nearest >= 0) & (nearest < field.shape)).all(axis=-1)
    view = values[box]
    view[inside] = field[tuple(nearest[inside].T)]
    values[labels.values > 0] = 0
    return LabelMap(values, grid)


INLAYS: dict[str, Callable[[patient.Places], tuple[Inlay, ...]]] = {
    "contrast": lambda p: (
        patient.bowel(p, CONTRAST_HU), patient.bladder(p, URINE_HU), patient.vessels(p, BLOOD_HU)
    ),
    "calcified": lambda p: (patient.vessels(p, 45.0), patient.calcified_vessels(p)),
    "prosthesis": lambda p: (patient.hip_prosthesis(p, Side.LEFT),),
    "screws": lambda p: (patient.spine_screws(p),),
    "transitional": lambda p: (patient.transitional_l5(p),),
    "arms": patient.arms,
    "cushions": lambda p: (patient.cushions(p),),
}  # fmt: skip
"""What the extras put into the patient."""


def _look(condition: Condition, places: patient.Places, down: tuple[float, float, float]) -> CtLook:
    inlays = [inlay for name, make in INLAYS.items() if name in condition.extras for inlay in make(places)]
    if condition.view == "long":
        inlays += patient.body_above_and_below(places)
    return replace(
        LOOKS[condition.look],
        min_gap_mm=condition.gap_mm,
        fills=tuple(_fills(condition, places)),
        cuts=patient.growth_plates(places) if "child" in condition.extras else (),
        inlays=tuple(inlays),
        streaks=any(inlay.kind is InlayKind.METAL for inlay in inlays),
        down=down,
    )


def _fills(condition: Condition, places: patient.Places) -> list[JointFill]:
    def ball(side: Side, height: float, radius_mm: float, *, gas: bool) -> JointFill:
        x, y, z = map(float, places.joint_at(side, height))
        return JointFill(side.hip, (x, y, z), radius_mm, gas)

    if "bridge" in condition.extras:
        return [ball(Side.LEFT, 0.35, 11.0, gas=False), ball(Side.LEFT, 0.6, 9.0, gas=False)]
    if "vacuum" in condition.extras:
        return [ball(side, 0.5, 14.0, gas=True) for side in Side]
    return []
