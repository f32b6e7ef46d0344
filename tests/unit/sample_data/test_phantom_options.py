"""Each option changes what it says and leaves the rest."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage as ndi

from planner.labels import Label, Side, foramen_value
from sample_data.phantom import Kernel, Phantom, PhantomSpec, make_phantom

COARSE = {"spacing_zyx_mm": (2.5, 2.0, 2.0), "size_yx_mm": (240.0, 340.0), "z_range_mm": (-80.0, 70.0)}
CENTRE_LPS = np.array([7.0, -12.0, -640.0])
"""Origin of the drawing frame in LPS."""


def made(**options: object) -> Phantom:
    return make_phantom(PhantomSpec(**(COARSE | options)))


@pytest.fixture(scope="module")
def plain() -> Phantom:
    return made()


def at(phantom: Phantom, drawing_mm: tuple[float, float, float]) -> tuple[int, ...]:
    return tuple(np.rint(phantom.volume.grid.to_index(CENTRE_LPS + drawing_mm)).astype(int))


def test_the_spec_is_frozen_and_takes_no_unknown_options() -> None:
    with pytest.raises(ValidationError):
        PhantomSpec(colour="red")
    with pytest.raises(ValidationError):
        PhantomSpec().gap_mm = 3


def test_noise_is_the_only_difference_without_noise(plain: Phantom) -> None:
    quiet = made(noise_hu=0.0)
    difference = plain.volume.hu.astype(float) - quiet.volume.hu
    inside = quiet.volume.hu > -900
    assert difference[inside].std() == pytest.approx(14.0, rel=0.1)
    assert abs(difference[inside].mean()) < 0.3
    assert (plain.labels.values == quiet.labels.values).all()


def test_another_seed_changes_noise_and_texture_but_no_label(plain: Phantom) -> None:
    other = made(seed=1)
    assert (plain.volume.hu != other.volume.hu).mean() > 0.3
    assert (plain.labels.values == other.labels.values).all()


def test_a_bone_kernel_is_sharper_and_noisier(plain: Phantom) -> None:
    sharp, soft = made(kernel=Kernel.BONE, noise_hu=0.0), made(noise_hu=0.0)
    assert (
        np.abs(np.diff(sharp.volume.hu.astype(float), axis=2)).max()
        > np.abs(np.diff(soft.volume.hu.astype(float), axis=2)).max()
    )
    noisy = made(kernel=Kernel.BONE)
    muscle = (soft.volume.hu > 30) & (soft.volume.hu < 80)
    assert noisy.volume.hu[muscle].std() > 1.5 * plain.volume.hu[muscle].std()


@pytest.mark.parametrize("side", list(Side))
def test_a_screw_is_metal_on_its_side_only(plain: Phantom, side: Side) -> None:
    phantom = made(screw=side)
    metal = np.argwhere(phantom.volume.hu > 2500)
    assert len(metal) > 20
    x = phantom.volume.grid.to_lps(metal)[:, 0] - CENTRE_LPS[0]
    assert (np.sign(x) == side.lateral_x).all()
    assert (phantom.labels.values == plain.labels.values).all()
    assert plain.volume.hu.max() < 2500


def test_a_hip_implant_is_metal_in_head_and_shaft() -> None:
    phantom = made(hip_implant=Side.RIGHT, z_range_mm=(-130.0, 0.0))
    metal = phantom.volume.grid.to_lps(np.argwhere(phantom.volume.hu > 2500)) - CENTRE_LPS
    assert metal[:, 0].max() < -40
    assert metal[:, 2].max() > -60
    assert metal[:, 2].min() < -115


@pytest.mark.parametrize("side", list(Side))
def test_ankylosis_bridges_its_joint_and_not_the_other(side: Side) -> None:
    phantom = made(ankylosis=frozenset({side}), gap_mm=4.0, ventral_extra_mm=2.0)
    bridged, free = phantom.joints[side], phantom.joints[side.other]
    bone = {
        joint.surface.side: (phantom.labels.values[nearest(phantom, joint.mid_surface_lps(1.0))] > 0).mean()
        for joint in (bridged, free)
    }
    assert bone[side] > 0.07
    assert bone[side.other] < 0.02


def nearest(phantom: Phantom, points_lps: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.rint(phantom.volume.grid.to_index(points_lps)).astype(int).T)


def test_a_filled_foramen_is_bone_and_leaves_the_others(plain: Phantom) -> None:
    phantom = made(filled_foramina=frozenset({(Side.RIGHT, "S1")}))
    gone = foramen_value(Side.RIGHT, "S1")
    assert gone not in phantom.keepout.values
    was = plain.keepout.values == gone
    assert (phantom.labels.values[was] == Label.SACRUM).mean() > 0.9
    others = ~was & (plain.keepout.values > 0)
    assert (phantom.keepout.values == plain.keepout.values)[others].all()
    assert len(phantom.foramina) == len(plain.foramina) - 2


def test_a_truncated_scan_is_the_whole_one_cut(plain: Phantom) -> None:
    cut = made(z_range_mm=(20.0, 70.0))
    low = cut.volume.grid.origin_lps_mm[2]
    first = round(plain.volume.grid.to_index([CENTRE_LPS[0], CENTRE_LPS[1], low])[0])
    assert (cut.labels.values == plain.labels.values[first : first + cut.labels.values.shape[0]]).all()
    bounds = cut.joints[Side.LEFT].thirds_bounds_mm()
    assert bounds[0] < low < bounds[3]


def test_an_absent_hip_leaves_the_other_side_as_it_was(plain: Phantom) -> None:
    phantom = made(absent_hip=Side.LEFT)
    assert Label.LEFT_HIP not in phantom.labels.values
    assert Label.LEFT_FEMUR not in phantom.labels.values
    assert ((phantom.labels.values == Label.RIGHT_HIP) == (plain.labels.values == Label.RIGHT_HIP)).all()
    middle_of_ilium = at(phantom, (70.0, 20.0, 20.0))
    assert plain.volume.hu[middle_of_ilium] > 130
    assert phantom.volume.hu[middle_of_ilium] < 130


def test_osteoporosis_thins_the_trabeculae(plain: Phantom) -> None:
    poor = made(osteoporosis=True)
    deep = ndi.binary_erosion(plain.labels.values == Label.SACRUM, iterations=3)
    assert np.median(plain.volume.hu[deep]) > 165
    assert np.median(poor.volume.hu[deep]) < 130.5
    assert (poor.labels.values == plain.labels.values).all()


def test_contrast_brightens_vessels_only(plain: Phantom) -> None:
    bright = made(contrast=True)
    change = bright.volume.hu.astype(int) - plain.volume.hu
    assert (change > 60).sum() > 200
    assert (change[plain.labels.values > 0] < 60).mean() > 0.999
    assert (np.abs(change) <= 1).mean() > 0.95


@pytest.mark.parametrize("degrees", [(0.0, 0.0, 12.0), (25.0, 0.0, 0.0), (-10.0, 15.0, 5.0)])
def test_a_turned_pelvis_takes_its_truth_along(plain: Phantom, degrees: tuple[float, float, float]) -> None:
    phantom = made(rotation_deg=degrees, z_range_mm=(-90.0, 90.0))
    joint = phantom.joints[Side.LEFT]
    assert np.abs(joint.offset_mm(joint.mid_surface_lps(3.0))).max() < 1e-3
    mouth, before = phantom.foramina[0], plain.foramina[0]
    assert phantom.frame.to_pelvic(mouth.centre_lps) == pytest.approx(plain.frame.to_pelvic(before.centre_lps))
    assert np.linalg.norm(mouth.centre_lps - before.centre_lps) > 1
    sizes = [(p.labels.values == Label.SACRUM).sum() for p in (phantom, plain)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    value = foramen_value(mouth.side, mouth.level)
    near = phantom.volume.grid.to_lps(np.argwhere(phantom.keepout.values == value)) - mouth.centre_lps
    assert np.linalg.norm(near, axis=1).min() < 2.5


def test_thick_slices_are_averages_of_thin_ones() -> None:
    view = {"size_yx_mm": (150.0, 150.0), "noise_hu": 0.0}
    thick = make_phantom(PhantomSpec(spacing_zyx_mm=(3.0, 1.0, 1.0), z_range_mm=(0.0, 30.0), **view))
    thin = make_phantom(PhantomSpec(spacing_zyx_mm=(1.0, 1.0, 1.0), z_range_mm=(-1.0, 29.0), **view))
    mean = thin.volume.hu.astype(float).reshape(10, 3, *thin.volume.hu.shape[1:]).mean(axis=1)
    difference = np.abs(thick.volume.hu[1:-1] - mean[1:-1])
    assert np.quantile(difference, 0.99) < 90
    assert difference.mean() < 8


def test_shape_coefficients_make_another_pelvis(plain: Phantom) -> None:
    other = made(shape_coefficients=(1.5, -1.0, 0.8), symmetric=False)
    same = other.labels.values == plain.labels.values
    assert 0.005 < 1 - same.mean() < 0.1
    assert set(np.unique(other.labels.values)) == set(np.unique(plain.labels.values))
