"""The command ``sacroplan batch``."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner import NOTICE
from planner.backends import Backend

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pipelines.batch.engine import Engine
    from pipelines.batch.run import BatchOptions, BatchReport

__all__ = ["batch"]

EXIT_FAILED = 1


class Sides(StrEnum):
    """Which sides to plan."""

    LEFT = "left"
    RIGHT = "right"
    BOTH = "both"


def batch(
    export: Annotated[Path, typer.Argument(help="Folder of any depth, or DICOMDIR", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Result folder; what an earlier run finished there is kept")],
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="At most so many processes; 0 plans in this one, one by one")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a running Dask scheduler, tcp://host:8786")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be planned, and why")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Plan what has failed before again")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Longest that a case may take, s")] = 1800.0,
    retries: Annotated[int, typer.Option("--retries", min=0, help="More attempts after a death or time-out")] = 1,
    side: Annotated[Sides, typer.Option("--side", help="Which side to plan")] = Sides.BOTH,
    implant: Annotated[str, typer.Option("--implant", help="Identifier from `sacroplan implants`")] = "GENERIC-DOWEL",
    config: Annotated[Path | None, typer.Option("--config", help="TOML file over the defaults")] = None,
    catalogue: Annotated[Path | None, typer.Option("--catalogue", help="Your own implants (TOML)")] = None,
    backend: Annotated[Backend, typer.Option("--backend", help="What labels the bones")] = Backend.SHAPE_MODEL,
    resample: Annotated[bool, typer.Option("--resample", help="Accept uneven slices or tilt, and record it")] = False,
) -> None:
    """Plan every study of an export; goes on where an earlier run was stopped."""
    from pipelines.batch.run import BatchOptions
    from planner.case import CaseSettings
    from planner.config import load_config
    from planner.labels import Side

    sides = tuple(Side) if side is Sides.BOTH else (Side(side.value),)
    settings = CaseSettings(
        sides=sides,
        implant=implant,
        config=load_config(config),
        catalogue=catalogue.absolute() if catalogue else None,
        backend=backend,
        resample=resample,
    )
    options = BatchOptions(settings, timeout, retries, retry_failed)
    if dry_run:
        _show_choices(export, out, options)
        return
    report = _run(export, out, options, _engine(workers, scheduler))
    typer.echo(_table(report, out))
    if not report.all_done:
        raise typer.Exit(EXIT_FAILED)


def _engine(workers: int | None, scheduler: str | None) -> AbstractContextManager[Engine]:
    from pipelines.batch.engine import InProcess, connect, local_cluster

    if scheduler:
        return connect(scheduler)
    return nullcontext(InProcess()) if workers == 0 else local_cluster(workers)


def _run(export: Path, out: Path, options: BatchOptions, engine: AbstractContextManager[Engine]) -> BatchReport:
    from pipelines.batch.disk import FULL
    from pipelines.batch.progress import progress
    from pipelines.batch.run import run_batch

    try:
        with engine as ready, progress() as watcher:
            return run_batch(export, out, options, ready, watcher)
    except OSError as error:
        if error.errno not in FULL:
            raise
        typer.echo("sacroplan: the disk is full. Free some space and start again: it goes on from here.", err=True)
        raise typer.Exit(EXIT_FAILED) from error


def _table(report: BatchReport, out: Path) -> str:
    from pipelines.batch.summary import NO_PARQUET, has_parquet

    lines = [NOTICE, ""]
    lines += [f"{count:>8}  {status}" for status, count in sorted(report.statuses.items())]
    lines += [f"{report.ended_now:>8}  of them in this run", f"{report.files.files:>8}  files"]
    if report.stopped:
        lines += ["", f"Stopped: {report.stopped} Free some space and start again: it goes on from here."]
    lines += ["", f"Summary in {out / 'summary.html'}, {out / 'summary.csv'}"]
    return "\n".join(lines if has_parquet() else [*lines, NO_PARQUET])


def _show_choices(export: Path, out: Path, options: BatchOptions) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    from pipelines.batch.dry_run import choose_all
    from pipelines.batch.progress import progress
    from pipelines.summary import render

    table = Table("case", "would be", "series", "slices", "reasons", box=SIMPLE)
    with progress() as watcher:
        for choice in choose_all(export, out, options, watcher):
            table.add_row(choice.key, choice.todo, choice.series, str(choice.slices or ""), choice.reasons)
    typer.echo(render(table))
