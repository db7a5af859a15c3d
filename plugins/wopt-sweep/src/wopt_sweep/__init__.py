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

__getattr__, __dir__ = exports(
    __name__,
    {
        "Interrupted": "wopt_sweep.sweep",
        "SweepDesign": "wopt_sweep.plan",
        "Range": "wopt_sweep.plan",
        "SweepRun": "wopt_sweep.sweep",
        "Setting": "wopt_sweep.plan",
        "Summary": "wopt_sweep.sweep",
        "Sweep": "wopt_sweep.sweep",
        "grid_of": "wopt_sweep.plan",
        "ranges_of": "wopt_sweep.plan",
        "search": "wopt_sweep.searching",
        "summaries": "wopt_sweep.sweep",
    },
)
