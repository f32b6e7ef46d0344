"""A result folder is complete or absent."""

from __future__ import annotations

import pytest

from pipelines.results import MANIFEST, REVIEW, complete_or_absent
from planner.errors import ConfigError


def write(folder, text="new"):
    (folder / MANIFEST).write_text(text)


def fail_half_way(out):
    with complete_or_absent(out) as partial:
        write(partial)
        raise RuntimeError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_folder_appears_only_at_the_end(tmp_path):
    out = tmp_path / "deep" / "out"
    with complete_or_absent(out) as partial:
        write(partial)
        assert not out.exists()
    assert names(out) == [MANIFEST]
    assert names(out.parent) == ["out"]


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        fail_half_way(tmp_path / "out")
    assert names(tmp_path) == []


def test_a_failure_leaves_the_earlier_result(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write(out, "earlier")
    with pytest.raises(RuntimeError):
        fail_half_way(out)
    assert (out / MANIFEST).read_text() == "earlier"
    assert names(tmp_path) == ["out"]


def test_an_earlier_result_is_replaced_whole(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write(out, "earlier")
    (out / "old.png").write_text("old")
    with complete_or_absent(out) as partial:
        write(partial)
    assert names(out) == [MANIFEST]
    assert (out / MANIFEST).read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_is_taken(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with complete_or_absent(out) as partial:
        write(partial)
    assert names(out) == [MANIFEST]


@pytest.mark.parametrize("kind", ["folder with other files", "file"])
def test_what_is_not_ours_is_never_replaced(tmp_path, kind):
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("thesis")
    else:
        out.mkdir()
        (out / "thesis.tex").write_text("thesis")
    with pytest.raises(ConfigError, match="not a result of sacroplan"), complete_or_absent(out):
        pass
    assert out.exists()
    assert names(tmp_path) == ["out"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"), complete_or_absent(tmp_path / "file" / "out"):
        pass


def test_the_record_of_a_review_is_never_overwritten(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write(out, "earlier")
    (out / REVIEW).write_text("approved")
    with pytest.raises(ConfigError, match="holds the record of a review"), complete_or_absent(out):
        pytest.fail("nothing is to be worked out")
    assert names(out) == [MANIFEST, REVIEW]
