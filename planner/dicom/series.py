"""Series: slices grouped, what bars a series from planning, and how good it is for it."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.dicom.geometry import Flaw, Stack, arrange, flaws
from planner.dicom.headers import CT_CLASSES, Slice, as_uid
from planner.dicom.pixels import can_decode
from planner.errors import NoSeriesError, NotHounsfieldError, UnreadableFileError

__all__ = ["Series", "SeriesReport", "extent_mm", "group_slices"]

KEY_LENGTH = 8
"""Hexadecimal digits of a series' short hash."""
PROJECTIONS = {
    "MIP", "MINIP", "MAX_IP", "MIN_IP", "MAXIMUM_PROJECTION", "MINIMUM_PROJECTION", "PROJECTION IMAGE", "VOLUME_RENDER",
}  # fmt: skip
"""Words of ImageType for images whose values are projected, not measured where they lie."""
RATIO_WORDS = {"RATIO", "Z_EFF", "ELECTRON_DENSITY", "MATERIAL_FRACTIONS", "PERFUSION"}
"""Words of ImageType for maps that are no Hounsfield units, whatever their rescale type says."""

CODE = re.compile(r"[A-Z0-9_]{1,16}")
"""A code string or unit (PS3.5 6.2, CS)."""

GIVE_CT = "Give a CT series with original or reformatted slices."
GIVE_HU = "Export the original CT images, which carry RescaleSlope, RescaleIntercept and type HU."


@dataclass(frozen=True, eq=False)
class Series:
    """Frames that belong together: one series, class and stack; localisers apart."""

    key: str
    slices: tuple[Slice, ...]

    @property
    def first(self) -> Slice:
        """The first slice by file name."""
        return self.slices[0]

    @property
    def is_ct(self) -> bool:
        """Whether these are CT images at all."""
        return self.first.instance.modality == "CT" and self.first.instance.sop_class in CT_CLASSES

    @cached_property
    def arranged(self) -> Stack | Flaw:
        """The stack that the slices form, or why they form none."""
        return arrange(self.slices)

    @property
    def stack(self) -> Stack | None:
        """The stack, even if flawed, where the slices form one."""
        return self.arranged if isinstance(self.arranged, Stack) else None

    @cached_property
    def bars(self) -> tuple[Flaw, ...]:
        """Everything that keeps the series from being read as it is, the plainest first."""
        kind = _not_ct(self) or _not_volume(self)
        if kind is not None:
            return (kind,)
        values = _not_hounsfield(self) or _not_decodable(self)
        shape = (self.arranged,) if isinstance(self.arranged, Flaw) else tuple(flaws(self.arranged))
        return shape if values is None else (values, *shape)

    def bar(self, *, resample: bool) -> Flaw | None:
        """Return what keeps the series from being read, or None."""
        return next((flaw for flaw in self.bars if not (resample and flaw.resampling_helps)), None)


@dataclass(frozen=True)
class SeriesReport:
    """One line of ``sacroplan series``; holds no identifier.

    Attributes
    ----------
    key : str
        Short hash of the series.
    number : int or None
        SeriesNumber.
    modality : str
        DICOM modality, for other files their format.
    slices : int
        Number of images.
    score : float
        0-1; see `planner.dicom.score`.
    chosen : bool
        Whether `read_scan` reads this one.
    reasons : tuple of str
        What bars it, or what made the score.
    """

    key: str
    number: int | None
    modality: str
    slices: int
    score: float
    chosen: bool
    reasons: tuple[str, ...]


def group_slices(slices: Iterable[Slice]) -> list[Series]:
    """Group slices into series, sorted by their short hash."""
    groups: dict[tuple[str, ...], list[Slice]] = defaultdict(list)
    for item in slices:
        groups[_group_key(item)].append(item)
    series = (
        Series(_short_hash(key), tuple(sorted(members, key=lambda s: (s.instance.file, s.frame))))
        for key, members in groups.items()
    )
    return sorted(series, key=lambda s: (s.key, s.first.instance.file))


def _group_key(item: Slice) -> tuple[str, ...]:
    instance = item.instance
    kind = "localizer" if _is_localizer(item) else ""
    return instance.series_uid, instance.patient, instance.modality, instance.sop_class, kind, item.stack


def _short_hash(key: tuple[str, ...]) -> str:
    return hashlib.sha256("|".join(key).encode()).hexdigest()[:KEY_LENGTH]


def _is_localizer(item: Slice) -> bool:
    return any(word.upper() in {"LOCALIZER", "SCOUT", "TOPOGRAM"} for word in item.image_type)


def _not_ct(series: Series) -> Flaw | None:
    instance = series.first.instance
    if instance.modality != "CT":
        what = f"{instance.file}: found modality {_code(instance.modality)}, expected CT."
        return Flaw("not CT", NoSeriesError(what, GIVE_CT))
    if instance.sop_class not in CT_CLASSES:
        what = f"{instance.file}: found {as_uid(instance.sop_class).name}, expected a CT image."
        return Flaw("not a CT image", NoSeriesError(what, GIVE_CT))
    return None


def _not_volume(series: Series) -> Flaw | None:
    item = series.first
    if _is_localizer(item):
        what = f"{item.label}: found a localiser, expected a stack of slices."
        return Flaw("localiser", NoSeriesError(what, GIVE_CT))
    words = {word.upper() for word in item.image_type}
    if words & PROJECTIONS:
        what = f"{item.label}: found a projection ({', '.join(sorted(words & PROJECTIONS))}), expected slices."
        return Flaw("projection", NoSeriesError(what, GIVE_CT))
    return None


def _not_hounsfield(series: Series) -> Flaw | None:
    for item in series.slices:
        found = _wrong_values(item)
        if found is not None:
            what = f"{item.label}: found {found}."
            return Flaw("not Hounsfield units", NotHounsfieldError(what, GIVE_HU))
    return None


def _wrong_values(item: Slice) -> str | None:
    instance = item.instance
    ratio = {word.upper() for word in item.image_type} & RATIO_WORDS
    if instance.samples != 1:
        return f"{instance.samples} samples a pixel (colour), expected 1"
    if instance.bits_allocated != 16 or not 1 <= instance.bits_stored <= 16:
        return f"{instance.bits_stored} of {instance.bits_allocated} bits a pixel, expected 16 allocated"
    if not instance.bits_stored <= instance.high_bit + 1 <= 16:
        return f"high bit {instance.high_bit}, expected {instance.bits_stored - 1} for {instance.bits_stored} bits"
    if item.slope is None or item.intercept is None or item.slope == 0:
        return f"RescaleSlope {item.slope} and RescaleIntercept {item.intercept}, expected both, slope not 0"
    if item.rescale_type not in {"", "HU"}:
        return f"RescaleType {_code(item.rescale_type)}, expected HU"
    if ratio:
        return f"a map of {', '.join(sorted(ratio))}, expected Hounsfield units"
    return None


def _code(text: str) -> str:
    """Repeat a term of the standard; not a text that may hold anything, once the header is damaged."""
    return (text if CODE.fullmatch(text) else f"of {len(text)} letters") if text else "none"


def _not_decodable(series: Series) -> Flaw | None:
    for item in series.slices:
        syntax = item.instance.transfer_syntax
        if not can_decode(syntax):
            what = (
                f"{item.label}: found transfer syntax {as_uid(syntax).name}, for which no decoder is installed, "
                "expected one that can be decoded."
            )
            remedy = "Export the images uncompressed (Explicit VR Little Endian)."
            return Flaw("unreadable syntax", UnreadableFileError(what, remedy))
    return None


def extent_mm(series: Series) -> float:
    """Cranio-caudal length that the series covers, whatever its orientation; 0 where unknown."""
    stack = series.stack
    if stack is None:
        return 0.0
    rows, columns = stack.shape_yx
    row_mm, column_mm = stack.pixel_spacing_mm
    lengths = np.array([stack.depths_mm[-1] - stack.depths_mm[0] + stack.gap_mm, rows * row_mm, columns * column_mm])
    return float(np.abs(stack.axes_lps[:, 2]) @ lengths)
