"""The error tree; "no safe path" is a result and is not in it.

::

    SacroplanError
    ├── InputRefusedError        exit code 3: the data cannot be planned on as they are
    │   ├── UnreadableFileError      not a file of the kind, damaged, or not decodable
    │   ├── NoSeriesError            no CT series fit for the purpose
    │   ├── GeometryError            missing, duplicate, uneven, tilted, mixed slices
    │   ├── NotHounsfieldError       pixel values that are not Hounsfield units
    │   ├── NoPelvisError            no pelvis found in the scan
    │   └── LabelsError              a given segmentation that does not fit the scan
    ├── ConfigError              exit code 2: a setting that does not exist, is out of range, or needs what is not here
    ├── ImplantError             exit code 2: an implant unknown or without sizes
    └── BackendError             exit code 1: another program that was asked to help has failed
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "ConfigError",
    "GeometryError",
    "ImplantError",
    "InputRefusedError",
    "LabelsError",
    "NoPelvisError",
    "NoSeriesError",
    "NotHounsfieldError",
    "SacroplanError",
    "UnreadableFileError",
]


class SacroplanError(Exception):
    """Base of every error that this program raises on purpose.

    Parameters
    ----------
    what : str
        One sentence: the file, the value found and the value expected. Never a patient's name or identifier.
    remedy : str
        One sentence: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}".strip()


class InputRefusedError(SacroplanError):
    """The input cannot be planned on as it is."""

    exit_code = 3


class UnreadableFileError(InputRefusedError):
    """A file that is damaged, not of the kind its place says, or cannot be decoded."""


class NoSeriesError(InputRefusedError):
    """No series in the input is a CT fit for planning."""


class GeometryError(InputRefusedError):
    """Slices that do not form one even, upright stack."""


class NotHounsfieldError(InputRefusedError):
    """Pixel values that are not Hounsfield units."""


class NoPelvisError(InputRefusedError):
    """No pelvis was found in the scan."""


class LabelsError(InputRefusedError):
    """A given segmentation that does not fit the scan."""


class ConfigError(SacroplanError):
    """A setting that does not exist, is out of range or needs what is not installed."""

    exit_code = 2


class ImplantError(SacroplanError):
    """An implant that the catalogue does not hold, or holds without sizes."""

    exit_code = 2


class BackendError(SacroplanError):
    """Another program, asked to label the bones, has failed."""
