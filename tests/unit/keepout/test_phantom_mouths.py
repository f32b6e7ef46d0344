"""Mouths of the phantom's foramina against their closed form."""

from __future__ import annotations

import numpy as np
import pytest

from planner.keepout import KeepoutConfig, find_keepouts
from planner.labels import Keepout, Side
from planner.segmentation.model import Bones, ShapeFit
from sample_data.phantom import Phantom, PhantomSpec, make_phantom

LEVELS = ("S1", "S2", "S3")
TOP_MM = 24.0
"""Above the sacrum's first lamina, in the pelvic frame."""


def bones_of(phantom: Phantom) -> Bones:
    """The true labels, with the phantom's own landmarks for the fitted shape's."""
    fit = ShapeFit({}, {}, np.eye(4), np.zeros(0), 0.0, phantom.landmarks_lps)
    return Bones(phantom.labels, fit, phantom.frame, {})


@pytest.mark.parametrize(("slice_mm", "worst_mm"), [(1.0, 2.0), (3.0, 2.0)])
def test_every_mouth_is_found_and_none_invented(slice_mm, worst_mm):
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
    assert np.mean(errors) < 1.2
    widths = [ours[name].width_mm - truth[name].width_mm for name in truth]
    assert max(map(abs, widths)) < 1.5
    for name, foramen in ours.items():
        inward = np.diff(foramen.axis_lps, axis=0)
        assert len(foramen.axis_lps) >= 3, name
        np.testing.assert_array_equal(foramen.axis_lps[0], foramen.centre_lps)
        assert (inward @ (foramen.axis_lps[-1] - foramen.axis_lps[0]) > 0).all()
    assert found.missing(Side.LEFT) == ("S2 ventral", "S2 dorsal")
    canal = phantom.keepout.values == Keepout.CANAL
    high = phantom.frame.to_pelvic(phantom.keepout.grid.to_lps(np.argwhere(canal)))[:, 2] > TOP_MM
    seen = found.mask.values[tuple(np.argwhere(canal)[high].T)] == Keepout.CANAL
    assert seen.mean() > 0.7
