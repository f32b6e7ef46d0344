"""Readers: a CT, or the result folder of a plan, as napari layer data.

napari's world has the order of array axes: a point is ``(z, y, x)`` in LPS mm, cranial, posterior, left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner import NOTICE
from planner.exports.surfaces import implant_surface
from planner.grid import Grid
from planner.images import image_format, read_labels
from planner.joint import read_joint_ply
from planner.reading import read_scan

__all__ = ["LayerData", "ct_layer", "get_reader", "layer_affine", "read_ct", "read_result"]

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments of the layer, and its kind."""

BONE_WINDOW_HU = (-300.0, 1100.0)
"""Contrast limits that show cortex and marrow apart."""

GAP_LIMITS_MM = (0.0, 6.0)
"""Colour limits of the joint's gap: the articular zone ends at 5 mm."""

ZYX_FROM_XYZ = np.eye(4)[[2, 1, 0, 3]]

GRADE_COLOURS = {"green": "bluish green", "amber": "orange"}
"""Words for the colours of `GRADE_RGB`, which the colour-blind can tell apart (Okabe and Ito)."""

GRADE_RGB = {"green": (0.0, 0.62, 0.45), "amber": (0.90, 0.62, 0.0)}


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Find the reader of a path; None where it is nothing of ours."""
    if isinstance(path, list):
        return None
    place = Path(path)
    if place.name == "plan.json" or (place / "plan.json").is_file():
        return read_result
    return read_ct if place.is_dir() or image_format(place) else None


def read_ct(path: str) -> list[LayerData]:
    """Read a CT as one image layer.

    Raises
    ------
    planner.errors.InputRefusedError
        If the input is refused.
    """
    volume = read_scan(Path(path)).load()
    return [ct_layer("CT", volume.hu, volume.grid)]


def read_result(path: str) -> list[LayerData]:
    """Read the result folder of a plan: bones, keep-outs, both joints and the best implant of each side.

    Raises
    ------
    planner.errors.UnreadableFileError
        If a file of the folder cannot be read.
    """
    folder = Path(path).parent if Path(path).name == "plan.json" else Path(path)
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return [*_label_layers(folder), *_joint_layers(folder), *_implant_layers(plan)]


def layer_affine(grid: Grid) -> NDArray[np.float64]:
    """Map array indices to napari's world, LPS mm in the order z, y, x."""
    affine: NDArray[np.float64] = ZYX_FROM_XYZ @ grid.lps_from_zyx
    return affine


def ct_layer(name: str, hu: NDArray[np.int16], grid: Grid) -> LayerData:
    """Lay a CT out as an image layer in the bone window."""
    facts = {
        "name": name,
        "affine": layer_affine(grid),
        "contrast_limits": BONE_WINDOW_HU,
        "metadata": {"notice": NOTICE},
    }
    return hu, facts, "image"


def _label_layers(folder: Path) -> Iterator[LayerData]:
    for file, name in (("labels.nii.gz", "bones"), ("keepout.nii.gz", "canal and foramina")):
        labels = read_labels(folder / file)
        facts = {"name": name, "affine": layer_affine(labels.grid), "opacity": 0.4, "metadata": {"notice": NOTICE}}
        yield labels.values, facts, "labels"


def _joint_layers(folder: Path) -> Iterator[LayerData]:
    for path in sorted(folder.glob("joint_*.ply")):
        vertices, faces = read_joint_ply(path)
        points = np.stack([vertices[axis] for axis in "zyx"], axis=1).astype(float)
        facts = {
            "name": f"{path.stem.removeprefix('joint_')} joint, gap in mm",
            "colormap": "cividis",
            "contrast_limits": GAP_LIMITS_MM,
            "metadata": {"notice": NOTICE},
        }
        yield (points, faces, vertices["gap_mm"].astype(float)), facts, "surface"


def _implant_layers(plan: dict[str, Any]) -> Iterator[LayerData]:
    for side, entry in plan["sides"].items():
        for candidate in entry["candidates"][:1]:
            grade = candidate["grade"]
            ends = candidate["implant_entry_lps_mm"], candidate["implant_tip_lps_mm"]
            surface = implant_surface(*ends, candidate["implant"]["diameter_mm"])
            points, faces = surface.vertices_lps, surface.faces
            facts = {
                "name": f"{side} implant, {grade} ({GRADE_COLOURS[grade]}), {entry['status']}",
                "vertex_colors": np.tile(GRADE_RGB[grade], (len(points), 1)),
                "metadata": {"notice": NOTICE, "candidate": candidate},
            }
            yield (points[:, ::-1], faces), facts, "surface"
