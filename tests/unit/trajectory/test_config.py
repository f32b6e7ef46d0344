"""Settings: the defaults are those of the clinical notes, and nonsense is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from planner.config import load_config
from planner.errors import ConfigError
from planner.trajectory import TrajectoryConfig
from planner.trajectory.kernel import TERMS


def test_defaults_are_those_of_the_clinical_notes() -> None:
    c = TrajectoryConfig().constraints
    assert (c.neural_mm, c.neural_floor_mm, c.cortex_mm) == (3, 2, 5)
    assert (c.implant_to_margin_mm, c.instrument_to_margin_mm) == (5, 10)
    assert (c.nibble_mm, c.sciatic_notch_mm, c.breach_probability) == (2, 10, 0.05)
    assert (c.axial_deg, c.cranial_tilt_deg) == ((0, 40), (-10, 30))


def test_weights_are_those_of_the_clinical_notes_and_name_every_term() -> None:
    weights = TrajectoryConfig().score.weights
    assert sum(weights.values()) == pytest.approx(1)
    assert set(weights) == set(TERMS)
    assert weights["clearance"] == 0.30
    assert weights["bone_quality"] == 0.05


@pytest.mark.parametrize(
    "values",
    [
        {"constraints": {"neural_mm": 0}},
        {"constraints": {"neural_mm": float("inf")}},
        {"constraints": {"cortex_mm": 10.5}},
        {"constraints": {"no_such": 1}},
        {"constraints": {"breach_rejects": "robotic"}},
        {"score": {"clearance": 0.5}},
        {"score": {"clearance_mm": {"zero": 3, "one": 3}}},
        {"search": {"centre_step_mm": 0.1}},
        {"placement": {"log2_samples": 30}},
    ],
)
def test_nonsense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrajectoryConfig.model_validate(values)


def test_a_file_sets_a_limit_and_a_wrong_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[trajectory.constraints]\nneural_mm = 4.0\n")
    assert load_config(path).trajectory.constraints.neural_mm == 4
    path.write_text("[trajectory.constraints]\nneural = 4.0\n")
    with pytest.raises(ConfigError, match=r"trajectory\.constraints\.neural"):
        load_config(path)
