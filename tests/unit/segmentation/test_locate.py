from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from planner.errors import NoPelvisError
from planner.grid import Grid
from planner.labels import Label
from planner.segmentation import PelvisPose, load_shape_model, locate_pelvis, thin
from planner.segmentation.locate import (
    LYING_DEG,
    STARTS,
    coarse_starts,
    coarsen,
    mean_score,
    size_of,
    step,
    trial_points,
)
from planner.volume import Volume
from sample_data.phantom import Phantom

MODEL = load_shape_model()

FAR_MM, FAR_DEG = 12.0, 8.0
"""The fit's own reach is 14 mm."""


def rotation(turn_deg: tuple[float, float, float], scale: float = 1.0) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    return matrix


def laid(volume: Volume, matrix: NDArray[np.float64]) -> Volume:
    """The same scan whose header says that it lies otherwise."""
    return Volume(volume.hu, Grid(volume.grid.shape_zyx, matrix @ volume.grid.lps_from_zyx)).canonical()[0]


def errors(phantom: Phantom, pose: PelvisPose, matrix: NDArray[np.float64]) -> tuple[float, float]:
    """Mean distance of the seen part of the mean shape from where it belongs, mm, and angle, degrees."""
    true = matrix @ phantom.frame.lps_from_pelvic
    points = trial_points(MODEL)
    off = points @ (pose.lps_from_model[:3, :3] - true[:3, :3]).T + pose.lps_from_model[:3, 3] - true[:3, 3]
    turn = Rotation.from_matrix(pose.lps_from_model[:3, :3] / size_of(pose.lps_from_model) @ true[:3, :3].T)
    return float(np.linalg.norm(off, axis=1).mean()), float(np.degrees(turn.magnitude()))


@pytest.mark.parametrize("turn_deg", [(28.0, 0.0, 0.0), (-28.0, 0.0, 10.0), (0.0, 25.0, -20.0), (20.0, -18.0, 25.0)])
def test_a_turned_patient_is_found(phantom: Phantom, turn_deg: tuple[float, float, float]) -> None:
    matrix = rotation(turn_deg)
    off_mm, off_deg = errors(phantom, locate_pelvis(thin(laid(phantom.volume, matrix)), MODEL), matrix)
    assert off_mm < FAR_MM
    assert off_deg < FAR_DEG


@pytest.mark.parametrize("turn_deg", LYING_DEG[1:5:2])
def test_a_patient_whose_header_is_wrong_is_found(phantom: Phantom, turn_deg: tuple[float, float, float]) -> None:
    matrix = rotation(turn_deg)
    off_mm, off_deg = errors(phantom, locate_pelvis(thin(laid(phantom.volume, matrix)), MODEL), matrix)
    assert off_mm < FAR_MM
    assert off_deg < FAR_DEG


def test_a_view_of_the_joints_alone_does_not_shrink_the_pelvis(phantom: Phantom) -> None:
    """Without a usual size, a small pelvis hides less of itself outside a tight view and wins."""
    centre = phantom.frame.to_lps(np.zeros((1, 3)))
    corners = centre + np.array([[-62.0, -48.0, -50.0], [62.0, 52.0, 50.0]])
    tight = phantom.volume.crop(phantom.volume.grid.box_around(corners, 0.0))
    pose = locate_pelvis(thin(tight), MODEL)
    assert errors(phantom, pose, np.eye(4))[0] < FAR_MM
    assert size_of(pose.lps_from_model) == pytest.approx(1.0, abs=0.08)


def test_a_pelvis_without_a_hip_bone_is_found(phantom: Phantom) -> None:
    gone = np.isin(phantom.labels.values, (Label.LEFT_HIP, Label.LEFT_FEMUR))
    volume = Volume(np.where(gone, np.int16(40), phantom.volume.hu), phantom.volume.grid)
    assert errors(phantom, locate_pelvis(thin(volume), MODEL), np.eye(4))[0] < FAR_MM


def test_a_small_child_is_refused_by_its_size(phantom: Phantom) -> None:
    child = laid(phantom.volume, rotation((0.0, 0.0, 0.0), scale=0.6))
    with pytest.raises(NoPelvisError, match=r"at 0\.6\d of the usual size"):
        locate_pelvis(thin(child), MODEL)


@pytest.mark.parametrize("spacing_zyx_mm", [(2900.0, 2500.0, 2500.0), (2.0, 100.0, 100.0), (6.0, 0.8, 0.8)])
def test_cells_of_any_shape_are_searched(spacing_zyx_mm: tuple[float, float, float]) -> None:
    hu = np.full((24, 40, 40), 40, np.int16)
    hu[4:20, 10:30, 10:30] = 600
    fine = thin(Volume(hu, Grid.from_spacing(hu.shape, spacing_zyx_mm)))
    starts = coarse_starts(coarsen(fine), trial_points(MODEL), np.eye(3))
    assert len(starts) == STARTS
    assert np.isfinite(starts).all()


def test_a_pelvis_that_is_hardly_in_the_scan_is_told_as_such(phantom: Phantom) -> None:
    tiny = laid(phantom.volume, rotation((0.0, 0.0, 0.0), scale=0.1))
    with pytest.raises(NoPelvisError, match=r"\d% of it within the scan \(at least 25% expected\)"):
        locate_pelvis(thin(tiny), MODEL)


def test_the_usual_size_is_held_against_a_match_only_as_far_as_it_is_off(phantom: Phantom) -> None:
    fine, shape, pose = thin(phantom.volume), trial_points(MODEL), phantom.frame.lps_from_pelvic
    small = pose @ rotation((0.0, 0.0, 0.0), scale=0.8)
    assert size_of(small) == pytest.approx(0.8)
    assert mean_score(fine, shape, pose) > mean_score(fine, shape, small)
    assert 0.8 < size_of(step(fine, shape, small, 20.0)) <= 0.84 + 1e-9
