"""Tables of accuracy from scored cases: `script/evaluate run` fills them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from planner import NOTICE

__all__ = ["accuracy_page"]


OWN_GRID = ("fracsegnet", "totalsegmentator")
"""Sources whose cases keep the voxels of their own scan."""


def number(value: object, digits: int = 2) -> str:
    """Print a number; a dash where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) and np.isfinite(value) else "-"


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Lay out a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def case_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """Give one row a case: what it is and what it cost."""
    for row in rows:
        facts, cost = row["facts"], row["cost"]
        spacing = "own" if facts["source"] in OWN_GRID else " x ".join(f"{s:g}" for s in facts["spacing"])
        turned = " ".join(f"{angle:g}" for angle in facts["tilt"])
        outcome = cost["message"] or row["score"].get("error", "done")
        yield [
            row["name"],
            f"{facts['source']} {facts['case']}",
            spacing,
            turned,
            facts["look"],
            "yes" if facts["source"] == "jhu" else "no",
            number(cost["seconds"], 1),
            number(cost["load"], 1),
            number(cost["peak_rss_mb"], 0),
            outcome,
        ]


def bone_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """Give one row a bone."""
    for row in rows:
        for name, bone in row["score"].get("bones", {}).items():
            if isinstance(bone, dict):
                surface = ("assd_mm", "hd95_mm", "assd_si_zone_mm", "hd95_si_zone_mm")
                yield [row["name"], name, number(bone["dice"], 3), *(number(bone.get(key)) for key in surface)]


def joint_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """Give one row a joint."""
    keys = ("mid_error_mm", "mid_error_p95_mm", "gap_bias_mm", "gap_mae_mm", "coverage_2mm")
    for row in rows:
        for side, joint in row["score"].get("joint", {}).items():
            yield [row["name"], side, *(number(joint.get(key)) for key in keys)]


def plan_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """Give one row a side."""
    for row in rows:
        for side, plan in row["score"].get("plan", {}).items():
            claims = ("claimed_neural_mm", "proven_neural_mm", "true_neural_mm", "outside_solid_mm", "mid_offset_mm")
            third = plan.get("middle_third")
            yield [
                row["name"],
                side,
                plan["status"],
                plan.get("grade") or "-",
                *(number(plan.get(key)) for key in claims),
                "-" if third is None else "yes" if third else "NO",
                "BROKEN" if plan.get("claim_broken") else "-" if third is None else "kept",
                (plan.get("reason") or "-").replace("|", "/"),
            ]


PREFACE = """# Accuracy

{notice}

Written by `script/evaluate run`; every figure comes from the independent scoring tool, none from our own code.
Lengths in mm. `load` is the machine's load average when the case began: seconds above a load of about 1 are too long.

- **hubmap**: HuBMAP CCF 3D reference pelves, male and female (Visible Human, CC BY 4.0, 10.48539/HBM893.QGJK.978
  and 10.48539/HBM427.CCRP.887; smoothed by an artist). CT is rendered from the surfaces, so the truth is exact.
  The shape model has not seen them.
- **jhu**: pelves of the JHU atlas (Han et al., Phys Med Biol 2019, 10.1088/1361-6560/ab1456, CC BY 4.0), CT rendered
  likewise. **The shape model is built from these very people**: their figures are optimistic. Their sacrum ends at S3.
- **fracsegnet**: real CT of bones (Liu et al., MICCAI 2023, MIT) with expert labels and made soft tissue behind them.
  One side of each is fractured. No keep-outs are known, so plans are not scored. The bones were cut out along the
  experts' outline, and the cut can still be seen in the scan: **outlines are easier to find than in a patient**.
- **totalsegmentator**: TotalSegmentator's test scan (Apache-2.0), 3 mm, metal in the left hip, as it is. **Its truth is
  another model's labels**, good for gross errors only. No keep-outs are known.

The thresholds of the bone stage were chosen with the two fracsegnet scans and this one in view: their figures are
optimistic for that too.

What made CT is not: its tissue is simple, its noise is not a scanner's, and L5 and femora, where it has them, are
closed forms and are not scored. Made facing faces are at least 1.5 mm apart: where a mesh's faces are closer or
overlap (in the HuBMAP male's left joint over 10 cm2, by up to 2.2 mm) both were pushed back equally from the surface
midway between them, in scan and labels alike. True keep-outs are the enclosed empty space of the sacrum's solid
(`sample_data/sacral_holes.py`): our own definition, not an anatomist's.
"""


def accuracy_page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the page of tables."""
    case_head = ("case", "source", "spacing z y x", "turned, deg", "look", "seen", "s", "load", "MB", "outcome")
    bone_head = ("case", "bone", "Dice", "ASSD", "HD95", "ASSD, SI zone", "HD95, SI zone")
    joint_head = ("case", "side", "mid error", "95th", "gap bias", "gap MAE", "coverage")
    plan_head = (
        "case", "side", "status", "grade", "claimed neural", "proven", "true", "outside solid", "mid offset",
        "middle third", "claim", "reason",
    )  # fmt: skip
    parts = [
        PREFACE.format(notice=NOTICE),
        "## Cases\n\n" + table(case_head, case_rows(rows)),
        "## Bones\n\n" + table(bone_head, bone_rows(rows)),
        "## Joints\n\n" + table(joint_head, joint_rows(rows)),
        "## Plans, first candidate\n\n" + table(plan_head, plan_rows(rows)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"
