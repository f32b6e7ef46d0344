"""A pack carries what was decided on review, and not who decided it."""

from __future__ import annotations

import hashlib
import json
import zipfile

import pytest

from pipelines.packs.pseudonyms import KEY_BYTES, Pseudonyms
from pipelines.packs.write import write_pack
from planner.decisions import Decision, append
from planner.images import write_labels
from planner.implants import load_catalogue

from support.made_plan import bones, keepouts, made_case, upright

KEY = Pseudonyms(bytes(range(KEY_BYTES)))
REASON = "Osteophyte resected first"


@pytest.fixture
def result(tmp_path):
    folder = tmp_path / "result"
    folder.mkdir()
    grid = upright()
    (folder / "plan.json").write_text(made_case(grid, tmp_path).document.to_json())
    write_labels(folder / "labels.nii.gz", bones(grid))
    write_labels(folder / "keepout.nii.gz", keepouts(grid))
    (folder / "manifest.json").write_text(json.dumps({"settings": {"config": {}}, "shown": {}}))
    return folder


def decide(folder, verdict, text="", plan=None, **facts):
    own = hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest()
    decision = Decision(side="left", verdict=verdict, name="A. Tester", text=text, **facts)
    append(folder, decision, plan or own)


def packed(folder, tmp_path):
    write_pack(folder, tmp_path / "pack.zip", KEY, load_catalogue())
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_override_goes_with_its_reason_into_every_export_but_not_its_author(result, tmp_path):
    decide(result, "approved")
    decide(result, "overridden", REASON, broken_mm={"access": -1.2}, changed={"tip_mm": 2.0}, diameter_mm=10.0)
    decide(result, "comment", "seen again")
    files = packed(result, tmp_path)
    (decision,) = json.loads(files["decisions.json"])["decisions"]
    assert (decision["verdict"], decision["text"], decision["diameter_mm"]) == ("overridden", REASON, 10.0)
    assert decision["broken_mm"] == {"access": -1.2}
    assert not {"name", "when"} & set(decision)
    first = json.loads(files["plan.json"])["findings"][0]
    assert (first["code"], first["level"], first["side"]) == ("review-overridden", "warn", "left")
    assert REASON in first["message"]
    assert "access" in first["message"]
    assert not any(b"Tester" in content for content in files.values())


def test_a_rejected_side_says_so_first(result, tmp_path):
    decide(result, "rejected", "too close to S1")
    first = json.loads(packed(result, tmp_path)["plan.json"])["findings"][0]
    assert (first["code"], first["level"]) == ("review-rejected", "review-only")


def test_decisions_about_another_plan_stay_behind(result, tmp_path):
    decide(result, "approved", plan="ab" * 32)
    files = packed(result, tmp_path)
    assert "decisions.json" not in files
    assert not any(f["code"].startswith("review-") for f in json.loads(files["plan.json"])["findings"])
