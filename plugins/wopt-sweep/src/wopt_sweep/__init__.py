"""Sweeps: runs of one configuration at several settings and seeds, and the best of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_sweep.plan import Range, Setting, SweepDesign, grid_of, ranges_of
    from wopt_sweep.searching import search
    from wopt_sweep.sweep import Interrupted, Summary, Sweep, SweepRun, summaries

__all__ = [
    "Interrupted",
    "Range",
    "Setting",
    "Summary",
    "Sweep",
    "SweepDesign",
    "SweepRun",
    "grid_of",
    "ranges_of",
    "search",
    "summaries",
]

__getattr__, __dir__ = exports(__name__, __file__)
