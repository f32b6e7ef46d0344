"""A plan written by hand, and blocks for bones: what exports are made of, without a search."""

from __future__ import annotations

import numpy as np

from planner.dicom import read_dicom
from planner.exports import ExportCase
from planner.grid import Grid, Orientation
from planner.labels import Keepout, Label, Side, foramen_value
from planner.plan import PlanDocument
from planner.volume import LabelMap, PlacedLabels, Volume
from sample_data import write_dicom_series

SHAPE = (9, 14, 16)
SPACING_MM = (3.0, 1.5, 1.25)
WITNESSES = {"neural": (21.5, 34.25, -601.75), "ventral_cortex": (39.125, 20.5, -598.0)}


def upright(origin=(-10.0, -8.0, -610.0)):
    return Grid.from_spacing(SHAPE, SPACING_MM, origin)


def turned(axes_zyx):
    """A grid whose array axes point the given ways in LPS; right-handed as the slices of any series."""
    axes = np.array(axes_zyx, float)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    matrix = np.eye(4)
    matrix[:3, :3] = axes.T * SPACING_MM
    matrix[:3, 3] = 12.5, -40.25, -333.0
    return Grid(SHAPE, matrix)


TURN = np.deg2rad(20.0)
GRIDS = {
    "axial, supine": upright(),
    "axial, feet first": turned([(0, 0, -1), (0, 1, 0), (-1, 0, 0)]),
    "axial, prone": turned([(0, 0, 1), (0, -1, 0), (-1, 0, 0)]),
    "axial, on its left side": turned([(0, 0, 1), (-1, 0, 0), (0, 1, 0)]),
    "sagittal": turned([(1, 0, 0), (0, 0, -1), (0, 1, 0)]),
    "coronal": turned([(0, 1, 0), (0, 0, -1), (1, 0, 0)]),
    "oblique": turned([(0, -np.sin(TURN), np.cos(TURN)), (0, np.cos(TURN), np.sin(TURN)), (1, 0, 0)]),
    "oblique twice": turned(
        np.linalg.qr(np.array([(0.9, 0.3, 0.1), (-0.2, 0.9, 0.3), (0.1, -0.3, 0.9)]))[0] @ np.diag([1, 1, -1])
    ),
}
"""How scans are stored; the slice axis is row x column, or a reader turns it round."""


def right_handed(grid):
    z, y, x = grid.directions_lps
    return bool(np.cross(x, y) @ z > 0)


def bones(grid):
    """Six blocks, nowhere symmetric, none at the border."""
    values = np.zeros(grid.shape_zyx, np.uint8)
    values[2:7, 3:9, 6:10] = Label.SACRUM
    values[1:6, 2:8, 11:14] = Label.LEFT_HIP
    values[3:8, 2:7, 2:5] = Label.RIGHT_HIP
    values[7, 9:12, 6:9] = Label.LUMBAR
    values[1, 10:12, 11:13] = Label.LEFT_FEMUR
    values[1:3, 10:12, 2:4] = Label.RIGHT_FEMUR
    return LabelMap(values, grid)


def keepouts(grid):
    values = np.zeros(grid.shape_zyx, np.uint8)
    values[2:7, 9, 7] = Keepout.CANAL
    values[3, 4:6, 9] = foramen_value(Side.LEFT, "S1")
    values[4, 4:6, 6] = foramen_value(Side.RIGHT, "S2")
    return LabelMap(values, grid)


def _candidate(rank, side):
    away = 1 if side == "left" else -1
    return {
        "rank": rank, "grade": "green" if rank == 1 else "amber", "score": 0.8, "terms": {},
        "implant": {"id": "GENERIC-DOWEL", "diameter_mm": 8.0, "length_mm": 20.0},
        "implant_entry_lps_mm": (30.123 * away, 40.5, -600.0 - rank),
        "implant_tip_lps_mm": (40.123 * away, 23.18, -600.0 - rank),
        "skin_entry_lps_mm": (2.0 * away, 90.25, -600.0 - rank) if rank == 1 else None,
        "third": "middle", "articular_share": 0.9, "depth_from_bone_mm": 31.0,
        "depth_from_skin_mm": 81.5 if rank == 1 else None,
        "angles_deg": {"axial_to_sagittal": 30.0, "cranial_tilt": -4.0},
        "c_arm": {"down_the_implant": {"orbital_deg": 30.0, "tilt_deg": 4.0}},
        "clearance": {
            name: {"mm": 5.25, "proven_mm": 4.0, "at_lps_mm": (x * away, y, z - rank)}
            for name, (x, y, z) in WITNESSES.items()
        },
        "breach_probability": {"navigated": 0.01, "fluoroscopic": 0.07},
        "safe_entry_radius_mm": 2.5, "hu_shell_mean": 210.5, "binding": "neural",
    }  # fmt: skip


def _side(side):
    away = 1 if side == "left" else -1
    return {
        "status": "planned", "reason": "",
        "joint": {
            "surface": f"joint_{side}.ply", "articular_area_mm2": 1500.0, "gap_median_mm": 1.75, "gap_p95_mm": 2.5,
            "truncated": False,
            "thirds": {"definition": "brandt-transverse", "axis_lps": (0.0, 0.0, 1.0),
                       "bounds_mm": (-630.0, -610.0, -590.0, -570.0)},
        },
        "foramina": [
            {"level": level, "aspect": aspect, "centre_lps_mm": (17.5 * away, 30.0 * (aspect == "dorsal"), z),
             "width_mm": 9.5, "confidence": 0.9}
            for level, z in (("S1", -580.5), ("S2", -601.25)) for aspect in ("ventral", "dorsal")
        ],
        "landmarks": {"psis_lps_mm": (40.0 * away, 60.125, -590.0)},
        "candidates": [_candidate(1, side), _candidate(2, side)],
    }  # fmt: skip


def made_document(**changes):
    """A plan of both sides with two candidates each."""
    flat = {"normal_lps": (0.0, -0.6, 0.8), "slope_deg": 40.0, "slope_in_scan_deg": 38.0}
    tilted = {"normal_lps": (0.0, -0.8, 0.6), "tilt_deg": 5.0, "tilt_in_scan_deg": 6.0}
    content = {
        "input": {"sha256": "ab" * 32, "shape_zyx": SHAPE, "spacing_zyx_mm": SPACING_MM, "complete": True},
        "segmentation": {"backend": "shape-model", "version": "0.1.0"},
        "findings": [{"code": "slice-spacing", "level": "note", "side": "both", "message": "Slice spacing 3 mm."}],
        "sides": {side: _side(side) for side in ("left", "right")},
        "pelvic_frame": {
            "origin_lps_mm": (0.0, 0.0, -600.0), "left_lps": (1.0, 0.0, 0.0), "posterior_lps": (0.0, 1.0, 0.0),
            "cranial_lps": (0.0, 0.0, 1.0),
            "s1_endplate": {"centre_lps_mm": (0.5, -20.0, -560.25), **flat},
            "anterior_pelvic_plane": {"point_lps_mm": (-0.5, -70.0, -640.0), **tilted},
        },
        "landmarks": {"promontory_lps_mm": (0.0, -31.5, -558.0)},
    }  # fmt: skip
    return PlanDocument.model_validate(content | changes)


def written_series(grid, folder):
    """Write a CT of noise on a grid as DICOM, and say where its slices are; the grid is that of a reader."""
    hu = np.random.default_rng(0).integers(-900, 900, grid.shape_zyx).astype(np.int16)
    write_dicom_series(Volume(hu, grid), folder)
    scan = read_dicom(folder)
    return scan.origin, scan.source.grid


def made_case(grid, folder=None, document=None):
    """An export case on a grid; with a CT in DICOM where there is a folder for it."""
    origin = None
    if folder is not None:
        origin, found = written_series(grid, folder)
        assert found.same_as(grid)
    labels = bones(grid)
    orientation = Orientation.to_canonical(grid)
    canonical = orientation.apply_grid(grid)
    box = (slice(1, 8), slice(2, 12), slice(2, 14))
    placed, avoided = (PlacedLabels(grid, box, m.values[box]) for m in (labels, keepouts(grid)))
    working = [LabelMap(np.ascontiguousarray(orientation.apply(m.values)), canonical) for m in (labels, keepouts(grid))]
    return ExportCase(document or made_document(), working[0], working[1], placed, origin, avoided)
