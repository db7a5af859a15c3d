"""Runs that sample a posterior: what is tried is decided by a reference sample of the target."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.clock import Stopwatch
from wopt.component import Component, Spec
from wopt.config import RunConfig, validate
from wopt.interfaces import Budget, Target, new_block
from wopt.options import merged
from wopt.plan import Planning
from wopt.runs import Prepared, build_problem, like, with_threads
from wopt.seeds import derive, generator, seeded
from wopt_posterior.reference import Reference, density_of, mode_of, reference_of

_CHOICES = ("scheme", "block", "blocks", "stop", "refine")
"""Options that show that steps are chosen by hand; then only a ``[plan]`` plans."""
_SECONDS, _OF_REFERENCE, _OF_GAUSSIAN, _OF_MAP = 60.0, 0.3, 0.3, 0.45
"""CPU seconds by default; fraction of a budget for the reference sample, and fractions of what is
left then for the Gaussian, at most, and for the map: its draws move for as long, and are then
compared with the reference."""
_PASSES, TRAJECTORIES = 2, 10
"""Passes of the reference sample, and trajectories of the draws, where iterations are given in
place of a budget."""
_SEPARATED = 0.03
"""Fraction of the mass outside the largest mode above which modes count as apart."""
_ITERATIONS = 500
"""Iterations of the Gaussian at most, where iterations are given."""
_ROWS = 1000
"""Points among which modes are told apart."""
_HELD_OUT, _PASSES_OF_MAP, _TIMED = 4000, 10, (50, 500)
"""Held-out rows; how often at least they pass through a map and back while it is trained and
judged; and numbers of rows by which the time of a pass is found."""

_MAP = {"name": "autoregressive", "hidden": [64, 64], "transforms": 3, "whiten": True}
_AFFINE = {"name": "affine", "symmetric": True}


def is_posterior(config: RunConfig) -> bool:
    """Return whether a start is carried to a target known by its potential, without samples.

    The objective must be ``kl`` alone, whose minimiser is that target. A target in a Python file
    counts even with reference samples, and so does every target where ``[plan]`` asks for a plan: a
    plan for rows of data would not look for modes, nor continue until weights are even.
    """
    target = config.objective.target
    if config.source.role != "start" or target is None or config.smooth_time:
        return False
    known = Capability.POTENTIAL in target.provides and config.objective.of_density
    drawn = Capability.TARGET_SAMPLES in target.provides and not hasattr(target, "samples")
    return known and (config.plan is not None or not drawn) and config.model != "pull_back"


def wants_plan(config: RunConfig, table: Mapping[str, Any]) -> bool:
    """Return whether to plan: by ``[plan]``, or because no option of steps is given.

    Args:
        table: The given table. Of ``[solver]``, ``iterations`` may be given.
    """
    if config.plan is not None:
        return not config.plan.summary
    solver = table.get("solver", {})
    known = isinstance(solver, Mapping) and set(solver) <= {"iterations"}
    return known and not any(key in table for key in _CHOICES)


def planned(
    config: RunConfig, table: Mapping[str, Any], where: str = "", start: Tensor | None = None
) -> Prepared | None:
    """Return a run that samples a posterior and is to be planned; ``None`` for others.

    The reference sample is made first, by three tenths of the budget. It is where the run's chains
    begin, and it says whether modes are apart: then the map learns by the likelihood of chains
    alone. Else a Gaussian comes first, and draws of the map and chains train it. The map is trained
    by the clock, in complete schedules of doubling length, until its weights are even. Where its
    passes alone would take longer than the budget, the Gaussian stands.

    Args:
        table: The configuration as given; ``solver.iterations`` in place of a budget makes the same
            seed give the same run.
        start: Points from which the search for modes starts too, shape ``(k, d)``, free.

    Raises:
        UserError: The configuration or parts cannot be used.
    """
    if not (is_posterior(config) and wants_plan(config, table)):
        return None
    seconds = None if config.plan is None else config.plan.seconds
    budget = Budget(_SECONDS if seconds is None else seconds)
    iterations = _iterations(table)
    seed, dim = derive(config.seed, "source"), config.source.loaded(config.seed).dim
    full = validate(_with_blocks(_first(dim), table), where)
    dataset = full.source.loaded(seed)
    prepared = build_problem(full, dataset)
    target = prepared.objective.target
    assert target is not None
    passes = None if iterations is None else _PASSES
    key = derive(config.seed, "reference")
    reference = reference_of(target, dim, key, budget.share(_OF_REFERENCE), passes, start)
    separated = _mode_separation(target, reference, config.seed)
    second = _second(reference, separated, iterations, budget)
    summary = _summary(reference, separated, iterations)
    own = iterations is None and "block" not in table and "blocks" not in table
    if own and separated < 1 and not _fits(full.block_specs[-1], dim, budget):
        second |= {"stop": {"steps": 1}}
        summary += "; ten passes of its rows through a map take longer than the budget, so none"
    chosen = _with_blocks(_first(dim), second)
    given = {
        **_with_blocks(chosen, table),
        "plan": Planning(budget=budget.seconds, summary=summary),
    }
    made = like(with_threads(prepared), build_problem(validate(given, where), dataset))
    return dataclasses.replace(made, reference=reference)


def _iterations(table: Mapping[str, Any]) -> int | None:
    """Return the iterations that are given."""
    solver = table.get("solver")
    if isinstance(solver, Component):
        solver = solver.options
    return None if solver is None or "iterations" not in solver else int(solver["iterations"])


def _mode_separation(target: Target, reference: Reference, seed: int) -> float:
    """Return the fraction of the mass outside the largest mode; 1 where there are holes."""
    rng, density = generator(seed, "parts"), density_of(target)
    x = reference.drawn(_ROWS, rng).points
    noise = torch.randn(x.shape, generator=rng, dtype=x.dtype)
    around = x.mean(0) + noise @ torch.linalg.cholesky_ex(torch.atleast_2d(torch.cov(x.T)))[0].T
    if not bool(density(around)[0].isfinite().all()):  # no mean of V at draws of a map is finite
        return 1.0
    return float((mode_of(density, x, rng) > 0).double().mean())


def _fits(map_: Spec, dim: int, budget: Budget) -> bool:
    """Return whether what training and judging a map takes at least fits into what is left."""
    with seeded(0), torch.no_grad():
        block, spent = new_block(map_, dim).double(), list[float]()
        for rows in _TIMED:
            x, watch = torch.randn(rows, dim).double(), Stopwatch()
            block.inverse(block(x)[0])
            spent.append(watch.cpu)
            if _PASSES_OF_MAP * spent[-1] > (budget.left or 0.0):
                return False
    a_row = max(0.0, spent[1] - spent[0]) / (_TIMED[1] - _TIMED[0])
    return _PASSES_OF_MAP * (spent[0] + a_row * (_HELD_OUT - _TIMED[0])) <= (budget.left or 0.0)


def _first(dim: int) -> dict[str, Any]:
    """Return the options of every posterior: free steps from exactly white particles."""
    rows = min(max(500, 20 * dim), max(4000, 4 * dim))
    sizes = {"n_train": rows, "n_valid": _HELD_OUT, "n_test": 2000}
    return {
        "source": {"name": "gaussian", **sizes, "matched": True},
        "scheme": {"name": "jko", "step_size": 1e12},
        "guard": {"retries": 1, "keep": True},
        "stop": {"steps": 2, "weights": 0.99},
        "blocks": [_AFFINE, _MAP],
        "dtype": "float64",
    }


def _second(
    reference: Reference, separated: float, iterations: int | None, budget: Budget
) -> dict[str, Any]:
    """Return the options of the Gaussian and of the map."""
    solver: dict[str, Any] = {
        "name": "chains",
        "matrix_rate": 0.02,
        "batch_size": 500,
        "fresh": True,
        "warm_start": False,
        "check_every": 100_000,
        "weights": 0.985,
        "chains": len(reference.points),
        "chains_cost": 1.0 if separated > _SEPARATED else 3.0,
        "direction": "forward" if separated > _SEPARATED else "reverse",
    }
    first: dict[str, Any] = {"name": "gaussian", "iterations": _ITERATIONS}
    own: dict[str, Any] = {"rounds": 1}
    if iterations is None:
        left = max(budget.left or 0.0, 0.01 * (budget.seconds or 0.0))
        first = {"name": "gaussian", "seconds": _OF_GAUSSIAN * left}
        own = {"seconds": schedules(_OF_MAP * left)}
    solver["by_step"] = [first, own]
    chosen: dict[str, Any] = {"solver": solver}
    if separated > _SEPARATED:
        chosen["blocks"] = [_AFFINE, {**_MAP, "sees": "images"}]
    if separated == 1.0:  # there are holes, and a Gaussian has no finite energy
        chosen["solver"] = {k: v for k, v in solver.items() if k != "by_step"} | own
        chosen |= {"blocks": chosen["blocks"][1:], "stop": {"steps": 1}}
    return chosen


def schedules(seconds: float) -> list[float]:
    """Return CPU seconds of three schedules, each twice as long as the one before.

    Example:
        >>> schedules(14.0)
        [2.0, 4.0, 8.0]
    """
    return [round(seconds / 7 * 2**k, 4) for k in range(3)]


def _summary(reference: Reference, separated: float, iterations: int | None) -> str:
    """Return what the reference sample shows and what follows from it."""
    points = f"a reference sample of {len(reference.points):,} points"
    if separated > _SEPARATED:
        found = f"{points} has modes apart, or regions without mass among its points: a map by the "
        found += "likelihood of chains"
    else:
        found = f"{points} has one part: a Gaussian by L-BFGS, and a map unless that is enough"
    return found + ("" if iterations is None else f"; {iterations} iterations, as given")


def _with_blocks(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of which those above win; a given block follows the Gaussian."""
    made = merged(below, above)
    if "blocks" in above and "by_step" in made.get("solver", {}) and len(above["blocks"]) != 2:
        made["stop"] = {**made["stop"], "steps": len(above["blocks"])}
        made["solver"] = {k: v for k, v in made["solver"].items() if k != "by_step"}
    elif "block" in above:
        made["blocks"] = [_AFFINE, made.pop("block")]
    return made
