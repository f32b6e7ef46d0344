"""Write ``docs/input-checks.md``: what each kind of malformed input is met with.

The kinds are made by ``tests/support/malformed.py``; the test suite meets each of them too, and holds the page to what
the program says.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from planner import NOTICE  # noqa: E402
from planner.errors import InputRefusedError  # noqa: E402
from planner.reading import read_scan  # noqa: E402

from support.malformed import KINDS, Kind  # noqa: E402

PAGE = ROOT / "docs" / "input-checks.md"


def answer(kind: Kind) -> str:
    """Give what the reader says to an input of this kind; findings where it reads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = kind.make(Path(folder))
        try:
            found = read_scan(path).findings
        except InputRefusedError as error:
            return str(error)
        return "Read, with " + "; ".join(f"`{finding.code}`: {finding.message}" for finding in found)


def page() -> str:
    """Give the whole page."""
    lines = ["# What malformed input is met with", "", NOTICE, ""]
    lines += [
        f"{len(KINDS)} kinds, each made by `tests/support/malformed.py` and met in the tests; this page is written by",
        "`script/input_checks.py`. What is refused ends with exit code 3 and leaves nothing behind.",
        "",
    ]
    for group, kinds in groupby(KINDS, key=lambda kind: kind.group):
        lines += [f"## {group}", "", "| input | answer |", "| --- | --- |"]
        lines += [f"| {kind.name} | {answer(kind)} |" for kind in kinds]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
