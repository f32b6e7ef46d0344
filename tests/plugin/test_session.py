"""A review: drag, undo, redo, snap back, lock, margins and decisions, without a window."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sacroplan.reopen import reopen
from napari_sacroplan.session import Session
from napari_sacroplan.writers import reviewed_document, write_reviewed
from planner.decisions import read_record
from planner.errors import ConfigError
from planner.joint.model import Third
from planner.labels import Side


@pytest.fixture
def own(own_folder):
    return Session(reopen(own_folder), name="A. Tester")


def into_the_canal(session):
    at = session.check().clearances["neural"].at_lps
    session.place(session.placement.moved(at - session.placement.centre_lps))


def test_it_opens_on_the_first_candidate_with_the_crosshair_in_it(session):
    assert (session.side, session.rank, session.edited) == (Side.LEFT, 1, False)
    assert np.allclose(session.cursor_lps, session.placement.centre_lps)
    assert session.check().grade in ("green", "amber")


def test_sides_and_candidates_switch_and_keep_their_edits(session):
    session.place(session.placement.moved((0.5, 0, 0)))
    session.switch_side()
    assert session.side is Side.RIGHT
    assert not session.edited
    session.switch_side()
    assert session.edited
    count = len(session.document.candidates)
    ranks = []
    for _ in range(count):
        ranks.append(session.rank)
        session.next_candidate()
    assert ranks == [*range(1, count + 1)]
    assert session.rank == 1


def test_a_drag_is_one_step_however_many_moves_it_had(session):
    told = []
    session.changed = lambda: told.append(session.placement)
    start = session.placement
    for mm in (0.5, 1.0, 1.5):
        session.drag(start.moved((mm, 0, 0)))
    session.drop()
    assert len(told) == 4
    assert session.placement.change_from(start)["tip_mm"] == 1.5
    session.undo()
    assert session.placement is start
    session.redo()
    assert session.placement.change_from(start)["tip_mm"] == 1.5


def test_a_new_step_forgets_what_was_undone(session):
    start = session.placement
    session.place(start.moved((1, 0, 0)))
    session.undo()
    session.place(start.moved((0, 1, 0)))
    session.redo()
    assert np.allclose(session.placement.entry_lps - start.entry_lps, (0, 1, 0))


def test_snapping_back_can_be_undone(session):
    start = session.placement
    session.place(start.moved((1, 0, 0)))
    session.snap_back()
    assert not session.placement.change_from(start)["tip_mm"]
    session.undo()
    assert session.placement.change_from(start)["tip_mm"] == 1.0


def test_a_locked_implant_stays_where_it_is(session):
    session.place(session.placement.moved((1, 0, 0)))
    here = session.placement
    session.toggle_lock()
    session.place(here.moved((1, 0, 0)))
    session.undo()
    session.optimise()
    assert session.placement is here
    session.toggle_lock()
    session.undo()
    assert session.placement is not here


def test_resizing_is_checked_at_once(session):
    before = session.check()
    sizes = [size for size in session.case.implant.sizes() if size != session.placement.size]
    session.resize(*sizes[-1])
    assert session.placement.size == sizes[-1]
    assert session.check().clearances["neural"].mm != before.clearances["neural"].mm


def test_optimising_does_not_end_lower(session):
    session.place(session.placement.moved((0, 0, 1.0)))
    before = session.check().score
    session.optimise()
    assert session.check().broken == ()
    assert session.check().score >= before


def test_margins_out_of_range_are_refused(session):
    with pytest.raises(ValueError, match="less than or equal to 10"):
        session.set_limits(neural_mm=11.0)


def test_loosened_margins_hide_nothing_in_the_record(own):
    into_the_canal(own)
    broken = set(own.facts()["broken_mm"])
    own.set_limits(neural_mm=0.1)
    facts = own.facts()
    assert broken <= set(facts["broken_mm"])
    assert facts["limits_changed"] == {"neural_mm": 0.1}
    with pytest.raises(ConfigError, match="cannot be approved"):
        own.decide("approved")


def test_another_third_stays_a_broken_constraint(own):
    own.set_third(Third.SUPERIOR)
    own.optimise()
    assert own.facts()["limits_changed"] == {"third": 1.0}
    assert own.facts()["broken_mm"]


def test_approving_a_proposal_is_written_with_the_plans_hash(own):
    entry = own.decide("approved")
    assert entry.plan_sha256 == own.case.plan_sha256
    assert (entry.changed, entry.broken_mm, entry.candidate) == ({}, {}, 1)
    assert own.verdict().verdict == "approved"
    assert own.verdict(Side.RIGHT) is None
    assert [e.name for e in read_record(own.case.folder)] == ["A. Tester"]


def test_an_edited_path_is_written_with_what_changed(own):
    own.place(own.placement.moved((0.0, 0.5, 0.0)))
    entry = own.decide("rejected" if own.check().broken else "approved")
    assert entry.changed["tip_mm"] == 0.5
    assert entry.tip_lps_mm == pytest.approx(own.placement.tip_lps, abs=1e-3)


def test_a_broken_path_is_overridden_only_with_a_reason_and_exports_say_so(own, tmp_path):
    into_the_canal(own)
    with pytest.raises(ConfigError, match="cannot be approved"):
        own.decide("approved")
    with pytest.raises(ConfigError, match="needs a reason"):
        own.decide("overridden")
    assert not own.record
    own.decide("overridden", "as agreed on the phone")
    document = reviewed_document(own)
    assert document["decision"]["verdict"] == "overridden"
    assert document["decision"]["text"] == "as agreed on the phone"
    assert "neural-clearance" in document["placement"]["broken_mm"]
    (path,) = write_reviewed(str(tmp_path / "out.json"), None, {"metadata": {"session": own}})
    assert "as agreed on the phone" in (tmp_path / "out.json").read_text()
    assert write_reviewed(path, None, {"metadata": {}}) == []


def test_nobody_decides_without_a_name(own):
    own.name = "  "
    with pytest.raises(ConfigError, match="Enter your name"):
        own.decide("approved")


def test_the_record_is_there_when_the_folder_is_opened_again(own):
    own.decide("comment", "look at S2")
    own.decide("approved")
    again = Session(reopen(own.case.folder))
    assert [e.verdict for e in again.record] == ["comment", "approved"]
    assert again.verdict().name == "A. Tester"


def test_what_only_the_planners_last_check_finds_is_not_approved(own, monkeypatch):
    own.place(own.placement.moved((0.0, 0.1, 0.0)))
    assert own.check().broken == ()
    monkeypatch.setattr(type(own.checker()), "candidate", lambda self, placement: None)
    assert own.facts()["broken_mm"] == {"last-check": 0.0}
    with pytest.raises(ConfigError, match="cannot be approved"):
        own.decide("approved")
