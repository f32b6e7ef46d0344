"""Truth against labels: what the formulas say and what the voxels hold."""

from __future__ import annotations

import edt
import numpy as np
import pytest

from planner.joint.model import Zone
from planner.labels import SACRAL_LEVELS, Keepout, Label, Side, foramen_value
from sample_data.closed_forms import Points, coverage
from sample_data.phantom import Phantom, PhantomSpec, make_phantom
from sample_data.skeleton import JointSpec, build_skeleton

JOINT_VIEW = {"spacing_zyx_mm": (1.0, 0.8, 0.8), "size_yx_mm": (150.0, 160.0), "z_range_mm": (-15.0, 60.0)}
"""A small field of view that holds both joints at the demo's fineness."""


@pytest.fixture(scope="module")
def fine() -> Phantom:
    return make_phantom(PhantomSpec(**JOINT_VIEW, noise_hu=0.0))


def nearest(phantom: Phantom, points_lps: np.ndarray) -> tuple[np.ndarray, ...]:
    index = np.rint(phantom.volume.grid.to_index(points_lps)).astype(int)
    return tuple(index.T)


def to_label(phantom: Phantom, *labels: Label) -> np.ndarray:
    outside = ~np.isin(phantom.labels.values, labels)
    return edt.edt(np.ascontiguousarray(outside), anisotropy=tuple(phantom.volume.grid.spacing_zyx_mm))


def test_every_bone_is_there_and_of_plausible_volume(phantom: Phantom) -> None:
    voxel_ml = np.prod(phantom.volume.grid.spacing_zyx_mm) / 1000
    volume_ml = np.bincount(phantom.labels.values.ravel(), minlength=7) * voxel_ml
    assert 170 < volume_ml[Label.SACRUM] < 300
    assert 240 < volume_ml[Label.LEFT_HIP] < 400
    assert volume_ml[Label.LUMBAR] > 40
    assert volume_ml[Label.LEFT_FEMUR] > 80


def test_labels_and_keepouts_mirror(phantom: Phantom) -> None:
    swap = np.arange(256, dtype=np.uint8)
    swap[[2, 3, 5, 6]] = [3, 2, 6, 5]
    for k in range(4):
        swap[[11 + k, 21 + k]] = [21 + k, 11 + k]
    for values in (phantom.labels.values, phantom.keepout.values):
        assert np.mean(values != swap[values[:, :, ::-1]]) < 1e-5


def test_left_is_left(phantom: Phantom) -> None:
    x = [
        phantom.labels.grid.to_lps(np.argwhere(phantom.labels.values == label))[:, 0].mean()
        for label in (Label.LEFT_HIP, Label.SACRUM, Label.RIGHT_HIP)
    ]
    assert x[0] > x[1] + 40
    assert x[2] < x[1] - 40


def test_keepouts_are_not_bone(phantom: Phantom) -> None:
    bone = phantom.labels.values[phantom.keepout.values > 0]
    assert set(np.unique(bone)) <= {Label.BACKGROUND}


def test_the_keepout_holds_the_canal_and_all_foramina(phantom: Phantom) -> None:
    wanted = {foramen_value(side, level) for side in Side for level in SACRAL_LEVELS} | {Keepout.CANAL, Keepout.NONE}
    assert set(np.unique(phantom.keepout.values)) == wanted


@pytest.mark.parametrize("side", list(Side))
def test_the_mid_surface_is_equidistant_from_the_labels(fine: Phantom, side: Side) -> None:
    joint = fine.joints[side]
    sheet = joint.mid_surface_lps(1.0)
    at = nearest(fine, sheet)
    exact = fine.volume.grid.to_lps(np.stack(at, axis=1))
    difference = to_label(fine, side.hip)[at] - to_label(fine, Label.SACRUM)[at] + 2 * joint.offset_mm(exact)
    half_voxel = 0.5 * np.linalg.norm(fine.volume.grid.spacing_zyx_mm)
    assert abs(difference.mean()) < 0.1
    assert np.quantile(np.abs(difference), 0.95) < 2 * half_voxel


@pytest.mark.parametrize("gap", [1.7, 3.0])
def test_the_gaps_volume_is_its_area_times_its_width(gap: float) -> None:
    made = make_phantom(PhantomSpec(**JOINT_VIEW, noise_hu=0.0, gap_mm=gap))
    joint = made.joints[Side.LEFT]
    index = np.argwhere(made.labels.values == 0)
    points = made.volume.grid.to_lps(index)
    points = points[np.abs(joint.offset_mm(points)) < gap]
    rim = joint.surface.margin_mm(*joint.frame.to_pelvic(points)[:, 1:].T)
    volume = (rim < -2).sum() * np.prod(made.volume.grid.spacing_zyx_mm)
    sheet = joint.surface.sheet(0.25)
    inner = joint.surface.margin_mm(sheet[:, 1], sheet[:, 2]) < -2
    area = joint.surface.articular_area_mm2() * inner.mean()
    assert volume / area == pytest.approx(gap, rel=0.04)


def test_the_zone_and_the_thirds_of_the_truth_agree_with_the_sheet(fine: Phantom) -> None:
    joint = fine.joints[Side.RIGHT]
    sheet = joint.mid_surface_lps(1.0)
    assert (joint.zone(sheet) == Zone.ARTICULAR).all()
    assert joint.gap_mm(sheet) == pytest.approx(1.7)
    height = sheet @ joint.frame.cranial_lps
    bounds = joint.thirds_bounds_mm()
    assert bounds[0] - 0.1 <= height.min() < bounds[1] < bounds[2] < height.max() <= bounds[3] + 0.1


def test_each_mouth_lies_where_its_keepout_meets_the_outside(fine: Phantom) -> None:
    for mouth in fine.foramina:
        if mouth.level == "S4":  # below this field of view
            continue
        at = nearest(fine, mouth.centre_lps[None])
        value = foramen_value(mouth.side, mouth.level)
        away = edt.edt(
            np.ascontiguousarray(fine.keepout.values != value), anisotropy=tuple(fine.volume.grid.spacing_zyx_mm)
        )
        assert away[at][0] < 1.5
        # a ball a little narrower than the mouth holds no bone on the axis
        assert to_label(fine, Label.SACRUM)[at][0] > mouth.width_mm / 2 - 1.5


def test_the_canals_centre_line_runs_in_the_canal(phantom: Phantom) -> None:
    line = phantom.canal_lps[1:-1]
    assert (phantom.keepout.values[nearest(phantom, line)] == Keepout.CANAL).all()
    assert (np.diff(phantom.canal_lps[:, 2]) < 0).all()


def test_the_volume_shows_what_the_labels_say(fine: Phantom) -> None:
    hu, labels = fine.volume.hu, fine.labels.values
    solid = (labels == Label.SACRUM) & (to_label(fine, Label.BACKGROUND) > 5)
    assert 170 < np.median(hu[solid]) < 340
    rim = (labels == Label.LEFT_HIP) & (to_label(fine, Label.BACKGROUND) < 1.5)
    assert np.median(hu[rim]) > 600
    outside = (labels == 0) & (to_label(fine, *list(Label)[1:]) > 3)
    assert np.quantile(hu[outside], 0.99) < 200


def test_partial_volume_keeps_the_joint_space_dark(fine: Phantom) -> None:
    """Across a gap wider than a voxel, the mid-surface is darker than both faces 2 mm away."""
    joint = fine.joints[Side.LEFT]
    sheet = joint.mid_surface_lps(2.0)
    local = joint.frame.to_pelvic(sheet)
    inner = sheet[joint.surface.margin_mm(local[:, 1], local[:, 2]) < -3]
    hu = fine.volume.hu
    middle = hu[nearest(fine, inner)].astype(float)
    lateral = np.array([1.0, 0.3, 0.0]) / np.hypot(1, 0.3)
    faces = np.minimum(hu[nearest(fine, inner + 2 * lateral)], hu[nearest(fine, inner - 2 * lateral)])
    assert np.mean(middle < faces) > 0.97


def test_tissues_have_their_ct_numbers(phantom: Phantom) -> None:
    hu, labels = phantom.volume.hu, phantom.labels.values
    counts, edges = np.histogram(hu[labels == 0], bins=np.arange(-1030, 210, 10))
    share = counts / counts.sum()

    def within(low: int, high: int) -> float:
        return float(share[(edges[:-1] >= low) & (edges[:-1] < high)].sum())

    assert within(-1030, -940) > 0.2
    assert within(-150, -60) > 0.15
    assert within(20, 100) > 0.15


def test_the_table_lies_under_the_patient(phantom: Phantom) -> None:
    middle = phantom.volume.hu[20, :, phantom.volume.grid.shape_zyx[2] // 2]
    dense = np.flatnonzero(middle > -500)
    gaps = np.flatnonzero(np.diff(dense) > 2)
    assert len(gaps) >= 1
    assert phantom.volume.hu.min() >= -1024


def test_the_same_spec_gives_the_same_bytes() -> None:
    spec = PhantomSpec(spacing_zyx_mm=(5.0, 4.0, 4.0))
    first, again = make_phantom(spec), make_phantom(spec)
    assert first.volume.hu.tobytes() == again.volume.hu.tobytes()
    assert first.labels.values.tobytes() == again.labels.values.tobytes()
    assert first.keepout.values.tobytes() == again.keepout.values.tobytes()


def test_the_pelvic_frame_is_the_shape_models(phantom: Phantom) -> None:
    from planner.segmentation.shape_model import load_shape_model

    model = load_shape_model()
    mean = model.landmarks_on(model.mean)
    for name in ("left_psis", "right_asis", "promontory"):
        assert np.linalg.norm(phantom.landmarks_lps[name] - phantom.frame.to_lps(mean[name])) < 4.0


def test_partial_volume_is_right_to_a_tenth_of_a_voxel() -> None:
    """Coverage from the distance at a voxel's centre against the mean of 6 x 6 x 6 samples within it."""
    skeleton = build_skeleton(JointSpec())
    step, fine = 1.0, 6
    inner = (np.arange(fine) + 0.5) / fine - 0.5
    centres = np.random.default_rng(5).uniform((-60, -10, -30), (60, 75, 55), (40000, 3))
    near = np.abs(skeleton.sacrum(Points.of(centres))) < 1.0
    centres = centres[near][:1500]
    offsets = np.stack(np.meshgrid(inner, inner, inner), axis=-1).reshape(-1, 3) * step
    filled = (skeleton.sacrum(Points.of(centres[:, None] + offsets)) < 0).mean(axis=1)
    error = coverage(skeleton.sacrum(Points.of(centres)), step) - filled
    assert abs(error.mean()) < 0.02
    assert np.sqrt((error**2).mean()) < 0.1


def test_a_wide_pelvis_stays_under_the_skin() -> None:
    wide = make_phantom(
        PhantomSpec(spacing_zyx_mm=(4.0, 3.0, 3.0), shape_coefficients=(2.5, -1.5, 1.5), symmetric=False, noise_hu=0.0)
    )
    air = (wide.volume.hu < -700).astype(np.uint8)
    outside = edt.edt(1 - air, anisotropy=tuple(wide.volume.grid.spacing_zyx_mm), black_border=False)
    hips = np.isin(wide.labels.values, (Label.LEFT_HIP, Label.RIGHT_HIP))
    assert outside[hips].min() > 6
