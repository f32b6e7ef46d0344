"""What a case has freed does not stay with the process."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from pipelines.batch import case
from pipelines.batch.engine import InProcess
from pipelines.batch.run import BatchOptions, run_batch

from support.made_export import fake_planner, write_study

HAS_TRIM = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


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


HELD = """
import threading
import psutil
from pipelines.batch.memory import give_back
BLOCKS, BLOCK_BYTES = 6000, 30_000  # 180 MB in a heap of the thread, one block in ten still in use
def resident():
    return psutil.Process().memory_info().rss
kept = []
def work():
    blocks = [b"1" * BLOCK_BYTES for _ in range(BLOCKS)]
    kept.extend(blocks[::10])
before = resident()
thread = threading.Thread(target=work)
thread.start()
thread.join()
held = resident() - before
give_back()
assert held > 0.8 * BLOCKS * BLOCK_BYTES, held  # or there is nothing to give back, and nothing tested
assert len(kept) == BLOCKS // 10
assert resident() - before < 0.3 * BLOCKS * BLOCK_BYTES, resident() - before
"""


@pytest.mark.skipif(not HAS_TRIM, reason="this system's allocator is not glibc's")
@pytest.mark.parametrize("script", [FREED, HELD], ids=["large blocks", "a thread's small blocks"])
def test_what_is_freed_goes_back(script):
    # in a process of its own: here other tests have left holes
    subprocess.run([sys.executable, "-c", script], check=True, timeout=100)


def test_it_is_given_back_after_every_case_however_it_ends(tmp_path, monkeypatch):
    for number in range(3):
        (tmp_path / "export" / str(number)).mkdir(parents=True)
        write_study(tmp_path / "export" / str(number), number)
    (tmp_path / "export" / "1" / "IM1").unlink()
    calls = []
    monkeypatch.setattr(case, "give_back", lambda: calls.append(1))
    run_batch(tmp_path / "export", tmp_path / "out", BatchOptions(), InProcess(), planner=fake_planner)
    assert len(calls) == 3
