#!/usr/bin/env python3
"""Compare the trajectory search with brute force on whole cases.

    python script/check_optimum.py [--rows FILE] [--page] [--side left] CT [CT ...]

With ``--rows`` each side is kept as a line of a file once it is done, and is not done again. With ``--page`` the table
in docs/planning.md is written anew from all of them.

Each argument is a scan as ``sacroplan plan`` takes it. For each side that is planned, every pose of a dense grid over
the middle third (centre 2 mm, off the joint 1 mm, turns of 4 degrees within and 5 out of the joint) is scored with
every size, the safe entry radius measured and not estimated; the best 40 of each size in different places are then
climbed from.

Printed is the best score of the search, that of brute force, their ratio, the seconds of each, and what the planner
says of the side. The last line counts the sides below 99 %; the exit status is 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from marks import put_between
from numpy.typing import NDArray

from planner import NOTICE
from planner.case import CaseSettings, plan_case
from planner.errors import InputRefusedError
from planner.implants import Implant, load_catalogue
from planner.joint.model import Joint, Third
from planner.labels import Side
from planner.trajectory import TrajectoryConfig, plan_side
from planner.trajectory.kernel import FULLY, ROUGHLY, Scene, climb, evaluate_all, is_new, with_radius
from planner.trajectory.scene import joint_normals
from planner.trajectory.search import Climber, first_poses, next_best, try_all
from planner.trajectory.task import Anatomy, make_task

PAGE = Path(__file__).resolve().parents[1] / "docs" / "planning.md"
MARK = "optimum: script/check_optimum.py"

CENTRE_STEP_MM, OFFSETS_MM = 2.0, (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Centres of the grid: over the mid-surface, and off it."""

TURN_STEP_DEG, LIFTS_DEG = 4.0, (-10.0, -5.0, 0.0, 5.0, 10.0)
"""Directions of the grid: within the joint, and out of it."""

CLIMBED, APART_MM, APART_DEG = 40, 1.5, 3.0
"""Best poses of the grid that are climbed from, and how far they are apart."""

ENOUGH = 0.99
"""Share of brute force's score that the search must reach."""

Array = NDArray[np.float64]
Size = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Both best scores of one side, 0 where nothing fits; and what the planner, with its exact check, says of it."""

    searched: float
    brute: float
    search_s: float
    brute_s: float
    status: str = "planned"

    @property
    def ratio(self) -> float:
        """Of the search's score to that of brute force."""
        return self.searched / self.brute if self.brute > 0 else 1.0

    @property
    def has_plan(self) -> bool:
        """Whether the planner proposes a path."""
        return self.status in ("planned", "unverified")


def compare(anatomy: Anatomy, implant: Implant) -> Comparison:
    """Search one side, then try everything, then plan it."""
    config, sizes, joint = TrajectoryConfig(), implant.sizes(), anatomy.joint
    started = time.perf_counter()
    scene = make_task(anatomy, implant, config).guarded(config.search.guard_mm)
    trials = try_all(scene, first_poses(joint, scene, config.search), sizes)
    found = next_best(Climber(scene, config.search, 0.0), trials, np.zeros((0, 6)))
    searched, search_s = (found.value if found is not None else 0.0), time.perf_counter() - started
    started = time.perf_counter()
    best, brute_s = brute_force(scene, joint, sizes), time.perf_counter() - started
    a = anatomy
    plan = plan_side(a.volume, a.bones, joint, a.keepouts, implant, config, a.landmarks_lps)
    return Comparison(max(searched, 0.0), max(best, 0.0), search_s, brute_s, plan.status)


def brute_force(scene: Scene, joint: Joint, sizes: Sequence[Size]) -> float:
    """Best score of a dense grid, and of climbs from its best poses."""
    diameters, lengths = (np.unique([size[part] for size in sizes]) for part in (0, 1))
    poses = dense_poses(scene, joint)
    values, _ = evaluate_all(scene, poses, diameters, lengths)
    best = 0.0
    for a, diameter in enumerate(diameters):
        for b, length in enumerate(lengths):
            exact = with_radius(scene, poses, values[:, a, b], (float(diameter), float(length)))
            starts = list(_apart(poses, exact))
            climbed = [_top(scene, start, (float(diameter), float(length))) for start in starts]
            best = max([best, float(exact.max()), *climbed])
    return best


def dense_poses(scene: Scene, joint: Joint) -> Array:
    """``(n, 6)`` poses over and beside the middle third, in directions all round the joint's tangent plane."""
    middle = joint.third == Third.MIDDLE
    centres, normals = joint.vertices_lps[middle], joint_normals(joint)[middle]
    cells = np.rint((centres @ scene.part("axes").reshape(3, 3).T) / CENTRE_STEP_MM)
    _, kept = np.unique(cells, axis=0, return_index=True)
    turns, lifts = np.radians(np.arange(-32, 50.1, TURN_STEP_DEG)), np.radians(LIFTS_DEG)
    posterior, cranial = scene.part("axes").reshape(3, 3)[1:]
    rows = []
    for centre, normal in zip(centres[kept], normals[kept], strict=True):
        level = np.cross(normal, cranial)
        level *= -np.sign(level @ posterior) / np.linalg.norm(level)
        up = cranial - (cranial @ normal) * normal
        inside = np.cos(turns)[:, None] * level + np.sin(turns)[:, None] * up / np.linalg.norm(up)
        ways = (np.cos(lifts)[:, None, None] * inside + np.sin(lifts)[:, None, None] * normal).reshape(-1, 3)
        for offset in OFFSETS_MM:
            rows.append(np.hstack([np.broadcast_to(centre + offset * normal, ways.shape), ways]))
    return np.vstack(rows)


def _apart(poses: Array, values: Array) -> Iterator[Array]:
    """Best poses that keep every constraint, apart from each other."""
    chosen = np.zeros((0, 6))
    for index in np.argsort(-values, kind="stable"):
        if values[index] < 0 or len(chosen) == CLIMBED:
            return
        if is_new(poses[index], chosen, APART_MM, APART_DEG):
            chosen = np.vstack([chosen, poses[index]])
            yield poses[index]


def _top(scene: Scene, start: Array, size: Size) -> float:
    nothing = np.zeros((0, 6))
    first, _ = climb(scene, start, size, nothing, (5.0, 5.0), ROUGHLY)
    return max(float(climb(scene, pose, size, nothing, (5.0, 5.0), FULLY)[1]) for pose in (start, first))


Rows = dict[str, dict[Side, Comparison]]
"""Sides compared, by the name of the scan."""


def below(rows: Rows) -> list[str]:
    """Sides whose search does not reach `ENOUGH`."""
    return [f"{name} {side}" for name, sides in rows.items() for side, one in sides.items() if one.ratio < ENOUGH]


def only_brute(rows: Rows) -> list[str]:
    """Sides on which brute force finds a path and the planner proposes none."""
    return [
        f"{name} {side} ({one.status})"
        for name, sides in rows.items()
        for side, one in sides.items()
        if one.brute > 0 and not one.has_plan
    ]


def written(rows: Rows) -> str:
    """Lay the comparisons out for the page."""
    every = [one for sides in rows.values() for one in sides.values()]
    possible, behind, without = sum(one.brute > 0 for one in every), below(rows), only_brute(rows)
    brute_s, search_s = (np.median([getattr(one, name) for one in every]) for name in ("brute_s", "search_s"))
    lines = [
        f"{len(every)} sides of {len(rows)} scans: the least ratio is {min(one.ratio for one in every):.4f}, "
        f"{len(behind)} below {ENOUGH:.0%}{_named(behind)}.",
        f"Brute force finds a path on {possible}; on {possible - len(without)} of these the planner proposes one "
        f"({(possible - len(without)) / max(possible, 1):.1%}{_named(without)}). It proposes "
        f"{sum(one.brute == 0 and one.has_plan for one in every)} where brute force finds none.",
        f"The search took {search_s:.1f} s a side, brute force {brute_s:.0f} (medians).",
        "",
        "| scan | left | right |",
        "| --- | --- | --- |",
    ]
    for name, sides in rows.items():
        cells = [
            f"{one.searched:.4f}, {one.brute:.4f}, {one.ratio:.4f}" if (one := sides.get(side)) else "-"
            for side in (Side.LEFT, Side.RIGHT)
        ]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _named(sides: Sequence[str]) -> str:
    return f": {', '.join(sides)}" if sides else ""


def compare_scan(scan: Path, sides: Sequence[Side], implant: Implant) -> Iterator[tuple[Side, Comparison]]:
    """Compare the sides of one scan that have a middle third; none where the scan is refused."""
    try:
        case = plan_case(scan, CaseSettings(sides=())).anatomy
    except InputRefusedError as error:
        print(f"{scan}  refused: {error}")
        return
    for side, joint in case.joints.items():
        anatomy = Anatomy(case.volume, case.bones, joint, case.keepouts, case.bearings.landmarks_lps)
        if side in sides and joint.thirds.known and (joint.third == Third.MIDDLE).any():
            yield side, compare(anatomy, implant)


def read_rows(path: Path | None) -> Rows:
    """Read what was compared before."""
    rows: Rows = {}
    if path is not None and path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            name, side = row.pop("scan"), Side(row.pop("side"))
            rows.setdefault(name, {})[side] = Comparison(**row)
    return rows


def keep_row(path: Path | None, name: str, side: Side, found: Comparison) -> None:
    """Add one line to the file."""
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"scan": name, "side": side.value, **asdict(found)}) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare on every case given, and count the sides below `ENOUGH`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="*", type=Path)
    parser.add_argument("--rows", type=Path, help="file that keeps each side as a line")
    parser.add_argument("--side", choices=[side.value for side in Side], help="one side alone")
    parser.add_argument("--page", action="store_true", help="write the table into docs/planning.md")
    given = parser.parse_args(arguments)
    implant = load_catalogue().plannable("GENERIC-DOWEL")
    rows = read_rows(given.rows)
    print(f"{NOTICE}\nscan  side  search  brute force  ratio  search s  brute force s  planner")
    for scan in given.scans:
        name = scan.parent.name if scan.name.startswith("ct.") else scan.name.split(".")[0]
        left = [side for side in Side if given.side in (None, side.value) and side not in rows.get(name, {})]
        for side, found in compare_scan(scan, left, implant) if left else ():
            rows.setdefault(name, {})[side] = found
            keep_row(given.rows, name, side, found)
            times = f"{found.search_s:.2f}  {found.brute_s:.1f}  {found.status}"
            print(f"{scan}  {side}  {found.searched:.4f}  {found.brute:.4f}  {found.ratio:.4f}  {times}", flush=True)
    if given.page and rows:
        put_between(PAGE, MARK, written(rows))
    print(f"{len(below(rows))} of {sum(map(len, rows.values()))} sides below {ENOUGH:.0%} of brute force")
    return int(bool(below(rows)))


if __name__ == "__main__":
    sys.exit(main())
