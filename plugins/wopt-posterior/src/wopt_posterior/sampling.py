"""sample: draws of a posterior that is given by its log-density."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from wopt.errors import ConfigError
from wopt.flow import Flow
from wopt.interfaces.support import support_of
from wopt.runs.listening import ListenerLike, listener_of
from wopt.runs.planned import prepared_run
from wopt.runs.solution import Solution, advance
from wopt.seeds import generator
from wopt.targets.density import Density
from wopt_posterior.posterior import Posterior
from wopt_posterior.targets.given import GivenModel

__all__ = ["sample"]


def sample(
    log_prob: Callable[[Tensor], Tensor] | GivenModel,
    dim: int | None = None,
    *,
    n: int = 4000,
    support: Mapping[str | int, Any] | None = None,
    names: Sequence[str] | None = None,
    budget: float = 60.0,
    iterations: int | None = None,
    seed: int = 0,
    tracker: Any = None,
    listener: ListenerLike = None,
) -> Posterior:
    """Sample the law with density proportional to exp(log_prob), with diagnostics.

    It is the run that ``wopt run`` plans for a file with such a target: in free coordinates, in
    float64, a Gaussian by L-BFGS (:func:`wopt_posterior.solvers.gaussian.become_gaussian`); if its
    importance weights are not nearly even, then an ``autoregressive`` map in the coordinates in
    which that Gaussian is white, by Muon on fresh draws of N(0, I), in rounds of doubling length
    until the weights are even or the budget is spent. The rules are in
    :mod:`wopt_posterior.plan.rules`. The weights measure the remaining difference of q and p.

    Args:
        log_prob: Function of points ``(n, d)`` to log p + const, ``(n,)``, nats, in torch,
            differentiable. It is given float64. Or a model of :mod:`wopt.targets`, which brings
            dimension, names and support.
        dim: Dimension d.
        n: Number of draws.
        support: Constraints: from a coordinate, by index or name, to ``"positive"``,
            ``[low, high]`` (``None`` for no end) or a constraint of torch.distributions. The
            log-dets of the bijections are accounted for: ``log_prob`` is the density of what it
            is given.
        names: Names of the coordinates; ``"theta[0]"``, ``"theta[1]"`` are one variable in ArviZ.
        budget: Budget of training in CPU seconds; the result then depends on the machine's speed.
        iterations: Iterations of the map, in place of the budget: the same seed then gives the same
            result.
        seed: Seed of all draws.
        tracker: Tracker that receives records of the maps, as in :func:`wopt.solve`.
        listener: Receives messages on progress, as in :func:`wopt.solve`.

    Returns:
        The draws, their weights and diagnostics. An interrupt (Ctrl-C, or a notebook's stop) during
        training leaves the draws of the best map so far, and the result says so.

    Raises:
        ConfigError: Options cannot be used, or the plugins ``wopt-jko``, ``wopt-blocks`` and
            ``wopt-measures`` are not installed.
        DataError: ``log_prob`` fails, or is not finite and differentiable around the origin of the
            free coordinates.

    Example:
        >>> import torch, wopt
        >>> law = torch.distributions.LogNormal(0.0, 0.5)  # a normal law in free coordinates
        >>> posterior = wopt.sample(
        ...     lambda x: law.log_prob(x[:, 0]), dim=1, support={"0": "positive"})
        >>> posterior.reliable, abs(posterior.log_z) < 1e-6
        (True, True)
        >>> abs(float(posterior.means[0] - law.mean)) < 0.05
        True
    """
    began = time.process_time()
    if isinstance(log_prob, GivenModel):
        dim, names = log_prob.dim, names or log_prob.names
        support = {**log_prob.support, **(support or {})}
        log_prob = log_prob.log_prob
    if dim is None:
        raise ConfigError("sample needs dim, the number of coordinates that log_prob takes")
    known = _names(dim, names)
    density = Density(log_prob, support_of(support, known), known)
    density.check(generator(seed, "check"))
    table: dict[str, Any] = {"plan": {"budget": budget}, "seed": seed, "source": _start(dim)}
    target = {"name": "potential", "function": lambda y: -density(y), "dim": dim}
    table["objective"] = {"name": "kl", "target": target}
    if iterations is not None:
        table["solver"] = {"iterations": iterations}
    if tracker is not None:
        table["tracker"] = tracker
    progress = listener_of(listener)
    prepared = prepared_run(table, listener=progress)
    state = prepared.problem.begin(prepared.train, prepared.valid)
    solution = advance(prepared, state, progress)
    flow = Flow(solution.flow.map, solution.flow.base, known)
    seconds = time.process_time() - began
    chains = solution.state.chains
    return Posterior.of(density, flow, n, seed, _how(solution), seconds, chains)


def _start(dim: int) -> dict[str, Any]:
    return {"name": "gaussian", "dim": dim}


def _how(solution: Solution) -> str:
    """Return a description of the model's maps."""
    records = solution.history
    words = ["N(0, I) as it is", "a Gaussian"][: len(records) + 1][-1]
    if len(records) > 1:
        words = f"an autoregressive map of {records[1].iterations} iterations after a Gaussian"
    if solution.status == "stopped":  # its diagnostics show how far to trust it
        return f"{words}, interrupted"
    return words if solution.status == "done" else f"{words} ({solution.reason})"


def _names(dim: int, names: Sequence[str] | None) -> tuple[str, ...]:
    if dim < 1:
        raise ConfigError(f"dim is the number of coordinates, at least 1, got {dim}")
    if names is None:
        return tuple(f"x{j}" for j in range(dim))
    if len(names) != dim or len(set(names)) != dim:
        raise ConfigError(f"names are {dim} different ones, one a coordinate, got {list(names)}")
    return tuple(names)
