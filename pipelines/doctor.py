"""What is installed here, and what is missing with the command that installs it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from pydantic import BaseModel

from pipelines.results import DEPENDENCIES
from planner import NOTICE, __version__
from planner.backends.gpu import find_card
from planner.config import PlanConfig

__all__ = ["default_settings", "examine"]

EXTRAS = {
    "viewer": ("napari", "the napari viewer"),
    "totalsegmentator": ("totalsegmentator", "labels by TotalSegmentator (--backend totalsegmentator)"),
    "gpu": ("cupy", "CuPy for an NVIDIA graphics card"),
    "parquet": ("pyarrow", "pyarrow, for summary.parquet of a batch"),
}
"""Import name that stands for an extra, and what it is for."""

CODECS = {
    "pylibjpeg-rle": "RLE",
    "pyjpegls": "JPEG-LS",
    "pylibjpeg-openjpeg": "JPEG 2000",
    "python-gdcm": "JPEG lossless",
}
"""Distribution that decodes a compressed transfer syntax."""


def examine() -> str:
    """Describe this installation, a line each."""
    lines = [
        f"sacroplan {__version__}. {NOTICE}",
        f"Python {platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores",
    ]
    lines += [_line(name, f"{name} {_version(name)}", f"pip install {name}", _version(name)) for name in DEPENDENCIES]
    lines += [
        _line(name, f"{kind} by {name} {_version(name)}", f"pip install {name}", _version(name))
        for name, kind in CODECS.items()
    ]
    lines += [
        _line(extra, what, f"pip install 'sacroplan[{extra}]'", find_spec(module))
        for extra, (module, what) in EXTRAS.items()
    ]
    card = find_card()
    lines.append(f"GPU: {card.name}" if card else "GPU: none found or switched off; the CPU does all the work")
    return "\n".join(lines)


def _line(name: str, present: str, remedy: str, found: object) -> str:
    return f"  ok       {present}" if found else f"  missing  {name}: {remedy}"


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def default_settings() -> str:
    """Every setting with its default as TOML, its meaning above it: a file to start from for ``--config``."""
    lines = [f"# Settings of sacroplan {__version__} with their defaults. {NOTICE}"]
    return "\n".join(lines + _section("", PlanConfig()))


def _section(name: str, section: BaseModel) -> list[str]:
    """One table, and those within it after it, as TOML wants."""
    fields = type(section).model_fields
    values = {key: getattr(section, key) for key in fields}
    lines = ["", f"[{name}]"] if name else []
    for key, value in values.items():
        if not isinstance(value, BaseModel):
            lines += [f"# {line}" for line in (fields[key].description or "").splitlines()]
            lines.append(f"{key} = {_toml(value)}" if value is not None else f"# {key} is not set")
    for key, value in values.items():
        if isinstance(value, BaseModel):
            lines += _section(f"{name}.{key}".lstrip("."), value)
    return lines


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, BaseModel):
        return "{ " + ", ".join(f"{key} = {_toml(getattr(value, key))}" for key in type(value).model_fields) + " }"
    return repr(value)
