"""One planned side and one without a path, on a pelvis of slabs, with two pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from planner.findings import Finding, Level
from planner.fluoroscopy import FluoroscopyConfig, make_card, with_views
from planner.labels import Side
from planner.plan import InputDocument, PlanDocument, describe_fluoroscopy, describe_side, finding_document
from planner.report import ReportCase
from planner.report.jpeg import is_shown, jpeg_of
from planner.segmentation.bearings import Bearings
from planner.trajectory.model import Candidate, Clearance, PlacementError, SidePlan

from support.slab_pelvis import SlabPelvis

FINDINGS = (
    Finding("slice-spacing", Level.NOTE, "both", "Slices are 1.5 mm apart."),
    Finding("metal", Level.WARN, "left", "Metal <near> the joint & more."),
    Finding("thick", Level.REVIEW_ONLY, "both", "For review only."),
)


def candidate(slabs: SlabPelvis) -> Candidate:
    entry, tip, witness, skin = slabs.world([[8, 0, 0], [28, 0, 0], [10, -9, 0], [-30, 0, 0]], Side.LEFT)
    return Candidate(
        grade="amber", score=0.71, terms={}, implant_id="GENERIC-DOWEL", diameter_mm=8.0, length_mm=20.0,
        implant_entry_lps=entry, implant_tip_lps=tip, skin_entry_lps=skin, third="middle", articular_share=0.85,
        depth_from_bone_mm=28.0, depth_from_skin_mm=58.0, axial_to_sagittal_deg=20.0, cranial_tilt_deg=0.0, c_arm={},
        clearances={"neural": Clearance(4.2, 3.4, witness), "access_neural": Clearance(6.0, 5.2, witness)},
        breach=PlacementError(0.012, 0.2), safe_entry_radius_mm=2.5, hu_shell_mean=180.0, binding="neural",
        why="Highest score.",
    )  # fmt: skip


@pytest.fixture(scope="session")
def told() -> ReportCase:
    slabs = SlabPelvis(spacing_mm=(2.0, 2.0, 2.0))
    volume, bones, joints, keepouts = slabs.build()
    bearings = Bearings({"left_psis": slabs.world([[-12.0, 10.0, 5.0]], Side.LEFT)[0]}, None, None)
    plans = {
        Side.LEFT: SidePlan(Side.LEFT, "planned", "", (candidate(slabs),), {}),
        Side.RIGHT: SidePlan(Side.RIGHT, "no-safe-path", "neural-clearance binds.", (), {"neural-clearance": 5}),
    }
    sides = {}
    for side, plan in plans.items():
        card = make_card(bones, bearings, plan, joints[side], FluoroscopyConfig())
        entry = describe_side(with_views(plan, card, bones), joints[side], keepouts.foramina, bearings.landmarks_lps)
        sides[side.value] = entry.model_copy(update={"fluoroscopy": describe_fluoroscopy(card)})
    scan = InputDocument(sha256="ab" * 32, shape_zyx=volume.grid.shape_zyx, spacing_zyx_mm=(2, 2, 2), complete=True)
    document = PlanDocument(input=scan, findings=[finding_document(f) for f in FINDINGS], sides=sides)
    return ReportCase(document, volume, bones.labels, keepouts.mask, {"sacroplan": "0.1", "settings": "usual"})


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("figures")
    shades = np.linspace(0, 255, 120 * 160).reshape(120, 160).astype(np.uint8)
    paths = [folder / f"{name}.png" for name in ("cover", "left_sheet", "left_c_arm", "left_axial", "right_gap_map")]
    for path in paths:
        Image.fromarray(np.stack([shades] * 3, axis=-1)).save(path)
    return {path.stem: jpeg_of(path) for path in paths if is_shown(path)}
