"""``batch.json`` of a case: how it ended, from what, and the figures of its plan. Holds no identifier and no clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines.batch.model import Outcome, Study
from planner import NOTICE
from planner.dicom.series import SeriesReport

__all__ = ["RECORD", "SCHEMA", "measures_of", "read_record", "record_of", "write_record"]

RECORD = "batch.json"
SCHEMA = "sacroplan.batch/1"

Record = dict[str, Any]


def record_of(key: str, study: Study, outcome: Outcome, series: Iterable[SeriesReport], plan: Record) -> Record:
    """Say how a study ended.

    Parameters
    ----------
    key : str
        Its folder.
    study : Study
        What it holds.
    outcome : Outcome
        How it ended.
    series : iterable of SeriesReport
        What could be chosen from, and why which was.
    plan : dict
        What `measures_of` gives; empty without a plan.
    """
    return {
        "schema": SCHEMA,
        "notice": NOTICE,
        "case": key,
        "content": study.content,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "message": outcome.message,
        "files": {
            "images": len(study.images),
            "copies": study.copies,
            "damaged": len(study.damaged),
            "other_modalities": dict(study.others),
        },
        "series": [
            {
                "key": one.key,
                "modality": one.modality,
                "slices": one.slices,
                "score": round(one.score, 4),
                "chosen": one.chosen,
                "reasons": list(one.reasons),
            }
            for one in series
        ],
        **plan,
    }


def write_record(folder: Path, record: Record) -> None:
    """Write ``batch.json`` into a folder."""
    (folder / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_record(folder: Path) -> Record | None:
    """Read it back; None where there is none, or none that we can use."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("schema") == SCHEMA else None


def measures_of(folder: Path) -> Record:
    """Take from ``plan.json`` and ``manifest.json`` what the summary shows."""
    plan = _load(folder / "plan.json")
    manifest = _load(folder / "manifest.json")
    return {
        "findings": sorted({(f["code"], f["level"], f["side"]) for f in plan.get("findings", [])}),
        "complete": plan.get("input", {}).get("complete"),
        "sides": {side: _side(entry) for side, entry in plan.get("sides", {}).items()},
        "seconds": round(sum(stage["seconds"] for stage in manifest.get("stages", [])), 3),
        "peak_rss_mb": manifest.get("peak_rss_mb"),
    }


def _load(path: Path) -> Mapping[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _side(entry: Mapping[str, Any]) -> Record:
    joint = entry.get("joint") or {}
    best = next(iter(entry.get("candidates") or ()), None) or {}
    implant, clearance = best.get("implant") or {}, best.get("clearance") or {}
    return {
        "status": entry.get("status"),
        "gap_median_mm": joint.get("gap_median_mm"),
        "gap_p95_mm": joint.get("gap_p95_mm"),
        "articular_area_mm2": joint.get("articular_area_mm2"),
        "grade": best.get("grade"),
        "score": best.get("score"),
        "diameter_mm": implant.get("diameter_mm"),
        "length_mm": implant.get("length_mm"),
        "articular_share": best.get("articular_share"),
        "corridor_mm": best.get("safe_entry_radius_mm"),
        "neural_proven_mm": (clearance.get("neural") or {}).get("proven_mm"),
        "least_proven_mm": min((c["proven_mm"] for c in clearance.values() if "proven_mm" in c), default=None),
        "binding": best.get("binding"),
    }
