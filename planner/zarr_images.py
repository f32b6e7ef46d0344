"""OME-Zarr and plain zarr as sources of voxels: Hounsfield units in chunks, read where they are asked for.

What is read: the first image of a group with OME-NGFF metadata (0.4 in zarr v2, 0.5 in v3), its finest level; further
axes (time, channel) of length 1 are dropped. Or a plain zarr array with the attribute ``spacing_zyx_mm`` and, if it is
not 0, ``origin_lps_mm``.

Frame: scale and translation place the voxels along the axes z, y, x. NGFF does not say where these point in the
patient, so they are taken as LPS (z cranial, y posterior, x left) and the scan is for review only, unless every space
axis has an ``orientation`` (NGFF RFC 4) such as ``{"type": "anatomical", "value": "inferior-to-superior"}``; the
translation is then along the axis as stored. A chunk that is not there holds the fill value, as zarr has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from planner.errors import GeometryError, NotHounsfieldError, UnreadableFileError
from planner.findings import Finding, Level
from planner.grid import Grid
from planner.raw_images import as_hounsfield
from planner.source import Window

__all__ = ["ZarrSource", "open_zarr"]

MILLIMETRES = {"millimeter": 1.0, "micrometer": 1e-3, "centimeter": 10.0, "meter": 1000.0}
"""Units of length that NGFF names (UDUNITS-2) and CT comes in."""
TOWARDS_LPS = {
    "right-to-left": (1, 0, 0), "left-to-right": (-1, 0, 0), "anterior-to-posterior": (0, 1, 0),
    "posterior-to-anterior": (0, -1, 0), "inferior-to-superior": (0, 0, 1), "superior-to-inferior": (0, 0, -1),
}  # fmt: skip
"""NGFF RFC 4: where an axis points."""
ASSUMED_LPS = {"z": (0, 0, 1), "y": (0, 1, 0), "x": (1, 0, 0)}
"""Where axes without orientation are taken to point."""
SPACING_MM = (0.05, 20.0)
"""Voxel sizes that a CT may have [P]; outside, the unit is wrong."""
SLAB_BYTES = 128 * 2**20
"""Voxels that are unpacked at once: a layer of chunks where it fits, else part of one."""
NUMBERS = "iuf"
"""Kinds of numpy types that may hold Hounsfield units."""

CONVERT = "Write it again with NGFF scale in millimetres and Hounsfield units, or give the DICOM folder."

Json = Mapping[str, Any]


def open_zarr(path: Path) -> tuple[ZarrSource, list[Finding]]:
    """Open a zarr folder as Hounsfield units.

    Returns
    -------
    source : ZarrSource
    findings : list of Finding
        Where unit or orientation had to be assumed.

    Raises
    ------
    UnreadableFileError, GeometryError, NotHounsfieldError
        If it is damaged, is not one 3-D image of known scale, or holds no numbers.
    """
    node = _open(path)
    if isinstance(node, zarr.Array):
        return ZarrSource(_spatial(node, path.name), _plain_grid(node, path.name), path.name), [_assumed_frame()]
    return _open_image(node, path.name)


def _open(path: Path) -> zarr.Array[Any] | zarr.Group:
    try:
        return zarr.open(str(path), mode="r")
    except Exception as error:  # damaged JSON, unknown codecs and absent files each raise their own
        raise _damaged(path.name) from error


def _damaged(file: str) -> UnreadableFileError:
    return UnreadableFileError(f"{file}: found a damaged zarr or an unknown packing, expected zarr v2 or v3.", CONVERT)


def _open_image(group: zarr.Group, file: str) -> tuple[ZarrSource, list[Finding]]:
    attributes: Json = group.attrs.asdict()
    images = attributes.get("ome", attributes)
    try:
        image = images["multiscales"][0]
        axes, level = image["axes"], image["datasets"][0]
        array = group[level["path"]]
    except (KeyError, IndexError, TypeError) as error:
        expected = "expected an OME-Zarr image of version 0.4 or 0.5"
        raise GeometryError(
            f"{file}: found no NGFF multiscales with axes and datasets, {expected}.", CONVERT
        ) from error
    except Exception as error:
        raise _damaged(file) from error
    if not isinstance(array, zarr.Array):
        raise GeometryError(f"{file}: found a group at level {level['path']}, expected an array.", CONVERT)
    grid, findings = _ngff_grid(array, axes, (level, image), file)
    return ZarrSource(_spatial(array, file), grid, file), findings


def _spatial(array: zarr.Array[Any], file: str) -> zarr.Array[Any]:
    """Refuse an array that is not one volume of numbers."""
    extra, space = array.shape[:-3], array.shape[-3:]
    if len(space) < 3 or min(space) < 2 or any(n != 1 for n in extra):
        shape = " x ".join(map(str, array.shape))
        raise GeometryError(f"{file}: found an array of {shape}, expected one 3-D volume.", CONVERT)
    if array.dtype.kind not in NUMBERS:
        raise NotHounsfieldError(f"{file}: found values of type {array.dtype}, expected Hounsfield units.", CONVERT)
    return array


def _shape(array: zarr.Array[Any]) -> tuple[int, int, int]:
    return array.shape[-3], array.shape[-2], array.shape[-1]


def _plain_grid(array: zarr.Array[Any], file: str) -> Grid:
    attributes: Json = array.attrs.asdict()
    if "spacing_zyx_mm" not in attributes:
        what = f"{file}: found an array without NGFF metadata or the attribute spacing_zyx_mm, expected its scale."
        raise GeometryError(what, CONVERT)
    spacing = _three(attributes["spacing_zyx_mm"], file, "spacing_zyx_mm")
    origin = _three(attributes.get("origin_lps_mm", (0.0, 0.0, 0.0)), file, "origin_lps_mm")
    _check_spacing(spacing, file)
    _spatial(array, file)
    return Grid.from_spacing(_shape(array), spacing, origin)


def _ngff_grid(
    array: zarr.Array[Any], axes: Sequence[Json], holders: Sequence[Json], file: str
) -> tuple[Grid, list[Finding]]:
    """Place the voxels by the transformations of the level, then of the image."""
    names = [str(axis.get("name", "")) for axis in axes]
    if len(names) != array.ndim or names[-3:] != ["z", "y", "x"]:
        raise GeometryError(f"{file}: found axes {', '.join(names)}, expected them to end in z, y, x.", CONVERT)
    _spatial(array, file)
    scale, shift = np.ones(3), np.zeros(3)
    for holder in holders:
        for step in holder.get("coordinateTransformations", ()):
            scale, shift = _applied(step, scale, shift, file)
    units, unit_findings = _units(axes[-3:], file)
    directions, frame_findings = _directions(axes[-3:], file)
    spacing = scale * units
    _check_spacing(spacing, file)
    matrix = np.eye(4)
    matrix[:3, :3] = (directions * spacing[:, None]).T
    matrix[:3, 3] = shift * units @ directions
    return Grid(_shape(array), matrix), [*unit_findings, *frame_findings]


def _applied(
    step: Json, scale: NDArray[np.float64], shift: NDArray[np.float64], file: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kind = step.get("type")
    if kind == "scale":
        factor = _three(step.get("scale"), file, "scale")
        return scale * factor, shift * factor
    if kind == "translation":
        return scale, shift + _three(step.get("translation"), file, "translation")
    if kind == "identity":
        return scale, shift
    raise GeometryError(f"{file}: found a transformation {kind}, expected scale and translation.", CONVERT)


def _three(values: Any, file: str, word: str) -> NDArray[np.float64]:
    """Last three of a list of finite numbers."""
    try:
        numbers = np.asarray(values, np.float64)
        valid = numbers.ndim == 1 and len(numbers) >= 3 and bool(np.isfinite(numbers).all())
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise GeometryError(f"{file}: found {word} {values}, expected a number for each axis.", CONVERT)
    return np.asarray(numbers[-3:])


def _check_spacing(spacing_mm: NDArray[np.float64], file: str) -> None:
    low, high = SPACING_MM
    if spacing_mm.min() < low or spacing_mm.max() > high:
        found = " x ".join(f"{mm:g}" for mm in spacing_mm)
        raise GeometryError(f"{file}: found voxels of {found} mm, expected {low:g} to {high:g} mm.", CONVERT)


def _units(axes: Sequence[Json], file: str) -> tuple[NDArray[np.float64], list[Finding]]:
    units = [axis.get("unit") for axis in axes]
    unknown = [str(unit) for unit in units if unit is not None and unit not in MILLIMETRES]
    if unknown:
        raise GeometryError(f"{file}: found unit {unknown[0]}, expected millimeter.", CONVERT)
    scale = np.array([MILLIMETRES[unit or "millimeter"] for unit in units])
    if None not in units:
        return scale, []
    message = "The zarr does not say in which unit its scale is; taken as millimetres."
    return scale, [Finding("assumed-unit", Level.WARN, "both", message)]


def _directions(axes: Sequence[Json], file: str) -> tuple[NDArray[np.float64], list[Finding]]:
    stated = [(axis.get("orientation") or {}).get("value") for axis in axes]
    if None in stated:
        return np.array([ASSUMED_LPS[axis["name"]] for axis in axes], float), [_assumed_frame()]
    known = [TOWARDS_LPS.get(str(value)) for value in stated]
    directions = np.array([direction or (0, 0, 0) for direction in known], float)
    if abs(np.linalg.det(directions)) != 1.0:
        words = ", ".join(map(str, stated))
        raise GeometryError(f"{file}: found axes {words}, expected one along each of the body's.", CONVERT)
    return directions, []


def _assumed_frame() -> Finding:
    message = "The zarr does not say which way its axes point; taken as cranial, posterior, left. Check the sides."
    return Finding("assumed-orientation", Level.REVIEW_ONLY, "both", message)


class ZarrSource:
    """A zarr array as a source of voxels; a layer of chunks is unpacked once for all of its planes.

    Parameters
    ----------
    array : zarr.Array
        Ends in the axes z, y, x.
    grid : Grid
        Where the voxels lie.
    file : str
        Name for messages.
    """

    def __init__(self, array: zarr.Array[Any], grid: Grid, file: str) -> None:
        self._array, self._grid, self._file = array, grid, file
        self._first = (0,) * (array.ndim - 3)

    @property
    def grid(self) -> Grid:
        """As the metadata say."""
        return self._grid

    def planes(self, indices: Sequence[int], window: Window | None = None) -> Iterator[NDArray[np.int16]]:
        """Read planes, a layer of chunks at a time.

        Raises
        ------
        UnreadableFileError
            If a chunk cannot be unpacked.
        NotHounsfieldError
            If a plane has values beyond int16 or not finite.
        """
        _, rows, columns = self._grid.shape_zyx
        cut = window or (slice(0, rows), slice(0, columns))
        plane_bytes = (cut[0].stop - cut[0].start) * (cut[1].stop - cut[1].start) * self._array.dtype.itemsize
        depth = min(self._array.chunks[-3], max(SLAB_BYTES // plane_bytes, 1))
        slab, layer = np.empty((0, 0, 0)), -1
        for k in indices:
            if k // depth != layer:
                layer = k // depth
                wanted = [i for i in indices if i // depth == layer]
                start = wanted[0]
                slab = self._read((*self._first, slice(start, wanted[-1] + 1), *cut))
            yield as_hounsfield(slab[k - start], self._file)

    def _read(self, place: tuple[Any, ...]) -> NDArray[Any]:
        try:
            return np.asarray(self._array[place])
        except Exception as error:  # each codec has exceptions of its own
            raise _damaged(self._file) from error
