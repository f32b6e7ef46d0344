"""Writer: the reviewed placement of an implant, with what it breaks and what was decided about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_sacroplan.session import Session
from planner import NOTICE

__all__ = ["reviewed_document", "write_reviewed"]

SCHEMA = "sacroplan.reviewed/1"


def reviewed_document(session: Session) -> dict[str, Any]:
    """Put the side looked at, its placement, and its last decision into one document."""
    verdict = session.verdict()
    return {
        "schema": SCHEMA,
        "notice": NOTICE,
        "plan_sha256": session.case.plan_sha256,
        "placement": session.facts(),
        "decision": verdict.model_dump(mode="json", by_alias=True) if verdict else None,
    }


def write_reviewed(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write the implant layer of a review as JSON; any other surface is not ours to write.

    `data` is not looked at: the placement is exact, the surface's triangles are not.
    """
    session = attributes.get("metadata", {}).get("session")
    if not isinstance(session, Session):
        return []
    Path(path).write_text(json.dumps(reviewed_document(session), indent=1) + "\n", encoding="utf-8")
    return [path]
