"""Canal and foramina of a block whose channels are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from planner.keepout.config import KeepoutConfig
from planner.keepout.find import find_keepouts
from planner.labels import SACRAL_LEVELS, Keepout, Label, Side, foramen_value
from planner.volume import LabelMap

CONFIG = KeepoutConfig()


@pytest.mark.parametrize("rotation_deg", [(0.0, 0.0, 0.0), (14.0, 6.0, -8.0), (0.0, 0.0, 180.0)])
def test_every_mouth_is_found_where_it_is(make_sacrum, search, true_mouth, rotation_deg):
    found = search(*(make_sacrum(rotation_deg=rotation_deg) if any(rotation_deg) else make_sacrum()))
    turn = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix()
    assert len(found.foramina) == 16
    for f in found.foramina:
        assert np.linalg.norm(f.centre_lps - turn @ true_mouth(f.side, f.level, f.aspect)) < 2.0
        assert abs(f.width_mm - (10.0 if f.aspect == "ventral" else 7.0)) < 2.5
        assert f.confidence > 0.9
    assert not found.missing(Side.LEFT)
    assert "foramen-not-found" not in [f.code for f in found.findings]


def test_thick_slices_find_the_same(make_sacrum):
    found = find_keepouts(*make_sacrum(spacing_zyx_mm=(3.0, 1.0, 1.0)), CONFIG)
    assert not found.missing(Side.LEFT)
    assert not found.missing(Side.RIGHT)


@pytest.mark.parametrize("closed", [{(Side.LEFT, "S1")}, {(Side.RIGHT, "S2")}, {(Side.LEFT, "S3"), (Side.RIGHT, "S1")}])
def test_closed_foramen_is_reported_and_never_invented(make_sacrum, closed):
    found = find_keepouts(*make_sacrum(closed=frozenset(closed)), CONFIG)
    for side in Side:
        levels = [level for s, level in closed if s is side]
        wanted = tuple(f"{level} {aspect}" for level in levels for aspect in ("ventral", "dorsal"))
        assert found.missing(side) == wanted
        for level in levels:
            assert not (found.mask.values == foramen_value(side, level)).any()
    codes = [(f.code, f.side) for f in found.findings]
    assert {s for c, s in codes if c == "foramen-not-found"} == {side.value for side, _ in closed}


def test_level_closed_on_both_sides_keeps_the_names_of_the_others(make_sacrum):
    closed = frozenset({(Side.LEFT, "S1"), (Side.RIGHT, "S1")})
    found = find_keepouts(*make_sacrum(closed=closed, landmarks=True), CONFIG)
    assert {f.level for f in found.foramina} == {"S2", "S3", "S4"}


def test_mask_covers_the_channels_and_spares_the_bone(make_sacrum, search, true_mouth):
    volume, bones = make_sacrum()
    found = search(volume, bones)
    values = found.mask.values
    for side in Side:
        for level in SACRAL_LEVELS:
            ends = [true_mouth(side, level, aspect) for aspect in ("ventral", "dorsal")]
            inner = [np.array([side.lateral_x * 15.0, 4.0, e[2]]) for e in ends]
            path = np.vstack([np.linspace(a, b, 12)[:-1] for a, b in zip(inner, ends, strict=True)])
            index = np.round(volume.grid.to_index(path)).astype(int)
            at = values[tuple(index.T)]
            assert (at > 0).all()
            assert set(np.unique(at)) <= {foramen_value(side, level), Keepout.CANAL}
    assert ((values > 0) & (bones.labels.values == Label.SACRUM)).mean() < 0.002


def test_canal_line_runs_down_the_canal(make_sacrum, search):
    found = search(*make_sacrum())
    assert found.canal_lps[0, 2] > 35
    assert found.canal_lps[-1, 2] < -35
    assert np.abs(found.canal_lps[:, 0]).max() < 1.5
    assert np.abs(found.canal_lps[:, 1] - 4.0).max() < 1.5


def test_sides_are_the_patients(make_sacrum, search):
    found = search(*make_sacrum())
    for f in found.foramina:
        assert f.centre_lps[0] * f.side.lateral_x > 10


def test_solid_block_has_neither_canal_nor_foramina(make_sacrum):
    volume, bones = make_sacrum()
    solid = np.zeros_like(bones.labels.values)
    solid[20:-20, 20:-20, 20:-20] = Label.SACRUM
    found = find_keepouts(volume, replace_labels(bones, solid), CONFIG)
    assert not found.foramina
    assert not found.mask.values.any()
    assert [f.code for f in found.findings] == ["canal-not-found", "foramen-not-found", "foramen-not-found"]


def test_no_sacrum_is_no_error(make_sacrum):
    volume, bones = make_sacrum()
    found = find_keepouts(volume, replace_labels(bones, np.zeros_like(bones.labels.values)), CONFIG)
    assert found.missing(Side.LEFT)
    assert found.canal_lps.shape == (0, 3)


def test_two_pairs_make_a_transitional_vertebra_likely_only_when_whole(make_sacrum):
    closed = frozenset((side, level) for side in Side for level in ("S3", "S4"))
    found = find_keepouts(*make_sacrum(closed=closed), CONFIG)
    assert "transitional-vertebra" in [f.code for f in found.findings]
    volume, bones = make_sacrum(closed=closed)
    box = (slice(20, bones.labels.values.shape[0]), slice(0, 80), slice(0, 116))
    cut = find_keepouts(volume.crop(box), replace_labels(bones, None, bones.labels.crop(box)), CONFIG)
    assert len({f.level for f in cut.foramina}) == 2
    assert "transitional-vertebra" not in [f.code for f in cut.findings]


def test_same_input_same_bytes(make_sacrum, search):
    first, second = search(*make_sacrum()), find_keepouts(*make_sacrum(), CONFIG)
    assert first.mask.values.tobytes() == second.mask.values.tobytes()
    assert [f.centre_lps.tobytes() for f in first.foramina] == [f.centre_lps.tobytes() for f in second.foramina]


def replace_labels(bones, values, labels=None):
    return replace(bones, labels=labels or LabelMap(values, bones.labels.grid))


def test_a_mouth_whose_channel_is_not_in_the_mask_is_no_finding(make_sacrum, monkeypatch):
    from planner.keepout import find

    lost = foramen_value(Side.LEFT, "S2")
    painted = find.on_scan
    monkeypatch.setattr(find, "on_scan", lambda *a: np.where(painted(*a) == lost, 0, painted(*a)).astype(np.uint8))
    found = find_keepouts(*make_sacrum(), CONFIG)
    assert found.missing(Side.LEFT) == ("S2 ventral", "S2 dorsal")
    assert found.missing(Side.RIGHT) == ()
