"""A pelvis of slabs: two flat joints whose best path is known in closed form.

In each joint's own frame (origin at the middle of its dorsal mouth) ``depth`` runs to anterior along the joint plane,
``out`` from the sacrum to the ilium, ``up`` to cranial. The joint is the plane ``out = 0``, 40 mm deep and 72 mm high.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.grid import Grid
from planner.joint.model import Joint, Third, Thirds, Zone
from planner.keepout.model import Foramen, Keepouts
from planner.labels import Keepout, Label, Side, foramen_value
from planner.segmentation.model import Bones, PelvicFrame, ShapeFit
from planner.volume import LabelMap, Volume

HALF_WIDTH_MM = 36.0
DEPTH_MM = 40.0
HALF_HEIGHT_MM = 36.0
GAP_MM = 2.0
BONE_MM = 24.0
SKIN_MM = 30.0
LEVELS_UP_MM = {"S1": 18.0, "S2": 0.0, "S3": -18.0}
CHANNEL_MM = 8.0

Points = NDArray[np.float64]


@dataclass(frozen=True)
class SlabPelvis:
    """What the phantom is made of, and its parts as the stages give them."""

    axial_deg: float = 20.0
    foramen_out_mm: float = -14.0
    """Where the foramina's faces nearest to the joint lie."""
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rotation: Points = field(default_factory=lambda: np.eye(3))
    """Turns the pelvis in the world; the grid stays upright unless `grid_rotation` turns it."""
    grid_rotation: Points = field(default_factory=lambda: np.eye(3))
    known_thirds: bool = True
    missing: tuple[str, ...] = ()
    bone_hu: int = 200

    def local(self, points_lps: Points, side: Side) -> Points:
        """``(..., 3)``: depth, out, up of LPS points in one joint's frame."""
        origin, axes = self._frame(side)
        return (points_lps @ self.rotation - origin) @ axes.T

    def world(self, local: Any, side: Side) -> Points:
        """LPS points of ``(..., 3)`` depth, out, up."""
        origin, axes = self._frame(side)
        return (np.asarray(local, float) @ axes + origin) @ self.rotation.T

    def _frame(self, side: Side) -> tuple[Points, Points]:
        angle, lateral = np.radians(self.axial_deg), side.lateral_x
        depth = np.array([lateral * np.sin(angle), -np.cos(angle), 0.0])
        out = np.array([lateral * np.cos(angle), np.sin(angle), 0.0])
        return np.array([lateral * HALF_WIDTH_MM, 0.0, 0.0]), np.stack([depth, out, [0.0, 0.0, 1.0]])

    @property
    def grid(self) -> Grid:
        """Covers both joints and the skin."""
        low, high = np.array([-80.0, -60.0, -50.0]), np.array([80.0, 46.0, 50.0])
        spacing = np.array(self.spacing_mm)
        shape = np.ceil((high - low)[::-1] / spacing).astype(int) + 1
        matrix = Grid.from_spacing(tuple(shape), spacing, low).lps_from_zyx.copy()
        matrix[:3] = self.rotation @ self.grid_rotation @ matrix[:3]
        return Grid(tuple(shape), matrix)

    def build(self) -> tuple[Volume, Bones, dict[Side, Joint], Keepouts]:
        """Make volume, bones, joints and keep-outs."""
        grid = self.grid
        points = grid.to_lps(np.moveaxis(np.indices(grid.shape_zyx), 0, -1))
        labels, keepout = np.zeros(grid.shape_zyx, np.uint8), np.zeros(grid.shape_zyx, np.uint8)
        for side in Side:
            local = self.local(points, side)
            depth, out, up = np.moveaxis(local, -1, 0)
            slab = (depth >= 0) & (depth <= DEPTH_MM) & (np.abs(up) <= HALF_HEIGHT_MM)
            labels[slab & (out <= -GAP_MM / 2) & (out >= -BONE_MM)] = Label.SACRUM
            labels[slab & (out >= GAP_MM / 2) & (out <= BONE_MM)] = side.hip
            for level, height in LEVELS_UP_MM.items():
                near = (out <= self.foramen_out_mm) & (out >= self.foramen_out_mm - CHANNEL_MM)
                keepout[near & (np.abs(up - height) <= CHANNEL_MM / 2) & (depth >= 0) & (depth <= DEPTH_MM)] = (
                    foramen_value(side, level)
                )
        keepout[np.abs((points @ self.rotation)[..., 0]) < 4.0] = Keepout.CANAL
        labels[keepout > 0] = 0
        body = (points @ self.rotation)[..., 1] <= SKIN_MM
        hu = np.where(labels > 0, self.bone_hu, np.where(body, 40, -1000)).astype(np.int16)
        bones = Bones(LabelMap(labels, grid), self._fit(), self._pelvic(), {})
        joints = {side: self.joint(side) for side in Side}
        return Volume(hu, grid), bones, joints, Keepouts(LabelMap(keepout, grid), self._foramina(), np.zeros((0, 3)))

    def _pelvic(self) -> PelvicFrame:
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        return PelvicFrame(matrix)

    def _fit(self) -> ShapeFit:
        notches = {f"{side}_sciatic_notch": self.world([20.0, 10.0, -60.0], side) for side in Side}
        return ShapeFit({}, {}, np.eye(4), np.zeros(0), 0.0, notches)

    def _foramina(self) -> tuple[Foramen, ...]:
        return tuple(
            Foramen(side, level, aspect, self.world([depth, self.foramen_out_mm - 4, height], side), 8.0, 1.0)
            for side in Side
            for level, height in LEVELS_UP_MM.items()
            for aspect, depth in (("ventral", DEPTH_MM), ("dorsal", 0.0))
            if level not in self.missing
        )

    def joint(self, side: Side) -> Joint:
        """Flat mid-surface with vertices 2 mm apart."""
        depths, ups = np.arange(0, DEPTH_MM + 1, 2.0), np.arange(-HALF_HEIGHT_MM, HALF_HEIGHT_MM + 1, 2.0)
        flat = np.array([[d, 0.0, u] for d in depths for u in ups])
        axis = self.rotation[:, 2]
        bounds = np.linspace(-HALF_HEIGHT_MM, HALF_HEIGHT_MM, 4)
        thirds = Thirds("brandt-transverse", axis, bounds, self.known_thirds)
        vertices = self.world(flat, side)
        return Joint(
            side=side,
            vertices_lps=vertices,
            faces=self._faces(len(depths), len(ups), side),
            gap_mm=np.full(len(flat), GAP_MM, np.float32),
            zone=np.full(len(flat), Zone.ARTICULAR, np.uint8),
            third=thirds.of(vertices) if self.known_thirds else np.full(len(flat), Third.UNKNOWN, np.uint8),
            thirds=thirds,
            articular_area_mm2=DEPTH_MM * 2 * HALF_HEIGHT_MM,
            gap_median_mm=GAP_MM,
            gap_p95_mm=GAP_MM,
            truncated=not self.known_thirds,
        )

    @staticmethod
    def _faces(rows: int, columns: int, side: Side) -> NDArray[np.int32]:
        i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
        a = (i * columns + j).ravel()
        quads = np.stack([a, a + columns, a + columns + 1, a, a + columns + 1, a + 1], axis=1).reshape(-1, 3)
        outward = quads if side is Side.RIGHT else quads[:, ::-1]
        return np.ascontiguousarray(outward, np.int32)
