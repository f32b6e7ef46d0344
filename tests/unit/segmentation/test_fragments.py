"""Bright parts that hang on a hip bone: fragments stay, contrast in the bladder goes."""

from __future__ import annotations

import numpy as np
import pytest

from planner.labels import Label
from planner.segmentation.config import SegmentationConfig
from planner.segmentation.voxels import fragments

SHAPE = (10, 10, 20)
CONFIG = SegmentationConfig()


@pytest.mark.parametrize(
    ("mean_hu", "spread_hu", "kept"),
    [(600, 200, True), (410, 35, False), (200, 90, False)],
    ids=["fragment", "filled bladder", "enhanced vessel"],
)
def test_fragments_are_bright_and_uneven(mean_hu: int, spread_hu: int, kept: bool) -> None:
    hu = np.random.default_rng(1).normal(mean_hu, spread_hu, SHAPE).astype(np.int16)
    grown = np.full(SHAPE, Label.LEFT_HIP, np.uint8)
    outside = np.broadcast_to(np.arange(SHAPE[2], dtype=np.float32), SHAPE)
    found = fragments(hu, grown, outside, CONFIG)
    far = (outside > CONFIG.add_mm) & (outside <= CONFIG.far_mm)
    np.testing.assert_array_equal(found, far & kept)


def test_the_sacrum_has_no_fragments() -> None:
    hu = np.full(SHAPE, 900, np.int16)
    grown = np.full(SHAPE, Label.SACRUM, np.uint8)
    assert not fragments(hu, grown, np.full(SHAPE, 8.0, np.float32), CONFIG).any()
