"""Find the pelvis: a blind start for the shape model, anywhere in the scan.

The scan is thinned to cells of 4 mm; the distance to the bone surface there, cut off at `REACH_MM`, is laid against the
mean shape at every translation at once (FFT), for a set of turns and sizes on 8 mm cells. The best few starts are
refined by Gauss-Newton on the 4 mm distance map, and the best of those is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import edt
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from planner.errors import NoPelvisError
from planner.grid import Grid
from planner.segmentation.model import PelvisPose
from planner.segmentation.shape_model import ShapeModel
from planner.volume import Volume

__all__ = ["locate_pelvis"]

CELL_MM = 4.0
"""Cell of the thinned scan [P]."""

BONE_HU = 180
"""Bone for the purpose of finding the pelvis; cortex is above, soft tissue and most marrow below [P]."""

BONE_SHARE = 0.2
"""A cell is bone if this share of its voxels is [P]."""

PADDING_HU = -1000
"""A cell whose voxels are all one value, and that at or below this, holds no data: padding."""

REACH_MM = 20.0
"""Distances to bone are cut off here [P]."""

UNSEEN_WEIGHT = 0.3
"""A vertex outside the scan counts as this share of a vertex without bone near [P]."""

TILTS_DEG = (-30.0, -15.0, 0.0, 15.0, 30.0)
"""Trial turns about the left-right axis."""

TURNS_DEG = ((0.0, 0.0), (20.0, 0.0), (-20.0, 0.0), (0.0, 20.0), (0.0, -20.0))
"""Trial turns about the antero-posterior and the cranio-caudal axis."""

SCALES = (0.9, 1.05)
"""Trial sizes in terms of the mean."""

STARTS = 8
"""Best trials that are refined [P]."""

CLOSE_MM, CLOSE_SHARE = 6.0, 0.8
"""Least share of the seen shape that must lie this close to bone [P]: 0.90-0.97 on pelves, 0.5-0.65 elsewhere."""

SIZES = (0.75, 1.3)
"""Size of a pelvis in terms of the mean of 28 adults [P]."""

SEEN_FLOOR = 0.25
"""Least share of the shape that must lie in the scan [P]."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Thinned:
    """The scan in cells.

    Attributes
    ----------
    nearness : (z, y, x) float32 array
        1 on the bone surface, falling to 0 at `REACH_MM`; 0 where there is no data.
    known : (z, y, x) float32 array
        1 where the scan has data.
    grid : Grid
        Cells' centres.
    """

    nearness: NDArray[np.float32]
    known: NDArray[np.float32]
    grid: Grid


def locate_pelvis(volume: Volume, model: ShapeModel) -> PelvisPose:
    """Find the pelvis in a canonical volume.

    Parameters
    ----------
    volume : Volume
        Axes cranial, posterior, left; any field of view that holds the SI joints.
    model : ShapeModel
        Its mean is laid on the scan.

    Returns
    -------
    PelvisPose
        Similarity from the model to LPS, within about 5 mm and 5 degrees of the truth.

    Raises
    ------
    NoPelvisError
        If nothing in the scan looks like a pelvis.
    """
    fine = thin(volume)
    if fine.nearness.max() == 0.0:
        raise no_pelvis(0.0, 1.0)
    shape = trial_points(model)
    starts = coarse_starts(coarsen(fine), shape)
    poses = [refine(fine, shape, start) for start in starts]
    best = max(poses, key=lambda pose: pose.score)
    judge(fine, shape, best)
    return best


def no_pelvis(on_bone: float, size: float) -> NoPelvisError:
    """Build the one refusal of this stage."""
    return NoPelvisError(
        f"no pelvis found: {on_bone:.0%} of the best match lies on bone (at least {CLOSE_SHARE:.0%} expected), "
        f"at {size:.2f} of the usual size.",
        "Give a CT that shows both sacroiliac joints.",
    )


def thin(volume: Volume) -> Thinned:
    """Reduce a scan to cells of about `CELL_MM` and measure the distance to bone."""
    spacing = volume.grid.spacing_zyx_mm
    steps = np.maximum(np.round(CELL_MM / spacing), 1).astype(np.int64)
    bone, data = cell_shares(volume.hu, steps, BONE_HU, PADDING_HU)
    matrix = volume.grid.lps_from_zyx.copy()
    matrix[:3, 3] = volume.grid.to_lps((steps - 1) / 2)
    matrix[:3, :3] = matrix[:3, :3] * steps
    mask = bone >= BONE_SHARE
    surface = mask & ~ndimage.binary_erosion(mask, border_value=1)
    away = edt.edt(np.ascontiguousarray(~surface), anisotropy=tuple(spacing * steps), black_border=False, parallel=1)
    known = data > 0
    nearness = np.where(known & surface.any(), 1.0 - np.minimum(away, REACH_MM) / REACH_MM, 0.0)
    return Thinned(nearness.astype(np.float32), known.astype(np.float32), Grid(mask.shape, matrix))


@njit(cache=True)
def cell_shares(hu, steps, bone_hu, padding_hu):  # type: ignore[no-untyped-def]
    """Share of bone in each cell, and whether the cell holds data (is not one constant at or below the padding)."""
    nz, ny, nx = hu.shape
    shape = ((nz + steps[0] - 1) // steps[0], (ny + steps[1] - 1) // steps[1], (nx + steps[2] - 1) // steps[2])
    bone = np.zeros(shape, np.float32)
    data = np.zeros(shape, np.uint8)
    for k in range(shape[0]):
        for j in range(shape[1]):
            for i in range(shape[2]):
                z1 = min((k + 1) * steps[0], nz)
                y1 = min((j + 1) * steps[1], ny)
                x1 = min((i + 1) * steps[2], nx)
                first = hu[k * steps[0], j * steps[1], i * steps[2]]
                count = 0
                varied = first > padding_hu
                for z in range(k * steps[0], z1):
                    for y in range(j * steps[1], y1):
                        for x in range(i * steps[2], x1):
                            value = hu[z, y, x]
                            if value > bone_hu:
                                count += 1
                            if value != first:
                                varied = True
                bone[k, j, i] = count / ((z1 - k * steps[0]) * (y1 - j * steps[1]) * (x1 - i * steps[2]))
                data[k, j, i] = 1 if varied else 0
    return bone, data


def coarsen(fine: Thinned) -> Thinned:
    """Halve the resolution of the thinned scan, cut to where bone is."""
    pad = [(0, n % 2) for n in fine.nearness.shape]
    blocks = [
        np.pad(a, pad).reshape(*(m for n in a.shape for m in ((n + 1) // 2, 2))).mean(axis=(1, 3, 5))
        for a in (fine.nearness, fine.known)
    ]
    matrix = fine.grid.lps_from_zyx.copy()
    matrix[:3, 3] = fine.grid.to_lps((0.5, 0.5, 0.5))
    matrix[:3, :3] = 2.0 * matrix[:3, :3]
    grid = Grid(blocks[0].shape, matrix)
    box = ndimage.find_objects((blocks[0] > 0).astype(np.int32))[0]
    return Thinned(np.ascontiguousarray(blocks[0][box]), np.ascontiguousarray(blocks[1][box]), grid.crop(box))


def trial_points(model: ShapeModel) -> Floats:
    """Vertices of the mean that show on CT: without the cut end of the sacrum; every other one."""
    real = np.ones(len(model.mean), bool)
    real[model.regions["sacrum_cut"]] = False
    points: Floats = model.mean[real][::2]
    return points


def trial_rotations() -> list[Floats]:
    """Rotations of the blind search."""
    return [
        Rotation.from_euler("xyz", (tilt, roll, turn), degrees=True).as_matrix()
        for tilt, (roll, turn) in product(TILTS_DEG, TURNS_DEG)
    ]


def coarse_starts(coarse: Thinned, shape: Floats) -> list[Floats]:
    """Best similarities ``(4, 4)`` of the FFT search, best first."""
    trials = [scale * rotation for rotation, scale in product(trial_rotations(), SCALES)]
    inverse = np.linalg.inv(coarse.grid.lps_from_zyx[:3, :3])
    extent = max(np.ptp(shape @ (inverse @ t).T, axis=0).max() for t in trials[:1])
    size = [fft.next_fast_len(int(n + 1.15 * extent) + 2, real=True) for n in coarse.nearness.shape]
    spectra = [fft.rfftn(a, size) for a in (coarse.nearness, coarse.known)]
    found = [correlate(spectra, size, shape @ (inverse @ t).T) for t in trials]
    order = sorted(range(len(trials)), key=lambda i: (-found[i][0], i))[:STARTS]
    starts = []
    for i in order:
        start = np.eye(4)
        start[:3, :3] = trials[i]
        start[:3, 3] = coarse.grid.to_lps(found[i][1])
        starts.append(start)
    return starts


def correlate(spectra: list[NDArray[np.complex64]], size: list[int], points_zyx: Floats) -> tuple[float, Floats]:
    """Best score and shift (cells) of a set of points over the thinned scan."""
    low = np.floor(points_zyx.min(axis=0)).astype(int)
    cells = np.round(points_zyx).astype(int) - low
    kernel = np.zeros(size, np.float32)
    np.add.at(kernel, tuple(cells.T), np.float32(1.0 / len(cells)))
    spectrum = np.conj(fft.rfftn(kernel))
    near = fft.irfftn(spectra[0] * spectrum, size)
    seen = fft.irfftn(spectra[1] * spectrum, size)
    score = near / (np.maximum(seen, 0.0) + UNSEEN_WEIGHT)
    best = np.array(np.unravel_index(int(score.argmax()), score.shape))
    shift = np.where(best >= np.array(size) - cells.max(axis=0) - 1, best - size, best)
    return float(score.max()), shift - low


def refine(fine: Thinned, shape: Floats, start: Floats) -> PelvisPose:
    """Gauss-Newton on the distance to bone over rotation, size and place; robust by the cut-off distance."""
    matrix = start
    for reach in (20.0, 20.0, 16.0, 16.0, 12.0, 12.0, 10.0, 10.0, 8.0, 8.0, 8.0, 8.0):
        matrix = step(fine, shape, matrix, reach)
    return PelvisPose(matrix, mean_score(fine, shape, matrix))


def distances(fine: Thinned, points: Floats, order: int = 1) -> tuple[Floats, NDArray[np.bool_]]:
    """Distance of LPS points to the bone surface (cut off at `REACH_MM`), and which of them the scan sees."""
    index = fine.grid.to_index(points).T
    near = ndimage.map_coordinates(fine.nearness, index, order=order, mode="constant")
    seen = ndimage.map_coordinates(fine.known, index, order=0, mode="constant") > 0.5
    return (1.0 - near.astype(np.float64)) * REACH_MM, seen


def step(fine: Thinned, shape: Floats, matrix: Floats, reach: float) -> Floats:
    """One robust Gauss-Newton step."""
    points = shape @ matrix[:3, :3].T + matrix[:3, 3]
    distance, seen = distances(fine, points)
    slope = np.stack(
        [
            (distances(fine, points + e)[0] - distances(fine, points - e)[0]) / (2 * CELL_MM)
            for e in CELL_MM * np.eye(3)
        ],
        axis=1,
    )
    weight = np.where(seen & (distance < reach), (1.0 - (distance / reach) ** 2) ** 2, 0.0)
    arm = points - matrix[:3, 3]
    jacobian = np.column_stack([slope, np.cross(arm, slope), (arm * slope).sum(axis=1)])
    damping = np.array([1e-3] * 3 + [30.0**2 * 1e-3] * 3 + [60.0**2 * 1e-2]) * len(shape)
    normal = (jacobian * weight[:, None]).T @ jacobian + np.diag(damping)
    delta = -np.linalg.solve(normal, (jacobian * weight[:, None]).T @ distance)
    result = np.eye(4)
    turn = Rotation.from_rotvec(np.clip(delta[3:6], -0.15, 0.15)).as_matrix()
    result[:3, :3] = (1.0 + np.clip(delta[6], -0.05, 0.05)) * turn @ matrix[:3, :3]
    result[:3, 3] = matrix[:3, 3] + delta[:3]
    return result


def mean_score(fine: Thinned, shape: Floats, matrix: Floats) -> float:
    """Mean nearness of the seen points, unseen ones held against it as in the search; 0-1."""
    distance, seen = distances(fine, shape @ matrix[:3, :3].T + matrix[:3, 3])
    near = np.where(seen, 1.0 - distance / REACH_MM, 0.0)
    return float(near.sum() / (seen.sum() + UNSEEN_WEIGHT * len(shape)) * (1.0 + UNSEEN_WEIGHT))


def judge(fine: Thinned, shape: Floats, pose: PelvisPose) -> None:
    """Refuse a match that lies off the bone, is hardly in the scan, or has the size of no person."""
    away, seen = distances(fine, shape @ pose.lps_from_model[:3, :3].T + pose.lps_from_model[:3, 3])
    on_bone = float((away[seen] < CLOSE_MM).mean()) if seen.any() else 0.0
    size = float(np.cbrt(np.linalg.det(pose.lps_from_model[:3, :3])))
    if on_bone < CLOSE_SHARE or seen.mean() < SEEN_FLOOR or not SIZES[0] < size < SIZES[1]:
        raise no_pelvis(on_bone, size)
