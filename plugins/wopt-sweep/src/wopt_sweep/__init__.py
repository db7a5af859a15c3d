"""Sweeps: runs of one configuration at several settings and seeds, with the best of them."""

from wopt_sweep.plan import Plan, Range, Setting, grid_of, ranges_of
from wopt_sweep.search import search
from wopt_sweep.sweep import Interrupted, Sweep
from wopt_sweep.table import Row, Summary, summaries

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
