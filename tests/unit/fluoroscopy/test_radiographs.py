"""Radiographs of bodies whose shadow is known in closed form, and of the phantom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage as ndi

from planner.fluoroscopy import Absorber, Beam, FluoroscopyConfig, develop, take_radiograph
from planner.fluoroscopy.angles import Angles
from planner.fluoroscopy.radiograph import WATER_PER_MM
from planner.grid import Grid
from planner.segmentation.model import PelvicFrame
from planner.volume import Volume

UPRIGHT = PelvicFrame(np.eye(4))
CONFIG = FluoroscopyConfig(pixels=64)
CENTRE = np.zeros(3)


def volume(hu: np.ndarray, spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)) -> Volume:
    half = (np.array(hu.shape) - 1) / 2 * np.array(spacing)
    return Volume(hu.astype(np.int16), Grid.from_spacing(hu.shape, spacing, -half[::-1]))


def ball(radius_mm: float, spacing: float = 2.0) -> Volume:
    at = np.arange(-60, 60 + spacing, spacing)
    z, y, x = np.meshgrid(at, at, at, indexing="ij")
    share = np.clip(0.5 + (radius_mm - np.sqrt(x**2 + y**2 + z**2)) / spacing, 0, 1)
    return volume(1000 * share - 1000, (spacing,) * 3)


@pytest.mark.parametrize("angles", [(0, 0), (-25, 15), (90, 0), (0, -40), (0, 85)])
def test_a_ball_of_water_absorbs_along_its_chords_from_every_side(angles: tuple[float, float]) -> None:
    beam = Beam.aim(Angles(*angles), CENTRE, UPRIGHT, CONFIG)
    picture = take_radiograph(Absorber.of(ball(50.0), 2.0), beam)
    corner, right, up = beam.corner_lps()
    at = np.arange(CONFIG.pixels)
    ends = corner + at[None, :, None] * right + at[:, None, None] * up
    ray = (ends - beam.source_lps) / np.linalg.norm(ends - beam.source_lps, axis=-1, keepdims=True)
    miss = np.linalg.norm(np.cross(ray, beam.source_lps), axis=-1)
    chord = 2 * np.sqrt(np.maximum(50.0**2 - miss**2, 0))
    inside = miss < 42  # near the edge the ball's voxels are blurred
    assert inside.sum() > 200
    np.testing.assert_allclose(picture[inside], WATER_PER_MM * chord[inside], rtol=0.015)
    assert (picture[miss > 54] == 0).all()


def test_a_sum_along_rays_agrees_with_interpolation_at_many_points() -> None:
    rng = np.random.default_rng(0)
    made = volume(ndi.gaussian_filter(rng.normal(0, 9000, (24, 30, 28)), 3.0), (3.0, 1.7, 2.0))
    beam = Beam.aim(Angles(20, -30), np.array([3.0, -2.0, 4.0]), UPRIGHT, FluoroscopyConfig(pixels=64, detector_mm=60))
    absorber = Absorber.of(made, 0.3)
    picture = take_radiograph(absorber, beam)
    corner, right, up = beam.corner_lps()
    for row, column in ((10, 20), (32, 31), (50, 5)):
        end = corner + column * right + row * up
        share = np.linspace(0, 1, 200_001)
        points = beam.source_lps + share[:, None] * (end - beam.source_lps)
        sampled = ndi.map_coordinates(absorber.per_mm, absorber.grid.to_index(points).T, order=1, cval=0.0)
        exact = sampled.mean() * np.linalg.norm(end - beam.source_lps)
        assert picture[row, column] == pytest.approx(exact, rel=0.03)


def test_an_oblique_grid_makes_the_same_picture() -> None:
    upright = ball(40.0)
    turn = np.linalg.qr(np.array([[1, 0.2, 0.1], [-0.1, 1, 0.3], [0.05, -0.2, 1]]))[0]
    matrix = upright.grid.lps_from_zyx.copy()
    matrix[:3] = turn @ matrix[:3]
    oblique = Volume(upright.hu, Grid(upright.grid.shape_zyx, matrix))
    beam = Beam.aim(Angles(10, 5), CENTRE, UPRIGHT, CONFIG)
    straight, turned = (take_radiograph(Absorber.of(v, 2.0), beam) for v in (upright, oblique))
    np.testing.assert_allclose(turned, straight, atol=0.06)
    assert straight.max() > 1.0


def test_the_same_beam_gives_the_same_bytes() -> None:
    absorber = Absorber.of(ball(30.0), 4.0)
    beam = Beam.aim(Angles(-12, 7), CENTRE, UPRIGHT, CONFIG)
    assert take_radiograph(absorber, beam).tobytes() == take_radiograph(absorber, beam).tobytes()


@given(orbital=st.floats(-90, 90), tilt=st.floats(-40, 45), place=st.tuples(*[st.floats(-35, 35)] * 3))
@settings(deadline=None, max_examples=12, derandomize=True)
def test_a_bead_is_seen_where_it_is_projected(orbital: float, tilt: float, place: tuple[float, ...]) -> None:
    hu = np.full((49, 49, 49), -1000)
    index = np.rint(np.array(place[::-1]) / 2 + 24).astype(int)
    hu[tuple(index)] = 3000
    made = volume(hu)
    config = FluoroscopyConfig(pixels=256, detector_mm=200)
    beam = Beam.aim(Angles(orbital, tilt), CENTRE, UPRIGHT, config)
    picture = take_radiograph(Absorber.of(made, 2.0), beam)
    row, column = ndi.center_of_mass(picture)
    seen = (np.array([column, row]) - (config.pixels - 1) / 2) * beam.pixel_mm
    np.testing.assert_allclose(seen, beam.project(made.grid.to_lps(index)), atol=0.5)


def test_near_the_tube_things_look_larger() -> None:
    beam = Beam.aim(Angles(0, 0), CENTRE, UPRIGHT, CONFIG)
    assert beam.magnification(CENTRE) == pytest.approx(1.0)
    assert beam.magnification(np.array([0, -100.0, 0])) == pytest.approx(650 / 550)  # anterior: towards the tube
    assert beam.half_field_mm == pytest.approx(150 * 650 / 968)
    ends = beam.project(np.array([[-10.0, 0, 0], [10.0, 0, 0]]))
    assert ends[0, 0] - ends[1, 0] == pytest.approx(20.0)  # seen from behind: the patient's left is on the left


def test_voxels_are_averaged_up_to_the_size_asked_for_and_stay_where_they_are() -> None:
    hu = np.arange(6 * 9 * 8).reshape(6, 9, 8)
    made = volume(hu, (1.4, 0.5, 0.75))
    absorber = Absorber.of(made, 1.5)
    assert absorber.per_mm.shape == (6, 3, 4)
    np.testing.assert_allclose(absorber.grid.to_lps([2, 1, 3]), made.grid.to_lps([[2, 3, 6], [2, 5, 7]]).mean(axis=0))
    expected = WATER_PER_MM * (1 + hu[2, 3:6, 6:8].mean() / 1000)
    assert absorber.per_mm[2, 1, 3] == pytest.approx(expected, rel=1e-6)
    assert Absorber.of(volume(np.full((2, 3, 2), -1000)), 4.0).per_mm.max() == 0.0


def test_a_print_is_bright_where_bone_is_and_black_where_nothing_is() -> None:
    depth = np.zeros((64, 64), np.float32)
    depth[8:56, 8:56] = 4.0
    depth[28:36, 28:36] = 6.0
    brightness = develop(depth)
    assert brightness.dtype == np.float32
    assert brightness[32, 32] > 0.9 > 0.5 > brightness[14, 32]
    assert brightness[2, 2] == 0.0
    assert develop(np.zeros((64, 64), np.float32)).max() == 0.0


@pytest.mark.parametrize(
    "wrong",
    [{"source_object_mm": 968.0}, {"joint_view_tilt_deg": (5.0, -5.0)}, {"pixels": 8}, {"source_detector_mm": -1.0}],
)
def test_an_impossible_c_arm_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FluoroscopyConfig.model_validate(wrong)
