from __future__ import annotations

import numpy as np
import pytest

from planner.keepout.model import Foramen
from planner.labels import SACRAL_LEVELS, Side
from sample_data.closed_forms import Points
from sample_data.sacral_channels import CANAL, CHANNELS
from sample_data.skeleton import JointSpec, Skeleton, build_skeleton


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return build_skeleton(JointSpec())


@pytest.fixture(scope="module")
def mouths(skeleton: Skeleton) -> dict[tuple[Side, str, str], Foramen]:
    return {(f.side, f.level, f.aspect): f for f in skeleton.mouths()}


def test_there_are_four_pairs_with_two_mouths_each(mouths: dict[tuple[Side, str, str], Foramen]) -> None:
    assert set(mouths) == {(s, level, a) for s in Side for level in SACRAL_LEVELS for a in ("ventral", "dorsal")}


@pytest.mark.parametrize(("level", "width"), [("S1", 8.5), ("S2", 7.5)])
def test_dorsal_widths_are_the_published_ones(
    mouths: dict[tuple[Side, str, str], Foramen], level: str, width: float
) -> None:
    assert mouths[Side.LEFT, level, "dorsal"].width_mm == width


@pytest.mark.parametrize(("upper", "lower", "apart"), [("S1", "S2", 14.2), ("S2", "S3", 12.8)])
def test_dorsal_mouths_lie_the_published_distance_apart(
    mouths: dict[tuple[Side, str, str], Foramen], upper: str, lower: str, apart: float
) -> None:
    a, b = mouths[Side.LEFT, upper, "dorsal"], mouths[Side.LEFT, lower, "dorsal"]
    edges = np.linalg.norm(a.centre_lps - b.centre_lps) - (a.width_mm + b.width_mm) / 2
    assert edges == pytest.approx(apart, abs=0.7)


def test_mouths_lie_on_the_closed_bones_surface(
    skeleton: Skeleton, mouths: dict[tuple[Side, str, str], Foramen]
) -> None:
    places = Points.of([f.centre_lps for f in mouths.values()])
    assert np.abs(skeleton.outer_sacrum(places)).max() < 0.15


def test_right_mouths_mirror_the_left_ones(mouths: dict[tuple[Side, str, str], Foramen]) -> None:
    for (side, level, aspect), mouth in mouths.items():
        twin = mouths[side.other, level, aspect]
        assert mouth.centre_lps == pytest.approx(twin.centre_lps * (-1, 1, 1), abs=0.1)
        assert np.sign(mouth.centre_lps[0]) == side.lateral_x


def test_ventral_mouths_lie_before_dorsal_ones_and_levels_run_caudally(
    mouths: dict[tuple[Side, str, str], Foramen],
) -> None:
    ventral = np.array([mouths[Side.LEFT, level, "ventral"].centre_lps for level in SACRAL_LEVELS])
    dorsal = np.array([mouths[Side.LEFT, level, "dorsal"].centre_lps for level in SACRAL_LEVELS])
    assert (ventral[:, 1] < dorsal[:, 1] - 10).all()
    assert (np.diff(ventral[:, 2]) < -10).all()
    assert (np.diff(dorsal[:, 2]) < -10).all()


@pytest.mark.parametrize("level", SACRAL_LEVELS)
def test_every_channel_leads_from_the_canal_to_both_mouths(
    skeleton: Skeleton, mouths: dict[tuple[Side, str, str], Foramen], level: str
) -> None:
    channel = CHANNELS[level]
    assert CANAL.distance(Points.of([channel.root]))[0] < 0
    for aspect in ("ventral", "dorsal"):
        end = mouths[Side.LEFT, level, aspect].centre_lps
        way = np.linspace(channel.junction, end, 40)
        assert (skeleton.sacrum(Points.of(way)) > 1.0).all()
    inner = np.linspace(channel.root, channel.junction, 40)
    assert (skeleton.sacrum(Points.of(inner)) > 1.0).all()


def test_a_filled_foramen_has_no_mouth_and_is_bone() -> None:
    skeleton = build_skeleton(JointSpec(filled=frozenset({(Side.LEFT, "S2")})))
    named = {(f.side, f.level) for f in skeleton.mouths()}
    assert (Side.LEFT, "S2") not in named
    assert (Side.RIGHT, "S2") in named
    junction = Points.of([CHANNELS["S2"].junction])
    assert skeleton.sacrum(junction)[0] < -2
    assert skeleton.sacrum(Points(-junction.x, junction.y, junction.z))[0] > 1
