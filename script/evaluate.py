#!/usr/bin/env python3
"""Plan made and real CT under every condition of `conditions.py`, score the plans, and write the page of accuracy.

    script/evaluate list
    script/evaluate run --out DIR [--only PATTERN ...] [--workers 2] [--again] [--model FILE] [--table docs/accuracy.md]
    script/evaluate page --out DIR --table docs/accuracy.md
    script/evaluate joint --out DIR [--only PATTERN ...] --table docs/accuracy-joint.md
    script/evaluate findings --out DIR [--only PATTERN ...] --table docs/accuracy-joint.md
    script/evaluate foramina --out DIR [--only PATTERN ...] --table docs/accuracy-foramina.md

`run` makes each case that is not made yet, plans it, scores it with the independent scoring tool, and writes
``DIR/CASE/{ct,labels,keepout,decoys}.nii.gz``, ``plan/`` and ``result.json``. It goes on where it was stopped: a case
whose result was reached by the same code is not run again. Pelves of the JHU atlas are planned with a shape model that
was built without them, unless ``--model`` names one.
`joint` measures the joint and landmarks on phantoms, `findings` how often findings are right; both write one page.
`foramina` measures the foramina on phantoms, on the made CT of meshes that `run` left in ``DIR``, and on real scans.
Sources, read from the folder ``--data``: see `accuracy_page.PREFACE`.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from accuracy_page import accuracy_page
from calibrate_confidence import SOURCES
from conditions import BASES, FINDING_BASES, MadeCase, cases
from findings_accuracy import run_findings
from foramina_accuracy import foramina_page, run_foramina
from joint_accuracy import run_rows
from joint_page import joint_page
from made_cases import make_case
from perturb import perturbed_outlines
from sources import load_base, subject_of

from pipelines.results import write_case
from planner.case import Case, CaseSettings, plan_case
from planner.errors import SacroplanError
from planner.labels import Label
from planner.segmentation.confidence import gather_evidence
from planner.volume import LabelMap
from sample_data.inlays import InlayKind

ROOT = Path(__file__).resolve().parent.parent

CODE = ("planner", "pipelines")
"""Packages that a result depends on."""

BONES = {"sacrum": Label.SACRUM, "hip_left": Label.LEFT_HIP, "hip_right": Label.RIGHT_HIP}


@dataclass(frozen=True)
class Setup:
    """Where everything is.

    Attributes
    ----------
    out, data, score : Path
        Folder of the cases, of the sources, and the scoring tool.
    model : Path or None
        A shape model for all cases.
    code : str
        Fingerprint of the code under test.
    again : bool
        Run cases that have a result too.
    """

    out: Path
    data: Path
    score: Path
    model: Path | None
    code: str
    again: bool

    @property
    def bases(self) -> Path:
        """Folder of the bases' distance fields."""
        return self.out / ".bases"

    def left_out(self, base: str) -> Path:
        """Shape model that was built without a base."""
        return self.out / ".models" / f"without_{base}.npz"

    def model_for(self, case: MadeCase) -> Path | None:
        """Shape model to plan a case with; None is the one shipped."""
        return self.model or (self.left_out(case.base) if case.source == "jhu" else None)


def fingerprint() -> str:
    """Digest of the code under test."""
    digest = hashlib.sha256()
    for package in CODE:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in (".py", ".npz", ".json", ".toml"):
                digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def prepare(setup: Setup, base: str) -> str:
    """Make what all cases of a base need: its distance fields, and the shape model without it."""
    source, name = (BASES | FINDING_BASES)[base]
    if source in ("hubmap", "jhu"):
        load_base(setup.data, setup.bases, source, name)
    if source == "jhu" and not setup.left_out(base).is_file():
        setup.left_out(base).parent.mkdir(parents=True, exist_ok=True)
        atlas = setup.data / "jhu_pelvis_atlas" / "surfaces_28.npz"
        partial = setup.left_out(base).with_suffix(".partial.npz")
        subprocess.run(
            [
                sys.executable, str(ROOT / "script" / "build_shape_model.py"), "--atlas", str(atlas),
                "--out", str(partial), "--without", str(subject_of(setup.data, name)),
            ],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        partial.replace(setup.left_out(base))
    return base


def evaluate(setup: Setup, case: MadeCase) -> dict[str, Any]:
    """Make, plan and score one case; give its result."""
    folder = setup.out / case.name
    facts = facts_of(case)
    kept = _read(folder / "result.json")
    if not setup.again and kept.get("code") == setup.code and kept.get("facts") == facts:
        return kept
    made = _read(folder / "made.json")
    if made.get("condition") != facts["condition"] or not (folder / "ct.nii.gz").is_file():
        make_case(case, folder, setup.data, setup.bases)
    start = time.perf_counter()
    outcome = plan_folder(folder, setup.model_for(case))
    result = {"name": case.name, "facts": facts, "code": setup.code, "seconds": round(time.perf_counter() - start, 1)}
    result |= outcome
    if not outcome["refused"]:
        result |= {"score": score_case(folder, setup.score), "extra": extra_measures(folder)}
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def facts_of(case: MadeCase) -> dict[str, Any]:
    """Say what a case is, as its result has it."""
    return {"condition": json.loads(json.dumps(asdict(case.condition))), "base": case.base, "source": case.source}


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def plan_folder(folder: Path, model: Path | None) -> dict[str, Any]:
    """Plan one scan into its folder, and say what the planner says of it."""
    try:
        case = plan_case(folder / "ct.nii.gz", CaseSettings(shape_model=model))
    except SacroplanError as error:
        return {"refused": True, "message": str(error).splitlines()[0]}
    write_case(case, folder / "plan", figures=False)
    return {"refused": False, "message": ""} | said(case) | {"perturbed": perturbed(case, folder)}


def perturbed(case: Case, folder: Path) -> list[dict[str, Any]]:
    """Evidence and error of outlines that are wrong on purpose, where the truth is exact."""
    if _read(folder / "made.json").get("source") not in SOURCES:
        return []
    values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "labels.nii.gz")))
    truth = case.place.from_input(LabelMap(values, case.place.grid))
    return list(perturbed_outlines(case.anatomy.volume, case.anatomy.bones, truth, case.settings.model, folder.name))


def said(case: Case) -> dict[str, Any]:
    """Collect what the planner says of how sure it is, and why."""
    bones, model = case.anatomy.bones, case.settings.model
    evidence = gather_evidence(case.anatomy.volume, bones.labels, bones.fit, model)
    return {
        "findings": [f"{f.code}:{f.level}:{f.side}" for f in case.document.findings],
        "confidence": dict(bones.confidence),
        "joints": {side.value: asdict(sure) for side, sure in bones.joint_sureness.items()},
        "evidence": {f"{bone} {side}": asdict(e) for (bone, side), e in evidence.items()},
        "shape_rms_mm": bones.fit.rms_mm,
        "stages": {record.name: record.seconds for record in case.stages},
    }


def score_case(folder: Path, tool: Path) -> dict[str, Any]:
    """Score a result folder with the independent tool."""
    command = [sys.executable, str(tool), "all", str(folder / "plan"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "the scoring tool failed"}
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def extra_measures(folder: Path) -> dict[str, Any]:
    """Measure what the scoring tool does not: bones that are not there, and decoys taken for bone, in ml."""
    truth, labels = (SimpleITK.ReadImage(str(folder / name)) for name in ("labels.nii.gz", "plan/labels.nii.gz"))
    voxel_ml = float(np.prod(labels.GetSpacing())) / 1000.0
    true, found = SimpleITK.GetArrayFromImage(truth), SimpleITK.GetArrayFromImage(labels)
    invented = {
        name: round(float((found == label).sum()) * voxel_ml, 2)
        for name, label in BONES.items()
        if not (true == label).any()
    }
    decoys = {}
    if (folder / "decoys.nii.gz").is_file() and true.shape == found.shape:
        mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "decoys.nii.gz")))
        pelvis = (found > 0) & (found <= Label.RIGHT_HIP)
        for kind in InlayKind:
            if (mask == kind).any() and kind is not InlayKind.METAL:
                decoys[kind.name.lower()] = round(float((pelvis & (mask == kind) & (true == 0)).sum()) * voxel_ml, 2)
    return {"invented_ml": invented, "decoys_labelled_ml": decoys}


def chosen(patterns: Sequence[str]) -> list[MadeCase]:
    """Cases whose name matches one of the patterns; all if there is none."""
    return [case for case in cases() if not patterns or any(fnmatch.fnmatch(case.name, p) for p in patterns)]


def run(arguments: argparse.Namespace) -> int:
    """Run the cases in worker processes, and write the page."""
    todo = chosen(arguments.only)
    setup = Setup(arguments.out, arguments.data, arguments.score, arguments.model, fingerprint(), arguments.again)
    start = time.perf_counter()
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(prepare, [setup] * len(BASES), sorted({case.base for case in todo})))
        results = _finished({pool.submit(evaluate, setup, case): case for case in todo}, start)
    if arguments.table:
        write_page(arguments.out, arguments.table)
    return int(len(results) < len(todo))


def _finished(running: dict[Future[dict[str, Any]], MadeCase], start: float) -> list[dict[str, Any]]:
    """Collect results as they come; a case that breaks is told and left out."""
    results = []
    for number, future in enumerate(as_completed(running), start=1):
        name = running[future].name
        try:
            results.append(future.result())
            text = results[-1]["message"] or results[-1].get("score", {}).get("error") or "done"
        except Exception as error:
            text = f"BROKEN: {type(error).__name__}: {error}"
        print(
            f"{number}/{len(running)} {time.perf_counter() - start:.0f} s  {name}: {text}", file=sys.stderr, flush=True
        )
    return results


def write_page(out: Path, table: Path) -> None:
    """Write the page from the results that are there and of the cases as they are declared now, in their order."""
    results = [(case, _read(out / case.name / "result.json")) for case in cases()]
    page = accuracy_page([result for case, result in results if result.get("facts") == facts_of(case)])
    table.write_text(page, encoding="utf-8")


def page(arguments: argparse.Namespace) -> int:
    """Write the page anew."""
    write_page(arguments.out, arguments.table)
    return 0


def list_cases(_: argparse.Namespace) -> int:
    """Print the names of all cases."""
    print("\n".join(case.name for case in cases()))
    return 0


def joint(arguments: argparse.Namespace) -> int:
    """Measure the joint stage on phantoms, and write its page."""
    run_rows(arguments.out / "joint", arguments.only, fingerprint(), again=arguments.again)
    arguments.table.write_text(joint_page(arguments.out), encoding="utf-8")
    return 0


def findings(arguments: argparse.Namespace) -> int:
    """Count right and wrong findings on made scans, and write the same page."""
    setup = Setup(arguments.out, arguments.data, Path(), None, fingerprint(), arguments.again)

    def model_of(base: str) -> Path | None:
        prepare(setup, base)
        return setup.left_out(base) if (BASES | FINDING_BASES)[base][0] == "jhu" else None

    source = (arguments.data, setup.bases, model_of)
    run_findings(arguments.out / "findings", arguments.only, setup.code, source, again=arguments.again)
    arguments.table.write_text(joint_page(arguments.out), encoding="utf-8")
    return 0


def foramina(arguments: argparse.Namespace) -> int:
    """Measure the foramina on phantoms, meshes and real scans, and write their page."""
    out = arguments.out / "foramina"
    run_foramina(out, arguments.only, arguments.out, arguments.data, fingerprint(), again=arguments.again)
    arguments.table.write_text(foramina_page(out), encoding="utf-8")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the cases").set_defaults(function=list_cases)
    runner = commands.add_parser("run", help="make, plan and score")
    runner.add_argument("--only", nargs="*", default=[], metavar="PATTERN", help="names of cases, with * and ?")
    runner.add_argument("--workers", type=int, default=2)
    runner.add_argument("--again", action="store_true", help="also cases that this code has a result of")
    runner.add_argument("--model", type=Path, help="shape model for all cases")
    runner.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    runner.add_argument(
        "--score", type=Path, default=ROOT.parent / "shared" / "tools" / "score.py", help="scoring tool"
    )
    runner.set_defaults(function=run)
    writer = commands.add_parser("page", help="write the page from results that are there")
    writer.set_defaults(function=page)
    for function in (joint, findings, foramina):
        measurer = commands.add_parser(function.__name__, help=(function.__doc__ or "").splitlines()[0].lower())
        measurer.add_argument("--only", nargs="*", default=[], metavar="PATTERN", help="names, with * and ?")
        measurer.add_argument("--again", action="store_true", help="also what this code has a result of")
        measurer.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
        measurer.add_argument("--out", type=Path, required=True, help="folder of the results")
        measurer.add_argument("--table", type=Path, required=True, help="the page, docs/accuracy-joint.md")
        measurer.set_defaults(function=function)
    for command in (runner, writer):
        command.add_argument("--out", type=Path, required=True, help="folder of the cases")
        command.add_argument(
            "--table", type=Path, required=command is writer, help="the page, for example docs/accuracy.md"
        )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = parse(argv)
    result: int = arguments.function(arguments)
    return result


if __name__ == "__main__":
    sys.exit(main())
