"""Where a case's voxels lie in its scan: `planner.place`."""

from planner.place import COARSEST_MM, MOST_VOXELS, Place, choose_blocks, working_place

__all__ = ["COARSEST_MM", "MOST_VOXELS", "Place", "choose_blocks", "working_place"]
