"""One reader under atheris, which follows the coverage of our code and the parsers: run by ``script/torture guided``.

Arguments: target, seconds, folder. What raised something that is no answer is kept in the folder, one file a place.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

FOLLOWED = [
    "planner.dicom", "planner.images", "planner.nifti", "planner.integrity", "planner.raw_images", "planner.schema",
    "planner.config", "planner.implants", "planner.seg_labels", "planner.zarr_images", "planner.verify",
    "pipelines.batch.files", "pydicom.filereader", "pydicom.values", "zipfile", "tomllib",
]  # fmt: skip
"""Readers and parsers whose coverage is followed."""
os.environ["NUMBA_DISABLE_JIT"] = "1"  # numba cannot compile what atheris has put its marks into

with atheris.instrument_imports(include=FOLLOWED):
    from fuzz.targets import TARGETS, answer

from fuzz.campaign import MEMORY_BYTES, cap_memory  # noqa: E402
from fuzz.mutate import mutated  # noqa: E402

name, seconds, out = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
target = TARGETS[name]
scratch = Path(tempfile.mkdtemp(prefix="guided-"))
found: dict[str, dict[str, str]] = {}
tried = 0


def one_input(data: bytes) -> None:
    """Read one file; what it raises is kept, and the search goes on."""
    global tried  # libFuzzer calls a function without arguments of ours
    tried += 1
    case = scratch / "case"
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir(parents=True)
    try:
        answer(target, data, case)
    except BaseException as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} {Path(line.filename).name}:{line.lineno}"
        if place not in found:
            found[place] = {"what": f"{type(error).__name__}: {error}"[:200], "where": place}
            (out / f"{name}-{len(found)}").write_bytes(data)
            tell()
    if tried % 50 == 0:
        tell()


def tell() -> None:
    """Write what is known so far: libFuzzer leaves without a word."""
    (out / "told.json").write_text(
        json.dumps({"target": name, "tried": tried, "faults": list(found.values())}), encoding="utf-8"
    )


def damaged(data: bytes, most: int, seed: int) -> bytes:
    """Give libFuzzer our own damage, too."""
    return mutated(data, seed, text=target.text)[:most] if seed % 2 else atheris.Mutate(data, most)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    seeds = out / "seeds"
    seeds.mkdir()
    for number, data in enumerate(target.seeds()):
        (seeds / str(number)).write_bytes(data)
        one_input(data)
    cap_memory(MEMORY_BYTES * 2)
    options = [f"-max_total_time={int(seconds)}", "-max_len=60000", "-timeout=20", "-rss_limit_mb=0", str(seeds)]
    atheris.Setup([sys.argv[0], *options], one_input, custom_mutator=damaged)
    atheris.Fuzz()
