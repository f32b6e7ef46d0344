#!/usr/bin/env python3
"""Plan the made pelvis of ``sacroplan demo``, and put one side of it into docs/planning.md as a worked case.

    python script/worked_case.py

Writes the numbers between the page's marks, and three pictures beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from accuracy_page import table
from marks import put_between
from PIL import Image, ImageColor

from pipelines.results import figure_case
from planner import NOTICE
from planner.case import CaseSettings, plan_case
from planner.figures import palette
from planner.figures.c_arm import Room, draw_c_arm
from planner.figures.model import FigureCase
from planner.figures.sections import draw_axial, draw_down
from planner.labels import Side
from planner.plan import CandidateDocument, ClearanceDocument, SideDocument
from sample_data import PhantomSpec, make_phantom

PAGE = Path(__file__).resolve().parents[1] / "docs" / "planning.md"
NAME = "worked case: script/worked_case.py"
SIDE = Side.LEFT

WIDEST, MOST, GREYS = 1200, 850_000, 64
HUES = sorted({*palette.BONES.values(), palette.KEEPOUT, palette.ARTICULAR, palette.SAFE})
DARKER, LIGHTER = (0.3, 0.6, 0.8, 1.0), (0.3, 0.6)
FILLED, SHADES = 0.45, 16
"""Pixels across and in all, and colours: greys, each hue of the figures mixed with black and with white, and the
keep-outs over greys. Below 200 kB."""

TERMS = {
    "clearance": "smallest clearance",
    "coplanar": "angle and offset to the mid-surface",
    "articular": "share of the axis in the articular zone",
    "middle_third": "place in the middle third",
    "bite": "even bite",
    "entry_radius": "safe entry radius",
    "bone_quality": "mean HU of the shell",
}

CLEARANCES = {
    "neural": "canal and foramina",
    "access_neural": "the same, from the cannula",
    "distractor_neural": "the same, from the distractor",
    "pin_neural": "the same, from the pin",
    "ventral_cortex": "ventral cortex of the sacrum",
    "outer_iliac_cortex": "outer cortex of the ilium",
    "sciatic_notch": "sciatic notch",
    "anterior_margin": "anterior margin, ahead of the tip",
}


def worked(side: SideDocument) -> str:
    """Tell one side as the page does: what is proposed, its score term by term, its proof, what else there is."""
    best = side.candidates[0]
    parts = [
        _proposed(best),
        _score(best),
        _bounds(best.clearance),
        _rest(side, best),
        "\n".join(
            f"![{words}](images/worked_{name}.png)\n"
            for name, words in {
                "axial": "Axial slices of the worked case: bones, joint line, keep-outs and the implant",
                "down": "The worked case down the implant, with the ring of 3 mm",
                "c_arm": "The worked case's C-arm card: six simulated radiographs with their angles",
            }.items()
        ),
    ]
    return "\n\n".join(part.strip() for part in parts)


def _proposed(best: CandidateDocument) -> str:
    implant, angles, bite = best.implant, best.angles_deg, best.bite_mm
    assert bite is not None  # written with every plan
    return (
        f"The {SIDE} side of the made pelvis that `sacroplan demo` plans; `script/worked_case.py` writes this "
        f"section.\n\nPlanned: {implant.id} of {implant.diameter_mm:g} x {implant.length_mm:g} mm, score "
        f"{best.score:.3f}, {best.grade}, {best.third} third, {angles.axial_to_sagittal:.0f} degrees to the sagittal "
        f"plane and {round(angles.cranial_tilt):+} cranial; tip {best.depth_from_bone_mm:.0f} mm from the bone's "
        f"surface and {best.depth_from_skin_mm:.0f} from the skin. It bites {bite.sacrum:.1f} mm into the sacrum and "
        f"{bite.hip:.1f} into the ilium."
    )


def _score(best: CandidateDocument) -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for name, words in TERMS.items():
            weight, value = best.weights[name], best.terms[name]
            yield words, f"{value:.3f}", f"{weight:.2f}", f"{weight * value:.4f}"
        yield "**score**", "", f"{sum(best.weights.values()):.2f}", f"**{best.score:.4f}**"

    return table(("term", "ramp", "weight", "product"), rows())


def _bounds(clearances: Mapping[str, ClearanceDocument]) -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for name, words in CLEARANCES.items():
            one = clearances.get(name)
            if one is None or one.proof is None:
                continue
            proof = one.proof
            terms = (proof.centre_mm, proof.voxel_mm, proof.segmentation_margin_mm, proof.sampling_mm)
            yield words, f"{one.mm:.2f}", *(f"{mm:.2f}" for mm in terms), f"**{one.proven_mm:.2f}**"

    return table(("mm to", "measured", "centre", "- voxel", "- margin", "- sampling", "= proven"), rows())


def _rest(side: SideDocument, best: CandidateDocument) -> str:
    breach = best.breach_probability
    told = [
        f'What is said of it: "{best.why}"',
        f"A breach follows with probability {breach.navigated:.3f} +/- {breach.navigated_se:.3f} navigated and "
        f"{breach.fluoroscopic:.3f} +/- {breach.fluoroscopic_se:.3f} fluoroscopic (0: none of 512); the safe entry "
        f"radius is {best.safe_entry_radius_mm:.1f} mm.",
        *_others(side),
        *_thirds(side),
    ]
    return "\n".join(told)


def _others(side: SideDocument) -> Iterator[str]:
    for one in side.candidates[1:]:
        size = f"{one.implant.diameter_mm:g} x {one.implant.length_mm:g} mm"
        yield f"Candidate {one.rank}: {size}, score {one.score:.3f} (within 0.005, scores are equal)."


def _thirds(side: SideDocument) -> Iterator[str]:
    for name, best in side.thirds_compared.items():
        if best.fits:
            share = f"{best.articular_share:.0%} articular, {best.clearance_mm:.1f} mm clear"
            yield f"Best of the {name} third: score {best.score:.3f}, {share}."
        else:
            yield f"No path fits in the {name} third."


def draw(case: FigureCase, folder: Path) -> None:
    """Write the three pictures, small."""
    implant = case.implants()[SIDE]
    with tempfile.TemporaryDirectory() as scratch:
        drawn = {
            "axial": draw_axial(case, SIDE, Path(scratch)),
            "down": draw_down(case, SIDE, implant, Path(scratch)),
            "c_arm": draw_c_arm(Room.of(case, SIDE), Path(scratch)),
        }
        for name, path in drawn.items():
            picture = Image.open(path).convert("RGB")
            share = min(WIDEST / picture.width, (MOST / (picture.width * picture.height)) ** 0.5)
            size = round(share * picture.width), round(share * picture.height)
            small = picture.resize(size, Image.Resampling.LANCZOS)
            few = small.quantize(palette=_colours(), dither=Image.Dither.NONE)
            few.save(folder / f"worked_{name}.png", optimize=True)


def _colours() -> Image.Image:
    """Make an image whose palette is that of the pictures."""
    greys = np.linspace(0, 255, GREYS)[:, None].repeat(3, axis=1)
    hues = np.array([ImageColor.getrgb(hue) for hue in HUES], float)
    mixed = [*(share * hues for share in DARKER), *(hues + share * (255 - hues) for share in LIGHTER)]
    over = FILLED * np.array(ImageColor.getrgb(palette.KEEPOUT)) + (1 - FILLED) * greys[:: GREYS // SHADES]
    holder = Image.new("P", (1, 1))
    holder.putpalette(np.rint(np.concatenate([greys, *mixed, over])).astype(int).ravel().tolist())
    return holder


def main() -> None:
    """Plan, and write page and pictures."""
    print(NOTICE)
    case = plan_case(make_phantom(PhantomSpec()).volume, CaseSettings())
    put_between(PAGE, NAME, worked(case.document.sides[SIDE.value]))
    draw(figure_case(case), PAGE.parent / "images")


if __name__ == "__main__":
    main()
