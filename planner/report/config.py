"""Settings of the report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ReportConfig"]


class ReportConfig(BaseModel):
    """What the report is and what it tells."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    pdf: bool = True
    """Write `report.pdf`."""

    html: bool = True
    """Write `report.html`: 4 to 8 MB, with the CT round the joints in it."""

    paper: Literal["A4", "Letter"] = "A4"
    """Of the PDF."""

    patient: Annotated[str, Field(max_length=120)] = ""
    """Printed on every page if given, for example a name or a number. The report bears no identifier without it."""

    viewer_mm: Annotated[float, Field(ge=0.5, le=4.0)] = 1.0
    """Voxels of the viewer's CT are about this wide: what a screen shows of a joint `[P]`."""
