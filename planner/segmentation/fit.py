"""Fit the shape model to the edges of the bones: pose and size first, then more and more modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from planner.segmentation.model import PelvisPose, ShapeFit
from planner.segmentation.profiles import EdgeSearch, find_edges, read_profiles
from planner.segmentation.shape_model import ShapeModel
from planner.volume import Volume

__all__ = ["SCHEDULE", "FitState", "fit_again", "fit_shape"]

SCHEDULE = ((14.0, 0, 8, 4), (12.0, 4, 8, 4), (10.0, 8, 8, 3), (8.0, 14, 8, 2), (6.0, 24, 8, 1), (5.0, 40, 6, 1))
"""Rounds of the fit: reach of the edge search in mm, modes, iterations, and every how many vertices look [P]."""

LAST_ROUNDS = -2
"""Where `fit_again` joins the schedule: labels made elsewhere are a few millimetres off at most."""

RIDGE = 40.0
"""Weight of the prior (coefficients are normal with unit variance) against one edge's squared distance in mm [P]."""

PADDING_HU = -1000.0
"""At or below this is padding or air: no bone was looked at there."""

Floats = NDArray[np.float64]
Schedule = tuple[tuple[float, int, int, int], ...]


@dataclass(frozen=True, eq=False)
class FitState:
    """A similarity ``(4, 4)`` from the model to LPS, and coefficients."""

    lps_from_model: Floats
    coefficients: Floats

    def vertices(self, model: ShapeModel) -> Floats:
        """Stacked vertices in LPS."""
        points: Floats = (
            model.reconstruct(self.coefficients) @ self.lps_from_model[:3, :3].T + self.lps_from_model[:3, 3]
        )
        return points


def fit_shape(volume: Volume, pose: PelvisPose, model: ShapeModel) -> ShapeFit:
    """Fit the model to a canonical volume, from a blind start.

    Each vertex looks along its normal for an edge; the squared distance along the normal is lessened by Gauss-Newton,
    with robust (Cauchy) weights. Vertices outside the scan and on the cut end of the sacrum do not count.
    """
    return _run(volume, model, FitState(pose.lps_from_model, np.zeros(len(model.modes))), SCHEDULE)


def fit_again(volume: Volume, fit: ShapeFit, model: ShapeModel) -> ShapeFit:
    """Fit the model to a canonical volume from where a fit to something else left it: the last rounds alone."""
    return _run(volume, model, FitState(fit.lps_from_model, fit.coefficients), SCHEDULE[LAST_ROUNDS:])


def _run(volume: Volume, model: ShapeModel, state: FitState, schedule: Schedule) -> ShapeFit:
    real = np.ones(len(model.mean), bool)
    real[model.regions["sacrum_cut"]] = False
    looking = np.flatnonzero(real)
    for reach, modes, iterations, stride in schedule:
        for _ in range(iterations):
            state = _iterate(volume, model, state, looking[::stride], (reach, modes))
    return describe(volume, model, state, real)


def _iterate(
    volume: Volume, model: ShapeModel, state: FitState, looking: NDArray[np.intp], stage: tuple[float, int]
) -> FitState:
    reach, modes = stage
    vertices = state.vertices(model)
    normals = model.normals(vertices)
    offset, strength = find_edges(volume, vertices[looking], normals[looking], EdgeSearch(reach))
    found = strength > 0
    used, offset, strength = looking[found], offset[found], strength[found]
    scale = max(1.0, 1.5 * float(np.median(np.abs(offset)))) if len(used) else 1.0
    weight = strength / EdgeSearch(reach).enough_hu / (1.0 + (offset / scale) ** 2)
    return solve(model, state, (vertices[used], normals[used], used), (offset, weight), modes)


def solve(
    model: ShapeModel,
    state: FitState,
    surface: tuple[Floats, Floats, NDArray[np.intp]],
    targets: tuple[Floats, Floats],
    modes: int,
) -> FitState:
    """One Gauss-Newton step for wanted moves `targets` (distance, weight) along the normals of some vertices."""
    vertices, normals, used = surface
    offset, weight = targets
    linear = state.lps_from_model[:3, :3]
    arm = vertices - state.lps_from_model[:3, 3]
    columns = [normals, np.cross(arm, normals), (arm * normals).sum(axis=1)[:, None]]
    columns += [np.einsum("kvc,vc->vk", model.modes[:modes, used], normals @ linear)]
    jacobian = np.hstack(columns)
    prior = np.concatenate([np.full(3, 1e-3), np.full(3, 1.0), [1.0], np.full(modes, RIDGE)])
    pull = np.concatenate([np.zeros(7), -RIDGE * state.coefficients[:modes]])
    normal = (jacobian * weight[:, None]).T @ jacobian + np.diag(prior)
    delta = np.linalg.solve(normal, (jacobian * weight[:, None]).T @ offset + pull)
    matrix = np.eye(4)
    matrix[:3, :3] = (1.0 + delta[6]) * Rotation.from_rotvec(delta[3:6]).as_matrix() @ linear
    matrix[:3, 3] = state.lps_from_model[:3, 3] + delta[:3]
    coefficients = state.coefficients.copy()
    coefficients[:modes] += delta[7:]
    return FitState(matrix, np.clip(coefficients, -3.5, 3.5))


def describe(volume: Volume, model: ShapeModel, state: FitState, real: NDArray[np.bool_]) -> ShapeFit:
    """Measure the fit and name its places."""
    vertices = state.vertices(model)
    offset, strength = find_edges(volume, vertices, model.normals(vertices), EdgeSearch(SCHEDULE[-1][0]))
    found = real & (strength > 0)
    return ShapeFit(
        vertices_lps=model.split(vertices),
        seen={name: in_data(volume, part) for name, part in model.split(vertices).items()},
        lps_from_model=state.lps_from_model,
        coefficients=state.coefficients,
        rms_mm=float(np.sqrt(np.mean(offset[found] ** 2))) if found.any() else float("inf"),
        landmarks_lps=model.landmarks_on(vertices),
    )


def in_data(volume: Volume, points_lps: Floats) -> NDArray[np.bool_]:
    """Whether the scan has data at each point: within the grid, and not in padding."""
    hu = read_profiles(volume, points_lps, np.zeros_like(points_lps), np.zeros(1))[:, 0]
    seen: NDArray[np.bool_] = hu > PADDING_HU
    return seen
