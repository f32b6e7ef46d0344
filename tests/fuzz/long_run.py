"""Many plans in one process: memory, open files, threads and temporary files after each.

The case is the smallest that runs every stage: a phantom of 2.9 x 2.5 x 2.5 mm round the joints, with coarse settings.
"""

from __future__ import annotations

import gc
import hashlib
import json
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipelines.results import write_case
from planner.case import CaseSettings, plan_case
from planner.config import PlanConfig
from planner.images import write_volume
from sample_data import PhantomSpec, make_phantom

Gate = Callable[[], AbstractContextManager[None]]

SMALL = PhantomSpec(spacing_zyx_mm=(2.9, 2.5, 2.5), z_range_mm=(-30.0, 80.0), size_yx_mm=(200.0, 300.0))
"""A phantom whose plan takes a few seconds."""
COARSE = PlanConfig.model_validate(
    {
        "joint": {"spacing_mm": 2.0},
        "keepout": {"spacing_mm": 2.0},
        "trajectory": {
            "search": {"centre_step_mm": 10.0, "angle_step_deg": 20.0, "starts": 4},
            "placement": {"log2_samples": 6},
        },
    }
)
"""Settings that take the same ways through the code in less time."""
WRITE_EVERY = 10
"""Of so many plans one is written to disk, without pictures."""
WARM = 40
"""Plans until memory pools and caches have their size."""


def one_after_another(plans: int, state: Path, gate: Gate = nullcontext) -> dict[str, Any]:
    """Plan so many times, and say what had grown.

    Parameters
    ----------
    plans : int
        How often.
    state : Path
        A line of JSON a plan is appended here.
    gate : callable, optional
        Gives a context in which one plan is made: where a machine is shared, it waits there for its turn.
    """
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        write_volume(folder / "ct.nii.gz", make_phantom(SMALL).volume)
        (folder / "tmp").mkdir()
        tempfile.tempdir = str(folder / "tmp")
        try:
            rows = [_measured_plan(number, folder, state, gate) for number in range(plans)]
        finally:
            tempfile.tempdir = None
    return growth(rows)


def _measured_plan(number: int, folder: Path, state: Path, gate: Gate) -> dict[str, Any]:
    with gate():
        case = plan_case(folder / "ct.nii.gz", CaseSettings(config=COARSE))
        if number % WRITE_EVERY == 0:
            write_case(case, folder / "plan", figures=False)
    text = case.document.to_json()
    del case
    gc.collect()
    process = psutil.Process()
    row = {
        "plan": number,
        "rss_mb": round(process.memory_info().rss / 2**20, 1),
        "files": process.num_fds(),
        "threads": threading.active_count(),
        "children": len(process.children()),
        "temporary": len(list((folder / "tmp").iterdir())),
        "leftovers": sum(path.name.startswith(".") for path in folder.iterdir()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    with state.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")
    return row


def growth(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the first plans after the warm-up with the last ones."""
    warm = min(WARM, len(rows) // 3)
    rss = np.array([row["rss_mb"] for row in rows[warm:]])
    part = max(len(rss) // 5, 1)
    files = [row["files"] for row in rows[min(warm, 1) :]]
    return {
        "plans": len(rows),
        "rss_mb_first": round(float(np.median(rss[:part])), 1),
        "rss_mb_last": round(float(np.median(rss[-part:])), 1),
        "rss_mb_most": round(float(rss.max()), 1),
        "files_first": files[0],
        "files_last": files[-1],
        "threads_most": max(row["threads"] for row in rows),
        "children_most": max(row["children"] for row in rows),
        "temporary_most": max(row["temporary"] for row in rows),
        "leftovers_most": max(row["leftovers"] for row in rows),
        "different_plans": len({row["sha256"] for row in rows}),
    }


MOST_GROWTH_MB = 40.0
"""By which the median memory of the last fifth of the plans may exceed that of the first fifth after the warm-up."""


def held(found: dict[str, Any]) -> list[str]:
    """Say what grew that should not."""
    said = []
    if found["rss_mb_last"] - found["rss_mb_first"] > MOST_GROWTH_MB:
        said.append("memory grew")
    if found["files_last"] > found["files_first"]:
        said.append("files stayed open")
    if found["children_most"] or found["temporary_most"] or found["leftovers_most"]:
        said.append("processes or files were left")
    if found["different_plans"] != 1:
        said.append("plans differ")
    return said
