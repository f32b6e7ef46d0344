"""A pelvis of blocks: a sacrum between two hip plates, flat joints at x = +-40 mm, everything known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from planner.figures import FigureCase
from planner.grid import Grid
from planner.joint.model import Joint, Thirds
from planner.keepout.model import Keepouts
from planner.labels import Keepout, Label, Side, foramen_value
from planner.segmentation.model import Bones, PelvicFrame, ShapeFit
from planner.trajectory.model import Candidate, Clearance, PlacementError, SidePlan
from planner.volume import LabelMap, Volume

GAP_MM = 2.0
JOINT_X_MM = 40.0
SPACING_MM = 2.0


def block_labels(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    x, y, z = np.moveaxis(grid.to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1)), -1, 0)
    tall = (np.abs(y) < 30) & (np.abs(z) < 40)
    bones = np.zeros(grid.shape_zyx, np.uint8)
    bones[tall & (np.abs(x) < JOINT_X_MM - GAP_MM / 2)] = Label.SACRUM
    bones[tall & (x > JOINT_X_MM + GAP_MM / 2) & (x < 60)] = Label.LEFT_HIP
    bones[tall & (x < -JOINT_X_MM - GAP_MM / 2) & (x > -60)] = Label.RIGHT_HIP
    keep = np.zeros(grid.shape_zyx, np.uint8)
    keep[tall & (np.hypot(x, y - 10) < 7)] = Keepout.CANAL
    keep[tall & (np.hypot(np.abs(x) - 22, z) < 5)] = foramen_value(Side.LEFT, "S1")
    bones[keep > 0] = 0
    return bones, keep


def flat_joint(side: Side, truncated: bool = False) -> Joint:
    """A sheet at x = +-40, y and z from -24 to 24; its dorsal half is ligamentous."""
    y, z = np.meshgrid(np.linspace(-24, 24, 17), np.linspace(-24, 24, 17), indexing="ij")
    vertices = np.stack([np.full(y.size, side.lateral_x * JOINT_X_MM), y.ravel(), z.ravel()], axis=1)
    at = np.arange(17 * 17).reshape(17, 17)
    a, b, c, d = at[:-1, :-1].ravel(), at[1:, :-1].ravel(), at[1:, 1:].ravel(), at[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    if side is Side.RIGHT:
        faces = faces[:, ::-1].copy()
    thirds = Thirds("brandt-transverse", np.array([0.0, 0.0, 1.0]), np.array([-24.0, -8.0, 8.0, 24.0]), not truncated)
    zone = np.where(vertices[:, 1] <= 0, 1, 2).astype(np.uint8)
    gap = np.full(len(vertices), GAP_MM, np.float32)
    third = thirds.of(vertices)
    return Joint(side, vertices, faces, gap, zone, third, thirds, 1200.0, GAP_MM, GAP_MM, truncated)


def candidate(side: Side) -> Candidate:
    x = side.lateral_x * JOINT_X_MM
    entry, tip = np.array([x, 8.0, 0.0]), np.array([x, -12.0, 0.0])
    clearance = {"neural": Clearance(4.2, 3.9, entry), "ventral_cortex": Clearance(18.0, 17.0, tip)}
    return Candidate(
        grade="amber", score=0.7, terms={}, implant_id="GENERIC-DOWEL", diameter_mm=8.0, length_mm=20.0,
        implant_entry_lps=entry, implant_tip_lps=tip, skin_entry_lps=entry + np.array([0, 50, 0]), third="middle",
        articular_share=0.6, depth_from_bone_mm=42.0, depth_from_skin_mm=np.nan, axial_to_sagittal_deg=0.0,
        cranial_tilt_deg=0.0, c_arm={}, clearances=clearance, breach=PlacementError(0.0, 0.0),
        safe_entry_radius_mm=2.0, hu_shell_mean=180.0, binding="neural",
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_case() -> Callable[..., FigureCase]:
    def make(plans: dict[Side, SidePlan] | None = None, sides: tuple[Side, ...] = tuple(Side)) -> FigureCase:
        grid = Grid.from_spacing((61, 61, 81), SPACING_MM, (-80.0, -60.0, -60.0))
        bones, keep = block_labels(grid)
        hu = np.where(bones > 0, 400, 40).astype(np.int16)
        fit = ShapeFit({}, {}, np.eye(4), np.zeros(1), 0.0, {})
        made = Bones(LabelMap(bones, grid), fit, PelvicFrame(np.eye(4)), {})
        joints = {side: flat_joint(side) for side in sides}
        keepouts = Keepouts(LabelMap(keep, grid), (), np.zeros((0, 3)))
        default = {side: SidePlan(side, "planned", "", (candidate(side),), {}) for side in Side}
        return FigureCase(Volume(hu, grid), made, joints, keepouts, default if plans is None else plans)

    return make


@pytest.fixture(scope="session")
def case(make_case: Callable[..., FigureCase]) -> FigureCase:
    return make_case()
