"""Keys for everything, in one table; the cheat sheet is made from it."""

from __future__ import annotations

from itertools import zip_longest

from planner import NOTICE

__all__ = ["KEYS", "cheat_sheet"]

KEYS = {
    "S": ("switch_side", "the other side"),
    "C": ("next_candidate", "next candidate"),
    "W": ("next_witness", "next clearance: crosshair to where it is least"),
    "N": ("next_finding", "next finding: crosshair to its place"),
    "J": ("to_implant", "crosshair to the implant"),
    "B": ("bone_window", "bone window"),
    "T": ("soft_window", "soft-tissue window"),
    "Left": ("nudge_left", "implant a step to the patient's right"),
    "Right": ("nudge_right", "implant a step to the patient's left"),
    "Up": ("nudge_up", "implant a step to cranial"),
    "Down": ("nudge_down", "implant a step to caudal"),
    "PgUp": ("deeper", "implant a step deeper"),
    "PgDown": ("shallower", "implant a step shallower"),
    "Shift+Left": ("tip_left", "tip a step to the patient's right, entry stays"),
    "Shift+Right": ("tip_right", "tip a step to the patient's left, entry stays"),
    "Shift+Up": ("tip_up", "tip a step to cranial, entry stays"),
    "Shift+Down": ("tip_down", "tip a step to caudal, entry stays"),
    "O": ("optimise", "optimise from here"),
    "Home": ("snap_back", "back to the proposal"),
    "Ctrl+Z": ("undo", "undo"),
    "Ctrl+Shift+Z": ("redo", "redo"),
    "Esc": ("let_go", "let a dragged implant spring back"),
    "L": ("toggle_lock", "lock or free the implant"),
    "P": ("replan_painted", "plan anew what depends on what I painted"),
    "Ctrl+Return": ("approve", "approve this side"),
    "Ctrl+Delete": ("reject", "reject this side"),
    "Ctrl+Shift+Return": ("override", "override with the reason that is written"),
    "Ctrl+Shift+K": ("comment", "write the comment down"),
    "F5": ("to_judge", "panel Judge"),
    "F6": ("to_correct", "panel Correct: size, third, margins by Tab"),
    "F7": ("to_decide", "panel Decide"),
    "F8": ("to_c_arm", "panel C-arm"),
    "F2": ("make_room", "hide or show napari's own panels"),
    "F1": ("show_keys", "this sheet"),
}
"""Key: method of the review widget, and what it does."""


def cheat_sheet() -> str:
    """Give the keys as a table."""
    cells = [f"<td><b>{key}</b>&nbsp;&nbsp;</td><td>{words}&nbsp;&nbsp;</td>" for key, (_, words) in KEYS.items()]
    half = (len(cells) + 1) // 2
    rows = "".join(
        f"<tr>{first}{second}</tr>" for first, second in zip_longest(cells[:half], cells[half:], fillvalue="")
    )
    mouse = (
        "<p>Mouse: click sets the crosshair; drag the implant, its entry (disc) or its tip (diamond); "
        "Shift-drag entry, Ctrl-drag tip; right-drag window and level; wheel slices; Ctrl-wheel zooms. "
        "A step is 0.5 mm, or what the preferences say.</p>"
    )
    return f"<table>{rows}</table>{mouse}<p>{NOTICE}</p>"
