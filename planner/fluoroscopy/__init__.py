"""The C-arm: views of this patient's joint as angles, and simulated radiographs of them."""

from planner.fluoroscopy.beam import Beam
from planner.fluoroscopy.card import CArmCard, make_card, with_views
from planner.fluoroscopy.config import FluoroscopyConfig
from planner.fluoroscopy.radiograph import Absorber, develop, take_radiograph
from planner.fluoroscopy.safe_zone import SafeZone, find_safe_zone
from planner.fluoroscopy.views import CArmView, find_views

__all__ = [
    "Absorber",
    "Beam",
    "CArmCard",
    "CArmView",
    "FluoroscopyConfig",
    "SafeZone",
    "develop",
    "find_safe_zone",
    "find_views",
    "make_card",
    "take_radiograph",
    "with_views",
]
