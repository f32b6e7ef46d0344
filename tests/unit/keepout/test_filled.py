"""Foramina that the labels filled in: found where the image shows them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from planner.keepout.canal import CentreLine
from planner.keepout.config import KeepoutConfig
from planner.keepout.filled import reopened
from planner.keepout.find import FILLED_TRUST, find_keepouts
from planner.keepout.region import sacrum_region
from planner.labels import Side, foramen_value
from planner.volume import Volume

CONFIG = KeepoutConfig()
FILLED = frozenset({(Side.LEFT, "S1"), (Side.RIGHT, "S3")})
LINE = CentreLine(np.array([[0.0, 4.0, z] for z in range(50, -51, -1)]))


@pytest.fixture
def filled(make_sacrum):
    """An image with all channels, under labels that fill two of them in."""
    volume, _ = make_sacrum(landmarks=True)
    _, bones = make_sacrum(closed=FILLED, landmarks=True)
    return volume, bones


def brightened(volume, bones, mask_lps, hu):
    """The image with `hu` where a test of LPS points says so."""
    values = volume.hu.copy()
    at = mask_lps(volume.grid.to_lps(np.indices(values.shape).reshape(3, -1).T)).reshape(values.shape)
    values[at] = hu
    return Volume(values, volume.grid), bones


def test_what_the_labels_filled_in_is_found_in_the_image(filled, search, true_mouth):
    found = search(*filled)
    assert not found.missing(Side.LEFT)
    assert not found.missing(Side.RIGHT)
    for f in found.foramina:
        assert np.linalg.norm(f.centre_lps - true_mouth(f.side, f.level, f.aspect)) < 2.0
        assert (f.confidence <= FILLED_TRUST) == ((f.side, f.level) in FILLED)
    notes = {f.side: f.message for f in found.findings if f.code == "foramen-filled"}
    assert "the left S1 dorsal, S1 ventral foramen" in notes["left"]
    assert "the right S3 dorsal, S3 ventral foramen" in notes["right"]


def test_its_channel_is_in_the_mask(filled, search, true_mouth):
    volume, bones = filled
    values = search(volume, bones).mask.values
    for side, level in FILLED:
        for end in (true_mouth(side, level, aspect) for aspect in ("ventral", "dorsal")):
            junction = np.array([side.lateral_x * 15.0, 4.0, end[2]])
            index = np.round(volume.grid.to_index(np.linspace(junction, end, 12)[2:])).astype(int)
            assert (values[tuple(index.T)] == foramen_value(side, level)).all()


def test_the_rest_of_the_mask_stays(filled, search, make_sacrum):
    volume, bones = filled
    whole, _ = make_sacrum(closed=FILLED, landmarks=True)
    before, after = search(whole, bones).mask.values, search(volume, bones).mask.values
    ours = np.isin(after, [foramen_value(side, level) for side, level in FILLED])
    outside = (bones.labels.values == 0) & ~ours
    np.testing.assert_array_equal(after[outside] > 0, before[outside] > 0)


def test_bone_in_the_image_is_no_foramen(make_sacrum, search):
    found = search(*make_sacrum(closed=FILLED, landmarks=True))
    assert found.missing(Side.LEFT) == ("S1 ventral", "S1 dorsal")
    assert found.missing(Side.RIGHT) == ("S3 ventral", "S3 dorsal")
    assert "foramen-filled" not in [f.code for f in found.findings]


def test_a_void_that_reaches_neither_canal_nor_surface_is_no_foramen(make_sacrum):
    centre = np.array([23.0, 2.0, 24.0])
    volume, bones = brightened(
        *make_sacrum(closed=FILLED, landmarks=True), lambda p: np.linalg.norm(p - centre, axis=1) < 5.0, -80
    )
    region = sacrum_region(volume, bones, CONFIG)
    assert region is not None
    assert reopened(region, bones, LINE, [(Side.LEFT, "S1")]) is not None
    assert find_keepouts(volume, bones, CONFIG).missing(Side.LEFT) == ("S1 ventral", "S1 dorsal")


def test_marrow_as_dark_as_a_nerve_tells_nothing(filled):
    """The whole sacrum reads 60 HU: no threshold parts its channels from it."""
    volume, bones = filled
    dark = Volume(np.where(volume.hu > 300, 60, volume.hu).astype(np.int16), volume.grid)
    region = sacrum_region(dark, bones, CONFIG)
    assert region is not None
    assert region.marrow_hu == pytest.approx(60.0, abs=1.0)
    assert reopened(region, bones, LINE, [(Side.LEFT, "S1")]) is None
    assert find_keepouts(dark, bones, CONFIG).missing(Side.LEFT) == ("S1 ventral", "S1 dorsal")


def test_without_the_fitted_shape_nothing_is_looked_for(filled, make_sacrum):
    volume, _ = filled
    _, bones = make_sacrum(closed=FILLED)
    region = sacrum_region(volume, bones, CONFIG)
    assert region is not None
    assert reopened(region, bones, LINE, sorted(FILLED)) is None
