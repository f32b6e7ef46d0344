"""The search against brute force on slabs, by the script that compares them on whole cases."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from planner.labels import Side

from support.slab_pelvis import SlabPelvis

SCRIPTS = Path(__file__).resolve().parents[3] / "script"
COARSE = SlabPelvis(spacing_mm=(1.5, 1.25, 1.25))
SIZES = ((8.0, 20.0),)


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(SCRIPTS))
    try:
        import check_optimum

        yield check_optimum
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.mark.slow
@pytest.mark.parametrize(
    "phantom",
    [
        COARSE,
        replace(COARSE, axial_deg=8.0),
        replace(COARSE, axial_deg=33.0),
        replace(COARSE, foramen_out_mm=-9.0),
        replace(COARSE, foramen_out_mm=-7.5),
        replace(COARSE, bone_hu=120),
    ],
    ids=["plain", "steep", "oblique", "foramina near", "foramina nearer", "poor bone"],
)
def test_the_search_reaches_99_percent_of_brute_force(script: ModuleType, phantom: SlabPelvis) -> None:
    volume, bones, joints, keepouts = phantom.build()
    found = script.compare(volume, bones, joints[Side.LEFT], keepouts, SIZES)
    assert found.brute > 0.5
    assert found.ratio >= script.ENOUGH


def test_where_nothing_fits_neither_finds_anything(script: ModuleType) -> None:
    volume, bones, joints, keepouts = replace(COARSE, foramen_out_mm=-2.0).build()
    found = script.compare(volume, bones, joints[Side.LEFT], keepouts, SIZES)
    assert (found.searched, found.brute, found.ratio) == (0.0, 0.0, 1.0)
