"""The command line. Results go to stdout, progress and errors to stderr; exit codes are those of the contract.

Heavy imports wait inside the commands, so that ``sacroplan --help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.batch.command import batch
from pipelines.packs.command import pack
from pipelines.pacs.command import pacs
from planner import NOTICE, __version__
from planner.backends import Backend
from planner.devices import describe_fault, is_no_memory
from planner.errors import SacroplanError

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.case import CaseSettings

__all__ = ["app", "main"]

BLAS_THREADS = "OPENBLAS_NUM_THREADS"
"""Read when NumPy is first imported, in the commands. Our matrices are small: two threads wait for each other, and the
fit takes up to ten times as long on a busy machine."""

logger = logging.getLogger("sacroplan")

EXIT_FAILED = 1
DEBUG_VARIABLE = "SACROPLAN_DEBUG"

app = typer.Typer(
    name="sacroplan",
    help=f"Plan posterior sacroiliac joint fusion on a pelvic CT. {NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class SideChoice(StrEnum):
    """Which sides to plan."""

    LEFT = "left"
    RIGHT = "right"
    BOTH = "both"


class CompareChoice(StrEnum):
    """What the posterior plan is compared with."""

    LATERAL = "lateral"


Input = Annotated[
    Path, typer.Argument(help="DICOM folder, zip or file, .nii.gz, .nrrd, .mha or .zarr", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", help="Result folder; made, or replaced if it holds an earlier result")]
Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file over the defaults that `doctor --config` prints")
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Use this segmentation, on the scan's own grid: labels 1-6, TotalSegmentator's file or folder, DICOM SEG",
    ),
]
WithBackend = Annotated[
    Backend, typer.Option("--backend", help="What labels the bones; totalsegmentator is an optional extra, and slow")
]
Resample = Annotated[bool, typer.Option("--resample", help="Accept uneven slices or tilt, and record it")]
AsJson = Annotated[bool, typer.Option("--json", help="Print plan.json in place of the summary")]
Compare = Annotated[
    CompareChoice | None,
    typer.Option(
        "--compare", help="Plan another way in beside the posterior one: three lateral rods", show_default=False
    ),
]
Injection = Annotated[bool, typer.Option("--injection", help="Plan a needle's path for a test injection, too")]
Catalogue = Annotated[Path | None, typer.Option("--catalogue", help="Your own implants (TOML), over those shipped")]


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _settings(
    config: Path | None, *, resample: bool, labels: Path | None, backend: Backend, catalogue: Path | None = None
) -> CaseSettings:
    from planner.case import CaseSettings
    from planner.config import load_config

    return CaseSettings(
        config=load_config(config), resample=resample, labels=labels, backend=backend, catalogue=catalogue
    )


def _with_others(settings: CaseSettings, *, lateral: bool, injection: bool) -> CaseSettings:
    """Ask for lateral rods and a needle beside what the settings ask for."""
    from dataclasses import replace

    config = settings.config
    rods = config.lateral.model_copy(update={"compare": lateral or config.lateral.compare})
    needle = config.injection.model_copy(update={"plan": injection or config.injection.plan})
    return replace(settings, config=config.model_copy(update={"lateral": rods, "injection": needle}))


def _run(source: Path, out: Path, settings: CaseSettings, *, as_json: bool = False) -> None:
    from pipelines.results import write_case
    from pipelines.summary import summarise
    from planner.case import plan_case
    from planner.stages import StageLog

    log = StageLog(lambda name: _say(f"  {name} …"))
    case = plan_case(source, settings, log)
    _say("  write results …")
    pictures = write_case(case, out)
    typer.echo(case.document.to_json() if as_json else summarise(case, out, pictures))


@app.command()
def plan(
    source: Input,
    out: Out,
    side: Annotated[SideChoice, typer.Option("--side", help="Which side to plan")] = SideChoice.BOTH,
    implant: Annotated[str, typer.Option("--implant", help="Identifier from `sacroplan implants`")] = "GENERIC-DOWEL",
    config: Config = None,
    labels: Labels = None,
    backend: WithBackend = Backend.SHAPE_MODEL,
    resample: Resample = False,
    as_json: AsJson = False,
    catalogue: Catalogue = None,
    compare: Compare = None,
    injection: Injection = False,
) -> None:
    """Plan one case."""
    from dataclasses import replace

    from planner.labels import Side

    settings = _settings(config, resample=resample, labels=labels, backend=backend, catalogue=catalogue)
    settings = _with_others(settings, lateral=compare is not None, injection=injection)
    sides = tuple(Side) if side is SideChoice.BOTH else (Side(side.value),)
    _run(source, out, replace(settings, sides=sides, implant=implant), as_json=as_json)


@app.command()
def segment(
    source: Input,
    out: Out,
    config: Config = None,
    labels: Labels = None,
    backend: WithBackend = Backend.SHAPE_MODEL,
    resample: Resample = False,
    as_json: AsJson = False,
) -> None:
    """Segment bones, measure joints and find keep-outs, without planning."""
    from dataclasses import replace

    settings = _settings(config, resample=resample, labels=labels, backend=backend)
    _run(source, out, replace(settings, sides=()), as_json=as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the phantom's DICOM series and its plan")] = Path(
        "demo-out"
    ),
) -> None:
    """Write a phantom CT series as DICOM, plan both sides and say where the pictures are."""
    from pipelines.results import complete_or_absent
    from planner.case import CaseSettings
    from sample_data import PhantomSpec, make_phantom, write_dicom_series

    _say(f"sacroplan {__version__}. {NOTICE}")
    _say("  make the phantom …")
    marker = "phantom.txt"
    with complete_or_absent(out, is_ours=lambda folder: (folder / marker).is_file()) as partial:
        write_dicom_series(make_phantom(PhantomSpec()).volume, partial / "dicom")
        (partial / marker).write_text(f"Made by `sacroplan demo`: no real patient. {NOTICE}\n", encoding="utf-8")
    _run(out / "dicom", out / "plan", CaseSettings())


@app.command()
def series(folder: Input) -> None:
    """List every series with its score and why it was or was not chosen."""
    from pipelines.summary import series_table
    from planner.reading import list_series

    typer.echo(series_table(list_series(folder)))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Result folder of `plan`", show_default=False)],
    image: Annotated[
        Path | None, typer.Option("--image", help="The scan that was planned on: checks HU, too", show_default=False)
    ] = None,
) -> None:
    """Re-check a plan from the files in its folder alone, by other code than the planner's."""
    from pipelines.summary import verification_table
    from planner.reading import read_scan
    from planner.verify import verify_folder

    # what the plan accepted then is accepted now; an even scan stays as it is
    verification = verify_folder(folder, read_scan(image, resample=True).source if image else None)
    typer.echo(verification_table(verification))
    if not verification.passed:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def review(
    folder: Annotated[Path, typer.Argument(help="Result folder of `plan`, or a CT to plan first", show_default=False)],
    ct: Annotated[Path | None, typer.Option("--ct", help="The scan, where it does not lie beside the folder")] = None,
) -> None:
    """Open a case in napari: look, correct, decide."""
    from pipelines.viewer import open_review

    open_review(folder, ct)


@app.command()
def implants(catalogue: Catalogue = None) -> None:
    """Print the implant catalogue."""
    from pipelines.summary import implant_table
    from planner.implants import load_catalogue

    typer.echo(implant_table(load_catalogue(catalogue)))


@app.command()
def doctor(
    config: Annotated[bool, typer.Option("--config", help="Print every setting with its default, as TOML")] = False,
) -> None:
    """Say what is installed, what is missing and the command that installs it."""
    from pipelines.doctor import default_settings, examine

    typer.echo(default_settings() if config else examine())


app.command()(batch)
app.command()(pack)
app.add_typer(pacs)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"sacroplan {__version__}. {NOTICE}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def guarded(command: Callable[[], None]) -> int:
    """Run a command; turn what goes wrong into one clear line and an exit code, never a traceback."""
    try:
        command()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except SacroplanError as error:
        _say(f"sacroplan: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("sacroplan: stopped; nothing half-written is left.")
        return 130
    except BrokenPipeError:  # whoever read our results has gone: `sacroplan series … | head`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # what is left is written nowhere
        return EXIT_FAILED
    except OSError as error:
        _say(f"sacroplan: {describe_fault(error)} Nothing half-written is left.")
        return EXIT_FAILED
    except Exception as error:
        if is_no_memory(error):
            _say("sacroplan: not enough memory for this scan; nothing half-written is left.")
            return EXIT_FAILED
        # the last line of defence: a defect of ours, told without a patient's data
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        _say(f"sacroplan: a defect of this program ({type(error).__name__}); {DEBUG_VARIABLE}=1 shows where.")
        return EXIT_FAILED
    return 0


def main() -> None:
    """Entry point of the command ``sacroplan``."""
    os.environ.setdefault(BLAS_THREADS, "1")
    if hasattr(sys.stdout, "reconfigure"):  # a C locale must not break a degree sign
        sys.stdout.reconfigure(encoding="utf-8")
        sys.stderr.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.exit(guarded(app))
