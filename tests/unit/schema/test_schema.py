"""The schema that ships is that of the models, and every plan of the version can be read, however old."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from planner.errors import UnreadableFileError
from planner.plan import SCHEMA
from planner.schema import plan_schema, read_plan
from planner.schema.read import SCHEMA_FILE, made_schema

from support.made_plan import made_document

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "plans"
OLD_PLANS = sorted(FIXTURES.glob("phantom_*.json"))
"""Plans of the phantom, each named for the commit whose models were new when it was written."""


def check(content):
    jsonschema.validate(content, plan_schema(), cls=jsonschema.Draft202012Validator)


def write(folder, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "plan.json").write_text(text, "utf-8")
    return folder


def test_what_ships_is_current():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == made_schema(), "run: python -m planner.schema"


def test_the_schema_is_one_and_names_its_version():
    schema = plan_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == SCHEMA
    assert schema["properties"]["schema"]["const"] == SCHEMA
    assert SCHEMA_FILE.name == f"plan-{SCHEMA.rpartition('/')[2]}.schema.json"


def test_our_own_plans_follow_it():
    check(json.loads(made_document().to_json()))


def test_there_are_old_plans():
    assert len(OLD_PLANS) >= 4


@pytest.mark.parametrize("path", OLD_PLANS, ids=lambda path: path.stem)
def test_older_plans_follow_it_and_are_read(path):
    content = json.loads(path.read_text())
    check(content)
    plan = read_plan(path)
    for side, entry in content["sides"].items():
        assert plan.sides[side].status == entry["status"]
        for ours, theirs in zip(plan.sides[side].candidates, entry["candidates"], strict=True):
            assert np.array_equal(ours.implant_entry_lps_mm, theirs["implant_entry_lps_mm"])
            assert np.array_equal(ours.implant_tip_lps_mm, theirs["implant_tip_lps_mm"])


@pytest.mark.parametrize("path", OLD_PLANS, ids=lambda path: path.stem)
def test_older_plans_lose_nothing(path):
    """Whatever an older version wrote is still there when the plan is written again."""
    content, again = json.loads(path.read_text()), json.loads(read_plan(path).to_json())

    def holds(new, old):
        if isinstance(old, dict):
            return all(key in new and holds(new[key], value) for key, value in old.items())
        if isinstance(old, list):
            return len(new) == len(old) and all(map(holds, new, old))
        return new == old

    assert holds(again, content)


def test_a_folder_is_as_good_as_its_plan(tmp_path):
    write(tmp_path, made_document().to_json())
    assert read_plan(tmp_path) == read_plan(tmp_path / "plan.json") == made_document()


def changed(**parts):
    return json.loads(made_document().to_json()) | parts


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("not json", "no JSON file"),
        ("[1, 2]", "schema None"),
        (changed(schema="sacroplan.plan/2"), "schema 'sacroplan.plan/2'"),
        (changed(notice="Ready for the clinic."), "notice: "),
        (changed(extra=1), "extra: "),
        (changed(sides={"left": {"status": "planned"}}), "sides.left.reason: "),
    ],
    ids=["text", "list", "newer", "notice", "unknown", "missing"],
)
def test_what_is_no_plan_is_named(tmp_path, content, found):
    with pytest.raises(UnreadableFileError, match=r"^plan\.json: found " + found):
        read_plan(write(tmp_path, content))


def test_a_plan_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnreadableFileError, match="no JSON file"):
        read_plan(tmp_path)


@pytest.mark.parametrize("part", [{"notice": "x"}, {"extra": 1}, {"findings": "none"}], ids=str)
def test_the_schema_refuses_what_the_models_refuse(part):
    with pytest.raises(jsonschema.ValidationError):
        check(changed(**part))
