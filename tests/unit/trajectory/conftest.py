"""One slab pelvis, planned once for all tests."""

from __future__ import annotations

import pytest

from planner.implants import Implant, load_catalogue

from support.planned_slabs import Planned, make_planned
from support.slab_pelvis import SlabPelvis


@pytest.fixture(scope="session")
def dowel() -> Implant:
    """The default implant."""
    return load_catalogue().plannable("GENERIC-DOWEL")


@pytest.fixture(scope="session")
def small_dowel(dowel: Implant) -> Implant:
    """One size only: fast."""
    return dowel.model_copy(update={"diameters_mm": (8.0,), "lengths_mm": (20.0,)})


@pytest.fixture(scope="session")
def planned(small_dowel: Implant) -> Planned:
    """Both sides of the default phantom."""
    return make_planned(SlabPelvis(spacing_mm=(1.5, 1.25, 1.25)), small_dowel)
