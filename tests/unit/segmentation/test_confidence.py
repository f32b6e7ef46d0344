from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from planner.labels import Label, Side
from planner.segmentation import load_shape_model
from planner.segmentation.confidence import (
    FEATURES,
    GOOD_MM,
    Evidence,
    coefficients,
    foretell,
    gather_evidence,
    image_noise,
    joint_sureness,
)
from planner.segmentation.model import ShapeFit
from planner.volume import LabelMap, Volume
from sample_data.phantom import Phantom

MODEL = load_shape_model()
GOOD = Evidence(unsupported=0.01, off_edge_mm=0.3, off_shape_mm=1.0, noise_share=0.05, voxel_mm=0.8, shape_rms_mm=0.8)


@pytest.fixture(scope="module")
def fit(phantom: Phantom) -> ShapeFit:
    """The shape model laid where the phantom's bones are."""
    vertices = phantom.frame.to_lps(MODEL.mean)
    parts = MODEL.split(vertices)
    seen = {name: np.ones(len(part), bool) for name, part in parts.items()}
    return ShapeFit(parts, seen, phantom.frame.lps_from_pelvic, np.zeros(8), 1.0, MODEL.landmarks_on(vertices))


def test_the_coefficients_that_ship_are_whole_and_say_where_they_are_from() -> None:
    table = coefficients()
    assert set(table["weights"]) == set(FEATURES)
    assert min(table["weights"].values()) >= 0.0
    assert table["spread"] > 0.0
    assert table["fitted_to"]["outlines"] >= 60
    assert len(table["fitted_to"]["pelves"]) >= 5


@given(st.sampled_from(sorted(vars(GOOD))), st.floats(0.0, 4.0))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_worse_evidence_never_foretells_less_error(name: str, more: float) -> None:
    worse = replace(GOOD, **{name: getattr(GOOD, name) + more})
    assert foretell(worse).error_mm >= foretell(GOOD).error_mm
    assert 0.0 <= foretell(worse).confidence <= foretell(GOOD).confidence <= 1.0


def test_an_error_of_the_limit_is_as_likely_good_as_not() -> None:
    table = {"weights": dict.fromkeys(FEATURES, 0.0), "constant": float(np.log(GOOD_MM)), "spread": 0.4}
    assert foretell(GOOD, table).confidence == pytest.approx(0.5)
    assert foretell(GOOD, table).error_mm == pytest.approx(GOOD_MM)


def test_no_evidence_is_no_trust() -> None:
    assert foretell(None).confidence == 0.0
    sure = joint_sureness({("sacrum", Side.LEFT): GOOD, ("left_hip", Side.LEFT): GOOD, ("sacrum", Side.RIGHT): GOOD})
    assert sure[Side.LEFT] == foretell(GOOD)
    assert sure[Side.RIGHT].confidence == 0.0


def test_a_joint_is_as_sure_as_its_less_sure_face() -> None:
    bad = replace(GOOD, unsupported=0.6, off_edge_mm=2.0)
    sure = joint_sureness({("sacrum", Side.LEFT): GOOD, ("left_hip", Side.LEFT): bad})
    assert sure[Side.LEFT] == foretell(bad)


def test_true_outlines_have_good_evidence(phantom: Phantom, fit: ShapeFit) -> None:
    faces = gather_evidence(phantom.volume, phantom.labels, fit, MODEL)
    assert set(faces) == {(bone, side) for side in Side for bone in ("sacrum", f"{side}_hip")}
    for found in faces.values():
        assert found.unsupported < 0.25
        assert found.off_edge_mm < phantom.volume.grid.spacing_zyx_mm.max()
        assert found.voxel_mm == 2.0
        assert 0.0 < found.noise_share < 0.5


def test_an_outline_beside_the_bone_is_doubted(phantom: Phantom, fit: ShapeFit) -> None:
    """Grown by two voxels, the left hip bone's outline lies on no edge any more."""
    left = ndimage.binary_dilation(phantom.labels.values == Label.LEFT_HIP, iterations=2)
    values = np.where(left & (phantom.labels.values == 0), np.uint8(Label.LEFT_HIP), phantom.labels.values)
    true = gather_evidence(phantom.volume, phantom.labels, fit, MODEL)
    wrong = gather_evidence(phantom.volume, LabelMap(values, phantom.labels.grid), fit, MODEL)
    face = ("left_hip", Side.LEFT)
    assert wrong[face].off_edge_mm > true[face].off_edge_mm + 1.0
    assert foretell(wrong[face]).confidence < foretell(true[face]).confidence
    assert wrong["right_hip", Side.RIGHT] == true["right_hip", Side.RIGHT]


def test_a_bone_that_is_not_there_gives_no_evidence(phantom: Phantom, fit: ShapeFit) -> None:
    values = np.where(phantom.labels.values == Label.LEFT_HIP, np.uint8(0), phantom.labels.values)
    faces = gather_evidence(phantom.volume, LabelMap(values, phantom.labels.grid), fit, MODEL)
    assert set(faces) == {("sacrum", Side.RIGHT), ("right_hip", Side.RIGHT)}


def test_a_joint_outside_the_scan_gives_no_evidence(phantom: Phantom, fit: ShapeFit) -> None:
    nz, ny, nx = phantom.volume.hu.shape
    box = (slice(0, nz), slice(0, ny), slice(0, nx // 2 - 12))  # columns run to the left
    faces = gather_evidence(phantom.volume.crop(box), phantom.labels.crop(box), fit, MODEL)
    assert {side for _, side in faces} == {Side.RIGHT}


@pytest.mark.parametrize("noise_hu", [10.0, 40.0])
def test_noise_is_measured_in_soft_tissue(noise_hu: float) -> None:
    rng = np.random.default_rng(0)
    hu = 40.0 + noise_hu * rng.standard_normal((20, 60, 60))
    hu[:, :, 30:] += 800.0
    assert image_noise(np.round(hu).astype(np.int16)) == pytest.approx(noise_hu, rel=0.12)
    assert image_noise(np.full((3, 9, 9), 900, np.int16)) == 0.0


def test_evidence_is_repeatable(phantom: Phantom, fit: ShapeFit) -> None:
    one, two = (gather_evidence(phantom.volume, phantom.labels, fit, MODEL) for _ in range(2))
    assert one == two
    assert isinstance(phantom.volume, Volume)
