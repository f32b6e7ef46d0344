"""Bill of materials of the default install: every distribution that it needs, its version and licence.

``python script/supply.py`` prints a CycloneDX 1.6 document of this environment; with ``--check`` it prints a table and
fails where a licence is not among those that may be shipped. Both look at nothing but the installed metadata.
``--audit`` asks pip-audit for known weaknesses, and fails where there are any; where pip-audit or the network is
missing it says that nothing was audited, and does not fail.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "sacroplan"

PERMISSIVE = (
    "MIT",
    "BSD",
    "APACHE",
    "ISC",
    "PSF",
    "PYTHON SOFTWARE FOUNDATION",
    "ZLIB",
    "HPND",
    "CMU",
    "0BSD",
    "UNLICENSE",
)
"""Licences without conditions on what they are combined with."""

WEAK_COPYLEFT = ("MPL", "MOZILLA", "LGPL", "LESSER GENERAL PUBLIC")
"""Licences whose conditions end with their own files; used as installed libraries, unchanged."""


AUDIT_OUTPUT = ("--format", "json", "--progress-spinner", "off")
AUDIT_TIMEOUT_S = 120
"""Without a network pip-audit may wait for ever."""


def closure(root: str = ROOT) -> dict[str, Distribution]:
    """Distributions that `root` needs without extras, by canonical name; those of other platforms left out."""
    found: dict[str, Distribution] = {}
    wanted = [root]
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        wanted += _needs(found[name])
    return dict(sorted(found.items()))


def _needs(dist: Distribution) -> Iterator[str]:
    for text in dist.requires or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def licence(dist: Distribution) -> str:
    """Licence as an SPDX expression or in the distribution's words; empty where it says none."""
    said = dist.metadata.get("License-Expression") or ""
    classified = [c.rsplit(" :: ", 1)[-1] for c in dist.metadata.get_all("Classifier") or [] if c.startswith("License")]
    classified = [word for word in classified if word != "OSI Approved"]
    first = (dist.metadata.get("License") or "").strip().split("\n")[0]
    return said or " AND ".join(classified) or first


def is_allowed(text: str) -> bool:
    """Whether a licence may be in the default install: permissive or weakly copyleft, no GPL alone."""
    words = text.upper()
    if any(word in words for word in WEAK_COPYLEFT):
        return True
    strong = re.search(r"\bA?GPL|(?<!LESSER )GENERAL PUBLIC", words) is not None
    return not strong and any(word in words for word in PERMISSIVE)


def bill() -> dict[str, Any]:
    """Give the CycloneDX document; same environment, same bytes."""
    parts = closure()
    root = parts.pop(ROOT)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component(ROOT, root) | {"type": "application"}},
        "components": [_component(name, dist) for name, dist in parts.items()],
        "dependencies": [
            {
                "ref": _reference(name, dist),
                "dependsOn": sorted(
                    _reference(need, parts[need])
                    for need in {canonicalize_name(need) for need in _needs(dist)}
                    if need in parts
                ),
            }
            for name, dist in {ROOT: root, **parts}.items()
        ],
    }


def _component(name: str, dist: Distribution) -> dict[str, Any]:
    reference = _reference(name, dist)
    return {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": dist.version,
        "purl": reference,
        "licenses": [{"license": {"name": licence(dist)}}],
    }


def _reference(name: str, dist: Distribution) -> str:
    return f"pkg:pypi/{name}@{dist.version}"


def audit() -> int:
    """Ask pip-audit about the versions installed; 1 where one has a known weakness."""
    if find_spec("pip_audit") is None:
        print("not audited: pip-audit is not installed (pip install pip-audit)")
        return 0
    pins = [f"{name}=={dist.version}" for name, dist in closure().items() if name != ROOT]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text("\n".join(pins) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "-r", str(wanted), "--no-deps", "--disable-pip", *AUDIT_OUTPUT]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=AUDIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            print(f"not audited: no answer within {AUDIT_TIMEOUT_S} s")
            return 0
    return judge(answer.stdout)


def judge(answer: str) -> int:
    """Tell weak, sound and unknown distributions apart in pip-audit's JSON; what was skipped is not sound."""
    try:
        parts = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        print("not audited: the service of pip-audit cannot be reached")
        return 0
    weak = [(part["name"], part["version"], flaw["id"]) for part in parts for flaw in part.get("vulns", ())]
    skipped = sum("skip_reason" in part for part in parts)
    for name, version, flaw in weak:
        print(f"! {name} {version}: {flaw}")
    print(f"{len(parts) - skipped} audited, {len(weak)} weaknesses known; {skipped} not audited")
    return int(bool(weak))


def main() -> int:
    """Print the bill, check its licences, or ask for weaknesses."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="a table; fails on a licence that may not be shipped")
    parser.add_argument("--audit", action="store_true", help="known weaknesses; needs pip-audit and the network")
    asked = parser.parse_args()
    if asked.audit:
        return audit()
    if not asked.check:
        json.dump(bill(), sys.stdout, indent=1)
        print()
        return 0
    refused = 0
    for name, dist in closure().items():
        fine = is_allowed(licence(dist))
        refused += not fine
        print(f"{'  ' if fine else '! '}{name:32} {dist.version:14} {licence(dist) or 'no licence named'}")
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main())
