"""The conditions that the product is measured under: one table, a row a condition, a case for each of its bases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["BASES", "CONDITIONS", "FINDING_BASES", "Condition", "MadeCase", "cases"]

Gaps = tuple[float, float]
Angles = tuple[float, float, float]

BASES = {
    "M": ("hubmap", "M"),
    "F": ("hubmap", "F"),
    "A": ("jhu", "5"),
    "B": ("jhu", "12"),
    "C": ("jhu", "16"),
    "D": ("jhu", "25"),
    "P": ("phantom", "mean"),
    "Q": ("phantom", "varied"),
    "R2": ("fracsegnet", "002"),
    "R4": ("fracsegnet", "004"),
    "T": ("totalsegmentator", "example"),
}
"""Pelves: source and case. A, B, C, D are planned with a shape model that was built without them."""

FINDING_BASES = {
    "G": ("jhu", "2"),
    "H": ("jhu", "8"),
    "I": ("jhu", "10"),
    "J": ("jhu", "14"),
    "K": ("jhu", "20"),
    "L": ("jhu", "27"),
}
"""Pelves that the findings are measured on, and nothing was settled on; planned like A, B, C, D."""

Extra = Literal[
    "contrast", "calcified", "prosthesis", "screws", "transitional", "arms", "cushions", "child", "bridge",
    "vacuum", "one-hip",
]  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes
    ----------
    name : str
        Short, for tables and folders.
    group : str
        The heading that it is counted under.
    bases : str
        Keys of `BASES`, with spaces.
    spacing : (z, y, x)
        Millimetres.
    view : str
        Field of view: ``joints`` (just the SI joints), ``sacrum``, ``upper`` (down to the hip sockets' roofs),
        ``pelvis``, ``long`` (thorax to knees), ``cut`` (the scan ends inside the joints).
    turn : (x, y, z)
        Turns of the patient against LPS, degrees.
    position : str
        What the scanner was told, truly: the image's axes and the table follow.
    look : str
        Kernel, noise and bone; see `made_cases.LOOKS`.
    gap_mm : (left, right)
        Least joint gap.
    extras : tuple of str
        What else is there.
    scale : float
        Size of the person.
    flags : tuple of str
        Codes of findings of which at least one must say so.
    may_refuse : bool
        A refusal is an answer too.
    """

    name: str
    group: str
    bases: str
    spacing: tuple[float, float, float] = (1.5, 1.3, 1.3)
    view: str = "upper"
    turn: Angles = (0.0, 0.0, 0.0)
    position: str = "supine"
    look: str = "soft"
    gap_mm: Gaps = (1.5, 1.5)
    extras: tuple[Extra, ...] = field(default=())
    scale: float = 1.0
    flags: tuple[str, ...] = ()
    may_refuse: bool = False


CONDITIONS = (
    Condition("thin", "thin slices", "M F A B", spacing=(0.9, 0.9, 0.9), view="sacrum"),
    Condition("whole pelvis", "field of view", "M F", spacing=(1.5, 1.4, 1.4), view="pelvis"),
    Condition("joints only", "field of view", "M F C D", spacing=(1.25, 1.0, 1.0), view="joints"),
    Condition("sacrum", "field of view", "A D", spacing=(1.25, 1.1, 1.1), view="sacrum"),
    Condition("long scan", "field of view", "M B", spacing=(3.0, 2.0, 2.0), view="long"),
    Condition("ends in joint", "field of view", "F C", view="cut", flags=("scan-truncated", "joint-truncated")),
    Condition("0.5 mm", "slice thickness", "F B", spacing=(0.5, 0.9, 0.9), view="joints"),
    Condition("2 mm", "slice thickness", "M C", spacing=(2.0, 1.2, 1.2)),
    Condition("3 mm", "slice thickness", "M F A D", spacing=(3.0, 1.2, 1.2)),
    Condition("5 mm", "slice thickness", "F B", spacing=(5.0, 1.2, 1.2)),
    Condition("prone", "position", "M A", position="prone"),
    Condition("feet first", "position", "F B", position="feet-first"),
    Condition("decubitus", "position", "M C", position="decubitus"),
    Condition("tilt 30", "turned 30 degrees", "F D", turn=(30.0, 0.0, 0.0)),
    Condition("tilt -30", "turned 30 degrees", "M B", turn=(-30.0, 0.0, 0.0)),
    Condition("roll 30", "turned 30 degrees", "M A", turn=(0.0, 0.0, 30.0)),
    Condition("lean 25", "turned 30 degrees", "F C", turn=(0.0, 25.0, 0.0)),
    Condition("tilt, lean, roll", "turned 30 degrees", "M F", turn=(25.0, -18.0, -25.0)),
    Condition("prone, header wrong", "position not in the header", "F C", turn=(0.0, 0.0, 180.0),
              flags=("patient-position",)),
    Condition("lateral, header wrong", "position not in the header", "M D", turn=(0.0, 0.0, 90.0),
              flags=("patient-position",)),
    Condition("bone kernel", "kernel and noise", "M D", look="bone"),
    Condition("noise 40", "kernel and noise", "F A", look="noisy"),
    Condition("noise 60", "kernel and noise", "M B", look="loud"),
    Condition("osteoporosis", "osteoporosis", "M F A C", look="osteoporosis"),
    Condition("contrast", "contrast and plaques", "F B", extras=("contrast",), view="pelvis", spacing=(2.0, 1.4, 1.4)),
    Condition("plaques", "contrast and plaques", "M D", extras=("calcified",)),
    Condition("arms, cushions", "contrast and plaques", "F A", extras=("arms", "cushions"), view="pelvis",
              spacing=(2.0, 1.5, 1.5)),
    Condition("hip prosthesis", "metal", "M C", extras=("prosthesis",), view="pelvis", spacing=(2.0, 1.4, 1.4),
              flags=("metal",)),
    Condition("S1 screws", "metal", "F B", extras=("screws",), flags=("metal",)),
    Condition("narrow", "joints", "F D", gap_mm=(0.7, 0.7)),
    Condition("wide, one side", "joints", "M A", gap_mm=(4.0, 1.5)),
    Condition("vacuum", "joints", "F B", extras=("vacuum",)),
    Condition("bridged", "joints", "M C", extras=("bridge",), flags=("ankylosis",)),
    Condition("transitional L5", "L5", "F D", extras=("transitional",)),
    Condition("one hip missing", "one side missing", "M B", extras=("one-hip",), flags=("bone-missing",)),
    Condition("child of 6", "children", "F A", extras=("child",), scale=0.62, view="pelvis",
              flags=("small-pelvis",), may_refuse=True),
    Condition("child of 11", "children", "M D", extras=("child",), scale=0.8, view="pelvis",
              flags=("small-pelvis",), may_refuse=True),
    Condition("phantom", "phantom (only a check)", "P Q", spacing=(1.25, 1.1, 1.1), view="sacrum"),
    Condition("phantom 3 mm", "phantom (only a check)", "P Q", spacing=(3.0, 0.9, 0.9), view="sacrum"),
    Condition("bones of a real CT", "real CT", "R2 R4"),
    Condition("real CT, 3 mm, metal", "real CT", "T", flags=("metal",)),
)  # fmt: skip
"""Every condition of the product's evaluation."""


@dataclass(frozen=True)
class MadeCase:
    """One condition of one pelvis."""

    condition: Condition
    base: str

    @property
    def name(self) -> str:
        """Folder's name."""
        return f"{self.condition.name.replace(', ', '_').replace(' ', '-')}_{self.base}"

    @property
    def source(self) -> str:
        """Where the pelvis comes from."""
        return BASES[self.base][0]


def cases() -> tuple[MadeCase, ...]:
    """All cases, in the table's order."""
    return tuple(MadeCase(condition, base) for condition in CONDITIONS for base in condition.bases.split())
