"""A folder of very many files, of which a few are the scan."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

from planner.reading import read_scan

from fuzz.campaign import MEMORY_BYTES, cap_memory, peak_mb
from fuzz.targets import GRID
from support.dicom_files import body, ct_datasets, save

__all__ = ["read_crowd"]

PER_FOLDER = 5000


def read_crowd(files: int) -> dict[str, Any]:
    """Read a series of four slices among so many other files, in a process with 512 MB more than it starts with."""
    with tempfile.TemporaryDirectory() as name:
        folder = save(Path(name, "export"), ct_datasets(body(GRID.shape_zyx), GRID))
        for number in range(files):
            place = folder / f"{number // PER_FOLDER}"
            if number % PER_FOLDER == 0:
                place.mkdir()
            (place / f"note{number}.txt").write_bytes(b"not an image")
        ours, theirs = multiprocessing.get_context("fork").Pipe()
        child = multiprocessing.get_context("fork").Process(target=_read, args=(folder, theirs))
        child.start()
        theirs.close()
        try:
            found: dict[str, Any] = ours.recv()
        except EOFError:
            found = {"slices": 0, "seconds": 0.0, "more_mb": 0.0}
        child.join()
    return {"files": files, **found}


def _read(folder: Path, pipe: Any) -> None:
    cap_memory(MEMORY_BYTES)
    before, started = peak_mb(), time.perf_counter()
    scan = read_scan(folder)
    seconds, more = round(time.perf_counter() - started, 1), round(peak_mb() - before, 1)
    pipe.send({"slices": scan.description["slices"], "seconds": seconds, "more_mb": more})
