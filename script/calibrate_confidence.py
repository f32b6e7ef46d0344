#!/usr/bin/env python3
"""Fit the coefficients of `planner.segmentation.confidence` to scored cases, and judge them on pelves left out.

    script/calibrate_confidence.py --out DIR [--write]

Reads the results that ``script/evaluate run --out DIR`` left. Only made scans with exact truth count (hubmap and jhu,
adults); those of the JHU atlas were drawn with a shape model built without them. The outline's error is the scoring
tool's 95th percentile of the surface distance near the SI joint. Prints how well the coefficients foretell the error of
pelves that they were not fitted to; ``--write`` puts those fitted to all into the package.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from conditions import cases
from scipy.optimize import nnls

from planner.segmentation.confidence import COEFFICIENTS, FEATURES, GOOD_MM, Evidence, features, foretell

SOURCES = ("hubmap", "jhu")
"""Made scans with exact truth; the phantom's shape is too easy, real scans have no exact truth."""

BONES = {"sacrum": "sacrum", "hip_left": "left_hip", "hip_right": "right_hip"}
"""The scoring tool's names of the bones, and ours."""

LEAST_DICE = 0.9
"""An outline below this Dice of the whole bone is bad."""

LEAST_ERROR_MM = 0.1
"""Smaller errors are equal."""

RIDGE = 0.3
"""Weight of the squared coefficients: evidence that hardly varied does not get to matter [P]."""

SPREAD_FLOOR = 0.2
"""Least spread of the error's logarithm: no fit is surer than that [P]."""

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One outline: a bone of a case.

    Attributes
    ----------
    case, base, bone : str
        Where it is from.
    faces : tuple of Evidence
        Of the joints that the bone has.
    error_mm, dice : float
        The scoring tool's.
    """

    case: str
    base: str
    bone: str
    faces: tuple[Evidence, ...]
    error_mm: float
    dice: float

    @property
    def bad(self) -> bool:
        """Whether the outline is bad."""
        return self.error_mm > GOOD_MM or self.dice < LEAST_DICE

    def confidence(self, table: Mapping[str, Any]) -> float:
        """Confidence of the less sure face."""
        return min((foretell(face, dict(table)).confidence for face in self.faces), default=0.0)


def outlines(results: Sequence[Result]) -> Iterator[Row]:
    """Outlines that were drawn and scored, of all sources."""
    for result in results:
        for scored, ours in BONES.items():
            bone = result.get("score", {}).get("bones", {}).get(scored)
            if bone is None:
                continue
            found = [Evidence(**e) for name, e in result["evidence"].items() if name.split()[0] == ours]
            error = bone.get("hd95_si_zone_mm")
            yield Row(
                result["name"], result["facts"]["base"], ours, tuple(found),
                float(error) if error is not None and np.isfinite(error) else float("inf"), float(bone["dice"]),
            )  # fmt: skip


def perturbed(results: Sequence[Result]) -> Iterator[Row]:
    """Outlines that are wrong on purpose."""
    for result in results:
        for row in result.get("perturbed", []):
            base, evidence = result["facts"]["base"], Evidence(**row["evidence"])
            yield Row(result["name"], base, row["bone"], (evidence,), max(row["error_mm"], LEAST_ERROR_MM), 1.0)


def usable(row: Row, results: Mapping[str, Result]) -> bool:
    """Whether a row may be fitted to."""
    facts = results[row.case]["facts"]
    adult = facts["condition"]["scale"] == 1.0
    return facts["source"] in SOURCES and adult and bool(row.faces) and np.isfinite(row.error_mm) and row.error_mm > 0


def fit(rows: Sequence[Row]) -> dict[str, Any]:
    """Least squares of the error's logarithm on the faces' mean evidence, weights not negative."""
    evidence = np.array([np.mean([features(face) for face in row.faces], axis=0) for row in rows])
    target = np.log([row.error_mm for row in rows])
    one = np.ones(len(rows))
    design = np.column_stack([evidence, one, -one])  # the constant may have any sign
    ridge = np.sqrt(RIDGE) * np.eye(len(FEATURES), len(FEATURES) + 2)
    solution = nnls(np.vstack([design, ridge]), np.append(target, np.zeros(len(FEATURES))))[0]
    spread = max(SPREAD_FLOOR, float(np.std(target - design @ solution)))
    weights = {name: round(float(value), 4) for name, value in zip(FEATURES, solution[:-2], strict=True)}
    return {"weights": weights, "constant": round(float(solution[-2] - solution[-1]), 4), "spread": round(spread, 4)}


def left_out(rows: Sequence[Row], judged: Sequence[Row]) -> list[tuple[Row, float]]:
    """Judge each row by coefficients fitted to the pelves that are not its own."""
    tables = {base: fit([row for row in rows if row.base != base]) for base in sorted({row.base for row in judged})}
    return [(row, row.confidence(tables[row.base])) for row in judged]


def read_results(out: Path) -> list[dict[str, Any]]:
    """Results that are there, in the table's order."""
    paths = [out / case.name / "result.json" for case in cases()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the cases")
    parser.add_argument("--write", action="store_true", help="put the coefficients into the package")
    arguments = parser.parse_args(argv)
    results = read_results(arguments.out)
    by_name = {result["name"]: result for result in results}
    rows = [row for row in (*outlines(results), *perturbed(results)) if usable(row, by_name)]
    judged = left_out(rows, rows)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.01)):
        band = [row for row, confidence in judged if low <= confidence < high]
        good = sum(not row.bad for row in band)
        print(f"confidence {low:.1f}-{min(high, 1.0):.1f}: {len(band):3d} outlines, {good} good")
    table = fit(rows)
    print(json.dumps(table, indent=1))
    if arguments.write:
        bases = sorted({row.base for row in rows})
        origin = {
            "by": "script/calibrate_confidence.py",
            "outlines": len(rows),
            "cases": len({row.case for row in rows}),
            "pelves": [f"{by_name[next(r.case for r in rows if r.base == b)]['facts']['source']} {b}" for b in bases],
            "code": sorted({str(by_name[row.case]["code"]) for row in rows}),
        }
        COEFFICIENTS.write_text(json.dumps(table | {"fitted_to": origin}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
