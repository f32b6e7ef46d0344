"""Figures of one case: what a surgeon looks at first. Research use only. Not for clinical use."""

from planner.figures.draw import draw_figures, figure_jobs
from planner.figures.model import FigureCase

__all__ = ["FigureCase", "draw_figures", "figure_jobs"]
