"""Settings of the keep-out stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["KeepoutConfig"]


class KeepoutConfig(BaseModel):
    """How the sacral canal, the foramina and the soft keep-outs are found."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    spacing_mm: float = Field(default=1.0, ge=0.5, le=2.0)
    """Voxel of the isotropic region that is searched `[P]`."""

    hull_mm: float = Field(default=10.0, ge=4.0, le=20.0)
    """Radius of the ball that rolls over the sacrum: what it does not reach is inside. More than half the widest
    foramen (S1 ventral, up to 15 mm) `[P]`."""

    canal_hull_mm: float = Field(default=16.0, ge=4.0, le=25.0)
    """The same for the canal, whose upper end is wide `[P]`."""

    foramen_reach_mm: float = Field(default=14.0, ge=6.0, le=25.0)
    """A point in a foramen meets bone all round within this: dorsal S1 is 8.5 +/- 1.6 mm wide (Korean J Pain
    2023;36:98), ventral S1 up to 15, seen from its edge `[P]`."""

    canal_reach_mm: float = Field(default=28.0, ge=10.0, le=40.0)
    """The same for the canal, up to 32 mm wide at S1 `[P]`."""

    bone_hu: float = Field(default=250.0, ge=100.0, le=1000.0)
    """Brighter, outside the sacrum's label: bone that the labels leave out, as L5's arch and facets `[P]`."""

    smallest_mouth_mm2: float = Field(default=9.0, gt=0.0)
    """Smaller openings are vessels' holes: the smallest S4 dorsal foramen is about 4 mm wide `[P]`."""

    level_spacing_mm: float = Field(default=9.0, gt=0.0)
    """Neighbouring levels lie at least this far apart: S2-S3 dorsal 12.8 mm on average (10.1007/s00276-010-0735-0)
    less three standard deviations `[P]`."""

    farthest_mm: float = Field(default=10.0, gt=0.0)
    """A mouth further than this, along the canal, from where the fitted shape expects it is another level's: levels lie
    about 20 mm apart; on bones that the shape model has not seen, mouths were found at up to 7 mm `[P]`."""

    thinnest_mm: float = Field(default=1.2, ge=0.0, le=3.0)
    """Half-width below which a part of the network is a skin over a groove: S4 foramina are 3 mm wide `[P]`."""

    ventral_margin_mm: float = Field(default=10.0, ge=0.0, le=30.0)
    """Layer before ala and joint that is kept out of: the lumbosacral trunk lies within 10 mm of the joint at the brim
    (10.1038/s41598-021-99851-3)."""

    joint_reach_mm: float = Field(default=25.0, ge=5.0, le=60.0)
    """The layer reaches over what is this near to both sacrum and hip bone `[P]`."""

    contrast_hu: float = Field(default=130.0, ge=80.0, le=400.0)
    """Brighter soft tissue holds contrast medium: muscle and blood without it are below 80 `[P]`."""

    gluteal_mm: float = Field(default=10.0, ge=0.0, le=30.0)
    """Radius round the apex of the greater sciatic notch in which the superior gluteal bundle is kept out of, as far
    as an implant stays from the notch itself `[P]`."""
