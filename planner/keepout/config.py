"""Settings of the keep-out stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["KeepoutConfig"]


class KeepoutConfig(BaseModel):
    """How the sacral canal and the foramina are found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spacing_mm: float = Field(default=1.0, ge=0.5, le=2.0)
    """Voxel of the isotropic region that is searched `[P]`."""
