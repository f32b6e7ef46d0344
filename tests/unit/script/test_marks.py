"""Text of scripts goes between a page's marks, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MARKED = "before\n<!-- part -->\nold\n<!-- end of part -->\nafter\n"


@pytest.fixture
def put_between():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "script"))
        from marks import put_between

        yield put_between


def test_only_what_is_between_the_marks_changes(put_between, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(MARKED)
    put_between(page, "part", "new\n")
    assert page.read_text() == "before\n<!-- part -->\n\nnew\n\n<!-- end of part -->\nafter\n"
    put_between(page, "part", "new\n")
    assert page.read_text().count("new") == 1


@pytest.mark.parametrize("text", ["no marks", MARKED * 2, MARKED.replace("<!-- end of part -->", "")])
def test_a_page_without_one_pair_of_marks_is_left_alone(put_between, tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="once each"):
        put_between(page, "part", "new")
    assert page.read_text() == text


@pytest.mark.parametrize("name", ["worked case: script/worked_case.py", "optimum: script/check_optimum.py"])
def test_the_page_of_planning_has_its_marks_once(name):
    text = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")
    assert text.count(f"<!-- {name} -->") == text.count(f"<!-- end of {name} -->") == 1
