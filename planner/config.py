"""Settings: one frozen section a stage, read from TOML; an unknown key or a bad value is an error that names it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from planner.errors import ConfigError
from planner.exports.config import ExportConfig
from planner.fluoroscopy.config import FluoroscopyConfig
from planner.injection.config import InjectionConfig
from planner.joint.config import JointConfig
from planner.keepout.config import KeepoutConfig
from planner.lateral.config import LateralConfig
from planner.report.config import ReportConfig
from planner.segmentation.config import SegmentationConfig
from planner.trajectory.config import TrajectoryConfig

__all__ = ["PlanConfig", "load_config"]


class PlanConfig(BaseModel):
    """All settings of a plan, a section a stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segmentation: SegmentationConfig = SegmentationConfig()
    joint: JointConfig = JointConfig()
    keepout: KeepoutConfig = KeepoutConfig()
    trajectory: TrajectoryConfig = TrajectoryConfig()
    lateral: LateralConfig = LateralConfig()
    injection: InjectionConfig = InjectionConfig()
    fluoroscopy: FluoroscopyConfig = FluoroscopyConfig()
    exports: ExportConfig = ExportConfig()
    report: ReportConfig = ReportConfig()


def load_config(path: Path | None) -> PlanConfig:
    """Read a TOML file over the defaults.

    Raises
    ------
    ConfigError
        If the file cannot be read, a key does not exist or a value is out of range.
    """
    if path is None:
        return PlanConfig()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path.name}: not a readable TOML file ({error}).", "Correct or remove it.") from error
    return _validate(path.name, values)


def _validate(name: str, values: dict[str, Any]) -> PlanConfig:
    try:
        return PlanConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{name}: {key} = {first['input']!r}: {first['msg']}.",
            "`sacroplan doctor --config` prints every setting with its default.",
        ) from error
