"""Variants of the upper sacrum: each on labels with it and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.labels import Label, Side
from planner.segmentation import Bones
from planner.segmentation.bearings import FlatPlace
from planner.segmentation.dysmorphism import crest_height_mm, dysmorphism_findings
from planner.segmentation.model import ShapeFit
from planner.segmentation.transition import transition_findings
from planner.volume import LabelMap
from sample_data.phantom import Phantom


def bones_of(phantom: Phantom) -> Bones:
    fit = ShapeFit({}, {}, np.eye(4), np.zeros(0), 0.0, phantom.landmarks_lps)
    return Bones(phantom.labels, fit, phantom.frame, {})


def with_process(phantom: Phantom, sides: tuple[Side, ...], gap_mm: float) -> Bones:
    """L5 with transverse processes that end so far above the highest point of the ala below them."""
    bones, grid = bones_of(phantom), phantom.labels.grid
    values = phantom.labels.values.copy()
    points = grid.to_lps(np.moveaxis(np.indices(values.shape), 0, -1))
    from_centre = points - phantom.landmarks_lps["s1_endplate_centre"]
    across = from_centre @ bones.frame.left_lps
    for side in sides:
        column = (np.abs(across * side.lateral_x - 38.0) < 6.0) & (np.abs(from_centre[..., 1] - 12.0) < 6.0)
        top = points[column & (values == Label.SACRUM)][:, 2].max()
        high = (points[..., 2] > top + gap_mm) & (points[..., 2] < top + gap_mm + 12.0)
        values[column & high & (values == 0)] = Label.LUMBAR
    return replace(bones, labels=LabelMap(values, grid))


def test_usual_l5_stays_clear_of_the_sacrum(phantom: Phantom) -> None:
    assert transition_findings(bones_of(phantom)) == ()
    assert transition_findings(with_process(phantom, (Side.LEFT,), 10.0)) == ()


@pytest.mark.parametrize(
    ("sides", "said"), [((Side.LEFT,), "left"), ((Side.RIGHT,), "right"), ((Side.LEFT, Side.RIGHT), "both")]
)
def test_a_process_that_meets_the_ala_is_a_transitional_vertebra(
    phantom: Phantom, sides: tuple[Side, ...], said: str
) -> None:
    (finding,) = transition_findings(with_process(phantom, sides, -8.0))
    assert (finding.code, finding.side) == ("transitional-vertebra", said)


def test_without_l5_nothing_is_said(phantom: Phantom) -> None:
    values = np.where(phantom.labels.values == Label.LUMBAR, 0, phantom.labels.values)
    assert transition_findings(replace(bones_of(phantom), labels=LabelMap(values, phantom.labels.grid))) == ()


def endplate_at(phantom: Phantom, up_mm: float) -> FlatPlace:
    return FlatPlace(
        phantom.landmarks_lps["s1_endplate_centre"] + up_mm * phantom.frame.cranial_lps, phantom.frame.cranial_lps
    )


def test_a_sunken_s1_is_usual_and_a_high_one_is_reported(phantom: Phantom) -> None:
    bones = bones_of(phantom)
    usual = crest_height_mm(bones, endplate_at(phantom, 0.0))
    assert usual is not None
    assert 25.0 < usual < 70.0
    assert dysmorphism_findings(bones, endplate_at(phantom, 0.0)) == ()
    (finding,) = dysmorphism_findings(bones, endplate_at(phantom, usual - 5.0))
    assert finding.code == "dysmorphic-sacrum"
    assert "5 mm below" in finding.message


def test_a_crest_that_the_scan_cuts_off_says_nothing(phantom: Phantom) -> None:
    bones = bones_of(phantom)
    top = int(np.flatnonzero((phantom.labels.values == Label.LEFT_HIP).any(axis=(1, 2)))[-1]) - 10
    box = (slice(0, top), *(slice(0, n) for n in phantom.labels.values.shape[1:]))
    assert crest_height_mm(replace(bones, labels=bones.labels.crop(box)), endplate_at(phantom, 0.0)) is None
    assert crest_height_mm(bones, None) is None
