"""The command ``sacroplan pack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner import NOTICE

__all__ = ["pack"]

KEY = Path(typer.get_app_dir("sacroplan")) / "pack.key"


def pack(
    folder: Annotated[Path, typer.Argument(help="Result folder of `plan`", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The zip to write")],
    key: Annotated[
        Path, typer.Option("--key", help="The site's secret key for pseudonyms; made if it does not exist")
    ] = KEY,
    catalogue: Annotated[Path | None, typer.Option("--catalogue", help="Your own implants (TOML)")] = None,
) -> None:
    """Write a de-identified case pack for a device representative."""
    from pipelines.packs.pseudonyms import Pseudonyms, site_key
    from pipelines.packs.write import write_pack
    from planner.implants import load_catalogue

    report = write_pack(folder, out, Pseudonyms(site_key(key)), load_catalogue(catalogue))
    lines = [NOTICE, f"{len(report.members)} files in {out}", *(f"  {name}" for name in report.members)]
    lines += [f"left out: {name} ({reason})" for name, reason in report.left_out.items()]
    typer.echo("\n".join(lines))
