"""The interfaces that plugins implement, one in each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.interfaces.block import Compiler as Compiler
    from wopt.interfaces.block import FlowBlock as FlowBlock
    from wopt.interfaces.block import new_block as new_block
    from wopt.interfaces.budget import Budget as Budget
    from wopt.interfaces.budget import Clock as Clock
    from wopt.interfaces.exact import ExactLaws as ExactLaws
    from wopt.interfaces.exact import ExactSolution as ExactSolution
    from wopt.interfaces.listener import SILENT as SILENT
    from wopt.interfaces.listener import Listener as Listener
    from wopt.interfaces.measurement import FinishedRun as FinishedRun
    from wopt.interfaces.measurement import Measurement as Measurement
    from wopt.interfaces.measurement import Watch as Watch
    from wopt.interfaces.objective import Objective as Objective
    from wopt.interfaces.objective import energy_derivatives as energy_derivatives
    from wopt.interfaces.objective import is_truth as is_truth
    from wopt.interfaces.objective import wasserstein_gradient as wasserstein_gradient
    from wopt.interfaces.solver import Loss as Loss
    from wopt.interfaces.solver import Solver as Solver
    from wopt.interfaces.solver import SolveReport as SolveReport
    from wopt.interfaces.solver import Training as Training
    from wopt.interfaces.source import Carry as Carry
    from wopt.interfaces.subproblem import Stationarity as Stationarity
    from wopt.interfaces.subproblem import Subproblem as Subproblem
    from wopt.interfaces.target import Draws as Draws
    from wopt.interfaces.target import Law as Law
    from wopt.interfaces.target import Support as Support
    from wopt.interfaces.target import Target as Target
    from wopt.interfaces.target import support_of as support_of

__getattr__, __dir__ = exports(__name__, __file__)
