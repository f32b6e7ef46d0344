"""Settings of the exports."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ExportConfig"]


class ExportConfig(BaseModel):
    """What is written for other programs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    meshes: tuple[Literal["stl", "ply", "obj"], ...] = ("stl",)
    """Formats of the bones' and implants' surfaces; none leaves `meshes/` out."""

    mesh_mm: Annotated[float, Field(gt=0, le=10)] = 1.5
    """Width of the cells that surfaces are drawn in: about that of a voxel of a clinical CT `[P]`."""

    slicer: bool = True
    """Write `markups/` and `*.seg.nrrd`."""

    dicom: bool = True
    """Write `dicom/`, with the patient's identifiers, into the study of the CT; never for an input that is no DICOM."""

    segmentation: Literal["binary", "labelmap"] = "binary"
    """Kind of the DICOM SEG: `labelmap` is a younger object of a tenth of the frames, which few programs read yet."""
