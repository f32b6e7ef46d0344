"""What a case has freed does not stay with the process."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading

import psutil
import pytest

from pipelines.batch import case
from pipelines.batch.engine import InProcess
from pipelines.batch.memory import give_back
from pipelines.batch.run import BatchOptions, run_batch

from support.made_export import fake_planner, write_study

BLOCKS, BLOCK_BYTES, KEPT_EVERY = 6000, 30_000, 10
"""180 MB in blocks that the allocator keeps in a heap of the thread, one in ten still in use."""

HAS_TRIM = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


def resident():
    return psutil.Process().memory_info().rss


FREED = """
import psutil
from pipelines.batch.memory import keep_tidy
def resident():
    return psutil.Process().memory_info().rss
keep_tidy()
before = resident()
for size in (30 << 20, 20 << 20, 2 << 20):  # glibc would now take blocks below 30 MB from its heap
    del_me = b"1" * size
    del del_me
blocks = [b"1" * (2 << 20) for _ in range(40)]
kept = blocks[::10]
blocks.clear()
assert resident() - before < (len(kept) + 2) * (2 << 20), resident() - before
"""


@pytest.mark.skipif(not HAS_TRIM, reason="this system's allocator is not glibc's")
def test_large_blocks_go_back_at_once_though_larger_ones_were_freed_before():
    # in a process of its own: here other tests have left holes
    subprocess.run([sys.executable, "-c", FREED], check=True, timeout=100)


@pytest.mark.skipif(not HAS_TRIM, reason="this system's allocator is not glibc's")
def test_freed_memory_of_other_threads_is_given_back():
    kept = []

    def work():
        blocks = [b"\1" * BLOCK_BYTES for _ in range(BLOCKS)]
        kept.extend(blocks[::KEPT_EVERY])

    before = resident()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    held = resident() - before
    give_back()
    assert held > 0.8 * BLOCKS * BLOCK_BYTES  # or there is nothing to give back, and nothing tested
    assert len(kept) == BLOCKS // KEPT_EVERY
    assert resident() - before < 0.3 * BLOCKS * BLOCK_BYTES


def test_it_is_given_back_after_every_case_however_it_ends(tmp_path, monkeypatch):
    for number in range(3):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    (tmp_path / "export" / "1" / "IM1").unlink()
    calls = []
    monkeypatch.setattr(case, "give_back", lambda: calls.append(1))
    run_batch(tmp_path / "export", tmp_path / "out", BatchOptions(), InProcess(), planner=fake_planner)
    assert len(calls) == 3
