"""Find the pelvis: a blind start for the shape model, anywhere in the scan.

On the scan thinned to cells of 4 mm (`planner.segmentation.thinning`), the distance to the bone surface is laid against
the mean shape at every translation at once (FFT), for a set of turns and sizes on 8 mm cells. The best few starts are
refined by Gauss-Newton on the 4 mm distance map, and the best of those is judged.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from planner.errors import NoPelvisError
from planner.segmentation.model import PelvisPose
from planner.segmentation.shape_model import ShapeModel
from planner.segmentation.thinning import CELL_MM, REACH_MM, Thinned, coarsen

__all__ = ["locate_pelvis"]

UNSEEN_WEIGHT = 0.3
"""A vertex outside the scan counts as this share of a vertex without bone near [P]."""

TILTS_DEG = (-30.0, -15.0, 0.0, 15.0, 30.0)
"""Trial turns about the left-right axis."""

TURNS_DEG = tuple(product((0.0, 20.0, -20.0), repeat=2))
"""Trial turns about the antero-posterior and the cranio-caudal axis."""

LYING_DEG = (
    (0.0, 0.0, 0.0),
    (0.0, 0.0, 180.0),
    (0.0, 0.0, 90.0),
    (0.0, 0.0, -90.0),
    (0.0, 180.0, 0.0),
    (180.0, 0.0, 0.0),
)
"""Ways to lie, as turns about LPS x, y and z: as the header says; and, where that finds nothing sure, prone, on either
side and the wrong end first in a scan whose header does not know of it."""

SURE_SCORE, SURE_SHARE = 0.6, 0.82
"""A match at least this good, with this share on bone, is not sought lying in other ways [P]."""

LYING_COST = 0.05
"""A match against the header must be better by this much: a tight view fits in several ways about as well [P]."""

SCALES = (0.9, 1.05)
"""Trial sizes in terms of the mean."""

STARTS = 8
"""Best trials that are refined [P]."""

CLOSE_MM, CLOSE_SHARE, CLOSE_ONE_SIDED = 6.0, 0.74, 0.86
"""Least share of the seen shape that must lie this close to bone, and the same without one of the hip bones, which may
be missing [P]: 0.76-0.97 and 0.87-0.96 on pelves, up to 0.69 and 0.80 on a thorax and an abdomen."""

SIZES = (0.75, 1.3)
"""Size of a pelvis in terms of the mean of 28 adults [P]."""

SIZE_WEIGHT_MM2 = 60.0
"""Weight of a size that is not the usual one in the refinement: 13 % off costs as much as 1 mm at every vertex [P]."""

SIZE_COST = 2.0
"""The same in the score: 10 % off costs 0.02 [P]."""

SEEN_FLOOR = 0.25
"""Least share of the shape that must lie in the scan [P]."""

Floats = NDArray[np.float64]


def locate_pelvis(fine: Thinned, model: ShapeModel) -> PelvisPose:
    """Find the pelvis in a thinned scan.

    Parameters
    ----------
    fine : Thinned
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
    if fine.nearness.max() == 0.0:
        raise no_pelvis(0.0, 1.0)
    shape = trial_points(model)
    coarse = coarsen(fine)
    best = best_match(fine, coarse, shape, LYING_DEG[0])
    if not is_sure(fine, shape, best):
        others = [best_match(fine, coarse, shape, lying) for lying in LYING_DEG[1:]]
        other = max(others, key=lambda pose: pose.score)
        best = other if other.score > best.score + LYING_COST else best
    judge(fine, model, best)
    return best


def best_match(fine: Thinned, coarse: Thinned, shape: Floats, lying_deg: tuple[float, float, float]) -> PelvisPose:
    """Best match of a patient who lies about so."""
    starts = coarse_starts(coarse, shape, Rotation.from_euler("xyz", lying_deg, degrees=True).as_matrix())
    return max((refine(fine, shape, start) for start in starts), key=lambda pose: pose.score)


def is_sure(fine: Thinned, shape: Floats, pose: PelvisPose) -> bool:
    """Whether a match is so good that no other need be looked for."""
    return pose.score >= SURE_SCORE and on_bone_share(fine, shape, pose) >= SURE_SHARE


def no_pelvis(on_bone: float, size: float, seen: float = 1.0) -> NoPelvisError:
    """Build the one refusal of this stage."""
    part = f", {seen:.0%} of it within the scan (at least {SEEN_FLOOR:.0%} expected)" if seen < SEEN_FLOOR else ""
    return NoPelvisError(
        f"no pelvis found: {on_bone:.0%} of the best match lies on bone (at least {CLOSE_SHARE:.0%} expected){part}, "
        f"at {size:.2f} of the usual size.",
        "Give a CT that shows both sacroiliac joints.",
    )


def trial_points(model: ShapeModel, without: str = "") -> Floats:
    """Vertices of the mean that show on CT: without the cut end of the sacrum (and a bone); every other one."""
    real = np.ones(len(model.mean), bool)
    real[model.regions["sacrum_cut"]] = False
    if without:
        real[model.span(without)] = False
    points: Floats = model.mean[real][::2]
    return points


def trial_rotations() -> list[Floats]:
    """Rotations of the blind search."""
    return [
        Rotation.from_euler("xyz", (tilt, roll, turn), degrees=True).as_matrix()
        for tilt, (roll, turn) in product(TILTS_DEG, TURNS_DEG)
    ]


def coarse_starts(coarse: Thinned, shape: Floats, lying: Floats) -> list[Floats]:
    """Best similarities ``(4, 4)`` of the FFT search, best first."""
    trials = [scale * lying @ rotation for rotation, scale in product(trial_rotations(), SCALES)]
    inverse = np.linalg.inv(coarse.grid.lps_from_zyx[:3, :3])
    placed = [shape @ (inverse @ t).T for t in trials]
    extents = np.max([np.ptp(points, axis=0) for points in placed], axis=0)
    room = np.array(coarse.nearness.shape) + 1.15 * np.ptp(placed[0], axis=0).max() + 2
    # where the spacing is wrong, cells may be of any shape, and a turn takes more of them than the first
    size = [fft.next_fast_len(int(n), real=True) for n in np.maximum(room, extents + 3)]
    spectra = [fft.rfftn(a, size) for a in (coarse.nearness, coarse.known)]
    found = [correlate(spectra, size, points) for points in placed]
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
    size = size_of(matrix)
    damping = np.array([1e-3] * 3 + [30.0**2 * 1e-3] * 3 + [60.0**2 * 1e-2 + SIZE_WEIGHT_MM2 * size**2]) * len(shape)
    normal = (jacobian * weight[:, None]).T @ jacobian + np.diag(damping)
    pull = (jacobian * weight[:, None]).T @ distance
    pull[6] += SIZE_WEIGHT_MM2 * size * (size - 1.0) * len(shape)
    delta = -np.linalg.solve(normal, pull)
    result = np.eye(4)
    turn = Rotation.from_rotvec(np.clip(delta[3:6], -0.15, 0.15)).as_matrix()
    result[:3, :3] = (1.0 + np.clip(delta[6], -0.05, 0.05)) * turn @ matrix[:3, :3]
    result[:3, 3] = matrix[:3, 3] + delta[:3]
    return result


def size_of(matrix: Floats) -> float:
    """Scale of a similarity."""
    return float(np.cbrt(np.linalg.det(matrix[:3, :3])))


def mean_score(fine: Thinned, shape: Floats, matrix: Floats) -> float:
    """Mean nearness of the seen points, 0-1; unseen ones and an unusual size are held against it."""
    distance, seen = distances(fine, shape @ matrix[:3, :3].T + matrix[:3, 3])
    near = np.where(seen, 1.0 - distance / REACH_MM, 0.0)
    mean = float(near.sum() / (seen.sum() + UNSEEN_WEIGHT * len(shape)) * (1.0 + UNSEEN_WEIGHT))
    return max(0.0, mean - SIZE_COST * (size_of(matrix) - 1.0) ** 2)


def on_bone_share(fine: Thinned, shape: Floats, pose: PelvisPose) -> float:
    """Share of the seen points that lie on bone."""
    away, seen = distances(fine, shape @ pose.lps_from_model[:3, :3].T + pose.lps_from_model[:3, 3])
    return float((away[seen] < CLOSE_MM).mean()) if seen.any() else 0.0


def judge(fine: Thinned, model: ShapeModel, pose: PelvisPose) -> None:
    """Refuse a match that lies off the bone, is hardly in the scan, or has the size of no person."""
    shape = trial_points(model)
    size, on_bone = size_of(pose.lps_from_model), on_bone_share(fine, shape, pose)
    _, seen = distances(fine, shape @ pose.lps_from_model[:3, :3].T + pose.lps_from_model[:3, 3])
    one_sided = max(on_bone_share(fine, trial_points(model, without=hip), pose) for hip in ("left_hip", "right_hip"))
    found = on_bone >= CLOSE_SHARE or one_sided >= CLOSE_ONE_SIDED
    if not found or seen.mean() < SEEN_FLOOR or not SIZES[0] < size < SIZES[1]:
        raise no_pelvis(on_bone, size, float(seen.mean()))
