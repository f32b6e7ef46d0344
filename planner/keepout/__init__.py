"""Where no instrument may go: the sacral canal and the foramina."""

from planner.keepout.config import KeepoutConfig
from planner.keepout.find import find_keepouts
from planner.keepout.model import Foramen, Keepouts

__all__ = ["Foramen", "KeepoutConfig", "Keepouts", "find_keepouts"]
