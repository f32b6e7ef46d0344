"""Torture: damaged files, faults of the machine, long runs. Used by the tests beside it and by ``script/torture``."""
