"""Keys for everything, in one table; the cheat sheet is made from it."""

from __future__ import annotations

from planner import NOTICE

__all__ = ["KEYS", "cheat_sheet"]

KEYS = {
    "S": ("switch_side", "the other side"),
    "C": ("next_candidate", "next candidate"),
    "J": ("to_implant", "crosshair to the implant"),
    "B": ("bone_window", "bone window"),
    "T": ("soft_window", "soft-tissue window"),
    "Left": ("nudge_left", "implant 0.5 mm to the patient's right"),
    "Right": ("nudge_right", "implant 0.5 mm to the patient's left"),
    "Up": ("nudge_up", "implant 0.5 mm to cranial"),
    "Down": ("nudge_down", "implant 0.5 mm to caudal"),
    "PgUp": ("deeper", "implant 0.5 mm deeper"),
    "PgDown": ("shallower", "implant 0.5 mm shallower"),
    "Shift+Left": ("tip_left", "tip 0.5 mm to the patient's right, entry stays"),
    "Shift+Right": ("tip_right", "tip 0.5 mm to the patient's left, entry stays"),
    "Shift+Up": ("tip_up", "tip 0.5 mm to cranial, entry stays"),
    "Shift+Down": ("tip_down", "tip 0.5 mm to caudal, entry stays"),
    "O": ("optimise", "optimise from here"),
    "Home": ("snap_back", "back to the proposal"),
    "Ctrl+Z": ("undo", "undo"),
    "Ctrl+Shift+Z": ("redo", "redo"),
    "Esc": ("let_go", "let a dragged implant spring back"),
    "L": ("toggle_lock", "lock or free the implant"),
    "P": ("replan_painted", "plan anew what depends on what I painted"),
    "Ctrl+Return": ("approve", "approve this side"),
    "Ctrl+Delete": ("reject", "reject this side"),
    "F2": ("make_room", "hide or show napari's own panels"),
    "F1": ("show_keys", "this sheet"),
}
"""Key: method of the review widget, and what it does."""


def cheat_sheet() -> str:
    """Give the keys as a table."""
    rows = "".join(f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{words}</td></tr>" for key, (_, words) in KEYS.items())
    mouse = (
        "<p>Mouse: click sets the crosshair; drag the implant, its entry (disc) or its tip (diamond); "
        "Shift-drag entry, Ctrl-drag tip; right-drag window and level; wheel slices; Ctrl-wheel zooms.</p>"
    )
    return f"<table>{rows}</table>{mouse}<p>{NOTICE}</p>"
