"""Files that a reader did not answer once, found by ``script/torture``: each is answered now, in a capped process."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.campaign import replay, run_campaign
from fuzz.mutate import mutated
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FOUND = sorted(path for path in CORPUS.glob("*/*") if path.is_file())

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is capped by what Linux tells")


def test_cases_were_found() -> None:
    assert len(FOUND) >= 8
    assert {path.parent.name for path in FOUND} <= set(TARGETS)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_is_answered(path: Path) -> None:
    assert replay(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", ["nifti", "nrrd", "metaimage", "toml", "zip"])
def test_some_more_damage_is_answered(name: str) -> None:
    found = run_campaign(name, seconds=20, first=10**6, most=40)
    assert found.faults == []
    assert found.tried == 40


def test_the_same_number_is_the_same_damage() -> None:
    data = TARGETS["toml"].seeds()[0]
    assert mutated(data, 5, text=True) == mutated(data, 5, text=True)
    assert len({mutated(data, seed, text=True) for seed in range(50)}) > 40


def test_every_valid_file_is_read() -> None:
    for name in ("nifti", "toml", "dicomdir", "plan"):
        for data in TARGETS[name].seeds():
            if name != "toml":  # one of two is the other reader's
                assert replay(name, data) == "read"


def test_what_a_reader_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness sees exceptions, memory and death."""
    import os
    import signal

    from fuzz import campaign
    from fuzz.targets import Target

    def read(data: bytes, folder: Path) -> object:
        if data == b"raise":
            raise KeyError("x")
        if data == b"memory":
            return bytearray(2**30)
        if data == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        return None

    monkeypatch.setitem(campaign.TARGETS, "broken", Target("broken", lambda: (b"fine",), read))
    assert replay("broken", b"fine") == "read"
    for data, words in ((b"raise", "KeyError"), (b"memory", "MemoryError"), (b"die", "SIGKILL")):
        with pytest.raises(AssertionError, match=words):
            replay("broken", data)
