"""The best path of a slab pelvis: the search beside the global solvers of scipy.optimize on the same objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from planner.labels import Side
from planner.trajectory import TrajectoryConfig
from planner.trajectory.kernel import Scene, evaluate_all, with_radius
from planner.trajectory.region import make_region
from planner.trajectory.scene import make_scene, with_guard
from planner.trajectory.search import Climber, first_poses, next_best, try_all

from support.slab_pelvis import SlabPelvis

__all__ = ["SOLVERS", "best_paths"]

SOLVERS = ("differential_evolution", "dual_annealing", "direct", "shgo")
SIZE = (8.0, 20.0)
EVALUATIONS = 9_000
"""What each solver may spend; the search's grid and climbs spend about as much."""

BOUNDS = [(5.0, 30.0), (-3.0, 3.0), (-12.0, 12.0), (-0.25, 0.25), (-0.4, 0.6)]
"""Depth, out and up of the centre in the joint's frame, mm; slopes of the direction out of the joint and up."""

Numbers = NDArray[np.float64]


@cache
def setting() -> tuple[SlabPelvis, Scene, Numbers]:
    phantom, config = SlabPelvis(spacing_mm=(1.5, 1.25, 1.25)), TrajectoryConfig()
    volume, bones, joints, keepouts = phantom.build()
    joint = joints[Side.LEFT]
    region = make_region(volume, bones, joint, keepouts, config.constraints)
    scene = with_guard(make_scene(region, bones, joint, config), config, config.search.guard_mm)
    return phantom, scene, first_poses(joint, scene, config.search)


def objective(numbers: Numbers) -> float:
    """What the solvers make small: minus the value of a pose, its safe entry radius measured."""
    phantom, scene, _ = setting()
    ends = phantom.world(np.array([numbers[:3], numbers[:3] + np.array([1.0, numbers[3], numbers[4]])]), Side.LEFT)
    direction = ends[1] - ends[0]
    pose = np.concatenate([ends[0], direction / np.linalg.norm(direction)])[None]
    values = evaluate_all(scene, pose, np.array(SIZE[:1]), np.array(SIZE[1:]))[0][:, 0, 0]
    return -float(with_radius(scene, pose, values, SIZE)[0])


def by_search() -> Numbers:
    _, scene, poses = setting()
    climber = Climber(scene, TrajectoryConfig().search, 0.0)
    found = next_best(climber, try_all(scene, poses, [SIZE]), np.zeros((0, 6)))
    assert found is not None
    return np.array([found.value])


def by_solver(name: str) -> Callable[[], Numbers]:
    # Powell's method needs no slope: the objective has none where a constraint begins to break
    powell = {"method": "Powell", "options": {"maxfev": EVALUATIONS // 24}}
    limits: dict[str, dict[str, Any]] = {
        "differential_evolution": {"maxiter": EVALUATIONS // 75 - 1, "popsize": 15, "rng": 1, "polish": False},
        "dual_annealing": {"maxfun": EVALUATIONS, "rng": 1, "no_local_search": True},
        "direct": {"maxfun": EVALUATIONS, "maxiter": EVALUATIONS, "vol_tol": 0.0},
        "shgo": {"n": 256, "sampling_method": "sobol", "minimizer_kwargs": powell},
    }
    return lambda: np.array([-getattr(optimize, name)(objective, BOUNDS, **limits[name]).fun])


def best_paths() -> Mapping[str, Callable[[], Numbers]]:
    """Give the search under our name, and each solver."""
    setting()
    return {"sacroplan": by_search, **{name: by_solver(name) for name in SOLVERS}}
