"""A study is whole when it is quiet and its senders have hung up."""

from __future__ import annotations

import pytest

from pipelines.pacs.arrivals import PATIENCE, Arrivals


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def arrivals(clock):
    return Arrivals(10.0, clock)


def test_a_study_waits_for_its_sender_and_then_for_quiet(arrivals, clock):
    arrivals.stored("a", 1)
    clock.now = 1000
    assert arrivals.due() == []
    arrivals.hung_up(1, properly=True)
    clock.now += 9.9
    assert arrivals.due() == []
    clock.now += 0.1
    assert arrivals.due() == ["a"]
    assert arrivals.due() == []


def test_two_senders_of_one_study_are_both_waited_for(arrivals, clock):
    arrivals.stored("a", 1)
    arrivals.stored("a", 2)
    arrivals.hung_up(1, properly=True)
    clock.now = 100
    assert arrivals.due() == []
    arrivals.hung_up(2, properly=True)
    clock.now += 10
    assert arrivals.due() == ["a"]


def test_a_study_cut_off_waits_longer(arrivals, clock):
    arrivals.stored("a", 1)
    arrivals.hung_up(1, properly=False)
    clock.now = 10 * PATIENCE - 1
    assert arrivals.due() == []
    clock.now += 1
    assert arrivals.due() == ["a"]


def test_what_comes_again_after_a_cut_counts_as_usual(arrivals, clock):
    arrivals.stored("a", 1)
    arrivals.hung_up(1, properly=False)
    arrivals.stored("a", 2)
    arrivals.hung_up(2, properly=True)
    clock.now = 10
    assert arrivals.due() == ["a"]


def test_the_connection_closing_after_a_release_is_no_cut(arrivals, clock):
    arrivals.stored("a", 1)
    arrivals.hung_up(1, properly=True)
    arrivals.hung_up(1, properly=False)
    clock.now = 10
    assert arrivals.due() == ["a"]


def test_what_an_earlier_run_had_not_got_whole_waits_longer(arrivals, clock):
    arrivals.left_over("a")
    clock.now = 50
    assert arrivals.due() == []
    clock.now = 10 * PATIENCE
    assert arrivals.due() == ["a"]
