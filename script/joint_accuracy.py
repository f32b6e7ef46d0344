"""Measure the joint stage against the phantom's closed forms: mid-surface, gap, zone, thirds, landmarks, frame.

A row is one phantom: its voxels, pose, noise and gap. `script/evaluate joint` runs the rows and writes the page.
"""

from __future__ import annotations

import fnmatch
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from planner.joint import Joint, Zone, extract_joint, measure_joint
from planner.joint.config import JointConfig
from planner.labels import Side
from planner.segmentation import Bones, find_bearings, load_shape_model, locate_pelvis, segment_bones, thin
from planner.segmentation.bearings import Bearings
from planner.volume import LabelMap, Volume
from sample_data.joint_surface import INFERIOR_LIMB_MM, LIMB_ANGLE_DEG, LIMB_WIDTH_MM, SUPERIOR_LIMB_MM
from sample_data.phantom import JointTruth, Phantom, PhantomSpec, make_phantom

__all__ = ["ROWS", "Row", "Seen", "label_phantom", "measure_row", "run_rows"]

POSES = {
    "supine": (0.0, 0.0, 0.0),
    "tilt 20": (20.0, 0.0, 0.0),
    "tilt 15, lean 10, roll -12": (15.0, 10.0, -12.0),
    "prone, not in the header": (0.0, 0.0, 180.0),
}
"""Turns of the patient about LPS x, y, z, degrees."""

VIEWS = {
    "joints": {"size_yx_mm": (190.0, 200.0), "z_range_mm": (-52.0, 84.0)},
    "pelvis": {"size_yx_mm": (300.0, 384.0), "z_range_mm": (-132.0, 105.0)},
}
"""What the scan shows."""

COVERED_MM = 1.0
"""A point of the true mid-surface this near to a vertex is covered; vertices are 0.8 mm apart."""

REFERENCE_MM = (1.0, 0.9, 0.9)
"""Voxels of the true labels on which the true landmarks are found."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One phantom to measure: slice spacing and pixels, least gap, noise, pose (`POSES`) and view (`VIEWS`)."""

    spacing_mm: float = 1.0
    gap_mm: float = 1.7
    noise_hu: float = 20.0
    pose: str = "supine"
    view: str = "joints"

    @property
    def name(self) -> str:
        """Short, for files and choices."""
        pose = self.pose.replace(", ", "_").replace(" ", "-")
        return f"{self.spacing_mm:g}mm_gap{self.gap_mm:g}_noise{self.noise_hu:g}_{pose}_{self.view}"

    @property
    def spec(self) -> PhantomSpec:
        """The phantom; pixels are as large as thin slices are thick, and 0.9 mm in thick ones."""
        pixel = min(self.spacing_mm, 0.9)
        spec = PhantomSpec(
            spacing_zyx_mm=(self.spacing_mm, pixel, pixel),
            gap_mm=self.gap_mm,
            noise_hu=self.noise_hu,
            rotation_deg=POSES[self.pose],
            seed=1,
        )
        return spec.model_copy(update=VIEWS[self.view])


def _rows() -> tuple[Row, ...]:
    rows = [Row(spacing) for spacing in (0.6, 1.0, 1.5, 2.0, 3.0)]
    rows += [Row(spacing, pose=pose) for spacing in (1.0, 3.0) for pose in POSES]
    rows += [Row(spacing, noise_hu=noise) for spacing in (1.0, 3.0) for noise in (0.0, 40.0, 60.0)]
    rows += [Row(gap_mm=gap) for gap in (0.8, 1.2, 2.4, 3.0, 4.0)]
    rows += [Row(1.0, 0.8, 60.0), Row(1.5, 1.7, 40.0, "tilt 20"), Row(2.0, 1.7, 60.0, "prone, not in the header")]
    rows += [Row(spacing, view="pelvis") for spacing in (1.5, 3.0)]
    return tuple(dict.fromkeys(rows))


ROWS = _rows()
"""Every row: one thing varied at a time, and some together."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A phantom and what the product makes of it."""

    phantom: Phantom
    bones: Bones
    joints: Mapping[Side, Joint]
    bearings: Bearings


def label_phantom(phantom: Phantom) -> Bones:
    """Find and label the bones as a case does."""
    model = load_shape_model()
    return segment_bones(phantom.volume, locate_pelvis(thin(phantom.volume), model), model)


def measure_row(row: Row) -> dict[str, Any]:
    """Make one phantom, measure it, and give the errors."""
    phantom = make_phantom(row.spec)
    bones = label_phantom(phantom)
    joints = {side: extract_joint(phantom.volume, bones, side, JointConfig()) for side in bones.planned_sides}
    seen = Seen(phantom, bones, joints, find_bearings(phantom.volume, bones))
    return {name: measure(seen) for name, measure in MEASURES.items()}


def joint_errors(seen: Seen) -> dict[str, Any]:
    """Errors of each joint, by side."""
    return {
        side.value: _one_joint(joint, seen.phantom.joints[side], seen.bones.frame.cranial_lps)
        for side, joint in seen.joints.items()
    }


def _one_joint(joint: Joint, truth: JointTruth, cranial_lps: Numbers) -> dict[str, float]:
    points, articular = joint.vertices_lps, joint.zone == Zone.ARTICULAR
    true_zone = truth.zone(points) == Zone.ARTICULAR
    off = np.abs(truth.offset_mm(points))[true_zone]
    gap = (joint.gap_mm - truth.gap_mm(points))[true_zone]
    sheet = truth.mid_surface_lps(0.5)
    area = truth.surface.articular_area_mm2()
    ends = sheet @ cranial_lps
    bounds = np.linspace(ends.min(), ends.max(), 4)
    limbs = measure_joint(joint).limbs
    return {
        "mid_mm": float(off.mean()),
        "mid_p95_mm": float(np.percentile(off, 95.0)),
        "covered": float((cKDTree(points).query(sheet)[0] <= COVERED_MM).mean()),
        "gap_bias_mm": float(gap.mean()),
        "gap_mae_mm": float(np.abs(gap).mean()),
        "area_share": joint.articular_area_mm2 / area,
        "zone_dice": 2 * float((articular & true_zone).sum()) / float(articular.sum() + true_zone.sum()),
        "thirds_mm": float(np.abs(joint.thirds.bounds_mm - bounds).max()),
        "superior_mm": limbs.superior_mm - SUPERIOR_LIMB_MM if limbs else float("nan"),
        "inferior_mm": limbs.inferior_mm - INFERIOR_LIMB_MM if limbs else float("nan"),
        "width_mm": limbs.width_mm - LIMB_WIDTH_MM if limbs else float("nan"),
        "angle_deg": limbs.angle_deg - LIMB_ANGLE_DEG if limbs else float("nan"),
    }


def landmark_errors(seen: Seen) -> dict[str, Any]:
    """Distance of each landmark from where the same search has it on true labels of 1 mm, and what is not found."""
    truth = _true_bearings(seen)
    found = seen.bearings.landmarks_lps
    both = sorted(set(truth.landmarks_lps) & set(found))
    away = {name: float(np.linalg.norm(found[name] - truth.landmarks_lps[name])) for name in both}
    missed = sorted(set(truth.landmarks_lps) - set(found))
    return {"away_mm": away, "missed": missed, "endplate_deg": _between_deg(seen.bearings.endplate, truth.endplate),
            "anterior_deg": _between_deg(seen.bearings.anterior_plane, truth.anterior_plane)}  # fmt: skip


def _between_deg(found: Any, true: Any) -> float:
    if found is None or true is None:
        return float("nan")
    return float(np.degrees(np.arccos(np.clip(found.normal_lps @ true.normal_lps, -1.0, 1.0))))


def _true_bearings(seen: Seen) -> Bearings:
    spec = seen.phantom.spec
    volume, labels = _reference(spec.rotation_deg, spec.size_yx_mm, spec.z_range_mm)
    bones = Bones(labels, seen.bones.fit, seen.bones.frame, {})
    return find_bearings(volume, bones)


@lru_cache(maxsize=2)
def _reference(
    rotation_deg: tuple[float, float, float], size_yx_mm: tuple[float, float], z_range_mm: tuple[float, float]
) -> tuple[Volume, LabelMap]:
    spec = PhantomSpec(
        spacing_zyx_mm=REFERENCE_MM, rotation_deg=rotation_deg, size_yx_mm=size_yx_mm, z_range_mm=z_range_mm
    )
    phantom = make_phantom(spec)
    return phantom.volume, phantom.labels


def frame_errors(seen: Seen) -> dict[str, Any]:
    """Angle between the pelvic frame found and the phantom's."""
    turn = seen.bones.frame.lps_from_pelvic[:3, :3].T @ seen.phantom.frame.lps_from_pelvic[:3, :3]
    return {"turned_deg": float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1.0, 1.0))))}


MEASURES: Mapping[str, Callable[[Seen], dict[str, Any]]] = {
    "joint": joint_errors,
    "landmarks": landmark_errors,
    "frame": frame_errors,
}
"""What is measured on each row."""


def run_rows(folder: Path, patterns: Sequence[str], code: str, *, again: bool) -> None:
    """Measure the rows that this code has no result of, and keep each in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in ROWS:
        if patterns and not any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns):
            continue
        path = folder / f"{row.name}.json"
        if not again and path.is_file() and json.loads(path.read_text(encoding="utf-8"))["code"] == code:
            continue
        result = {"row": asdict(row), "code": code} | measure_row(row)
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(row.name, file=sys.stderr, flush=True)
