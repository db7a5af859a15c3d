"""sample: draws of a posterior that is given by its log-density."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from wopt.errors import ConfigError
from wopt.flow import Flow
from wopt.interfaces.support import support_of
from wopt.runs.planned import prepared_run
from wopt.runs.solution import Solution, advance
from wopt.runs.told import ListenerLike, listener_of
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
    """Sample the law with density proportional to exp(log_prob), and say how far to trust it.

    It is the run that ``wopt run`` plans for a file with such a target: in free coordinates, in
    float64, a Gaussian by L-BFGS (:func:`wopt_posterior.solvers.gaussian.become_gaussian`); if its
    importance weights are not nearly even, an ``autoregressive`` map in the coordinates in which
    that Gaussian is white, by Muon on fresh draws of N(0, I), in rounds of twice the length until
    they are or the budget is spent. The rules are in :mod:`wopt_posterior.plan.rules`. What is left
    between q and p is told by the weights.

    Args:
        log_prob: Points ``(n, d)`` to the log-density up to a constant, ``(n,)``, by torch,
            differentiable. It is given float64. Or a model of :mod:`wopt.targets`, which brings
            dimension, names and support.
        dim: d.
        n: How many draws.
        support: Constraints: from a coordinate, by index or name, to ``"positive"``,
            ``[low, high]`` (``None`` for no end) or a constraint of torch.distributions. The
            log-dets of the bijections are accounted for: ``log_prob`` is the density of what it
            is given.
        names: Of the coordinates; ``"theta[0]"``, ``"theta[1]"`` are one variable to ArviZ.
        budget: CPU seconds, of training; with it a result depends on the machine's speed.
        iterations: Of the map, in place of the budget: the same result for the same seed.
        seed: Of all draws.
        tracker: Where records of the maps are sent, as in :func:`wopt.solve`.
        listener: Who is told of the work, likewise.

    Returns:
        The draws, their weights and what is known of them. An interrupt (Ctrl-C, or a notebook's
        stop) while a map is trained leaves the draws of the best map there is, which says so.

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
    told = listener_of(listener)
    prepared = prepared_run(table, listener=told)
    state = prepared.problem.begin(prepared.train, prepared.valid)
    solution = advance(prepared, state, told)
    flow = Flow(solution.flow.map, solution.flow.base, known)
    seconds = time.process_time() - began
    chains = solution.state.chains
    return Posterior.of(density, flow, n, seed, _how(solution), seconds, chains)


def _start(dim: int) -> dict[str, Any]:
    return {"name": "gaussian", "dim": dim}


def _how(solution: Solution) -> str:
    """Return in words which maps make the model."""
    records = solution.history
    words = ["N(0, I) as it is", "a Gaussian"][: len(records) + 1][-1]
    if len(records) > 1:
        words = f"an autoregressive map of {records[1].iterations} iterations after a Gaussian"
    if solution.status == "stopped":  # what is there says itself how far to trust it
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
