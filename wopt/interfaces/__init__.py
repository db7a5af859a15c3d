"""The interfaces that plugins implement, one in each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.interfaces.block import Compiler, FlowBlock, new_block
    from wopt.interfaces.exact import ExactLaws, ExactSolution
    from wopt.interfaces.listener import SILENT, Listener
    from wopt.interfaces.measurement import Budget, FinishedRun, Measurement, Watch
    from wopt.interfaces.objective import (
        Objective,
        energy_derivatives,
        is_truth,
        wasserstein_gradient,
    )
    from wopt.interfaces.solver import Loss, Solver, SolveReport, Training
    from wopt.interfaces.source import Carry
    from wopt.interfaces.subproblem import Stationarity, Subproblem
    from wopt.interfaces.target import Draws, Support, Target, support_of

__all__ = [
    "SILENT",
    "Budget",
    "Carry",
    "Compiler",
    "Draws",
    "ExactLaws",
    "ExactSolution",
    "FinishedRun",
    "FlowBlock",
    "Listener",
    "Loss",
    "Measurement",
    "Objective",
    "SolveReport",
    "Solver",
    "Stationarity",
    "Subproblem",
    "Support",
    "Target",
    "Training",
    "Watch",
    "energy_derivatives",
    "is_truth",
    "new_block",
    "support_of",
    "wasserstein_gradient",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "Budget": "wopt.interfaces.measurement",
        "Carry": "wopt.interfaces.source",
        "Compiler": "wopt.interfaces.block",
        "Draws": "wopt.interfaces.target",
        "ExactLaws": "wopt.interfaces.exact",
        "ExactSolution": "wopt.interfaces.exact",
        "FinishedRun": "wopt.interfaces.measurement",
        "FlowBlock": "wopt.interfaces.block",
        "Listener": "wopt.interfaces.listener",
        "Loss": "wopt.interfaces.solver",
        "Measurement": "wopt.interfaces.measurement",
        "Objective": "wopt.interfaces.objective",
        "SILENT": "wopt.interfaces.listener",
        "SolveReport": "wopt.interfaces.solver",
        "Solver": "wopt.interfaces.solver",
        "Stationarity": "wopt.interfaces.subproblem",
        "Subproblem": "wopt.interfaces.subproblem",
        "Support": "wopt.interfaces.target",
        "Target": "wopt.interfaces.target",
        "Training": "wopt.interfaces.solver",
        "Watch": "wopt.interfaces.measurement",
        "energy_derivatives": "wopt.interfaces.objective",
        "is_truth": "wopt.interfaces.objective",
        "new_block": "wopt.interfaces.block",
        "support_of": "wopt.interfaces.target",
        "wasserstein_gradient": "wopt.interfaces.objective",
    },
)
