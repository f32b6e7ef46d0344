from __future__ import annotations

import pytest

from planner.plan import GiveDocument, ImplantDocument, NoPathDocument, ThirdBestDocument
from planner.report import ReportCase
from planner.report.contents import (
    LEVELS,
    STATES,
    c_arm_table,
    candidate_table,
    clearance_table,
    finding_rows,
    joint_table,
    safe_zone_words,
    settings_table,
    side_tone,
    side_words,
)


def words_of(table) -> dict[str, list[str]]:
    return {row[0]: list(row[1:]) for row in table.rows}


def test_findings_come_worst_first_in_words(told: ReportCase) -> None:
    rows = [(tone.word, side) for tone, side, _ in finding_rows(told.document)]
    assert rows == [("REVIEW ONLY", "both"), ("WARNING", "left"), ("note", "both")]


def test_a_sides_state_is_told_in_words_and_not_by_colour_alone(told: ReportCase) -> None:
    left, right = told.document.sides["left"], told.document.sides["right"]
    assert "AMBER" in side_tone(left).word
    assert side_tone(right).word == "NO SAFE PATH"
    unverified = left.model_copy(update={"status": "unverified"})
    assert "NOT VERIFIED" in side_tone(unverified).word
    assert len({tone.word for tone in (*STATES.values(), *LEVELS.values())}) == len(STATES) + len(LEVELS)


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([light(one), light(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("tone", [*LEVELS.values(), *STATES.values()], ids=lambda tone: tone.word[:12])
def test_words_can_be_read_on_their_colour(tone) -> None:
    assert contrast(tone.ink, tone.paper) >= 4.5  # WCAG 2.1, AA


def test_candidates_are_told_with_their_measures(told: ReportCase) -> None:
    words = words_of(candidate_table(told.document.sides["left"]))
    assert words[""] == ["candidate 1"]
    assert words["implant, mm"] == ["8 x 20, GENERIC-DOWEL"]
    assert words["grade, score"] == ["amber, 0.71"]
    assert words["neural clearance (proven)"] == ["4.2 (3.4) mm"]
    assert words["breach, navigated / C-arm"] == ["1.2% / 20.0%"]
    assert words["tip below bone / skin"] == ["28 / 58 mm"]
    assert words["to sagittal / cranial, pelvis"] == ["20° / +0°"]


def test_clearances_come_with_their_witness_points(told: ReportCase) -> None:
    (candidate,) = told.document.sides["left"].candidates
    words = words_of(clearance_table(candidate))
    place = ", ".join(f"{value:.1f}" for value in candidate.clearance["neural"].at_lps_mm)
    assert words["canal and foramina"] == ["4.2", "3.4", place]
    assert "cannula: canal and foramina" in words


def test_the_c_arm_is_told_as_it_is_set(told: ReportCase) -> None:
    card = told.document.sides["left"].fluoroscopy
    words = words_of(c_arm_table(card))
    assert list(words)[1:] == ["AP", "inlet", "outlet", "true lateral", "joint view", "down the implant"]
    assert words["true lateral"][:2] == ["90° left", "0°"]
    assert words["inlet"][1].endswith("feet")
    assert words["outlet"][1].endswith("head")
    assert words["down the implant"][:2] == ["20° right", "0°"]
    assert "safe depth" in safe_zone_words(card)
    assert safe_zone_words(told.document.sides["right"].fluoroscopy) == ""


def test_what_would_have_to_give_and_the_tension_between_thirds_are_told(told: ReportCase) -> None:
    gives = [GiveDocument(constraint="neural", words="a neural margin of 2.4 mm", value=[2.4])]
    nearest = ImplantDocument(id="X", diameter_mm=8, length_mm=20)
    no_path = NoPathDocument(
        binding="neural", reached_mm=2.4, limit_mm=3, nearest=nearest, broken_mm={}, neural_mm=2.4,
        would_have_to_give=gives,
    )  # fmt: skip
    third = ThirdBestDocument(fits=True, articular_share=0.9, score=0.8, clearance_mm=4.0, gap_median_mm=2.0)
    entry = told.document.sides["right"].model_copy(
        update={"no_path": no_path, "thirds_compared": {"middle": third, "inferior": third}}
    )
    words = " ".join(side_words(entry))
    assert "neural-clearance binds." in words
    assert "a neural margin of 2.4 mm" in words
    assert "middle third: a path fits, 90%" in words


def test_the_joint_and_the_settings_are_told(told: ReportCase) -> None:
    assert words_of(joint_table(told.document.sides["left"]))["cut off by the scan"] == ["no"]
    assert joint_table(told.document.sides["left"].model_copy(update={"joint": None})) is None
    words = words_of(settings_table(told.document, told.versions))
    assert words["scan's content, SHA-256"] == ["ab" * 32]
    assert words["sacroplan"] == ["0.1"]
