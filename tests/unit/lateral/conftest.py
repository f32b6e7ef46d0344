"""One slab pelvis with rods and needles, planned once."""

from __future__ import annotations

import pytest

from planner.implants import load_catalogue

from support.beside_slabs import Beside, plan_beside
from support.planned_slabs import make_planned
from support.slab_pelvis import SlabPelvis


@pytest.fixture(scope="session")
def beside() -> Beside:
    """Both sides; the foramina lie deep enough for rods of 7 mm between and above them."""
    dowel = load_catalogue().plannable("GENERIC-DOWEL")
    small = dowel.model_copy(update={"diameters_mm": (8.0,), "lengths_mm": (20.0,)})
    return plan_beside(make_planned(SlabPelvis(foramen_out_mm=-20.0, spacing_mm=(1.5, 1.25, 1.25)), small))
