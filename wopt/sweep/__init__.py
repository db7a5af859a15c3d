"""Sweeps: runs of one configuration at several settings and seeds, with the best of them."""

from wopt.sweep.plan import Plan, Range, Setting, grid_of, ranges_of
from wopt.sweep.search import search
from wopt.sweep.sweep import Interrupted, Sweep
from wopt.sweep.table import Row, Summary, summaries

__all__ = [
    "Interrupted",
    "Plan",
    "Range",
    "Row",
    "Setting",
    "Summary",
    "Sweep",
    "grid_of",
    "ranges_of",
    "search",
    "summaries",
]
