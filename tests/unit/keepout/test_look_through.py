"""What the image says of the labels' mouths: seen through, blocked, or beyond the scan's end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.keepout import find
from planner.keepout.agree import IMAGE_TRUST, Witness
from planner.keepout.canal import CentreLine
from planner.keepout.config import KeepoutConfig
from planner.keepout.find import find_keepouts
from planner.keepout.passages import Passage, find_passages, mouths_of, tube_of
from planner.keepout.region import sacrum_region
from planner.keepout.shadow import BESIDE_MM, column_axis, image_of, look_through, rays_of
from planner.labels import Side
from planner.volume import Volume

CONFIG = KeepoutConfig()
LINE = CentreLine(np.array([[0.0, 4.0, z] for z in range(46, -47, -1)]))
BLOCKED = frozenset({(Side.RIGHT, "S2")})


def passage(side: Side, along_mm: float) -> Passage:
    ends = np.array([[0.0, 0.0, 10.0], [0.0, 0.0, -10.0]])
    return Passage(side, along_mm, 20.0, 300.0, 150.0, 5.0, ends, np.zeros((1, 1, 1), bool))


@pytest.fixture
def region(make_sacrum):
    volume, bones = make_sacrum()
    return sacrum_region(volume, bones, CONFIG), bones.frame


def test_the_shadow_is_dark_at_the_foramina_and_bright_between(region):
    sacrum, frame = region
    rays = rays_of(LINE, sacrum, frame, Side.LEFT)
    shadow = look_through(image_of(sacrum), sacrum.hull, (rays[0][22:45:22], rays[1][22:45:22]), BESIDE_MM)
    columns = (BESIDE_MM >= 16) & (BESIDE_MM <= 18)
    assert shadow[:, columns].max() < 150.0
    assert shadow[:, BESIDE_MM > 28].min() > 350.0


def test_every_passage_is_found_with_its_room(region, true_mouth):
    sacrum, frame = region
    found = find_passages(image_of(sacrum), sacrum, LINE, frame)
    assert [p.side for p in found] == [Side.LEFT] * 4 + [Side.RIGHT] * 4
    first = found[0]
    ends = sacrum.grid.to_lps(first.ends_index)
    for end, aspect in zip(ends, ("ventral", "dorsal"), strict=True):
        assert np.linalg.norm(end - true_mouth(Side.LEFT, "S1", aspect)) < 6.0
    tube = tube_of(first, sacrum)
    assert (tube <= first.room).all()
    assert tube[tuple(np.round(first.ends_index.mean(axis=0)).astype(int))]


def test_nothing_is_seen_through_what_was_not_scanned(region):
    sacrum, frame = region
    rays = rays_of(LINE, sacrum, frame, Side.LEFT)
    padded = np.where(sacrum.hu < 100.0, np.float32(-1000.0), sacrum.hu)
    image = np.where(padded < -700.0, np.float32(1000.0), padded)
    assert look_through(image, sacrum.hull, (rays[0][22:23], rays[1][22:23]), BESIDE_MM).min() > 350.0


def test_the_axis_goes_on_in_a_long_tail_alone(region):
    sacrum, frame = region
    short = CentreLine(LINE.points_pelvic[:-5])
    assert column_axis(short, sacrum, frame) is short
    long = column_axis(CentreLine(LINE.points_pelvic[:40]), sacrum, frame)
    assert long.points_pelvic[-1, 2] < -40.0
    assert np.abs(long.points_pelvic[:, 0]).max() < 1.5


def test_mouths_that_the_image_does_not_show_are_not_sure(make_sacrum):
    _, bones = make_sacrum(landmarks=True)
    volume, _ = make_sacrum(closed=BLOCKED, landmarks=True)
    found = find_keepouts(volume, bones, CONFIG)
    for f in found.foramina:
        assert (f.confidence <= 0.5) == ((f.side, f.level) in BLOCKED), (f.side, f.level, f.aspect, f.confidence)


def test_a_finding_says_where_the_scan_ends(make_sacrum):
    closed = frozenset((side, "S3") for side in Side)
    volume, bones = make_sacrum(closed=closed, landmarks=True)
    height = volume.grid.to_lps(np.indices(volume.hu.shape).reshape(3, -1).T)[:, 2].reshape(volume.hu.shape)
    padded = Volume(np.where(height < -20.0, -1024, volume.hu).astype(np.int16), volume.grid)
    beyond = find._beyond_scan(padded, bones)
    assert {name[1] for name in beyond} == {"S3"}
    assert not find._beyond_scan(volume, bones)
    empty = find._nothing(bones)
    [message] = {f.message for f in find._not_found(empty, Side.LEFT, beyond)}
    assert message.endswith("Where S3 ventral, S3 dorsal should be, the scan ends.")


@pytest.mark.parametrize(
    ("levels", "end_mm", "counted"),
    [([0, 1, 2, 3], 120.0, (4, 4)), ([0, 1], 120.0, (2, 2)), ([0, 1], 50.0, (3, 2)), ([0, 1, 2, 3, 4], 120.0, (5, 5))],
)
def test_levels_are_counted_where_the_sacrum_goes_on(levels, end_mm, counted):
    axis = CentreLine(np.array([[0.0, 0.0, -z] for z in np.arange(0.0, end_mm)]))
    passages = [passage(side, 15.0 + 20.0 * k) for k in levels for side in Side]
    assert find._counts(passages, [k for k in levels for _ in Side], [], axis) == counted


@pytest.mark.parametrize("followed", [True, False])
def test_an_edge_of_the_labels_is_placed_by_the_image(region, followed):
    sacrum, frame = region
    image = image_of(sacrum)
    first = find_passages(image, sacrum, LINE, frame)[0]
    seen = mouths_of(first, sacrum, LINE, frame, CONFIG)[0]
    axis = seen.centre_lps - np.arange(5)[:, None] * seen.outward_lps if followed else np.zeros((0, 3))
    labels = replace(seen, centre_lps=seen.centre_lps + np.array([0.0, 0.0, 3.0]), width_mm=1.5, axis_lps=axis)
    witness = Witness(sacrum, LINE, frame, CONFIG, image, ((0, first),))
    own, rest = witness.on_passages([labels])
    [mouth] = [m for m in own if m.aspect == seen.aspect]
    np.testing.assert_array_equal(mouth.centre_lps, labels.centre_lps if followed else seen.centre_lps)
    assert mouth.width_mm == (1.5 if followed else seen.width_mm)
    assert mouth.trust > IMAGE_TRUST
    assert not mouth.is_from_image
    assert not rest
