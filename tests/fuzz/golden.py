"""Plans of the phantom by hash: nothing may change them unseen.

Processors round differently (vector instructions, the mathematical library), so one hash does not hold everywhere. The
table keeps the hash of every *platform* that a plan was made on: processor features and library versions. On such a
platform the bytes must agree. On another one the plan's figures must agree with those kept beside the hashes, within
`TOLERANCES`, which are far below what matters to an implant.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llvmlite import binding

from pipelines.results import DEPENDENCIES
from planner import __version__
from planner.case import CaseSettings, plan_case
from planner.plan import PlanDocument
from sample_data import PhantomSpec, make_phantom

from fuzz.long_run import COARSE, SMALL

__all__ = ["CASES", "TABLE", "compare", "figures", "made", "platform_key", "renew"]

TABLE = Path(__file__).parent / "golden.json"
"""Hashes by platform, and figures, of each case."""

CASES = {
    "small": (SMALL, CaseSettings(config=COARSE)),
    "planned": (
        PhantomSpec(spacing_zyx_mm=(3.0, 2.0, 2.0), z_range_mm=(-30.0, 80.0), size_yx_mm=(220.0, 320.0)),
        CaseSettings(),
    ),
}
"""A few seconds each."""

TOLERANCES = {"mm": 0.2, "deg": 0.3, "share": 0.02, "else": 0.02}
"""By which figures may differ between platforms; relative where above 1 and of no unit."""

KEPT = (
    "grade", "third", "implant", "score", "implant_entry_lps_mm", "implant_tip_lps_mm", "articular_share", "angles_deg",
)  # fmt: skip
"""Entries of a candidate that are kept as figures."""

HOW_TO_RENEW = (
    "If the change is meant, say so in CHANGELOG.md and renew the table: script/torture golden --write. "
    "If not, a change of yours, of a library or of the machine has changed plans."
)


def made(name: str) -> PlanDocument:
    """Plan a case of the table."""
    spec, settings = CASES[name]
    return plan_case(make_phantom(spec).volume, settings).document


def sha256(document: PlanDocument) -> str:
    """Hash of ``plan.json``, less the version of the program."""
    text = document.to_json().replace(f'"{__version__}"', '"VERSION"')
    return hashlib.sha256(text.encode()).hexdigest()


def platform_key() -> str:
    """Short hash of what rounding depends on: processor features, system, Python and libraries."""
    features = binding.get_host_cpu_name() + binding.get_host_cpu_features().flatten()
    parts = [platform.machine(), platform.system(), platform.libc_ver()[1], platform.python_version(), features]
    parts += [f"{name} {version(name)}" for name in (*DEPENDENCIES, "llvmlite")]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def figures(document: PlanDocument) -> dict[str, Any]:
    """Give what a surgeon would read: words, and numbers by their path in the document."""
    content = json.loads(document.to_json())
    kept: dict[str, Any] = {}
    for side, entry in content["sides"].items():
        kept[f"{side}.status"] = entry["status"]
        for candidate in entry["candidates"]:
            wanted = {key: candidate[key] for key in KEPT}
            wanted["clearance_mm"] = {name: found["mm"] for name, found in candidate["clearance"].items() if found}
            kept |= dict(_leaves(wanted, f"{side}.{candidate['rank']}"))
        for foramen in entry["foramina"]:
            kept |= dict(_leaves(foramen["centre_lps_mm"], f"{side}.{foramen['level']}.{foramen['aspect']}_mm"))
    return kept


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{index}")
    else:
        yield path, value


def compare(name: str, document: PlanDocument) -> list[str]:
    """Say what differs from the table; nothing if all agrees."""
    entry = json.loads(TABLE.read_text(encoding="utf-8"))[name]
    known = entry["sha256"].get(platform_key())
    if known is not None:
        return [] if known == sha256(document) else [f"{name}: the plan has changed to the byte. {HOW_TO_RENEW}"]
    return differences(entry["figures"], figures(document), name)


def differences(kept: dict[str, Any], found: dict[str, Any], name: str) -> list[str]:
    """Figures that are not alike within `TOLERANCES`."""
    missing = sorted(kept.keys() ^ found.keys())
    lines = [f"{name}: {path} is only in one of both" for path in missing]
    for path in kept.keys() & found.keys():
        if not _alike(path, kept[path], found[path]):
            lines.append(f"{name}: {path} was {kept[path]}, is {found[path]}")
    return [*sorted(lines), HOW_TO_RENEW] if lines else []


def _alike(path: str, kept: Any, found: Any) -> bool:
    if not isinstance(kept, int | float) or isinstance(kept, bool) or not isinstance(found, int | float):
        return bool(kept == found)
    unit = next((unit for unit in ("mm", "deg", "share") if f"_{unit}" in path), "else")
    return abs(kept - found) <= TOLERANCES[unit]


def renew() -> None:
    """Write the table anew for this platform; other platforms' hashes are dropped where the figures have changed."""
    table = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    for name in CASES:
        document = made(name)
        found, old = figures(document), table.get(name, {"figures": None, "sha256": {}})
        others = old["sha256"] if old["figures"] == found else {}
        table[name] = {"figures": found, "sha256": dict(sorted({**others, platform_key(): sha256(document)}.items()))}
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
