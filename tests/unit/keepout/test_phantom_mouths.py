"""Mouths of the phantom's foramina against their closed form."""

from __future__ import annotations

import numpy as np
import pytest

from planner.keepout import KeepoutConfig, find_keepouts
from planner.labels import Side
from planner.segmentation.model import Bones, ShapeFit
from sample_data.phantom import Phantom, PhantomSpec, make_phantom

LEVELS = ("S1", "S2", "S3")


def bones_of(phantom: Phantom) -> Bones:
    """The true labels, with the phantom's own landmarks for the fitted shape's."""
    fit = ShapeFit({}, {}, np.eye(4), np.zeros(0), 0.0, phantom.landmarks_lps)
    return Bones(phantom.labels, fit, phantom.frame, {})


@pytest.mark.parametrize(("slice_mm", "worst_mm"), [(1.0, 2.3), (3.0, 2.4)])
def test_every_mouth_is_found_and_none_invented(slice_mm, worst_mm):
    """S1's ventral mouths, 12 mm wide and oblique, are the worst."""
    filled = frozenset({(Side.LEFT, "S2")})
    view = {"size_yx_mm": (150.0, 150.0), "z_range_mm": (-62.0, 62.0), "filled_foramina": filled}
    phantom = make_phantom(PhantomSpec(spacing_zyx_mm=(slice_mm, 1.0, 1.0), **view))
    found = find_keepouts(phantom.volume, bones_of(phantom), KeepoutConfig())
    truth = {(f.side, f.level, f.aspect): f for f in phantom.foramina if f.level in LEVELS}
    ours = {(f.side, f.level, f.aspect): f for f in found.foramina if f.level in LEVELS}
    assert len(truth) == 10
    assert ours.keys() == truth.keys()
    errors = [float(np.linalg.norm(ours[name].centre_lps - truth[name].centre_lps)) for name in truth]
    assert max(errors) < worst_mm
    assert np.mean(errors) < 1.7
    assert found.missing(Side.LEFT) == ("S2 ventral", "S2 dorsal")
