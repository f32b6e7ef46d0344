"""CT made from surface meshes of bones, with exact truth: for evaluation, never for tuning.

Bones are closed surfaces; tissue, fat, skin, table, vessels and metal are put round them. A voxel's mixture is worked
out from the signed distance to each surface (exact for a plane face), then blurred by the scanner's point spread and
given seeded noise. Labels are the sign of the same distance at the voxel's centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cc3d
import edt
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage as ndi

from planner.grid import Grid
from planner.labels import Label
from planner.volume import LabelMap, Volume
from sample_data.inlays import Inlay, InlayKind, inlay_mask, paint_inlays
from sample_data.signed_distance import DistanceField, sample_affine, surface_distance
from sample_data.streaks import add_streaks

__all__ = [
    "CtLook",
    "Cut",
    "JointFill",
    "MadeCt",
    "Surface",
    "carve_gap",
    "clothe",
    "distance_field",
    "render_ct",
]

LATTICE_MM = 0.7
"""Spacing of the lattice on which a bone's distance is kept; exact at its nodes near the surface [P]."""

MARGIN_MM = 6.0
"""Lattice beyond the bone, so that the distance is right across the joint [P]."""

OFF_LATTICE = 1.234e-4
"""Shift of the grid lines in voxels, so that no line meets a vertex or an edge of a mesh on round numbers [P]."""

NEAR_MM = 2.0
"""A cleft between the parts of one bone up to twice this is closed, where closing is asked for [P]."""

CRUMB_VOXELS = 1000
"""Smaller pieces are flaws of the mesh (the smallest coccyx has several thousand) [P]."""

AIR_HU, FAT_HU, MUSCLE_HU, TABLE_HU, METAL_HU = -1000.0, -100.0, 50.0, -400.0, 3071.0
"""Usual CT numbers; the table is carbon fibre over foam, metal is at the end of a 12-bit scale."""

SKIN_MARGIN_MM = (45.0, 40.0, 50.0)
"""Skin beyond the bones: to each side, to the front, to the back [P]."""

SKIN_MM = 2.0
"""Skin thickness [P]."""

SKIN_POWER = 2.5
"""Exponent of the superellipse that the body is in section [P]."""

TABLE_MM, TABLE_HALF_MM = 25.0, 210.0
"""Table thickness and half width [P]."""

GAS_HU, GAS_MM, GAS_GAP_MM = -700.0, 0.9, 5.0
"""Gas of a vacuum joint, how thick it lies, and the widest gap that holds it [P]."""

BRIDGE_HU, BRIDGED_GAP_MM, PLATE_MM = 320.0, 6.0, 1.5
"""Bone of a bridge, the widest gap that it spans, and the subchondral plate that it takes up [P]."""

SLAB_SLICES = 8
"""Slices rendered at a time, so that memory does not grow with the scan [P]."""

NEIGHBOUR_GAP_MM = 1.8
"""Least width of hip and facet joints [P]."""

PELVIS = (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP)

SIDE_BONES = (Label.LEFT_HIP, Label.RIGHT_HIP)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surface:
    """One triangle surface, outward facing; small holes are allowed.

    Attributes
    ----------
    vertices_lps : (n, 3) float64 array
        Millimetres.
    faces : (m, 3) int32 array
        Counter-clockwise as seen from outside.
    """

    vertices_lps: F64
    faces: NDArray[np.int32]


@dataclass(frozen=True)
class JointFill:
    """What fills a joint within a ball: bone (a bridge, labelled by the nearer bone) or gas (vacuum).

    Attributes
    ----------
    hip : Label
        The joint's hip bone.
    centre : tuple of float
        Of the ball, mm, in the bones' frame.
    radius_mm : float
        Of the ball.
    gas : bool
        Gas in place of bone.
    """

    hip: Label
    centre: tuple[float, float, float]
    radius_mm: float
    gas: bool = False


@dataclass(frozen=True)
class Cut:
    """A gap of cartilage through a bone, along a plane, within a ball: an open growth plate.

    Attributes
    ----------
    label : Label
        The bone.
    point, normal : tuple of float
        Of the plane; the point is the ball's centre too.
    width_mm, radius_mm : float
        Of the gap and of the ball.
    """

    label: Label
    point: tuple[float, float, float]
    normal: tuple[float, float, float]
    width_mm: float
    radius_mm: float


@dataclass(frozen=True)
class CtLook:
    """How the made CT looks; lengths in mm, CT numbers in HU.

    Attributes
    ----------
    cortex_mm, cortex_hu : (float, float)
        Range over the bone's surface.
    trabecular_hu, texture_hu : float
        Mean and standard deviation of cancellous bone. About 80 HU and a cortex of 0.7-1.4 mm make osteoporosis.
    psf_mm : float
        Standard deviation of the in-plane point spread.
    sharpen : float
        0 for a soft kernel; about 0.8 for a bone kernel, which overshoots at edges.
    noise_hu : float
        Standard deviation.
    noise_grain_mm : float
        In-plane correlation of the noise.
    fat_mm : float
        Subcutaneous fat.
    min_gap_mm : (float, float)
        Left and right: facing bones closer than this, or overlapping, are pushed back equally from the surface midway
        between them.
    fills : tuple of JointFill
        Bridges and gas in the joints.
    cuts : tuple of Cut
        Growth plates.
    inlays : tuple of Inlay
        Vessels, organs, metal.
    streaks : bool
        Whether metal among the inlays makes streaks.
    down : tuple of float
        Unit vector, in the bones' frame, to the table.
    seed : int
        Of the noise and the textures.
    """

    cortex_mm: tuple[float, float] = (1.0, 2.3)
    cortex_hu: tuple[float, float] = (750.0, 1150.0)
    trabecular_hu: float = 210.0
    texture_hu: float = 60.0
    psf_mm: float = 0.5
    sharpen: float = 0.0
    noise_hu: float = 18.0
    noise_grain_mm: float = 0.8
    fat_mm: float = 14.0
    min_gap_mm: tuple[float, float] = (1.5, 1.5)
    fills: tuple[JointFill, ...] = ()
    cuts: tuple[Cut, ...] = ()
    inlays: tuple[Inlay, ...] = ()
    streaks: bool = False
    down: tuple[float, float, float] = (0.0, 1.0, 0.0)
    seed: int = field(default=0)


@dataclass(frozen=True, eq=False)
class MadeCt:
    """A made scan and its truth, on one grid.

    Attributes
    ----------
    volume : Volume
        The scan.
    labels : LabelMap
        `planner.labels.Label` of each voxel's centre.
    decoys : LabelMap or None
        `sample_data.inlays.InlayKind` of what is not the pelvis and might be taken for it.
    """

    volume: Volume
    labels: LabelMap
    decoys: LabelMap | None = None


def distance_field(parts: Sequence[Surface], close_mm: float = 0.0) -> DistanceField:
    """Signed distance to one bone given as parts, negative inside.

    Inside comes from the winding number along three axes by majority, so that a mesh's small holes do not leak.

    Parameters
    ----------
    parts : sequence of Surface
        They may overlap, touch, or be a shell round a core.
    close_mm : float
        Clefts between the parts up to twice this width are filled.
    """
    vertices = np.concatenate([p.vertices_lps for p in parts]).astype(np.float64)
    starts = np.cumsum([0, *(len(p.vertices_lps) for p in parts[:-1])])
    low = vertices.min(axis=0) - MARGIN_MM
    shape = np.ceil((vertices.max(axis=0) + MARGIN_MM - low) / LATTICE_MM).astype(int)[::-1] + 1
    scaled = ((vertices - low) / LATTICE_MM)[:, ::-1]
    faces = [p.faces.astype(np.int32) + np.int32(start) for p, start in zip(parts, starts, strict=True)]
    solid = _solid([scaled[f] for f in faces], (shape[0], shape[1], shape[2]), close_mm / LATTICE_MM)
    outer = np.concatenate([f[_is_outer(scaled[f], solid)] for f in faces])
    unsigned = surface_distance(vertices, outer, LATTICE_MM, MARGIN_MM)
    magnitude = np.abs(unsigned.values_mm)
    return DistanceField(np.where(solid, -magnitude, magnitude), unsigned.origin_mm, LATTICE_MM)


def _solid(parts: Sequence[F64], shape: tuple[int, int, int], close_voxels: float) -> NDArray[np.bool_]:
    solid = np.zeros(shape, bool)
    for triangles in parts:
        votes = np.zeros(shape, np.uint8)
        for axis in range(3):
            votes += _inside_along(triangles, shape, axis)
        solid |= votes >= 2
    if close_voxels > 0:
        grown = edt.edt(~solid, parallel=1) <= close_voxels
        solid |= edt.edt(grown, parallel=1) > close_voxels
    filled = ndi.binary_fill_holes(solid)
    whole: NDArray[np.bool_] = cc3d.dust(filled, threshold=CRUMB_VOXELS, connectivity=6)
    return whole


def _inside_along(triangles: F64, shape: tuple[int, int, int], axis: int) -> NDArray[np.bool_]:
    """Whether the winding number, counted along one axis, is not zero."""
    order = [*(i for i in range(3) if i != axis), axis]
    steps = np.zeros([shape[i] for i in order], np.int8)
    _add_crossings(steps, np.ascontiguousarray(triangles[:, :, order]) + OFF_LATTICE * np.array([1.0, 1.7, 0.0]))
    winding = np.cumsum(steps, axis=2, dtype=np.int8) != 0
    inside: NDArray[np.bool_] = np.moveaxis(winding, 2, axis)
    return inside


@njit(cache=True)
def _add_crossings(steps: NDArray[np.int8], triangles: F64) -> None:
    rows, columns, depth = steps.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area == 0.0:
            continue
        sign = 1 if area > 0 else -1
        top, bottom = max(0, int(np.ceil(min(a[0], b[0], c[0])))), min(rows - 1, int(max(a[0], b[0], c[0])))
        left, right = max(0, int(np.ceil(min(a[1], b[1], c[1])))), min(columns - 1, int(max(a[1], b[1], c[1])))
        for i in range(top, bottom + 1):
            for j in range(left, right + 1):
                u = ((i - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (j - a[1])) / area
                v = ((b[0] - a[0]) * (j - a[1]) - (i - a[0]) * (b[1] - a[1])) / area
                if u >= 0.0 and v >= 0.0 and u + v < 1.0:
                    k = int(np.ceil(a[2] + u * (b[2] - a[2]) + v * (c[2] - a[2])))
                    if k < depth:
                        steps[i, j, max(k, 0)] += sign


def _is_outer(triangles_zyx: F64, solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each triangle bounds the solid: the voxel that its normal points to lies outside."""
    normal = -np.cross(triangles_zyx[:, 1] - triangles_zyx[:, 0], triangles_zyx[:, 2] - triangles_zyx[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    index = np.round(triangles_zyx.mean(axis=1) + normal / np.maximum(length, 1e-12)).astype(int)
    outer: NDArray[np.bool_] = ~solid[tuple(np.clip(index, 0, np.array(solid.shape) - 1).T)]
    flat: NDArray[np.bool_] = length[:, 0] == 0
    return outer & ~flat


def carve_gap(distances: Mapping[Label, F32], min_gap_mm: tuple[float, float]) -> dict[Label, F32]:
    """Push facing bones back, equally, from the surface midway between them until the gap is at least `min_gap_mm`.

    With distances s and h to sacrum and hip: ``s' = max(s, (s - h + g) / 2)``, ``h' = max(h, (h - s + g) / 2)``. Bones
    that are absent are left alone.
    """
    carved = dict(distances)
    facing = [
        (Label.SACRUM, Label.LEFT_HIP, min_gap_mm[0]),
        (Label.SACRUM, Label.RIGHT_HIP, min_gap_mm[1]),
        (Label.LEFT_HIP, Label.RIGHT_HIP, max(min_gap_mm)),
    ]
    for one, other, gap in facing:
        if {one, other} <= set(carved):
            a, b = (distances if one is Label.LEFT_HIP else carved)[one], distances[other]
            offset, half = (a - b) / 2, np.float32(gap / 2)
            carved[one] = np.maximum(carved[one], half + offset)
            carved[other] = np.maximum(carved[other], half - offset)
    return carved


def _kept_apart(distances: dict[Label, F32]) -> dict[Label, F32]:
    """Take from L5 and the femora what would touch the pelvis."""
    pelvis = np.minimum.reduce([distances[label] for label in PELVIS if label in distances])
    return {
        label: distance if label in PELVIS else np.maximum(distance, np.float32(NEIGHBOUR_GAP_MM) - pelvis)
        for label, distance in distances.items()
    }


def render_ct(bones: Mapping[Label, DistanceField], grid: Grid, look: CtLook) -> MadeCt:
    """Render the scan of `bones` on any grid, slab by slab; labels come with it."""
    scene = _Scene.of(bones, *_extent(bones), look)
    hu = np.empty(grid.shape_zyx, np.int16)
    labels = np.zeros(grid.shape_zyx, np.uint8)
    for start in range(0, grid.shape_zyx[0], SLAB_SLICES):
        rows = slice(start, min(start + SLAB_SLICES, grid.shape_zyx[0]))
        slab = grid.crop((rows, slice(0, grid.shape_zyx[1]), slice(0, grid.shape_zyx[2])))
        labels[rows] = scene.labels(slab)
        hu[rows] = _scanned(scene.hounsfield(_thinned(slab)), slab, look, start)
    decoys = inlay_mask(grid, look.inlays)
    decoys[labels > 0] = 0
    return MadeCt(Volume(hu, grid), LabelMap(labels, grid), LabelMap(decoys, grid))


def clothe(bone_hu: Volume, is_bone: NDArray[np.bool_], look: CtLook) -> Volume:
    """Put tissue behind a scan of bones alone (0 elsewhere), with the cut's rim blended over one voxel."""
    grid = bone_hu.grid
    points = grid.to_lps(np.argwhere(is_bone)[::97])
    scene = _Scene.of({}, points.min(axis=0), points.max(axis=0), look)
    hu = np.empty(grid.shape_zyx, np.int16)
    for start in range(0, grid.shape_zyx[0], SLAB_SLICES):
        rows = slice(start, min(start + SLAB_SLICES, grid.shape_zyx[0]))
        slab = grid.crop((rows, slice(0, grid.shape_zyx[1]), slice(0, grid.shape_zyx[2])))
        tissue = _scanned(scene.hounsfield(slab), slab, look, start).astype(np.float32)
        share = ndi.gaussian_filter(is_bone[rows].astype(np.float32), (0.0, 0.7, 0.7))
        share = np.where(is_bone[rows], np.clip(2 * share - 0.6, 0.3, 1), 0)
        hu[rows] = np.round(tissue + share * (bone_hu.hu[rows] - tissue)).astype(np.int16)
    return Volume(hu, grid)


def _extent(bones: Mapping[Label, DistanceField]) -> tuple[F64, F64]:
    low = np.min([b.origin_mm for b in bones.values()], axis=0) + MARGIN_MM
    ends = [b.origin_mm + np.array(b.values_mm.shape[::-1]) * b.spacing_mm for b in bones.values()]
    return low, np.max(ends, axis=0) - MARGIN_MM


def _thinned(slab: Grid) -> Grid:
    """Grid with each slice split into sub-slices of at most 1 mm, for the slice profile."""
    parts = int(np.ceil(slab.spacing_zyx_mm[0] - 1e-6))
    matrix = slab.lps_from_zyx.copy()
    matrix[:3, 3] -= matrix[:3, 0] * (0.5 - 0.5 / parts)
    matrix[:3, 0] /= parts
    return Grid((slab.shape_zyx[0] * parts, *slab.shape_zyx[1:]), matrix)


def _scanned(fine_hu: F32, slab: Grid, look: CtLook, seed_step: int) -> NDArray[np.int16]:
    """Average the sub-slices, blur, sharpen, add noise, round."""
    slices, rows, columns = slab.shape_zyx
    spacing = slab.spacing_zyx_mm
    profile = fine_hu.reshape(slices, -1, rows, columns).mean(axis=1)
    hu: F32 = ndi.gaussian_filter(profile, (0.0, look.psf_mm / spacing[1], look.psf_mm / spacing[2]))
    if look.sharpen > 0:
        hu += look.sharpen * (hu - ndi.gaussian_filter(hu, (0.0, 1.0 / spacing[1], 1.0 / spacing[2])))
    noise = np.random.default_rng([look.seed, seed_step]).standard_normal(hu.shape).astype(np.float32)
    noise = ndi.gaussian_filter(noise, (0.0, look.noise_grain_mm / spacing[1], look.noise_grain_mm / spacing[2]))
    hu += noise * (look.noise_hu / noise.std())
    if look.streaks:
        metal = inlay_mask(slab, [inlay for inlay in look.inlays if inlay.kind is InlayKind.METAL]) > 0
        add_streaks(hu, metal, (float(spacing[1]), float(spacing[2])))
    clipped: NDArray[np.int16] = np.clip(np.round(hu), -1024, 3071).astype(np.int16)
    return clipped


@dataclass(frozen=True, eq=False)
class _Scene:
    """Bones, body outline and textures, ready to be sampled anywhere."""

    bones: Mapping[Label, DistanceField]
    look: CtLook
    centre: F64
    half_axes: F64
    fine: DistanceField
    coarse: DistanceField

    @classmethod
    def of(cls, bones: Mapping[Label, DistanceField], low: F64, high: F64, look: CtLook) -> _Scene:
        side, front, back = SKIN_MARGIN_MM
        low, high = low - np.array([side, front, 0.0]), high + np.array([side, back, 0.0])
        rng = np.random.default_rng(look.seed)
        fine, coarse = _texture(rng, 0.9, 2.0), _texture(rng, 6.0, 2.5)
        return cls(bones, look, (low + high) / 2, (high - low) / 2, fine, coarse)

    def labels(self, grid: Grid) -> NDArray[np.uint8]:
        """Bone at each voxel's centre."""
        values = np.zeros(grid.shape_zyx, np.uint8)
        distances = self._distances(grid)
        for label, distance in distances.items():
            values[distance < 0] = label
        for fill in self.look.fills:
            if not fill.gas and {Label.SACRUM, fill.hip} <= set(distances):
                bridge = (self._between(fill, grid, distances) < 0) & (values == 0)
                nearer = distances[Label.SACRUM] < distances[fill.hip]
                values[bridge] = np.where(nearer, np.uint8(Label.SACRUM), np.uint8(fill.hip))[bridge]
        return values

    def _distances(self, grid: Grid) -> dict[Label, F32]:
        found = {label: sample_affine(field, grid.lps_from_zyx, grid.shape_zyx) for label, field in self.bones.items()}
        for cut in self.look.cuts:
            if cut.label in found:
                found[cut.label] = np.maximum(found[cut.label], _cut_distance(cut, grid))
        return _kept_apart(carve_gap(found, self.look.min_gap_mm)) if found else found

    def _between(self, fill: JointFill, grid: Grid, distances: Mapping[Label, F32]) -> F32:
        """Distance to what a joint's fill takes up: within its ball, between the faces (gas: in the midst of them)."""
        s, h = distances[Label.SACRUM], distances[fill.hip]
        ball = _capsule(grid, fill.centre, fill.centre) - np.float32(fill.radius_mm)
        if fill.gas:
            slit = np.maximum(np.abs(s - h) / 2 - np.float32(GAS_MM / 2), s + h - np.float32(GAS_GAP_MM))
            gas: F32 = np.maximum(ball, slit)
            return gas
        faces = np.maximum(s + h - np.float32(BRIDGED_GAP_MM), np.float32(-PLATE_MM) - np.minimum(s, h))
        result: F32 = np.maximum(ball, faces)
        return result

    def hounsfield(self, grid: Grid) -> F32:
        """CT numbers before the scanner blurs them."""
        edge = np.float32(grid.spacing_zyx_mm[1:].mean())
        fine, coarse = (_tiled(texture, grid) for texture in (self.fine, self.coarse))
        hu = self._body(grid, coarse, fine, edge)
        paint_inlays(hu, grid, self.look.inlays, over_bone=False)
        distances = self._distances(grid)
        for distance in distances.values():
            self._put_bone(hu, distance, coarse, fine, edge)
        for fill in self.look.fills:
            if {Label.SACRUM, fill.hip} <= set(distances):
                stuff = GAS_HU if fill.gas else BRIDGE_HU + self.look.texture_hu * fine
                hu += _covered(self._between(fill, grid, distances), edge) * (stuff - hu)
        paint_inlays(hu, grid, self.look.inlays, over_bone=True)
        return hu

    def _body(self, grid: Grid, coarse: F32, fine: F32, edge: np.float32) -> F32:
        x, y = (_coordinate(grid, axis) for axis in (0, 1))
        depth = self._skin_depth(x, y)
        seam = depth - np.float32(self.look.fat_mm) * (1 + np.float32(0.25) * coarse)
        muscle = MUSCLE_HU + 6 * coarse + 4 * fine - 110 * _covered(np.abs(coarse - np.float32(0.9)) * 6 - 1.0, edge)
        inner = np.where(seam > 0, muscle, FAT_HU + 5 * fine)
        hu = np.where(depth > SKIN_MM, inner, 30.0).astype(np.float32)
        outside = _covered(depth, edge)
        hu += outside * (np.where(self._table(grid), np.float32(TABLE_HU), np.float32(AIR_HU)) - hu)
        return hu

    def _table(self, grid: Grid) -> NDArray[np.bool_]:
        """Table: a slab under the body, on the side that is down."""
        down = np.asarray(self.look.down)
        dual = SKIN_POWER / (SKIN_POWER - 1)
        support = float((np.abs(self.half_axes[:2] * down[:2]) ** dual).sum() ** (1 / dual))
        fall = sum(_coordinate(grid, axis) * np.float32(down[axis]) for axis in range(3))
        across = np.cross(down, [0.0, 0.0, 1.0])
        sideways = sum((_coordinate(grid, i) - np.float32(self.centre[i])) * np.float32(across[i]) for i in range(3))
        under = fall - np.float32(self.centre @ down + support)
        table: NDArray[np.bool_] = (np.abs(under - TABLE_MM / 2) < TABLE_MM / 2) & (np.abs(sideways) < TABLE_HALF_MM)
        return table

    def _skin_depth(self, x: F32, y: F32) -> F32:
        """Depth below the skin, about mm: the body is a superellipse, flattened where it lies on the table."""
        u, v = (x - self.centre[0]) / self.half_axes[0], (y - self.centre[1]) / self.half_axes[1]
        radius = (np.abs(u) ** SKIN_POWER + np.abs(v) ** SKIN_POWER) ** np.float32(1 / SKIN_POWER)
        depth: F32 = ((1 - radius) * np.float32(self.half_axes[:2].min())).astype(np.float32)
        return depth

    def _put_bone(self, hu: F32, distance: F32, coarse: F32, fine: F32, edge: np.float32) -> None:
        look = self.look
        mix = np.clip(0.5 + 0.25 * coarse, 0, 1)
        thickness = look.cortex_mm[0] + (look.cortex_mm[1] - look.cortex_mm[0]) * mix
        cortex = look.cortex_hu[0] + (look.cortex_hu[1] - look.cortex_hu[0]) * mix
        marrow = look.trabecular_hu + look.texture_hu * (0.8 * fine + 0.6 * coarse)
        bone = _covered(distance, edge)
        core = _covered(distance + thickness.astype(np.float32), edge)
        hu += bone * (cortex - hu) + core * (marrow - cortex)


def _cut_distance(cut: Cut, grid: Grid) -> F32:
    """Distance to what a growth plate leaves: outside its slab or outside its ball."""
    off = sum((_coordinate(grid, i) - np.float32(cut.point[i])) * np.float32(cut.normal[i]) for i in range(3))
    ball = _capsule(grid, cut.point, cut.point) - np.float32(cut.radius_mm)
    kept: F32 = np.minimum(np.float32(cut.width_mm / 2) - np.abs(off), -ball).astype(np.float32)
    return kept


def _covered(distance: F32, edge_mm: np.float32) -> F32:
    """Share of a voxel of width `edge_mm` inside a plane face at signed distance `distance` from its centre."""
    share: F32 = np.clip(np.float32(0.5) - distance / edge_mm, 0, 1)
    return share


def _coordinate(grid: Grid, axis: int) -> F32:
    """One LPS coordinate of every voxel's centre, (z, y, x)."""
    k, j, i = (np.arange(n, dtype=np.float32) for n in grid.shape_zyx)
    m = grid.lps_from_zyx[axis].astype(np.float32)
    value: F32 = m[0] * k[:, None, None] + m[1] * j[None, :, None] + m[2] * i[None, None, :] + m[3]
    return value


def _capsule(grid: Grid, start: tuple[float, float, float], end: tuple[float, float, float]) -> F32:
    """Distance from every voxel's centre to a line segment, mm."""
    a = np.array(start)
    axis = np.array(end) - a
    along = sum((_coordinate(grid, i) - a[i]) * axis[i] for i in range(3)) / max(float(axis @ axis), 1e-9)
    along = np.clip(along, 0, 1)
    square = sum((_coordinate(grid, i) - a[i] - along * axis[i]) ** 2 for i in range(3))
    distance: F32 = np.sqrt(square).astype(np.float32)
    return distance


TEXTURE_NODES = 96
"""Edge of the block of noise that repeats through space [P]."""


def _texture(rng: np.random.Generator, spacing_mm: float, grain_nodes: float) -> DistanceField:
    """Unit-variance smooth noise on a block that can be repeated."""
    noise = rng.standard_normal((TEXTURE_NODES,) * 3).astype(np.float32)
    smooth = ndi.gaussian_filter(noise, grain_nodes / 2, mode="wrap")
    return DistanceField((smooth / smooth.std()).astype(np.float32), np.zeros(3), spacing_mm)


def _tiled(texture: DistanceField, grid: Grid) -> F32:
    steps = grid.lps_from_zyx[:3, :3] / texture.spacing_mm
    start = grid.lps_from_zyx[:3, 3] / texture.spacing_mm
    out: F32 = np.empty(grid.shape_zyx, np.float32)
    _sample_wrapped(texture.values_mm, np.ascontiguousarray(steps), np.ascontiguousarray(start), out)
    return out


@njit(cache=True)
def _sample_wrapped(block: F32, steps: F64, start: F64, out: F32) -> None:
    nz, ny, nx = out.shape
    n = block.shape[0]
    for k in range(nz):
        for j in range(ny):
            for i in range(nx):
                x = start[0] + steps[0, 0] * k + steps[0, 1] * j + steps[0, 2] * i
                y = start[1] + steps[1, 0] * k + steps[1, 1] * j + steps[1, 2] * i
                z = start[2] + steps[2, 0] * k + steps[2, 1] * j + steps[2, 2] * i
                a, b, c = int(np.floor(z)), int(np.floor(y)), int(np.floor(x))
                w, v, u = z - a, y - b, x - c
                a, b, c = a % n, b % n, c % n
                d, e, f = (a + 1) % n, (b + 1) % n, (c + 1) % n
                low = (block[a, b, c] * (1 - u) + block[a, b, f] * u) * (1 - v)
                low += (block[a, e, c] * (1 - u) + block[a, e, f] * u) * v
                high = (block[d, b, c] * (1 - u) + block[d, b, f] * u) * (1 - v)
                high += (block[d, e, c] * (1 - u) + block[d, e, f] * u) * v
                out[k, j, i] = low * (1 - w) + high * w
