"""Bones that CT is made from: read, checked, and kept as distance fields, so that each is worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.labels import Label, Side
from sample_data.made_ct import Surface, distance_field
from sample_data.made_neighbours import add_neighbours
from sample_data.made_patient import Places, find_places
from sample_data.sacral_holes import keepout_field
from sample_data.signed_distance import DistanceField

__all__ = ["Base", "load_base", "read_hubmap", "read_jhu", "subject_of"]

LPS_FROM_GLTF_MM = 1000.0 * np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""glTF is in metres with y up and the figure facing +z: x is the figure's left, z its front."""

PARTS_CLOSE_MM = 2.5
"""HuBMAP's ilium, ischium and pubis are apart by up to twice this; with less the female's right hip stays hollow."""

HIP_ML = (150.0, 650.0)
"""Volume of an adult hip bone, with room; less is a shell that was not filled."""

ADULT_WIDTH_MM = (220.0, 340.0)
"""Width of an adult pelvis across the crests, with room; outside it the units are wrong."""

HIPS = (Label.LEFT_HIP, Label.RIGHT_HIP)

Anatomy = dict[Label, list[Surface]]


@dataclass(frozen=True, eq=False)
class Base:
    """A pelvis to make scans from.

    Attributes
    ----------
    bones : mapping of Label to DistanceField
        With L5 and femora in closed form.
    keepouts : (z, y, x) uint8 array
        True keep-outs on the sacrum's lattice.
    places : Places
        Of joints and femoral heads.
    """

    bones: Mapping[Label, DistanceField]
    keepouts: NDArray[np.uint8]
    places: Places


def read_hubmap(data: Path, case: str) -> Anatomy:
    """Read a HuBMAP pelvis in LPS mm, parts named _L and _R folded into hip bones.

    The spongy parts are left out: their surfaces are open, and the compact shells close round them by themselves.
    """
    import trimesh

    scene = trimesh.load(data / "hubmap_pelvis" / f"VH_{case}_Pelvis.glb")
    parts: Anatomy = {Label.SACRUM: [], Label.LEFT_HIP: [], Label.RIGHT_HIP: []}
    for name in sorted(scene.graph.nodes_geometry):
        if "spongy" in name:
            continue
        placed, key = scene.graph[name]
        mesh = scene.geometry[key].copy()
        mesh.apply_transform(placed)
        mesh.merge_vertices()
        label = Label.LEFT_HIP if name.endswith("_L") else Label.RIGHT_HIP if name.endswith("_R") else Label.SACRUM
        parts[label].append(Surface(np.asarray(mesh.vertices) @ LPS_FROM_GLTF_MM.T, np.asarray(mesh.faces, np.int32)))
    return checked(parts)


def read_jhu(data: Path, case: str) -> Anatomy:
    """Read one of the 28 pelves of the JHU atlas (its sacrum is S1-S3)."""
    atlas = np.load(data / "jhu_pelvis_atlas" / "surfaces_28.npz")
    names = {Label.SACRUM: "sacrum_s1_s3", Label.LEFT_HIP: "hip_left", Label.RIGHT_HIP: "hip_right"}
    points = {label: atlas[f"{name}_points_lps_mm"][int(case)].astype(float) for label, name in names.items()}
    faces = {label: atlas[f"{name}_triangles"].astype(np.int32) for label, name in names.items()}
    return checked({label: [Surface(points[label], faces[label])] for label in names})


def subject_of(data: Path, case: str) -> int:
    """Subject number, as the shape model's builder knows it, of a case of the JHU atlas."""
    return int(np.load(data / "jhu_pelvis_atlas" / "surfaces_28.npz")["subject"][int(case)])


def checked(anatomy: Anatomy) -> Anatomy:
    """Pass an anatomy on if its left is left, its back is back and it has the size of an adult.

    Raises
    ------
    ValueError
        If it does not.
    """
    centre = {label: np.concatenate([p.vertices_lps for p in parts]).mean(axis=0) for label, parts in anatomy.items()}
    points = np.concatenate([p.vertices_lps for label in HIPS for p in anatomy[label]])
    width = float(np.ptp(points[:, 0]))
    if not centre[Label.LEFT_HIP][0] > centre[Label.SACRUM][0] > centre[Label.RIGHT_HIP][0]:
        raise ValueError(f"left and right hips are on the wrong sides: {centre}")
    if not centre[Label.SACRUM][1] > points[:, 1].mean() or not centre[Label.SACRUM][2] > points[:, 2].mean():
        raise ValueError(f"the sacrum is not behind and above the hips: {centre}")
    if not ADULT_WIDTH_MM[0] < width < ADULT_WIDTH_MM[1]:
        raise ValueError(f"a pelvis {width:.0f} mm wide, expected {ADULT_WIDTH_MM} mm")
    return anatomy


def make_base(data: Path, source: str, case: str) -> Base:
    """Work a base out from its surfaces, its middle at the origin."""
    anatomy = (read_hubmap if source == "hubmap" else read_jhu)(data, case)
    middle = np.round(np.concatenate([p.vertices_lps for parts in anatomy.values() for p in parts]).mean(axis=0))
    close = PARTS_CLOSE_MM if source == "hubmap" else 0.0
    bones = {
        label: distance_field([Surface(p.vertices_lps - middle, p.faces) for p in parts], close * (label in HIPS))
        for label, parts in anatomy.items()
    }
    for hip in HIPS:
        volume_ml = float((bones[hip].values_mm < 0).sum()) * bones[hip].spacing_mm ** 3 / 1000
        if not HIP_ML[0] < volume_ml < HIP_ML[1]:
            raise ValueError(f"the {hip.name.lower()} of {volume_ml:.0f} ml is not solid, expected {HIP_ML} ml")
    return Base(add_neighbours(bones), keepout_field(bones[Label.SACRUM]), find_places(bones))


def load_base(data: Path, cache: Path, source: str, case: str) -> Base:
    """Read a base from the cache; make it and put it there if it is not in it."""
    path = cache / f"{source}_{case}.npz"
    if not path.is_file():
        _write_base(make_base(data, source, case), path)
    with np.load(path) as stored:
        bones = {
            label: DistanceField(
                stored[f"{label.name}_mm"].astype(np.float32),
                stored[f"{label.name}_origin"],
                float(stored[f"{label.name}_step"]),
            )
            for label in Label
            if f"{label.name}_mm" in stored
        }
        joints = {side: stored[f"joint_{side}"] for side in Side}
        heads = {side: (stored[f"head_{side}"][:3], float(stored[f"head_{side}"][3])) for side in Side}
        places = Places(joints, heads, stored["low"], stored["high"])
        return Base(bones, stored["keepouts"], places)


def _write_base(base: Base, path: Path) -> None:
    """Keep a base; distances in half precision: 4 micrometres near the surface."""
    arrays = {f"{label.name}_mm": field.values_mm.astype(np.float16) for label, field in base.bones.items()}
    arrays |= {f"{label.name}_origin": field.origin_mm for label, field in base.bones.items()}
    arrays |= {f"{label.name}_step": np.array(field.spacing_mm) for label, field in base.bones.items()}
    arrays |= {f"joint_{side}": points for side, points in base.places.joints.items()}
    arrays |= {f"head_{side}": np.array([*centre, radius]) for side, (centre, radius) in base.places.heads.items()}
    arrays |= {"keepouts": base.keepouts, "low": base.places.low, "high": base.places.high}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(path)
