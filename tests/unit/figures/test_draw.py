from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from planner import NOTICE
from planner.figures import FigureCase, draw_figures
from planner.figures.gap_map import footprint, lateral_plane
from planner.figures.model import Cylinder
from planner.figures.planes import Plane, compass
from planner.figures.sections import across_joint
from planner.figures.words import heading, lines, summary
from planner.labels import Side
from planner.trajectory.model import SidePlan

PLANNED = ["sheet", "axial", "along_implant", "down_the_implant", "gap_map"]


def chunks(png: bytes) -> Iterator[str]:
    place = 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        yield png[place + 4 : place + 8].decode()
        place += 12 + length


Words = dict[str, list[tuple[str, tuple[float, float]]]]


def draw_and_read(case: FigureCase, folder: Path) -> tuple[list[Path], Words]:
    """Draw, and give the words of every figure with their places."""
    words: Words = {}
    save = Figure.savefig

    def spy(figure: Figure, path: Path, **options: Any) -> None:
        texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
        words[Path(path).stem] = [(text.get_text().replace("\n", " "), text.get_position()) for text in texts]
        save(figure, path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", spy)
        return draw_figures(case, folder), words


@pytest.fixture(scope="module")
def read(case: FigureCase, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Words]:
    return draw_and_read(case, tmp_path_factory.mktemp("case") / "figures")


@pytest.fixture
def drawn(read: tuple[list[Path], Words]) -> list[Path]:
    return read[0]


@pytest.fixture
def words(read: tuple[list[Path], Words]) -> Words:
    return read[1]


def test_every_figure_is_drawn_cover_first(drawn: list[Path]) -> None:
    expected = ["cover", "overview", *(f"{side}_{name}" for side in Side for name in PLANNED)]
    assert [path.stem for path in drawn] == sorted(expected)
    assert all(path.stat().st_size > 10_000 for path in drawn)


def test_the_same_case_gives_the_same_bytes(case: FigureCase, drawn: list[Path], tmp_path: Path) -> None:
    again = draw_figures(case, tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in drawn]


def test_no_date_and_no_version_is_written_into_a_picture(drawn: list[Path]) -> None:
    for path in drawn:
        assert not {"tEXt", "iTXt", "zTXt", "tIME"} & set(chunks(path.read_bytes())), path.name


def test_every_figure_bears_the_notice_and_each_side_its_name(words: Words) -> None:
    for name, said in words.items():
        assert any(word.startswith(NOTICE) for word, _ in said), name
    for side in Side:
        for picture in PLANNED:
            heading = f"{side.value.upper()} sacroiliac joint"
            assert any(heading in word for word, _ in words[f"{side}_{picture}"])


@pytest.mark.parametrize("side", list(Side))
def test_axial_slices_have_r_on_the_left_and_a_on_top(words: Words, side: Side) -> None:
    places = {letter: [at for word, at in words[f"{side}_axial"] if word == letter] for letter in "RLAP"}
    assert {letter: len(found) for letter, found in places.items()} == {"R": 4, "L": 4, "A": 4, "P": 4}
    assert max(x for x, _ in places["R"]) < 0.1 < 0.9 < min(x for x, _ in places["L"])
    assert max(y for _, y in places["P"]) < 0.1 < 0.9 < min(y for _, y in places["A"])


def test_a_side_without_a_path_shows_the_anatomy_and_the_reason(
    make_case: Callable[..., FigureCase], tmp_path: Path
) -> None:
    reason = "Neural clearance binds: 2.1 mm reached, 3 mm needed."
    plans = {
        Side.LEFT: SidePlan(Side.LEFT, "no-safe-path", reason, (), {"neural-clearance": 9}),
        Side.RIGHT: SidePlan(Side.RIGHT, "not-planned", "The scan cuts the joint off.", (), {}),
    }
    drawn, words = draw_and_read(make_case(plans), tmp_path)
    names = ["cover", "overview", *(f"{side}_{name}" for side in Side for name in ("sheet", "axial", "gap_map"))]
    assert [path.stem for path in drawn] == sorted(names)
    assert ("NO SAFE PATH") in [word for word, _ in words["left_axial"]]
    assert any(reason in word for word, _ in words["left_axial"])
    assert any("The scan cuts the joint off." in word for word, _ in words["cover"])


def test_a_side_whose_joint_was_not_found_is_still_drawn(make_case: Callable[..., FigureCase], tmp_path: Path) -> None:
    plans = {Side.RIGHT: SidePlan(Side.RIGHT, "not-planned", "No joint.", (), {})}
    drawn = draw_figures(make_case(plans, sides=()), tmp_path)
    names = ["cover", "overview", *(f"{side}_{name}" for side in Side for name in ("sheet", "axial"))]
    assert [path.stem for path in drawn] == sorted(names)


@pytest.mark.parametrize("side", list(Side))
def test_the_gap_map_is_seen_from_the_patients_own_side(case: FigureCase, side: Side) -> None:
    plane = lateral_plane(case, case.joints[side])
    towards_viewer = np.cross(plane.right_lps, plane.up_lps)
    assert compass(towards_viewer) == ("L" if side is Side.LEFT else "R")
    assert compass(plane.up_lps) == "S"
    assert compass(plane.right_lps) == ("P" if side is Side.LEFT else "A")


def test_an_implants_shadow_is_a_rectangle_from_the_side_and_a_circle_from_the_end() -> None:
    implant = Cylinder(np.array([0, 10.0, 0]), np.array([0, -10.0, 0]), 4.0)
    up = np.array([0, 0, 1.0])
    side_on = footprint(implant, Plane(np.zeros(3), np.array([0, 1.0, 0]), up, (20.0, 20.0)))
    assert np.ptp(side_on, axis=0) == pytest.approx([20.0, 8.0], rel=0.01)
    end_on = footprint(implant, Plane(np.zeros(3), np.array([1.0, 0, 0]), up, (20.0, 20.0)))
    assert np.linalg.norm(end_on, axis=1) == pytest.approx(4.0)


@pytest.mark.parametrize("side", list(Side))
def test_the_direction_across_the_joint(case: FigureCase, side: Side) -> None:
    across = across_joint(case, side, case.implants()[side])
    np.testing.assert_allclose(across, [1.0, 0.0, 0.0], atol=1e-9)


def test_words_say_side_state_numbers_and_reason(make_case: Callable[..., FigureCase], case: FigureCase) -> None:
    above = heading(case, Side.LEFT, "axial slices")
    assert above.title == "LEFT sacroiliac joint: axial slices"
    assert above.state == "Plan proposed, amber (smallest clearance 3 to 5 mm)"
    told = " ".join(lines(case, Side.LEFT))
    for part in (
        "8 x 20 mm",
        "middle third",
        "60 %",
        "canal and foramina 4.2 (proven 3.9)",
        "ventral sacral cortex 18.0",
    ):
        assert part in told
    assert "skin" not in told  # its depth is not known in this case
    plans = {
        Side.LEFT: SidePlan(Side.LEFT, "unverified", "S3 dorsal was not found.", case.plans[Side.LEFT].candidates, {})
    }
    unverified = make_case(plans)
    assert "NOT VERIFIED" in heading(unverified, Side.LEFT, "x").state
    assert lines(unverified, Side.LEFT)[-1] == "Not verified: S3 dorsal was not found."
    assert summary(unverified, Side.RIGHT) == "not planned."
    assert "2.0 mm" in lines(unverified, Side.RIGHT)[1]
