"""``python -m planner.schema``: write the schema anew after a change of the models in `planner.plan`."""

from __future__ import annotations

from pathlib import Path

from planner.schema.read import SCHEMA_FILE, made_schema

if __name__ == "__main__":
    Path(str(SCHEMA_FILE)).write_text(made_schema(), encoding="utf-8")
