"""The search for rods against brute force: every chain of a lattice twice as fine, in directions twice as close."""

from __future__ import annotations

import numpy as np
import pytest

from planner.implants import load_catalogue
from planner.labels import Side
from planner.lateral import LateralConfig, plan_lateral, search
from planner.lateral.corridor import Corridor, make_corridor
from planner.trajectory import TrajectoryConfig

from support.beside_slabs import anatomy_of
from support.slab_pelvis import SlabPelvis

DIAMETER_MM, COUNT, SPACING_MM = 4.0, 3, (2.0, 1.5, 1.5)

REACHED = 0.97
"""Of brute force's best: the search ends with moves of its own, so that it may have more, too."""


@pytest.fixture(scope="module")
def corridor() -> Corridor:
    """A joint whose foramina leave room between them."""
    anatomy = anatomy_of(SlabPelvis(foramen_out_mm=-18.0, spacing_mm=SPACING_MM), Side.LEFT)
    return make_corridor(anatomy, load_catalogue().find("IFUSE"), LateralConfig(), TrajectoryConfig())


def brute_force(corridor: Corridor) -> float:
    first = search._crossings(corridor, search.FINE[0])
    angles, trials = search._first_trials(corridor, first, search.FINE[1], DIAMETER_MM)
    chains = [search._chain(corridor.config, search._part(trials, k, len(first)), COUNT) for k in range(len(angles))]
    return max(chain[1] for chain in chains if chain is not None)


def test_the_search_reaches_what_brute_force_reaches(corridor: Corridor) -> None:
    found, trials = search.best_bundle(corridor, DIAMETER_MM, COUNT)
    assert found is not None
    best = brute_force(corridor)
    assert found.score >= REACHED * best
    assert np.count_nonzero(trials.values >= 0) > COUNT


@pytest.mark.parametrize("foramen_out_mm", [-16.5, -17.0], ids=["at once", "with some held back"])
def test_rods_that_only_the_finer_lattice_finds_are_planned(foramen_out_mm: float) -> None:
    implant, settings = load_catalogue().find("IFUSE"), (LateralConfig(), TrajectoryConfig())
    anatomy = anatomy_of(SlabPelvis(foramen_out_mm=foramen_out_mm, spacing_mm=SPACING_MM), Side.LEFT)
    held_back = make_corridor(anatomy, implant, *settings).guarded(settings[1].search.guard_mm)
    assert search.best_bundle(held_back, DIAMETER_MM, COUNT)[0] is None
    rods = plan_lateral(anatomy, implant, *settings).rods
    assert [rod.diameter_mm for rod in rods] == [DIAMETER_MM] * COUNT
    assert min(rod.clearances["neural"].mm for rod in rods) >= 4.0
