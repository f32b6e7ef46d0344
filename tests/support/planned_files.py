"""A planned slab pelvis as a result folder."""

from __future__ import annotations

from pathlib import Path

import SimpleITK

from planner.joint.ply import write_joint_ply
from planner.labels import Side
from planner.plan import InputDocument, PlanDocument, describe_frame, describe_side
from planner.segmentation.bearings import Bearings
from planner.volume import LabelMap

from support.planned_slabs import Planned

__all__ = ["write_plan"]


def write_labels(path: Path, labels: LabelMap) -> None:
    image = SimpleITK.GetImageFromArray(labels.values)
    grid = labels.grid
    image.SetSpacing(grid.spacing_zyx_mm[::-1].tolist())
    image.SetOrigin(grid.origin_lps_mm.tolist())
    image.SetDirection(grid.directions_lps[::-1].T.ravel().tolist())
    SimpleITK.WriteImage(image, str(path))


def write_plan(folder: Path, planned: Planned) -> None:
    grid = planned.volume.grid
    document = PlanDocument(
        input=InputDocument(
            sha256="0", shape_zyx=grid.shape_zyx, spacing_zyx_mm=tuple(grid.spacing_zyx_mm), complete=True
        ),
        findings=[],
        sides={
            side.value: describe_side(planned.plans[side], planned.joints[side], planned.keepouts.foramina, {})
            for side in Side
        },
        pelvic_frame=describe_frame(planned.bones.frame, Bearings({}, None, None)),
    )
    folder.mkdir()
    for side in Side:
        write_joint_ply(folder / f"joint_{side}.ply", planned.joints[side])
    (folder / "plan.json").write_text(document.to_json())
    write_labels(folder / "labels.nii.gz", planned.bones.labels)
    write_labels(folder / "keepout.nii.gz", planned.keepouts.mask)
