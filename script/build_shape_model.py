#!/usr/bin/env python3
"""Build the pelvis shape model that ships in ``planner/segmentation/data``.

    script/build_shape_model.py [--atlas surfaces_28.npz] [--out pelvis_shape.npz] [--without SUBJECT ...]
    script/build_shape_model.py --leave-one-out

The atlas is the JHU pelvis atlas (Han et al., Phys Med Biol 2019, 10.1088/1361-6560/ab1456; CC BY 4.0): 28 people with
corresponding vertices on both hip bones and the sacrum (S1-S3). Each person is also used mirrored.
Same atlas, same bytes.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from planner.segmentation.landmarks import find_landmarks, find_regions
from planner.segmentation.shape_model import MODEL_PATH, ShapeModel, pack, similarity, vertex_normals

ATLAS_NAMES = ("sacrum_s1_s3", "hip_left", "hip_right")
"""Order of `planner.segmentation.model.BONE_NAMES`."""

MIRROR_ORDER = (0, 2, 1)
"""The bone that each bone becomes in a mirror."""

MODES = 40
"""Modes kept [P]: the leave-one-out error is flat beyond (see ``--leave-one-out``)."""

SPIKE_MM = 4.0
"""A vertex that leaves its neighbours by this much more than in the mean is a flaw of the mesh [P]."""

Faces = NDArray[np.int32]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Atlas:
    """28 people in correspondence: ``points[bone]`` is ``(people, n, 3)`` LPS mm, ``faces[bone]`` closed."""

    subjects: NDArray[np.int64]
    points: tuple[Points, ...]
    faces: tuple[Faces, ...]


def read_atlas(path: Path) -> Atlas:
    """Read, close and clean the surfaces."""
    data = np.load(path)
    points, faces = [], []
    for name in ATLAS_NAMES:
        shapes = data[f"{name}_points_lps_mm"].astype(np.float64)
        closed = close_holes(shapes.mean(axis=0), data[f"{name}_triangles"].astype(np.int32))
        used = np.unique(closed)
        renumber = np.full(shapes.shape[1], -1, np.int32)
        renumber[used] = np.arange(len(used))
        faces.append(renumber[closed])
        points.append(remove_spikes(shapes[:, used], faces[-1]))
    return Atlas(data["subject"], tuple(points), tuple(faces))


def directed_edges(faces: Faces) -> NDArray[np.int32]:
    """Each face's three edges in its own winding."""
    return np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def close_holes(points: Points, faces: Faces) -> Faces:
    """Drop faces that no neighbour shares an edge with properly, then close every open loop by cutting ears."""
    counts = Counter(map(tuple, np.sort(directed_edges(faces), axis=1).tolist()))
    stray = [
        sum(counts[(min(a, b), max(a, b))] != 2 for a, b in ((f[0], f[1]), (f[1], f[2]), (f[2], f[0]))) >= 3
        for f in faces.tolist()
    ]
    kept = faces[~np.array(stray)]
    added = [ear for loop in open_loops(kept) for ear in cut_ears(points, loop)]
    return np.vstack([kept, np.array(added, np.int32).reshape(-1, 3)])


def open_loops(faces: Faces) -> list[list[int]]:
    """Border loops, each in the winding that its closing faces need."""
    edges = set(map(tuple, directed_edges(faces).tolist()))
    ahead: dict[int, list[int]] = defaultdict(list)
    for a, b in sorted(edges):
        if (b, a) not in edges:
            ahead[b].append(a)
    loops = []
    while any(ahead.values()):
        path = [min(v for v, targets in ahead.items() if targets)]
        while True:
            step = ahead[path[-1]].pop()
            if step in path:
                start = path.index(step)
                loops.append(path[start:])
                path = path[: start + 1]
                if start == 0:
                    break
            else:
                path.append(step)
    return loops


def cut_ears(points: Points, loop: list[int]) -> list[tuple[int, int, int]]:
    """Triangles that close a loop, shortest new edge first."""
    ears = []
    while len(loop) > 3:
        ring = points[loop]
        i = int(np.argmin(np.linalg.norm(np.roll(ring, 1, 0) - np.roll(ring, -1, 0), axis=1)))
        ears.append((loop[i - 1], loop[i], loop[(i + 1) % len(loop)]))
        loop = loop[:i] + loop[i + 1 :]
    return [*ears, (loop[0], loop[1], loop[2])]


def neighbour_mean(shapes: Points, faces: Faces) -> Points:
    """Mean of each vertex's neighbours, for shapes ``(people, n, 3)``."""
    both = np.vstack([directed_edges(faces), directed_edges(faces)[:, ::-1]])
    both = np.unique(both, axis=0)
    total = np.zeros_like(shapes)
    for person, out in zip(shapes, total, strict=True):
        np.add.at(out, both[:, 0], person[both[:, 1]])
    return total / np.bincount(both[:, 0], minlength=shapes.shape[1])[None, :, None]


def remove_spikes(shapes: Points, faces: Faces) -> Points:
    """Put vertices that jut out in single people back to where their neighbours say."""
    shapes = shapes.copy()
    for _ in range(5):
        jut = shapes - neighbour_mean(shapes, faces)
        usual = np.median(jut, axis=0)
        wrong = np.linalg.norm(jut - usual, axis=2) > SPIKE_MM
        if not wrong.any():
            break
        shapes[wrong] = (neighbour_mean(shapes, faces) + usual)[wrong]
    return shapes


def mirrored(atlas: Atlas) -> list[Points]:
    """Every person mirrored at x = 0, in the correspondence of the originals.

    The map from a bone to its mirror image is found once, on the mean surfaces: the nearest point whose normal agrees.
    """
    means = [align(p, p.mean(axis=0))[0].mean(axis=0) for p in atlas.points]
    flip = np.array([-1.0, 1.0, 1.0])
    result = []
    for bone, source in enumerate(MIRROR_ORDER):
        target = means[bone]
        triangles, weights = nearest_surface(
            target, vertex_normals(target, atlas.faces[bone]), means[source] * flip, atlas.faces[source][:, ::-1]
        )
        result.append(np.einsum("pvkc,vk->pvc", atlas.points[source][:, triangles] * flip, weights))
    return result


def nearest_surface(
    points: Points, normals: Points, vertices: Points, faces: Faces
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Vertices ``(n, 3)`` and barycentric weights of each point's place on a surface, after a similarity onto it."""
    scale, rotation, shift = 1.0, np.eye(3), np.zeros(3)
    target_normals = vertex_normals(vertices, faces)
    tree = cKDTree(np.hstack([vertices, 12.0 * target_normals]))
    for _ in range(30):
        moved = scale * points @ rotation.T + shift
        near = tree.query(np.hstack([moved, 12.0 * normals @ rotation.T]))[1]
        scale, rotation, shift = similarity(points, vertices[near])
    moved = scale * points @ rotation.T + shift
    three = tree.query(np.hstack([moved, 12.0 * normals @ rotation.T]), k=3)
    weights = 1.0 / (three[0] ** 2 + 1e-6)
    return three[1].astype(np.int32), weights / weights.sum(axis=1, keepdims=True)


def align(shapes: Points, reference: Points) -> tuple[Points, Points]:
    """Similarity-align each shape to a reference that is renewed until it rests (generalised Procrustes).

    The reference keeps its centroid, size and orientation.
    """
    mean = reference - reference.mean(axis=0)
    size = np.linalg.norm(mean)
    for _ in range(20):
        aligned = np.stack([apply_similarity(s, mean) for s in shapes])
        new = aligned.mean(axis=0)
        scale, rotation, shift = similarity(new, mean)
        new = scale * new @ rotation.T + shift
        new = (new - new.mean(axis=0)) * (size / np.linalg.norm(new - new.mean(axis=0)))
        if np.abs(new - mean).max() < 1e-4:
            break
        mean = new
    return aligned, mean


def apply_similarity(shape: Points, reference: Points) -> Points:
    """`shape` moved, turned and scaled onto `reference`."""
    scale, rotation, shift = similarity(shape, reference)
    moved: Points = scale * shape @ rotation.T + shift
    return moved


def stack(atlas: Atlas, mirrors: list[Points], people: NDArray[np.int64]) -> Points:
    """All bones of the chosen people and their mirror images, ``(2 people, vertices, 3)``, each centred."""
    plain = np.concatenate([p[people] for p in atlas.points], axis=1)
    other = np.concatenate([m[people] for m in mirrors], axis=1)
    both = np.concatenate([plain, other])
    return both - both.mean(axis=1, keepdims=True)


def build(atlas: Atlas, mirrors: list[Points], people: NDArray[np.int64]) -> ShapeModel:
    """Procrustes mean and principal modes, then landmarks and regions found on the mean."""
    shapes = stack(atlas, mirrors, people)
    size = np.linalg.norm(shapes, axis=(1, 2)).mean()
    start = shapes.mean(axis=0)
    aligned, mean = align(shapes, start * (size / np.linalg.norm(start)))
    centred = (aligned - aligned.mean(axis=0)).reshape(len(aligned), -1)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    count = min(MODES, len(people) * 2 - 1)
    axes = axes[:count] * np.sign(axes[np.arange(count), np.abs(axes[:count]).argmax(axis=1)])[:, None]
    modes = (axes * (singular[:count, None] / np.sqrt(len(shapes)))).reshape(count, -1, 3)
    bare = ShapeModel(mean, modes, atlas.faces, tuple(p.shape[1] for p in atlas.points), {}, {})
    regions = find_regions(bare)
    joints = np.concatenate([regions["left_auricular_sacrum"], regions["right_auricular_sacrum"]])
    origin = mean[joints].mean(axis=0) * np.array([0.0, 1.0, 1.0]) + [symmetry_x(bare), 0.0, 0.0]
    moved = ShapeModel(mean - origin, modes, atlas.faces, bare.counts, {}, regions)
    return ShapeModel(moved.mean, modes, atlas.faces, bare.counts, find_landmarks(moved), regions)


def symmetry_x(model: ShapeModel) -> float:
    """X of the mirror plane of a symmetric mean: half-way between the hip bones."""
    left, right = model.mean[model.span("left_hip")], model.mean[model.span("right_hip")]
    return float((left[:, 0].max() + right[:, 0].min()) / 2)


def leave_one_out(atlas: Atlas, mirrors: list[Points]) -> None:
    """Print how well a model without a person describes that person, by number of modes."""
    counts = (0, 8, 14, 24, MODES)
    errors = []
    everyone = np.arange(len(atlas.subjects))
    for person in everyone:
        model = build(atlas, mirrors, np.delete(everyone, person))
        target = np.concatenate([p[person] for p in atlas.points])
        errors.append([residual_mm(model, target, k) for k in counts])
    print("root mean square distance along the surface normal, mm, of people that the model never saw")
    for k, row in zip(counts, np.array(errors).T, strict=True):
        print(f"{k:3d} modes: median {np.median(row):.2f}, worst {row.max():.2f}")


def residual_mm(model: ShapeModel, target: Points, modes: int) -> float:
    """Root mean square of what `modes` modes leave unexplained of a target, along its normals."""
    basis = model.modes[:modes].reshape(modes, model.mean.size)
    coefficients = np.zeros(modes)
    for _ in range(10):
        shape = model.reconstruct(coefficients)
        moved = apply_similarity(target, shape)
        if modes:
            coefficients = np.linalg.lstsq(basis.T, (moved - model.mean).ravel(), rcond=None)[0]
    off = model.reconstruct(coefficients) - apply_similarity(target, model.reconstruct(coefficients))
    normals = np.concatenate([vertex_normals(moved[s], f) for s, f in zip(model.spans, model.faces, strict=True)])
    return float(np.sqrt(((off * normals).sum(axis=1) ** 2).mean()))


def write(model: ShapeModel, path: Path) -> None:
    """Write the quantised model as an npz with fixed dates and order, so that equal models are equal files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in sorted(pack(model).items()):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED, 9
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = Path(__file__).resolve().parents[2] / "shared/data/jhu_pelvis_atlas/surfaces_28.npz"
    parser.add_argument("--atlas", type=Path, default=beside)
    parser.add_argument("--out", type=Path, default=MODEL_PATH)
    parser.add_argument(
        "--without", type=int, nargs="*", default=[], help="subjects to leave out, by their atlas number"
    )
    parser.add_argument(
        "--leave-one-out", action="store_true", help="print the error on people left out; writes nothing"
    )
    args = parser.parse_args()
    atlas = read_atlas(args.atlas)
    mirrors = mirrored(atlas)
    if args.leave_one_out:
        leave_one_out(atlas, mirrors)
        return
    people = np.flatnonzero(~np.isin(atlas.subjects, args.without))
    model = build(atlas, mirrors, people)
    write(model, args.out)
    print(f"{args.out}: {len(people)} people, {len(model.modes)} modes, {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
