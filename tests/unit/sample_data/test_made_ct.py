from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from planner.grid import Grid
from planner.labels import Keepout, Label, Side, foramen_value
from planner.volume import Volume
from sample_data.inlays import Inlay, InlayKind
from sample_data.made_ct import (
    BRIDGE_HU,
    GAS_HU,
    METAL_HU,
    CtLook,
    Cut,
    JointFill,
    MadeCt,
    Surface,
    carve_gap,
    clothe,
    distance_field,
    render_ct,
)
from sample_data.sacral_holes import keepout_field
from sample_data.signed_distance import DistanceField

PLAIN = CtLook(noise_hu=0.001, texture_hu=0.0, cortex_mm=(2.0, 2.0), cortex_hu=(900.0, 900.0), psf_mm=0.01)


def ball(centre: tuple[float, float, float], radius: float, rings: int = 48) -> Surface:
    """A sphere of latitude rings, outward facing."""
    polar = np.linspace(0, np.pi, rings + 1)[1:-1]
    turn = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    grid = np.stack(
        [
            np.outer(np.sin(polar), np.cos(turn)),
            np.outer(np.sin(polar), np.sin(turn)),
            np.outer(np.cos(polar), turn * 0 + 1),
        ],
        -1,
    )
    points = np.concatenate([grid.reshape(-1, 3), [[0, 0, 1.0], [0, 0, -1.0]]])
    at = np.arange(grid.shape[0] * grid.shape[1]).reshape(grid.shape[:2])
    a, b = at[:-1], at[1:]
    right, below = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    top, bottom = len(points) - 2, len(points) - 1
    faces = [
        np.stack([a.ravel(), b.ravel(), below.ravel()], 1),
        np.stack([a.ravel(), below.ravel(), right.ravel()], 1),
        np.stack([np.full(2 * rings, top), at[0], np.roll(at[0], -1)], 1),
        np.stack([np.full(2 * rings, bottom), np.roll(at[-1], -1), at[-1]], 1),
    ]
    return Surface(points * radius + centre, np.concatenate(faces).astype(np.int32))


def lattice_points(field: DistanceField) -> np.ndarray:
    grid = Grid.from_spacing(field.values_mm.shape, field.spacing_mm, field.origin_mm)
    return grid.to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1))


def volume_mm3(field: DistanceField) -> float:
    return float((field.values_mm < 0).sum()) * field.spacing_mm**3


BALL_MM3 = 4 / 3 * np.pi * 12**3


def test_the_distance_to_a_ball_is_its_radius_less_than_the_distance_to_its_centre() -> None:
    field = distance_field([ball((3.0, -2.0, 5.0), 12.0)])
    true = np.linalg.norm(lattice_points(field) - [3.0, -2.0, 5.0], axis=-1) - 12.0
    near = np.abs(true) < 3.0
    assert np.abs(field.values_mm - true)[near].max() < 0.05


def test_small_holes_do_not_leak() -> None:
    whole = ball((0.0, 0.0, 0.0), 12.0)
    torn = Surface(whole.vertices_lps, np.delete(whole.faces, [100, 900, 901, 2500, 4000], axis=0))
    assert volume_mm3(distance_field([torn])) == pytest.approx(BALL_MM3, rel=0.01)


def test_a_shell_is_filled() -> None:
    outer, inner = ball((0.0, 0.0, 0.0), 12.0), ball((0.0, 0.0, 0.0), 9.0)
    cavity = Surface(inner.vertices_lps, inner.faces[:, ::-1].copy())
    shell = Surface(
        np.concatenate([outer.vertices_lps, cavity.vertices_lps]),
        np.concatenate([outer.faces, cavity.faces + len(outer.vertices_lps)]).astype(np.int32),
    )
    field = distance_field([shell])
    assert volume_mm3(field) == pytest.approx(BALL_MM3, rel=0.01)
    middle = np.linalg.norm(lattice_points(field), axis=-1).argmin()
    assert field.values_mm.flat[middle] < -4  # distance to the outer face, not to the cavity's


def test_a_cleft_between_two_parts_is_closed_only_where_asked() -> None:
    parts = [ball((-12.0, 0.0, 0.0), 11.5), ball((12.0, 0.0, 0.0), 11.5)]
    apart, closed = (distance_field(parts, close_mm) for close_mm in (0.0, 1.5))
    middle = np.linalg.norm(lattice_points(apart), axis=-1).argmin()
    assert apart.values_mm.flat[middle] > 0 > closed.values_mm.flat[middle]


distance = st.floats(-6, 6)


@given(distance, distance, distance, st.floats(0.5, 3))
@settings(deadline=None, max_examples=200, derandomize=True)
def test_carving_opens_the_gap_equally_and_touches_nothing_else(
    s: float, left: float, right: float, gap: float
) -> None:
    before = {
        label: np.array([value], np.float32)
        for label, value in zip((Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP), (s, left, right), strict=True)
    }
    after = carve_gap(before, (gap, gap))
    for hip in (Label.LEFT_HIP, Label.RIGHT_HIP):
        assert after[Label.SACRUM][0] + after[hip][0] >= gap - 1e-5
    assert all((after[label] >= before[label]).all() for label in before)
    if min(s + left, s + right, left + right) >= gap + 1e-3:
        assert {k: v.tolist() for k, v in after.items()} == {k: v.tolist() for k, v in before.items()}
    if s + left < gap and min(s + right, left + right) >= gap + 6:
        assert after[Label.SACRUM][0] + after[Label.LEFT_HIP][0] == pytest.approx(gap, abs=1e-5)
        assert after[Label.SACRUM][0] - after[Label.LEFT_HIP][0] == pytest.approx(s - left, abs=1e-5)


@pytest.fixture(scope="module")
def bones() -> dict[Label, DistanceField]:
    """Three balls; the left one overlaps the middle one by 1 mm."""
    places = {Label.SACRUM: (0.0, 0.0, 0.0), Label.LEFT_HIP: (23.0, 0.0, 0.0), Label.RIGHT_HIP: (-30.0, 0.0, 0.0)}
    return {label: distance_field([ball(centre, 12.0)]) for label, centre in places.items()}


def body_grid(spacing: tuple[float, float, float] = (2.0, 1.0, 1.0)) -> Grid:
    shape = np.ceil(np.array([36.0, 170.0, 200.0]) / spacing).astype(int)
    return Grid.from_spacing((int(shape[0]), int(shape[1]), int(shape[2])), spacing, (-103.0, -75.0, -17.3))


@pytest.fixture(scope="module")
def made(bones: dict[Label, DistanceField]) -> MadeCt:
    return render_ct(bones, body_grid(), CtLook())


def test_labels_are_the_balls_with_the_gap_carved(made: MadeCt) -> None:
    points = made.labels.grid.to_lps(np.stack(np.indices(made.labels.grid.shape_zyx), axis=-1))
    sacrum, left = np.linalg.norm(points, axis=-1) - 12, np.linalg.norm(points - [23.0, 0, 0], axis=-1) - 12
    carved = np.maximum(sacrum, (sacrum - left + 1.5) / 2)
    clear = np.abs(carved) > 0.1
    assert ((made.labels.values == Label.SACRUM) == (carved < 0))[clear].all()
    x = points[..., 0]
    assert x[made.labels.values == Label.LEFT_HIP].min() > 11.5 > x[made.labels.values == Label.SACRUM].max()


@pytest.mark.parametrize("turn_deg", [(0, 0, 20), (15, -10, 30)])
def test_labels_lie_where_the_bones_are_on_any_grid(
    bones: dict[Label, DistanceField], turn_deg: tuple[int, ...]
) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()[:, ::-1] * [1.4, -1.1, 1.0]
    matrix[:3, 3] = -matrix[:3, :3] @ [18.0, 30.0, 45.0]
    labels = render_ct(bones, Grid((37, 61, 91), matrix), PLAIN).labels
    points = labels.grid.to_lps(np.argwhere(labels.values == Label.RIGHT_HIP))
    assert len(points) * np.prod(labels.grid.spacing_zyx_mm) == pytest.approx(BALL_MM3, rel=0.02)
    assert points.mean(axis=0) == pytest.approx([-30, 0, 0], abs=0.1)


def test_ct_numbers_are_those_of_the_tissues(bones: dict[Label, DistanceField]) -> None:
    made = render_ct(bones, body_grid((1.0, 1.0, 1.0)), PLAIN)
    points = made.volume.grid.to_lps(np.stack(np.indices(made.volume.grid.shape_zyx), axis=-1))
    depth = 12 - np.linalg.norm(points - [-30.0, 0, 0], axis=-1)
    assert np.median(made.volume.hu[depth > 4]) == pytest.approx(PLAIN.trabecular_hu, abs=3)
    assert np.median(made.volume.hu[np.abs(depth - 1) < 0.2]) == pytest.approx(900, abs=30)
    assert np.median(made.volume.hu[np.abs(points[..., 1] - 20) < 3]) == pytest.approx(50, abs=25)
    assert made.volume.hu[:, 0, 0].max() <= -990


def test_half_covered_voxels_lie_half_way(bones: dict[Label, DistanceField]) -> None:
    """The voxel whose centre lies on the cortex's outer face mixes bone and muscle evenly."""
    grid = Grid.from_spacing((1, 3, 9), 1.0, (-30.0 - 12.0 - 4.0, -1.0, 0.0))
    row = render_ct(bones, grid, PLAIN).volume.hu[0, 1]
    assert row[4] == pytest.approx((row[5] + row[1]) / 2, abs=60)
    assert row[1] < 130 < 700 < row[5]


def test_the_same_seed_gives_the_same_scan_and_another_seed_another(
    bones: dict[Label, DistanceField], made: MadeCt
) -> None:
    again = render_ct(bones, body_grid(), CtLook())
    assert np.array_equal(again.volume.hu, made.volume.hu)
    other = render_ct(bones, body_grid(), CtLook(seed=1))
    assert not np.array_equal(other.volume.hu, made.volume.hu)
    assert np.array_equal(other.labels.values, made.labels.values)


def test_noise_is_as_strong_as_asked(bones: dict[Label, DistanceField]) -> None:
    quiet, loud = (render_ct(bones, body_grid(), CtLook(noise_hu=noise)) for noise in (0.001, 40.0))
    difference = loud.volume.hu.astype(float) - quiet.volume.hu
    assert difference[:, 60:90, 60:140].std() == pytest.approx(40, rel=0.05)


def test_thick_slices_average_what_they_cover(bones: dict[Label, DistanceField]) -> None:
    fine = render_ct(bones, Grid.from_spacing((4, 40, 40), (1.0, 1.0, 1.0), (-50.0, -20.0, 8.5)), PLAIN).volume.hu
    thick = render_ct(bones, Grid.from_spacing((1, 40, 40), (4.0, 1.0, 1.0), (-50.0, -20.0, 10.0)), PLAIN).volume.hu
    assert np.abs(fine.mean(axis=0) - thick[0]).max() < 3


def test_metal_and_contrast_are_where_they_are_put(bones: dict[Label, DistanceField]) -> None:
    look = CtLook(
        noise_hu=5.0,
        inlays=(
            Inlay(InlayKind.CONTRAST, ((60.0, -40.0, -20.0, 60.0, -40.0, 30.0, 5.0, 5.0),), 200.0),
            Inlay(InlayKind.METAL, ((-30.0, 0.0, -20.0, -30.0, 0.0, 30.0, 4.0, 4.0),), METAL_HU, over_bone=True),
        ),
    )
    made = render_ct(bones, body_grid(), look)
    volume = made.volume
    assert made.decoys is not None
    assert set(np.unique(made.decoys.values)) == {0, InlayKind.CONTRAST, InlayKind.METAL}
    assert not (made.decoys.values[made.labels.values > 0]).any()
    vessel, metal = (np.round(volume.grid.to_index(p)).astype(int) for p in ((60.0, -40.0, 0.0), (-30.0, 0.0, 0.0)))
    assert volume.hu[tuple(vessel)] == pytest.approx(200, abs=25)
    assert volume.hu[tuple(metal)] > 2900


def test_each_side_has_its_own_gap(bones: dict[Label, DistanceField]) -> None:
    labels = render_ct(bones, body_grid((1.0, 0.5, 0.5)), CtLook(min_gap_mm=(6.0, 1.5))).labels
    points = labels.grid.to_lps(np.stack(np.indices(labels.values.shape), axis=-1))
    on_axis = np.linalg.norm(points[..., 1:], axis=-1) < 1.0
    left = points[on_axis & (labels.values == Label.LEFT_HIP)][:, 0].min()
    sacrum = points[on_axis & (labels.values == Label.SACRUM)][:, 0]
    assert left - sacrum.max() == pytest.approx(6.0, abs=1.01)
    right = points[on_axis & (labels.values == Label.RIGHT_HIP)][:, 0].max()
    assert sacrum.min() - right == pytest.approx(6.0, abs=1.01)  # the balls are 6 mm apart there


@pytest.mark.parametrize("gas", [False, True])
def test_a_joint_is_filled_with_bone_or_gas(bones: dict[Label, DistanceField], gas: bool) -> None:
    look = replace(PLAIN, fills=(JointFill(Label.LEFT_HIP, (11.5, 0.0, 0.0), 4.0, gas),))
    fine = Grid.from_spacing((9, 17, 41), (0.5, 0.5, 0.25), (6.5, -4.0, -2.0))
    made, plain = render_ct(bones, fine, look), render_ct(bones, fine, PLAIN)
    middle = np.round(fine.to_index([11.5, 0.0, 0.0])).astype(int)
    assert made.volume.hu[tuple(middle)] == pytest.approx(GAS_HU if gas else BRIDGE_HU, abs=40)
    added = made.labels.values[plain.labels.values == 0]
    assert set(np.unique(added)) == ({0} if gas else {0, Label.SACRUM, Label.LEFT_HIP})


def test_a_growth_plate_parts_a_bone_within_its_ball(bones: dict[Label, DistanceField]) -> None:
    look = replace(PLAIN, cuts=(Cut(Label.RIGHT_HIP, (-30.0, 0.0, 0.0), (0.0, 0.0, 1.0), 4.0, 6.0),))
    labels = render_ct(bones, body_grid((1.0, 1.0, 1.0)), look).labels
    values = {
        place: int(labels.values[tuple(np.round(labels.grid.to_index(place)).astype(int))])
        for place in ((-30.0, 0.0, 0.0), (-30.0, 0.0, 4.0), (-30.0, 9.0, 0.0))
    }
    assert list(values.values()) == [0, Label.RIGHT_HIP, Label.RIGHT_HIP]


@pytest.mark.parametrize("down", [(0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0)])
def test_the_table_lies_where_down_is(bones: dict[Label, DistanceField], down: tuple[float, float, float]) -> None:
    grid = Grid.from_spacing((2, 130, 160), 2.0, (-163.0, -130.0, 0.0))
    volume = render_ct(bones, grid, replace(PLAIN, down=down)).volume
    table = grid.to_lps(np.argwhere(np.abs(volume.hu + 400) < 15))
    assert np.quantile(table @ down, 0.05) > 40  # a few voxels of skin are as bright


def test_a_bone_that_is_missing_is_not_needed(bones: dict[Label, DistanceField]) -> None:
    rest = {label: field for label, field in bones.items() if label is not Label.LEFT_HIP}
    look = replace(PLAIN, fills=(JointFill(Label.LEFT_HIP, (11.5, 0.0, 0.0), 4.0),))
    assert set(np.unique(render_ct(rest, body_grid(), look).labels.values)) == {0, Label.SACRUM, Label.RIGHT_HIP}


def test_clothing_leaves_bone_and_puts_tissue_behind_it() -> None:
    grid = body_grid()
    points = grid.to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1))
    bone = np.linalg.norm(points, axis=-1) < 30
    dressed = clothe(Volume(np.where(bone, 500, 0).astype(np.int16), grid), bone, CtLook())
    deep = np.linalg.norm(points, axis=-1) < 25
    assert (dressed.hu[deep] == 500).mean() > 0.99
    beside = (np.abs(points[..., 0]) < 35) & (np.linalg.norm(points, axis=-1) > 33) & (np.abs(points[..., 1]) < 35)
    assert np.median(dressed.hu[beside]) == pytest.approx(50, abs=30)
    assert dressed.hu[:, 0, 0].max() < -900


def block_sacrum() -> tuple[DistanceField, np.ndarray]:
    """A block with a canal along z, a channel from it to the front on each side at two heights, and a groove behind."""
    spacing, origin = 1.0, np.array([-40.0, -22.0, -35.0])
    grid = Grid.from_spacing((71, 45, 81), spacing, origin)
    points = grid.to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1))
    x, y, z = np.moveaxis(points, -1, 0)
    block = np.maximum.reduce([np.abs(x) - 35, np.abs(y) - 17, np.abs(z) - 30])
    canal = np.hypot(x / 1.5, y - 6) - 6
    channel = np.minimum.reduce([np.hypot(np.abs(x) - 20, z - height) - 4 for height in (14, -12)])
    channel = np.maximum(channel, y - 10)
    recess = np.minimum.reduce([np.maximum(np.hypot(y - 6, z - height) - 4, np.abs(x) - 20) for height in (14, -12)])
    groove = np.hypot(x - 29, y - 19) - 5
    solid = np.maximum.reduce([block, -canal, -channel, -recess, -groove])
    return DistanceField(solid.astype(np.float32), origin, spacing), points


def test_canal_and_foramina_are_found_and_named_and_a_groove_is_not() -> None:
    sacrum, points = block_sacrum()
    keep = keepout_field(sacrum)

    def at(*place: float) -> int:
        return int(keep.reshape(-1)[np.linalg.norm(points - np.array(place), axis=-1).argmin()])

    assert at(0, 6, 0) == Keepout.CANAL
    for side in Side:
        assert at(side.lateral_x * 20, -8, 14) == foramen_value(side, "S1")
        assert at(side.lateral_x * 20, -8, -12) == foramen_value(side, "S2")
    assert at(29, 16, 0) == 0
    assert set(np.unique(keep)) == {0, 1, 11, 12, 21, 22}
    assert not (keep[sacrum.values_mm < 0] > 0).any()


def test_keep_outs_end_at_the_mouths() -> None:
    sacrum, points = block_sacrum()
    kept = points[keepout_field(sacrum) > 0]
    assert kept[:, 1].min() > -20
    assert np.abs(kept[:, 2]).max() < 33
