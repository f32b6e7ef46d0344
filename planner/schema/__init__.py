"""The JSON Schema of ``plan.json``, shipped with the package, and plans of every version read back.

One file a version of the schema: ``plan-1.schema.json`` describes ``sacroplan.plan/1``. It is made from the models in
`planner.plan` by ``python -m planner.schema``, and a test holds the two together. Within a version fields are only ever
added, each with a default, so that every plan of that version can be read.
"""

from planner.schema.read import plan_schema, read_plan

__all__ = ["plan_schema", "read_plan"]
