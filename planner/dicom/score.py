"""Which series is best to plan on: one table of weighted criteria.

Every weight and limit here is our own choice [P]: a planner wants thin, axial, original slices in a bone kernel that
cover both sacroiliac joints from L5 to below S4.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from planner.dicom.series import Series, extent_mm

__all__ = ["CRITERIA", "Criterion", "Verdict", "judge", "kernel_name"]

THIN_MM, THICK_MM = 1.0, 5.0
"""Slice distance or thickness that scores 1, and 0 [P]; clinical limit 1.25 mm for navigation."""
SHORT_MM, LONG_MM = 40.0, 200.0
"""Cranio-caudal extent that scores 0, and 1 [P]: an SI joint is about 60 mm long, the sacrum 110."""
KERNELS = (
    (re.compile(r"LUNG|^B80|^FC8[0-9]"), 0.3, "lung kernel"),
    (re.compile(r"BONE|SHARP|EDGE|^B[67]|^BR[67]|^FC3[0-9]|^Y[A-D]$|^[DE]$|^I[67]"), 1.0, "bone kernel"),
    (re.compile(r"SOFT|STAND|SMOOTH|BODY|^B[1-5]|^BR[1-5]|^FC[01][0-9]|^[ABC]$|^I[1-5]"), 0.6, "soft-tissue kernel"),
)
"""Convolution kernels of the common makers by name, with the share of the weight they earn [P]."""
BODY_PARTS = (
    (re.compile(r"PELV|SACR|ILIOSAC|ILIAC|\bSIJ?\b|\bISG\b|BECKEN|BASSIN"), 1.0, "pelvis named"),
    (re.compile(r"ABD|PANCREA|LUMB|L-?SPINE|HIP|WHOLE ?BODY|\bTAP\b|\bCAP\b"), 0.8, "abdomen, hip or spine named"),
    (re.compile(r"HEAD|BRAIN|SKULL|NECK|CHEST|THORAX|LUNG|HEART|KNEE|ANKLE|FOOT|HAND|WRIST|ELBOW|SHOULDER"), 0.0,
     "other body part named"),
)  # fmt: skip
"""Words in body part and descriptions, with the share of the weight they earn [P]; the words found are never shown."""
UNKNOWN = 0.5
"""Share of the weight where the header says nothing [P]."""
SAFE_NAME = re.compile(r"[A-Za-z0-9_+./ -]{1,16}")
"""Kernel names that are shown; anything else may be free text."""

Judgement = tuple[float, str]


@dataclass(frozen=True)
class Criterion:
    """One reason to prefer a series: a weight, and a function to a share of it (0-1) and words."""

    name: str
    weight: float
    judge: Callable[[Series], Judgement]


@dataclass(frozen=True)
class Verdict:
    """A series' score (0-1) and the reasons for it, in words."""

    score: float
    reasons: tuple[str, ...]


def judge(series: Series) -> Verdict:
    """Score a series; the score ranks series that can be read and says nothing of one that is barred."""
    if not series.is_ct:
        return Verdict(0.0, ())
    judged = [(c, *c.judge(series)) for c in CRITERIA]
    score = sum(c.weight * share for c, share, _ in judged)
    reasons = tuple(f"{words} ({c.weight * share:.2f} of {c.weight:.2f})" for c, share, words in judged)
    return Verdict(round(score, 6), reasons)


def kernel_name(series: Series) -> str:
    """Convolution kernel as far as it is a plain name; empty where unknown."""
    name = series.first.kernel.split("\\")[0]
    return name if SAFE_NAME.fullmatch(name) else ""


def _ramp(value: float, zero: float, one: float) -> float:
    return min(max((value - zero) / (one - zero), 0.0), 1.0)


def _thickness(series: Series) -> Judgement:
    stack = series.stack
    if stack is None or stack.gap_mm == 0:
        return 0.0, "slice distance unknown"
    thickness = series.first.thickness_mm or stack.gap_mm
    coarse = max(stack.gap_mm, thickness)
    return _ramp(coarse, THICK_MM, THIN_MM), f"slices {stack.gap_mm:.2f} mm apart, {thickness:.2f} mm thick"


def _axial(series: Series) -> Judgement:
    stack = series.stack
    if stack is None:
        return 0.0, "orientation unknown"
    cosine = float(abs(stack.axes_lps[0, 2]))
    word = ("sagittal", "coronal", "axial")[int(abs(stack.axes_lps[0]).argmax())]
    return cosine**2, f"{word} slices"


def _extent(series: Series) -> Judgement:
    length = extent_mm(series)
    return _ramp(length, SHORT_MM, LONG_MM), f"{len(series.slices)} slices over {length:.0f} mm from head to foot"


def _kernel(series: Series) -> Judgement:
    name = kernel_name(series)
    for pattern, share, words in KERNELS:
        if pattern.search(name.upper()):
            return share, f"{words} {name}"
    return UNKNOWN, f"kernel {name}" if name else "kernel unknown"


def _body_part(series: Series) -> Judgement:
    for pattern, share, words in BODY_PARTS:
        if pattern.search(series.first.instance.hints):
            return share, words
    return UNKNOWN, "body part unknown"


def _original(series: Series) -> Judgement:
    words = {word.upper() for word in series.first.image_type}
    if not words:
        return UNKNOWN, "image type unknown"
    derived = sorted(words & {"DERIVED", "SECONDARY"})
    return 1.0 - 0.5 * len(derived), f"{' and '.join(derived).lower()} image" if derived else "original image"


CRITERIA = (
    Criterion("slice distance and thickness", 0.35, _thickness),
    Criterion("cranio-caudal extent", 0.20, _extent),
    Criterion("axial slices", 0.15, _axial),
    Criterion("kernel", 0.10, _kernel),
    Criterion("body part", 0.10, _body_part),
    Criterion("original image", 0.10, _original),
)
"""The score's terms; weights sum to 1 [P]."""
