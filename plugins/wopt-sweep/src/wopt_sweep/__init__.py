"""Sweeps: runs of one configuration at several settings and seeds, and the best of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_sweep.plan import Range as Range
    from wopt_sweep.plan import Setting as Setting
    from wopt_sweep.plan import SweepDesign as SweepDesign
    from wopt_sweep.plan import grid_of as grid_of
    from wopt_sweep.plan import ranges_of as ranges_of
    from wopt_sweep.searching import search as search
    from wopt_sweep.sweep import Interrupted as Interrupted
    from wopt_sweep.sweep import Summary as Summary
    from wopt_sweep.sweep import Sweep as Sweep
    from wopt_sweep.sweep import SweepRun as SweepRun
    from wopt_sweep.sweep import summaries as summaries

__getattr__, __dir__ = exports(__name__, __file__)
