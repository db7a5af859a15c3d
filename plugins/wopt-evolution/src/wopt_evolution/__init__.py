"""Evolutions in time: snapshots, exact solutions, flows through populations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_evolution.distances import Distances as Distances
    from wopt_evolution.snapshots import EvolutionClock as EvolutionClock
    from wopt_evolution.snapshots import LeftOut as LeftOut
    from wopt_evolution.snapshots import MeasuredPopulations as MeasuredPopulations
    from wopt_evolution.snapshots import PopulationsReport as PopulationsReport

__getattr__, __dir__ = exports(__name__, __file__)
