"""Sampling a posterior that is given by a function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from wopt.clock import Stopwatch
from wopt.component import build
from wopt.config import validate
from wopt.errors import ConfigError, UserError
from wopt.flow import Flow
from wopt.interfaces import Budget, Listener, support_of
from wopt.runs import ListenerLike, Prepared, Solution, advance, listener_of
from wopt.seeds import generator
from wopt_measures import Density
from wopt_posterior.plan import TRAJECTORIES, planned, schedules
from wopt_posterior.posterior import Posterior
from wopt_posterior.reference import EMPTY
from wopt_posterior.targets.given import GivenModel


def sample(
    log_prob: Callable[[Tensor], Tensor] | GivenModel,
    dim: int | None = None,
    *,
    n: int = 4000,
    support: Mapping[str | int, Any] | None = None,
    names: Sequence[str] | None = None,
    budget: float = 60.0,
    iterations: int | None = None,
    start: Tensor | None = None,
    seed: int = 0,
    tracker: Any = None,
    listener: ListenerLike = None,
) -> Posterior:
    """Sample the law with density proportional to exp(log_prob), with diagnostics.

    A reference sample by tempered sequential Monte Carlo comes first, by three tenths of the
    budget: it finds modes and what each weighs. Then a map of N(0, I), in free coordinates and
    float64: a Gaussian by L-BFGS, and, unless its importance weights are nearly even, an
    ``autoregressive`` map after it, trained on its own draws and on chains that begin at the
    reference sample, or on these alone where modes are apart. What is left is corrected: the map's
    draws are drawn again by their weights and move by Hamiltonian trajectories of the density, for
    the time that is left. They are reliable if the reference sample agrees with them
    (:mod:`wopt_posterior.diagnostics.compare`).

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
        budget: CPU seconds; the result then depends on the machine's speed.
        iterations: Iterations of the map, in place of the budget: the same seed then gives the same
            result.
        start: Points of the model where the density is not zero, shape ``(k, d)`` or ``(d,)``, from
            which the search for modes starts too; without them it starts around the origin of the
            free coordinates.
        seed: Seed of all draws.
        tracker: Tracker that receives records of the maps, as in :func:`wopt.solve`.
        listener: Receives messages on progress, as in :func:`wopt.solve`.

    Returns:
        The draws and their diagnostics. An interrupt (Ctrl-C, or a notebook's stop) during
        training leaves the draws of the best map so far, and the result says so.

    Raises:
        ConfigError: Options cannot be used, or the plugins ``wopt-jko``, ``wopt-blocks`` and
            ``wopt-measures`` are not installed.
        DataError: ``log_prob`` fails, or is nowhere finite and differentiable around the origin of
            the free coordinates.

    Example:
        >>> import torch, wopt
        >>> law = torch.distributions.LogNormal(0.0, 0.5)  # a normal law in free coordinates
        >>> posterior = wopt.sample(
        ...     lambda x: law.log_prob(x[:, 0]), dim=1, support={"0": "positive"}, budget=2.0)
        >>> posterior.reliable, abs(posterior.log_z) < 1e-6
        (True, True)
        >>> abs(float(posterior.means[0] - law.mean)) < 0.05
        True
    """
    watch, whole = Stopwatch(), Budget(budget)
    if isinstance(log_prob, GivenModel):
        dim, names = log_prob.dim, names or log_prob.names
        support = {**log_prob.support, **(support or {})}
        log_prob = log_prob.log_prob
    if dim is None:
        raise ConfigError("sample needs dim, the number of coordinates that log_prob takes")
    known = _names(dim, names)
    density = Density(log_prob, support_of(support, known), known)
    at = None if start is None else _free(density, start)
    progress = listener_of(listener)
    if at is None and (empty := density.zero_at(generator(seed, "check"))) is not None:
        progress.warn(empty)
    # Where the density is zero, energies are to be finite; weights take it as it is.
    potential = lambda y: (-density(y)).clamp_max(EMPTY)  # noqa: E731
    table: dict[str, Any] = {"plan": {"budget": budget}, "seed": seed, "source": _start(dim)}
    target = {"name": "potential", "function": potential, "dim": dim}
    table["objective"] = {"name": "kl", "target": target}
    if iterations is not None:
        table["solver"] = {"iterations": iterations}
    if tracker is not None:
        table["tracker"] = tracker
    progress.phase("a reference sample of the density, by three tenths of the budget")
    prepared = planned(validate(table), table, start=at)
    assert prepared is not None
    training, (solution, failed) = Stopwatch(), _solution(prepared, progress)
    flow = Flow(solution.flow.map, solution.flow.base, known)
    made = (density, flow, n, seed, _how(solution) + failed, prepared.reference)
    found = Posterior.of(*made, *_moves(whole, training, solution, iterations))
    return dataclasses.replace(found, cpu_seconds=watch.cpu, solution=solution)


def continued(
    posterior: Posterior,
    budget: float,
    iterations: int | None,
    n: int,
    seed: int,
    listener: ListenerLike,
) -> Posterior:
    """Go on where a posterior's training ended: see :meth:`Posterior.continued`."""
    watch, before = Stopwatch(), posterior.solution
    if before is None:
        raise ConfigError("only a posterior of wopt.sample can go on: it holds no training state")
    prepared, step = before.prepared, before.state.step
    last = max(step, (prepared.stop.steps or 1) - 1)
    own: dict[str, Any] = {"seconds": schedules(budget / 2)}
    if iterations is not None:
        own = {"seconds": None, "iterations": iterations, "rounds": 1}
    solvers = [prepared.solver.of_step(k) for k in range(last)]
    solvers.append(prepared.solver.of_step(last).varied(**own))
    solver = build("solver", {"name": "by_step", "solvers": solvers})
    further = dataclasses.replace(
        prepared, solver=solver, stop=prepared.stop.with_options(steps=last + 1)
    )
    solution = advance(further, before.state, listener_of(listener))
    flow = Flow(solution.flow.map, solution.flow.base, posterior.names)
    made = (posterior.density, flow, n, seed, _how(solution), posterior.reference)
    found = Posterior.of(*made, *_moves(Budget(budget, watch), watch, solution, iterations))
    seconds = posterior.cpu_seconds + watch.cpu
    return dataclasses.replace(found, cpu_seconds=seconds, solution=solution)


def _moves(
    whole: Budget, training: Stopwatch, solution: Solution, iterations: int | None
) -> tuple[Budget, int | None]:
    """Return the time that is left for trajectories, or a number where iterations are.

    Where the weights are even, draws need no more than the map took.
    """
    left, records = whole.left or 0.0, solution.history
    even = bool(records) and (records[-1].weights or 0.0) >= (solution.prepared.stop.weights or 1.0)
    seconds = min(training.cpu, left) if even else left
    return Budget(seconds), None if iterations is None else TRAJECTORIES


def _solution(prepared: Prepared, progress: Listener) -> tuple[Solution, str]:
    """Return the result of all steps; of the first alone, and why, where the second fails."""
    try:
        return advance(prepared, prepared.begin(), progress), ""
    except (UserError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
        first = dataclasses.replace(prepared, stop=prepared.stop.with_options(steps=1))
        return advance(first, first.begin(), progress), f"; the map after it failed ({error})"


def _free(density: Density, start: Tensor) -> Tensor:
    """Return points of the model, shape ``(k, d)``, in free coordinates."""
    x = torch.atleast_2d(torch.as_tensor(start, dtype=torch.float64))
    if x.shape[1] != len(density.names):
        raise ConfigError(f"start is points of {len(density.names)} coordinates, got {x.shape[1]}")
    y, log_det = density.support.inverse(x)
    if not bool((log_det > -torch.inf).all() and density(y).isfinite().any()):
        raise ConfigError("start is outside of the support, or log_prob is not finite there")
    return y


def _start(dim: int) -> dict[str, Any]:
    return {"name": "gaussian", "dim": dim}


def _how(solution: Solution) -> str:
    """Return a description of the model's maps."""
    records = solution.history
    words = ["N(0, I) as it is", "a Gaussian"][: len(records) + 1][-1]
    specs = solution.prepared.config.block_specs
    kinds = [specs[min(k, len(specs) - 1)].cls.__name__ for k in range(len(records))]
    maps = [r.iterations for r, kind in zip(records, kinds, strict=True) if kind != "Affine"]
    if maps:
        words = "an autoregressive map" if len(maps) == 1 else "autoregressive maps"
        words += f" of {' and '.join(map(str, maps))} iterations"
        words += " after a Gaussian" if len(records) > len(maps) else ""
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
