"""Torture: damaged files, faults of the machine, one scan told in many ways, mistakes, many plans in one process.

``script/torture`` runs every section (made for 15 minutes on two idle cores), keeps what it counted in
``tests/fuzz/measured.json`` and writes ``docs/reliability.md``. A section alone: ``script/torture fuzz --seconds 60``.
``script/torture long --plans 500`` takes about an hour; ``script/torture golden --write`` renews the hashes of plans.
Exit code 1 if anything did not hold.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from planner import NOTICE  # noqa: E402

MEASURED = ROOT / "tests" / "fuzz" / "measured.json"
PAGE = ROOT / "docs" / "reliability.md"
SHORT_PLANS = 12
"""Plans of the long run where nothing else is asked."""

CROWD_FILES = 100_000
"""Files in a folder."""

Section = Callable[[argparse.Namespace], dict[str, Any]]


def fuzz(asked: argparse.Namespace) -> dict[str, Any]:
    """Damage valid files of every kind and read them."""
    from fuzz.campaign import run_campaign
    from fuzz.targets import TARGETS

    rows = []
    for name in TARGETS:
        found = run_campaign(name, asked.seconds, asked.first)
        rows.append(
            {
                "target": name,
                "tried": found.tried,
                "answers": dict(sorted(found.answers.items())),
                "slowest_s": round(found.slowest_s, 2),
                "peak_mb": round(found.peak_mb, 1),
                "faults": [{"number": f.seed, "what": f.what, "where": f.where} for f in found.faults],
            }
        )
        print(f"  {name}: {found.tried} tried, {len(found.faults)} not answered", file=sys.stderr)
    return {"rows": rows, "failures": sum(len(row["faults"]) for row in rows)}


def crowd(_: argparse.Namespace) -> dict[str, Any]:
    """Read a scan among 100,000 files."""
    from fuzz.crowd import read_crowd

    found = read_crowd(CROWD_FILES)
    return {**found, "failures": int(found["slices"] != 4)}


def guided(asked: argparse.Namespace) -> dict[str, Any]:
    """Let atheris follow the coverage of the readers; it has an environment of its own (``--atheris PYTHON``)."""
    from fuzz.targets import TARGETS

    if asked.atheris is None:
        raise SystemExit("give the Python that has atheris: --atheris PYTHON")
    rows = []
    for name in TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            command = [asked.atheris, str(ROOT / "tests/fuzz/guided.py"), name, str(asked.seconds), folder]
            subprocess.run(command, check=False, capture_output=True, timeout=asked.seconds * 3 + 120)
            told = Path(folder, "told.json")
            rows.append(json.loads(told.read_text()) if told.exists() else {"target": name, "tried": 0, "died": True})
        print(f"  {rows[-1]}", file=sys.stderr)
    return {"rows": rows, "failures": sum(len(row.get("faults", ())) + row.get("died", False) for row in rows)}


def faults(_: argparse.Namespace) -> dict[str, Any]:
    """Inflict faults of the machine while a result is written or a scan is read."""
    from planner.case import CaseSettings, plan_case
    from sample_data import make_phantom

    from fuzz.faults import inflict
    from fuzz.long_run import COARSE, SMALL

    case = plan_case(make_phantom(SMALL).volume, CaseSettings(config=COARSE))
    with tempfile.TemporaryDirectory() as folder:
        rows = [asdict(tally) for tally in inflict(case, Path(folder))]
    return {"rows": rows, "failures": sum(row["injected"] - row["survived"] for row in rows)}


def determinism(_: argparse.Namespace) -> dict[str, Any]:
    """Plan one scan told in many ways."""
    from fuzz.determinism import moved, same_bytes

    with tempfile.TemporaryDirectory() as folder:
        ways = [asdict(way) for way in same_bytes(Path(folder))]
    usual = ways[0]["sha256"]
    different = sum(way["sha256"] != usual for way in ways)
    return {"rows": ways, "moved_mm": moved(), "failures": different}


def golden(asked: argparse.Namespace) -> dict[str, Any]:
    """Compare the phantom's plans with the table of hashes, or renew it."""
    from fuzz.golden import CASES, compare, made, platform_key, renew

    if asked.write:
        renew()
    lines = [line for name in CASES for line in compare(name, made(name))]
    print("\n".join(lines), file=sys.stderr)
    return {"platform": platform_key(), "cases": len(CASES), "failures": len(lines)}


def plausible(_: argparse.Namespace) -> dict[str, Any]:
    """Read scans with one mistake each."""
    from sample_data import make_phantom

    from fuzz.long_run import SMALL
    from fuzz.plausible import MISTAKES, met, usual_findings

    volume, rows = make_phantom(SMALL).volume, []
    with tempfile.TemporaryDirectory() as folder:
        usual = usual_findings(volume, Path(folder))
    for mistake in MISTAKES:
        with tempfile.TemporaryDirectory() as folder:
            outcome, words = met(mistake, volume, Path(folder), usual)
        rows.append({"mistake": mistake.name, "outcome": outcome, "words": words, "told": mistake.told})
    wrong = sum((row["outcome"] != "not told") != row["told"] for row in rows)
    return {"rows": rows, "failures": wrong}


def long(asked: argparse.Namespace) -> dict[str, Any]:
    """Plan many times in one process."""
    from fuzz.long_run import held, one_after_another

    with tempfile.TemporaryDirectory() as folder:
        found = one_after_another(asked.plans, Path(folder, "rows.jsonl"))
    return {**found, "failures": len(held(found))}


SECTIONS: dict[str, Section] = {
    "fuzz": fuzz,
    "crowd": crowd,
    "faults": faults,
    "determinism": determinism,
    "golden": golden,
    "plausible": plausible,
    "long": long,
    "guided": guided,
}
DEFAULT = ("fuzz", "crowd", "faults", "determinism", "golden", "plausible", "long")
"""What runs where nothing is asked: guided needs an environment of its own."""


def run(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Run a section, and keep what it found with the time and the commit."""
    print(f"{name} …", file=sys.stderr)
    started = time.perf_counter()
    found = SECTIONS[name](asked)
    return {
        **found,
        "seconds": round(time.perf_counter() - started),
        "commit": _commit(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Run sections, keep their counts, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS, "page"], metavar="SECTION")
    parser.add_argument("--seconds", type=float, default=12, help="of damage a kind of file")
    parser.add_argument("--first", type=int, default=0, help="number of the first damaged file")
    parser.add_argument("--plans", type=int, default=SHORT_PLANS, help="of the long run")
    parser.add_argument("--atheris", help="Python that has atheris")
    parser.add_argument("--write", action="store_true", help="with golden: renew the table")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    failures = 0
    for name in asked.sections or DEFAULT:
        if name != "page":
            found = run(name, asked)
            failures += found["failures"]
            keep(name, found)
    from fuzz.page import page

    PAGE.write_text(page(kept(), NOTICE), encoding="utf-8")
    return int(failures > 0)


def kept() -> dict[str, Any]:
    """Give what was counted so far."""
    return json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}


def keep(name: str, found: dict[str, Any]) -> None:
    """Keep a section's counts; a short run does not take the place of a long one."""
    measured = kept()
    few = name == "long" and found["plans"] < measured.get("long", {}).get("plans", 0)
    measured["long_short" if few else name] = found
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
