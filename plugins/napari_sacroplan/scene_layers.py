"""The layers of a review in napari: the only file that touches the viewer's layers."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_sacroplan.meshes import Mesh, access_surface, bone_surfaces, implant_mesh, keepout_surface
from napari_sacroplan.readers import BONE_WINDOW_HU, GAP_LIMITS_MM, layer_affine
from napari_sacroplan.session import Session
from napari_sacroplan.words import GRADE_COLOURS
from planner import NOTICE
from planner.figures.palette import BONE_WORDS, BONES, KEEPOUT

__all__ = ["BONE_LABELS", "KEEPOUT_LABELS", "SceneLayers"]

BONE_LABELS, KEEPOUT_LABELS = "bones (labels)", "canal and foramina (labels)"
"""Layers that are painted on."""

SAME_MM = 1e-3
"""Crosshair and slice are no farther apart than this when they agree."""

FOLLOW_MS = 40
"""The 3-D scene follows a drag at most this often, and takes at most one part in `SCENE_PARTS` of the time."""

SCENE_PARTS = 4

AXIS_LABELS = ("S", "P", "L")
"""Where napari's axes z, y, x point to in the patient."""

FROM_BEHIND_DEG = (-180.0, 0.0, -90.0)
"""The operator's view, as the camera's angles: before napari 0.9 a direction means its opposite in such axes."""

RIGHT_HANDED = ("away", "down", "right")
"""Of z, y and x on the screen. napari's own ("towards") draws LPS as its mirror image: left would be right."""

LETTERS_LPS_MM = {
    "L": (118.0, 0.0, 0.0),
    "R": (-118.0, 0.0, 0.0),
    "P": (0.0, 80.0, -18.0),
    "A": (0.0, -80.0, 18.0),
    "S": (0.0, 0.0, 85.0),
    "I": (0.0, 0.0, -105.0),
}
"""Where the patient's letters stand, from the middle of both joints; A and P beside each other seen from behind."""

AMBIENT = 0.45
"""Brightness of a surface that is seen edge-on by the lamp."""

META = {"notice": NOTICE}


class SceneLayers:
    """Builds the layers of a session and keeps them with it."""

    def __init__(self, viewer: Any, session: Session, *, follows_drags: bool = True) -> None:
        self.viewer, self.session, self.follows_drags = viewer, session, follows_drags
        self.layers: list[Any] = []
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.timeout.connect(self._follow_in_turn)
        self._following = False
        viewer.dims.events.ndisplay.connect(self._turned)
        viewer.dims.events.point.connect(self._stepped)
        self.build()

    def build(self) -> None:
        """Add all layers anew."""
        self._remove()
        case = self.session.case
        affine = layer_affine(case.volume.grid)
        words = "CT" if case.has_ct else "no CT: labels as grey"
        flat = self.viewer.dims.ndisplay == 2
        self.ct = self._add(
            "image", case.volume.hu, name=words, affine=affine, contrast_limits=BONE_WINDOW_HU, visible=flat
        )
        self.bones = self._add(
            "labels", case.bones.labels.values.copy(), name=BONE_LABELS, affine=affine, opacity=0.4, visible=False
        )
        self.keepouts = self._add(
            "labels", case.keepouts.mask.values.copy(), name=KEEPOUT_LABELS, affine=affine, opacity=0.5, visible=False
        )
        for label, mesh in bone_surfaces(case).items():
            self._surface(mesh, BONE_WORDS[label], BONES[label], opacity=0.45, blending="translucent_no_depth")
        keepout = keepout_surface(case)
        if keepout is not None:
            self._surface(keepout, "canal and foramina", KEEPOUT, opacity=0.6)
        for side, joint in case.joints.items():
            if len(joint.faces):
                self._add(
                    "surface",
                    (joint.vertices_lps[:, ::-1], joint.faces, joint.gap_mm),
                    name=f"{side} joint, gap 0 to {GAP_LIMITS_MM[1]:g} mm",
                    colormap="cividis",
                    contrast_limits=GAP_LIMITS_MM,
                    shading="none",
                )
        self._add_implant()
        self.viewer.dims.axis_labels = AXIS_LABELS
        self.viewer.axes.visible = True
        self._add_letters()
        self.look_from_behind()

    def look_from_behind(self) -> None:
        """Fill the canvas with the pelvis, as the operator sees it."""
        self.viewer.camera.orientation = RIGHT_HANDED
        self.viewer.camera.angles = FROM_BEHIND_DEG
        self.letters.visible = False  # they may lie outside
        self.viewer.reset_view(reset_camera_angle=False)
        self.letters.visible = True

    def _add_letters(self) -> None:
        """Write the patient's letters round the pelvis."""
        joints = [joint.vertices_lps for joint in self.session.case.joints.values()]
        middle = np.concatenate(joints).mean(axis=0) if joints else self.session.cursor_lps
        places = {letter: middle + away for letter, away in LETTERS_LPS_MM.items()}
        self.letters = self._add(
            "points",
            np.array(list(places.values()))[:, ::-1],
            name="patient letters",
            size=0.1,
            opacity=1.0,
            text={"string": list(places), "size": 14, "color": "white", "blending": "translucent_no_depth"},
            out_of_slice_display=False,
        )

    def _add_implant(self) -> None:
        self.implant = self.access = self.ends = None
        placement = self.session.placement
        if placement is None:
            return
        case, side = self.session.case, self.session.side
        self.access = self._surface(access_surface(case, placement, side), "access", "#56B4E9", opacity=0.3)
        self.implant = self._surface(implant_mesh(placement), "implant", "#FFFFFF", opacity=1.0)
        self.ends = self._add(
            "points",
            _ends(self.session),
            name="entry and tip",
            size=3,
            face_color=["white", "black"],
            blending="translucent_no_depth",
        )
        self.ends.events.data.connect(self._dragged)
        self.implant.metadata = {**META, "session": self.session}  # for the writer
        self._paint_grade()

    def _add(self, kind: str, data: Any, **facts: Any) -> Any:
        layer = getattr(self.viewer, f"add_{kind}")(data, metadata=dict(META), **facts)
        self.layers.append(layer)
        return layer

    def _surface(self, mesh: Mesh, name: str, colour: str, **facts: Any) -> Any:
        vertices, faces = mesh
        look = {"colormap": _flat(colour), "contrast_limits": (0.0, 1.0), "shading": "none"}
        return self._add("surface", _surface_data(vertices, faces), name=name, **look, **facts)

    def follow(self) -> None:
        """Follow the session soon: many moves of a mouse are one step in 3-D."""
        if not self._timer.isActive() and (self.follows_drags or not self.session.held):
            self._timer.start()

    def _follow_in_turn(self) -> None:
        """Follow, and leave the pictures beside it the greater part of the time: software draws 3-D slowly."""
        begun = perf_counter()
        self.follow_now()
        QTimer.singleShot(0, lambda: self._pace(perf_counter() - begun))  # comes after the scene was drawn

    def _pace(self, seconds: float) -> None:
        self._timer.setInterval(max(FOLLOW_MS, round(1000 * seconds * (SCENE_PARTS - 1))))

    def follow_now(self) -> None:
        """Follow the session."""
        placement = self.session.placement
        self._following = True
        try:
            if placement is None or self.implant is None:
                self._without_implant(shown=placement is not None)
            else:
                self._move_implant()
            if self.viewer.dims.ndisplay == 2:
                self.viewer.dims.set_point((0, 1, 2), tuple(self.session.cursor_lps[::-1]))
        finally:
            self._following = False

    def _without_implant(self, *, shown: bool) -> None:
        if shown:
            self._add_implant()
        for layer in (self.implant, self.access, self.ends):
            if layer is not None:
                layer.visible = shown

    def _move_implant(self) -> None:
        placement = self.session.placement
        if placement is None or self.implant is None or self.access is None or self.ends is None:
            return
        for layer in (self.implant, self.access, self.ends):
            layer.visible = True
        self.implant.data = _surface_data(*implant_mesh(placement))
        self.access.data = _surface_data(*access_surface(self.session.case, placement, self.session.side))
        self.ends.data = _ends(self.session)
        self._paint_grade()

    def _paint_grade(self) -> None:
        checked = self.session.check()
        if self.implant is not None and checked is not None:
            self.implant.colormap = _flat(GRADE_COLOURS[checked.grade])

    def _dragged(self, event: Any) -> None:
        """Take over an end that was dragged in napari's own canvas."""
        placement = self.session.placement
        if self._following or placement is None or self.ends is None or len(self.ends.data) != 2:
            return
        entry, tip = np.asarray(self.ends.data)[:, ::-1]
        if not np.allclose(entry, placement.entry_lps):
            self.session.place(placement.with_entry(entry))
        elif not np.allclose(tip, placement.tip_lps):
            self.session.place(placement.with_tip(tip))

    def _turned(self, event: Any) -> None:
        """Show the scan in slices only: as a cloud it would hide the bones."""
        self.ct.visible = self.viewer.dims.ndisplay == 2

    def _stepped(self, event: Any) -> None:
        """Let the crosshair follow a slice that was chosen in napari's own canvas."""
        if self._following or self.viewer.dims.ndisplay != 2 or not self.layers:
            return
        point = np.array(self.viewer.dims.point[-3:], np.float64)[::-1]
        axis = 2 - self.viewer.dims.order[0]
        if abs(point[axis] - self.session.cursor_lps[axis]) > SAME_MM:
            cursor = self.session.cursor_lps.copy()
            cursor[axis] = point[axis]
            self.session.look_at(cursor)

    def painted(self) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
        """Bones and keep-outs as they were painted over; None where they were not."""
        case = self.session.case
        bones, keepouts = (np.asarray(layer.data, np.uint8) for layer in (self.bones, self.keepouts))
        return (
            None if np.array_equal(bones, case.bones.labels.values) else bones,
            None if np.array_equal(keepouts, case.keepouts.mask.values) else keepouts,
        )

    def clear(self) -> None:
        """Take all layers of this session away, and listen to the viewer no more."""
        self.viewer.dims.events.ndisplay.disconnect(self._turned)
        self.viewer.dims.events.point.disconnect(self._stepped)
        self._remove()

    def _remove(self) -> None:
        self._timer.stop()
        ours = [layer for layer in self.layers if layer in self.viewer.layers]
        if len(ours) == len(self.viewer.layers):
            self.viewer.layers.clear()  # at once: napari collects garbage for each layer that is taken out alone
        else:
            for layer in ours:
                self.viewer.layers.remove(layer)
        self.layers.clear()


def _brightness(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Light from the front and from behind: napari's own lamp lies behind a scene whose axes are right-handed."""
    first, second, third = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(second - first, third - first)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(faces[:, corner], across[:, axis], len(vertices))
    lit = np.abs(normals[:, 1]) / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    brightness: NDArray[np.float32] = (AMBIENT + (1 - AMBIENT) * lit).astype(np.float32)
    return brightness


def _surface_data(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> tuple[Any, Any, Any]:
    return vertices[:, ::-1], faces, _brightness(vertices, faces)


def _ends(session: Session) -> NDArray[np.float64]:
    placement = session.placement
    assert placement is not None  # called where there is an implant
    return np.stack([placement.entry_lps, placement.tip_lps])[:, ::-1]


def _flat(colour: str) -> Any:
    """Colour map from black to one colour."""
    from napari.utils.colormaps import Colormap

    return Colormap(["#000000", colour], name=f"sacroplan {colour}")
