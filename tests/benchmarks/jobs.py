"""The table of jobs: each kernel of this program beside what a user would reach for instead.

Every tool of a job gives the same result, within the job's tolerance; all run on one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cc3d
import edt
import numpy as np
import SimpleITK
from scipy import ndimage
from skimage import measure, morphology, segmentation

from planner.backends.gpu import find_card
from planner.cells import BONE_HU, count_cells
from planner.dicom.voxels import _to_hounsfield
from planner.distance import distance_within
from planner.figures.planes import Plane
from planner.figures.render import cast_bones
from planner.fluoroscopy import Absorber, Beam, FluoroscopyConfig, take_radiograph
from planner.fluoroscopy.angles import Angles
from planner.joint.label_distance import label_distance, resample
from planner.keepout.enclosure import FORAMEN_AXES, ring_steps, ringed
from planner.labels import Label
from planner.segmentation.border import _peel
from planner.segmentation.carving import _carve
from planner.segmentation.flood import LEVELS, flood
from planner.segmentation.model import PelvicFrame
from planner.segmentation.profiles import NO_DATA, _read
from planner.segmentation.rasterise import fill_surface
from planner.segmentation.voxels import tidy
from planner.source import ArraySource, read_box

from benchmarks.profiles_job import fit_by_kernel, fit_by_scipy
from benchmarks.scene import SPACING_MM, Scene, scene
from benchmarks.search_job import SOLVERS, best_paths

__all__ = ["JOBS", "OURS", "Job"]

OURS, GPU = "sacroplan", "GPU"
SEVEN = ndimage.generate_binary_structure(3, 1)
SOFT_HU, FLOOD_HU = 150.0, (150.0, 1200.0)
REACH_MM, JOINT_MM = 6.0, 18.0
Tool = Callable[[], Any]


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes
    ----------
    name : str
        What is done.
    rivals : tuple of str
        Whom it is timed beside.
    tools : callable
        Gives a function for each of them and for us; what it prepares is not timed.
    agree : callable
        How far our result and a rival's are apart.
    tolerance : float
        Largest `agree` that counts as the same.
    """

    name: str
    rivals: tuple[str, ...]
    tools: Callable[[], Mapping[str, Tool]]
    agree: Callable[[Any, Any], float]
    tolerance: float = 0.0


def worst(ours: Any, theirs: Any) -> float:
    return float(np.abs(np.asarray(ours, float) - np.asarray(theirs, float)).max())


def share_apart(ours: Any, theirs: Any) -> float:
    return float(np.mean(np.asarray(ours) != np.asarray(theirs)))


def median_apart(ours: Any, theirs: Any) -> float:
    return float(np.median(np.abs(ours - theirs)))


def image_of(array: Any, s: Scene) -> Any:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing([float(mm) for mm in s.grid.spacing_zyx_mm[::-1]])
    return image


def words_turned() -> Mapping[str, Tool]:
    words = (scene().volume.hu.reshape(-1, scene().volume.hu.shape[2]) + 1024).astype(np.uint16)
    table = np.clip(np.arange(65536) - 1024, -32768, 32767).astype(np.int16)
    return {OURS: lambda: _to_hounsfield(words, table), "numpy": lambda: np.take(table, words)}


def gaps_fitted() -> Mapping[str, Tool]:
    return {OURS: fit_by_kernel(), "scipy": fit_by_scipy()}


def surface_filled() -> Mapping[str, Tool]:
    s = scene()

    def ours() -> Any:
        whole = np.zeros(s.grid.shape_zyx, bool)
        inside, box = fill_surface(s.vertices_lps, s.faces, s.grid)
        whole[box] = inside
        return whole

    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy

    points, cells, surface = vtk.vtkPoints(), vtk.vtkCellArray(), vtk.vtkPolyData()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(s.grid.to_index(s.vertices_lps)[:, ::-1]), deep=1))
    ids = np.hstack([np.full((len(s.faces), 1), 3), s.faces]).astype(np.int64)
    cells.ImportLegacyFormat(numpy_to_vtkIdTypeArray(ids.ravel(), deep=1))
    surface.SetPoints(points)
    surface.SetPolys(cells)

    def by_vtk() -> Any:
        stencil, image = vtk.vtkPolyDataToImageStencil(), vtk.vtkImageStencilToImage()
        stencil.SetInputData(surface)
        stencil.SetOutputWholeExtent(*(e for n in s.grid.shape_zyx[::-1] for e in (0, n - 1)))
        image.SetInputConnection(stencil.GetOutputPort())
        image.SetInsideValue(1)
        image.SetOutputScalarTypeToUnsignedChar()
        image.Update()
        scalars = image.GetOutput().GetPointData().GetScalars()
        return vtk_to_numpy(scalars).reshape(s.grid.shape_zyx).astype(bool)

    return {OURS: ours, "VTK": by_vtk}


def profiles_read() -> Mapping[str, Tool]:
    s = scene()
    rng = np.random.default_rng(0)
    size = (np.array(s.grid.shape_zyx) - 1) * s.grid.spacing_zyx_mm
    points = s.grid.origin_lps_mm + (rng.uniform(0.2, 0.8, (20000, 3)) * size)[:, ::-1]
    normals = rng.normal(size=points.shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets = np.arange(-10, 11) * 0.75

    def by_scipy() -> Any:
        along = points[:, None] + offsets[None, :, None] * normals[:, None]
        index = np.moveaxis(s.grid.to_index(along), -1, 0)
        return ndimage.map_coordinates(s.volume.hu, index, output=np.float32, order=1)

    start = s.grid.to_index(points)
    direction = s.grid.to_index(points + normals) - start
    card = find_card()
    by_card = {GPU: lambda: card.read(s.volume, start, direction, offsets, NO_DATA)} if card else {}

    def ours() -> Any:
        found = np.empty((len(start), len(offsets)), np.float32)
        _read(s.volume.hu, start, direction, offsets, found)
        return found

    return {OURS: ours, "scipy": by_scipy, **by_card}


def cells_counted() -> Mapping[str, Tool]:
    s = scene()
    hu = s.volume.hu
    step = count_cells(ArraySource(s.volume))
    size = tuple(np.rint(step.grid.spacing_zyx_mm / s.grid.spacing_zyx_mm).astype(int).tolist())

    def by_skimage() -> Any:
        bone = measure.block_reduce(hu > BONE_HU, size, np.sum)
        measure.block_reduce(hu, size, np.min)
        measure.block_reduce(hu, size, np.max)
        np.bincount(hu.ravel().astype(np.int32) + 32768, minlength=65536)
        return bone

    return {OURS: lambda: count_cells(ArraySource(s.volume)).bone, "scikit-image": by_skimage}


def blocks_averaged() -> Mapping[str, Tool]:
    s = scene()
    even = tuple(n // 2 * 2 for n in s.grid.shape_zyx)
    box = (slice(0, even[0]), slice(0, even[1]), slice(0, even[2]))
    part = np.ascontiguousarray(s.volume.hu[box])
    image = SimpleITK.GetImageFromArray(part)

    def by_sitk() -> Any:
        return SimpleITK.GetArrayFromImage(SimpleITK.BinShrink(image, [2, 2, 2]))

    return {
        OURS: lambda: read_box(ArraySource(s.volume), box, (2, 2, 2)).hu,
        "scikit-image": lambda: np.floor(measure.block_reduce(part, (2, 2, 2), np.mean) + 0.5).astype(np.int16),
        "SimpleITK": by_sitk,
    }


def shared_by_brightness() -> Mapping[str, Tool]:
    s = scene()
    low, high = FLOOD_HU
    level = np.clip((s.volume.hu - low) * (LEVELS - 1) / (high - low), 0, LEVELS - 1).astype(np.uint8)
    dark, mask = LEVELS - 1 - level, s.bright | (s.seeds > 0)
    markers = np.where(mask, s.seeds, 99).astype(np.uint8)
    relief, marked = SimpleITK.GetImageFromArray(dark), SimpleITK.GetImageFromArray(markers)

    def by_sitk() -> Any:
        grown = SimpleITK.MorphologicalWatershedFromMarkers(relief, marked, markWatershedLine=False)
        labels = SimpleITK.GetArrayFromImage(grown)
        return np.where(mask & (labels < 99), labels, 0)

    return {
        OURS: lambda: flood(s.volume.hu, s.seeds, s.bright, FLOOD_HU),
        "scikit-image": lambda: segmentation.watershed(dark, s.seeds.astype(np.int32), mask=mask),
        "SimpleITK": by_sitk,
    }


def border_settled() -> Mapping[str, Tool]:
    """One layer of it."""
    s = scene()
    hu, fat = s.volume.hu, ndimage.grey_dilation(s.labels.values, footprint=SEVEN)
    limits, hold = np.array([40.0, 1200.0, 0.4]), np.zeros(fat.shape, bool)
    core = np.zeros(fat.shape, bool)
    core[1:-1, 1:-1, 1:-1] = True

    def ours() -> Any:
        labels = fat.copy()
        _peel(hu, labels, hold, np.array([1, 1, 1]), limits)
        return labels

    def by_scipy() -> Any:
        rim = (fat > 0) & (fat <= Label.RIGHT_HIP) & core & ndimage.binary_dilation(fat == 0, SEVEN)
        peak = np.full(fat.shape, limits[0])
        for label in (Label.SACRUM, Label.LEFT_HIP, Label.RIGHT_HIP):
            own = ndimage.maximum_filter(np.where(fat == label, hu, -32768), 3)
            peak = np.where(fat == label, np.maximum(peak, own), peak)
        dark = hu < limits[0] + limits[2] * (np.minimum(peak, limits[1]) - limits[0])
        return np.where(rim & dark, 0, fat)

    return {OURS: ours, "scipy": by_scipy}


def carved() -> Mapping[str, Tool]:
    s = scene()
    grown = ndimage.grey_dilation(s.labels.values, footprint=SEVEN)
    fat = np.where(s.labels.values > 0, grown, ndimage.grey_dilation(grown, footprint=SEVEN)).astype(np.uint8)
    hu, limits = s.volume.hu, np.array([SOFT_HU, np.inf, 1e9])

    def ours() -> Any:
        labels = fat.copy()
        _carve(hu, labels, s.grid.spacing_zyx_mm, limits, 1)
        return labels

    def by_scipy() -> Any:
        soft = hu < SOFT_HU
        reached = ndimage.binary_propagation(soft & (fat == 0), structure=SEVEN, mask=soft)
        return np.where(reached, 0, fat)

    def by_skimage() -> Any:
        soft = hu < SOFT_HU
        seed = (soft & (fat == 0)).astype(np.uint8)
        reached = morphology.reconstruction(seed, soft.astype(np.uint8), footprint=SEVEN)
        return np.where(reached > 0, 0, fat)

    return {OURS: ours, "scipy": by_scipy, "scikit-image": by_skimage}


def crumbs_dropped() -> Mapping[str, Tool]:
    s = scene()
    labels = s.labels.values.copy()
    rng = np.random.default_rng(1)
    for z, y, x in rng.integers(5, np.array(labels.shape) - 5, (400, 3)):
        labels[z, y, x] = Label.SACRUM

    def by(label: Callable[[Any], Any]) -> Any:
        result = np.zeros_like(labels)
        for value in np.unique(labels[labels > 0]):
            box = ndimage.find_objects((labels == value).astype(np.uint8))[0]
            mask = labels[box] == value
            parts = label(mask)
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            kept = ndimage.binary_fill_holes((sizes >= 0.01 * sizes.max())[parts] & mask)
            result[box][kept & (mask | (labels[box] == 0))] = value
        return result

    return {
        OURS: lambda: tidy(labels),
        "scipy": lambda: by(lambda mask: ndimage.label(mask, np.ones((3, 3, 3)))[0]),
        "scikit-image": lambda: by(lambda mask: measure.label(mask, connectivity=3)),
        "cc3d": lambda: by(lambda mask: cc3d.connected_components(mask, connectivity=26)),
    }


def distance_of_label() -> Mapping[str, Tool]:
    s = scene()
    mask, spacing = s.labels.values == Label.SACRUM, s.grid.spacing_zyx_mm
    half = np.float32(0.5 * spacing.min())
    image = image_of(mask.astype(np.uint8), s)

    def as_far_as(distance: Any) -> Any:
        return np.clip(distance, half - JOINT_MM, JOINT_MM - half)

    def by_scipy() -> Any:
        inside = ndimage.distance_transform_edt(mask, spacing)
        outside = ndimage.distance_transform_edt(~mask, spacing)
        return as_far_as(np.where(mask, half - inside, outside - half))

    def by_sitk() -> Any:
        away = SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
        inside = SimpleITK.SignedMaurerDistanceMap(1 - image, squaredDistance=False, useImageSpacing=True)
        out, back = SimpleITK.GetArrayFromImage(away), SimpleITK.GetArrayFromImage(inside)
        return as_far_as(np.where(mask, half - back, out - half))

    return {OURS: lambda: label_distance(mask, s.grid, JOINT_MM), "scipy": by_scipy, "SimpleITK": by_sitk}


def distance_nearby() -> Mapping[str, Tool]:
    s = scene()
    mask = np.ascontiguousarray(s.labels.values == Label.SACRUM)
    spacing = tuple(float(mm) for mm in s.grid.spacing_zyx_mm)
    image = image_of(mask.astype(np.uint8), s)

    def by_sitk() -> Any:
        away = SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
        return np.clip(SimpleITK.GetArrayFromImage(away), 0, REACH_MM)

    return {
        OURS: lambda: distance_within(mask, s.grid.spacing_zyx_mm, REACH_MM),
        "edt": lambda: np.minimum(edt.edt(~mask, anisotropy=spacing, black_border=False, parallel=1), REACH_MM),
        "scipy": lambda: np.minimum(ndimage.distance_transform_edt(~mask, spacing), REACH_MM),
        "SimpleITK": by_sitk,
    }


def field_resampled() -> Mapping[str, Tool]:
    s = scene()
    box = tuple(slice(n // 4, 3 * n // 4) for n in s.grid.shape_zyx)
    coarse = s.grid.crop((box[0], box[1], box[2]))
    field = np.ascontiguousarray(s.volume.hu[box].astype(np.float32))
    fine = coarse.resampled(0.8)
    image, shape = image_of(field, s), [int(n) for n in fine.shape_zyx[::-1]]

    def by_sitk() -> Any:
        found = SimpleITK.Resample(image, shape, SimpleITK.Transform(), SimpleITK.sitkLinear, (0.0,) * 3, (0.8,) * 3)
        return SimpleITK.GetArrayFromImage(found)

    return {OURS: lambda: resample(field, coarse, fine), "SimpleITK": by_sitk}


def tunnels_told() -> Mapping[str, Tool]:
    s = scene()
    bone = s.labels.values == Label.SACRUM
    box = ndimage.find_objects(bone.astype(np.uint8))[0]
    bone = np.ascontiguousarray(bone[box])
    points = np.argwhere(~bone)[::40]
    rings = ring_steps(FORAMEN_AXES, np.eye(4), np.eye(3)[::-1])
    reach = 12

    def by_scipy() -> Any:
        met = np.zeros((len(points), *rings.shape[:2]), bool)
        for k in range(1, reach + 1):
            index = np.moveaxis(points[:, None, None] + k * rings, -1, 0)
            met |= ndimage.map_coordinates(bone, np.floor(index + 0.5), output=np.uint8, order=0) > 0
        return ((~met).sum(axis=2) <= 1).any(axis=1)

    return {OURS: lambda: ringed(bone, points, rings, reach, 1), "scipy": by_scipy}


def relief_drawn() -> Mapping[str, Tool]:
    s = scene()
    middle = s.grid.to_lps((np.array(s.grid.shape_zyx) - 1) / 2)
    half = tuple((np.array(s.grid.shape_zyx) * s.grid.spacing_zyx_mm / 2)[[2, 0]].tolist())
    depth = float(s.grid.shape_zyx[1] * s.grid.spacing_zyx_mm[1])
    start = middle + np.array([0.0, depth / 2, 0.0])
    plane = Plane(start, np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]), half, 1.0)

    def by_scipy() -> Any:
        bone = (s.labels.values > 0).astype(np.float32)
        found, before = np.full(plane.points_lps().shape[:2], np.nan), np.zeros(plane.points_lps().shape[:2])
        for n in range(int(depth)):
            index = np.moveaxis(s.grid.to_index(plane.points_lps() + np.array([0.0, -n, 0.0])), -1, 0)
            share = ndimage.map_coordinates(bone, index, order=1)
            met = np.isnan(found) & (share >= 0.5)
            found[met] = (n - (share - 0.5) / np.maximum(share - before, 1e-6))[met]
            before = share
        return np.nan_to_num(found, nan=-1.0)

    def ours() -> Any:
        return np.nan_to_num(cast_bones(s.labels, plane, depth).depth_mm, nan=-1.0)

    return {OURS: ours, "scipy": by_scipy}


def radiograph_taken() -> Mapping[str, Tool]:
    s = scene()
    middle = s.grid.to_lps((np.array(s.grid.shape_zyx) - 1) / 2)
    config = FluoroscopyConfig(pixels=256, detector_mm=260)
    beam = Beam.aim(Angles(-20.0, -15.0), middle, PelvicFrame(np.eye(4)), config)
    absorber = Absorber.of(s.volume, SPACING_MM)
    corner, right, up = beam.corner_lps()
    at = np.arange(beam.pixels)
    rays = corner + at[None, :, None] * right + at[:, None, None] * up - beam.source_lps
    lengths = np.linalg.norm(rays, axis=-1)
    units = rays / lengths[..., None]

    def by_scipy() -> Any:
        total = np.zeros(lengths.shape, np.float32)
        reach = float(np.linalg.norm(np.array(s.grid.shape_zyx) * s.grid.spacing_zyx_mm)) / 2
        for mm in np.arange(beam.source_object_mm - reach, beam.source_object_mm + reach, SPACING_MM):
            index = np.moveaxis(absorber.grid.to_index(beam.source_lps + mm * units), -1, 0)
            total += ndimage.map_coordinates(absorber.per_mm, index, order=1, prefilter=False)
        return total * SPACING_MM

    return {OURS: lambda: take_radiograph(absorber, beam, threads=1), "scipy": by_scipy}


JOBS = (
    Job("words to Hounsfield units", ("numpy",), words_turned, worst),
    Job("average blocks of 2 x 2 x 2 voxels", ("scikit-image", "SimpleITK"), blocks_averaged, worst, 1.0),
    Job("count a scan into cells", ("scikit-image",), cells_counted, share_apart),
    Job("fill a closed surface", ("VTK",), surface_filled, share_apart, 1e-3),
    Job("read profiles along normals", ("scipy", GPU) if find_card() else ("scipy",), profiles_read, worst, 0.1),
    Job("share bone out by brightness", ("scikit-image", "SimpleITK"), shared_by_brightness, share_apart, 1e-2),
    Job("settle one layer of the border", ("scipy",), border_settled, share_apart),
    Job("carve soft tissue off, at any depth", ("scipy", "scikit-image"), carved, share_apart),
    Job("drop crumbs, fill holes", ("scipy", "scikit-image", "cc3d"), crumbs_dropped, share_apart),
    Job("signed distance of a label", ("scipy", "SimpleITK"), distance_of_label, worst, 1e-3),
    Job("distance within 6 mm", ("edt", "scipy", "SimpleITK"), distance_nearby, worst, 1e-3),
    Job("resample to 0.8 mm", ("SimpleITK",), field_resampled, worst, 0.1),
    Job("fit gaps to profiles", ("scipy",), gaps_fitted, median_apart, 0.02),
    Job("tell tunnels from grooves", ("scipy",), tunnels_told, share_apart, 1e-3),
    Job("find the best path", SOLVERS, best_paths, worst, 0.01),
    Job("draw a relief of the bones", ("scipy",), relief_drawn, median_apart, 0.01),
    Job("simulate a radiograph", ("scipy",), radiograph_taken, median_apart, 0.02),
)
