"""Read plans, and the schema that they follow."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from planner.errors import UnreadableFileError
from planner.plan import SCHEMA, PlanDocument

__all__ = ["SCHEMA_FILE", "made_schema", "plan_schema", "read_plan"]

SCHEMA_FILE = files("planner.schema") / "plan-1.schema.json"
"""What ships for `planner.plan.SCHEMA`."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The JSON Schema that pydantic writes."""


def plan_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ``plan.json``, as it ships."""
    schema: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def made_schema() -> str:
    """Make the text of the schema from the models."""
    schema = {"$schema": DIALECT, "$id": SCHEMA} | PlanDocument.model_json_schema(by_alias=True)
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def read_plan(path: Path) -> PlanDocument:
    """Read a ``plan.json`` of this version of the schema, by whatever version of the program it was written.

    Parameters
    ----------
    path : Path
        The file, or the result folder that it is in.

    Raises
    ------
    UnreadableFileError
        If it is not there, no JSON, of another schema, or not as the schema says; the message names the first fault.
    """
    path = path / "plan.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, "no JSON file that can be read") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise _unreadable(path, f"schema {found!r}")
    try:
        return PlanDocument.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _unreadable(path, f"{where}: {first['msg']}") from error


def _unreadable(path: Path, found: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"{path.name}: found {found}, expected a plan of schema {SCHEMA!r}.",
        "Plan the case again, or read it with the version of sacroplan that wrote it.",
    )
