"""solve, fit and run: the ways in from Python, all through the builder of ``wopt run``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from wopt.config.model import RunConfig, validate
from wopt.config.precision import check_precision
from wopt.config.read import read_toml
from wopt.data.transform import AffineTransform, How
from wopt.interfaces.conditional import conditional
from wopt.interfaces.listener import SILENT
from wopt.interfaces.measurement import Measurement
from wopt.interfaces.source import Source
from wopt.particles import Particles, split_conditions
from wopt.plan.facts import BUDGET
from wopt.precision import Precision
from wopt.runs.memory import Rows
from wopt.runs.planned import prepared_run
from wopt.runs.prepare import Prepared, problem_of
from wopt.runs.solution import Solution, advance
from wopt.runs.told import ListenerLike, listener_of
from wopt.store.result import RunResult
from wopt.train.check import check_parts
from wopt.train.guard import Guard
from wopt.train.refinement import Refinement
from wopt.train.solver import InnerSolver
from wopt.train.stop import Stop

__all__ = ["fit", "run", "solve"]

Table = Mapping[str, Any]


def solve(
    source: Source | Particles | str | Table,
    *,
    objective: Any = None,
    scheme: Any = None,
    block: Any = None,
    blocks: Sequence[Any] | None = None,
    solver: InnerSolver | Table | None = None,
    refine: Refinement | Table | None = None,
    guard: Guard | Table | None = None,
    stop: Stop | Table | None = None,
    certify: Measurement | Table | None = None,
    model: Literal["auto", "pull_back", "push_forward"] = "auto",
    smooth_time: float = 0.0,
    seed: int = 0,
    dtype: str | torch.dtype = "float32",
    device: str = "cpu",
    precision: Precision | None = None,
    compile: bool = False,
    valid: Particles | None = None,
    transform: AffineTransform | None = None,
    budget: float | str | None = None,
    tracker: Any = None,
    listener: ListenerLike = None,
) -> Solution:
    """Minimise an objective from a source, as ``wopt run`` does without a run directory.

    Args:
        source: A source: an instance, a name, a table with ``name`` and options; or particles at
            the start, such as quadrature nodes.
        objective: An instance, a name, or a table with ``name`` and options; ``kl`` by default.
        scheme: Likewise; ``jko``.
        block: Likewise; ``ode``. An instance is copied for every step.
        blocks: Blocks by step instead of ``block``, the last for all others.
        solver: The inner solver, or a table of its options.
        refine: Joint training of all blocks after the steps, likewise.
        guard: What a step must satisfy, likewise.
        stop: When to stop, likewise.
        certify: How :meth:`Solution.certificate` measures, likewise.
        model: What is sampled and scored, see :class:`~wopt.config.model.RunConfig`.
        smooth_time: Of the Ornstein-Uhlenbeck process that smooths the start; 0 for none.
        seed: Of the random numbers; the same seed gives the same run.
        dtype: Of particles and maps, where the source is no particles.
        device: Where to train, likewise.
        precision: To what nets round the matrices that they multiply in training: ``"tf32"`` (on
            CUDA devices) or ``"bf16"``; nothing is rounded by default.
        compile: Whether ``torch.compile`` makes the code of maps in training.
        valid: Held-out particles beside particles; without them ``source`` serves, which is right
            for quadrature nodes.
        transform: The preprocessing that was applied to particles, for the model's units.
        budget: CPU seconds, a number or ``"5min"``: every option that is not given is then chosen
            by the planner, see :mod:`wopt.plan`.
        tracker: Where records of steps are sent: an instance, a name, or a table with ``name`` and
            options.
        listener: Who is told of the work: a :class:`~wopt.interfaces.listener.Listener`, a function
            of ``(step, what, done, total, loss)``, ``True`` for the terminal, ``False`` for nobody;
            by default a terminal or a notebook, if there is one. Where nobody is told, what went
            wrong is a warning of Python's.

    Returns:
        The solution, also when a step was rejected for good or on Ctrl-C (``status`` says so).

    Raises:
        UserError: Options or parts cannot be used.

    Example:
        >>> import wopt
        >>> from wopt.testing import AffineBlock, gaussian_kl, gaussian_nodes, jko_step, moments
        >>> m, c = torch.ones(2).double(), 4 * torch.eye(2).double()
        >>> solution = wopt.solve(gaussian_nodes(m, c), scheme={"name": "jko", "step_size": 0.5},
        ...     block=AffineBlock(2), solver={"optimiser": "lbfgs"}, stop={"steps": 1})
        >>> exact = jko_step(m, c, 0 * m, torch.eye(2).double(), 0.5)
        >>> bool(torch.allclose(moments(solution.state.train.particles)[1], exact[1], atol=1e-6))
        True
    """
    given = {
        "objective": objective, "scheme": scheme, "block": block, "blocks": blocks,
        "solver": solver, "refine": refine, "guard": guard,
        "stop": stop, "certify": certify, "model": model, "smooth_time": smooth_time, "seed": seed,
        "dtype": str(dtype).removeprefix("torch."), "device": device, "tracker": tracker,
    }  # fmt: skip
    table = {key: value for key, value in given.items() if value is not None}
    if precision is not None or compile:
        table["run"] = {"precision": precision, "compile": compile}
    told = listener_of(listener)
    if isinstance(source, Particles):
        prepared = _from_particles(table, source, source if valid is None else valid, transform)
    else:
        planned = {} if budget is None else {"plan": {"budget": budget}}
        prepared = prepared_run({**table, **planned, "source": source}, listener=told)
    state = prepared.problem.begin(prepared.train, prepared.valid)
    return advance(prepared, state, told)


def fit(
    x: Any,
    *,
    conditions: Any = None,
    preprocess: How | Literal["auto"] = "auto",
    split: tuple[float, float, float] = (0.8, 0.1, 0.1),
    dequantise: float = 0.0,
    columns: list[str | int] | None = None,
    context: list[str | int] | None = None,
    kinds: dict[str, Any] | None = None,
    support: Any = None,
    nan: Literal["refuse", "drop", "mask"] = "refuse",
    weights: Any = None,
    where: str | None = None,
    objective: Any = None,
    scheme: Any = None,
    block: Any = None,
    blocks: Sequence[Any] | None = None,
    solver: InnerSolver | Table | None = None,
    refine: Refinement | Table | None = None,
    guard: Guard | Table | None = None,
    stop: Stop | Table | None = None,
    certify: Measurement | Table | None = None,
    smooth_time: float = 0.0,
    seed: int = 0,
    dtype: str | torch.dtype = "float32",
    device: str = "cpu",
    precision: Precision | None = None,
    compile: bool = False,
    budget: float | str | None = None,
    tracker: Any = None,
    listener: ListenerLike = None,
) -> Solution:
    """Fit a generative model to rows of data: the three-line way in.

    Without options, or with a budget, every option that is not given is chosen by the planner, from
    the data and the speed of this machine; ``solution.prepared.config.plan.told`` says what and
    why. Who names a block or a solver without a budget gets the defaults of the components instead.

    Args:
        x: Data, shape ``(n, d)``: a tensor, an array, or a frame of pandas, polars or pyarrow,
            whose texts and truth values are categories and whose whole numbers are integers.
        conditions: What the model is conditioned on, shape ``(n, c)``: it is then the law of x
            given them.
        preprocess: What is done to the columns first, part of the model: ``none``, ``standardise``,
            ``whiten``, ``gaussianise``; whitening by default, or what the planner chooses.
        split: Shares of the rows that train, that accept or reject steps, and that test.
        dequantise: Width of the uniform noise added to data on a grid.
        columns: The columns to use; all by default.
        context: Columns of ``x`` that the model is conditioned on.
        kinds: What columns are: ``{"age": "continuous"}``; also ``integer``, ``categorical``.
        support: Where columns can lie, so that no sample is outside: ``{"age": (0, 120), "price":
            "positive"}``, or ``"infer"``.
        nan: Rows with a missing value: ``refuse`` the data, ``drop`` the rows, or ``mask``: that a
            condition is missing is one more thing that the model is conditioned on.
        weights: A column of ``x`` with sample weights, or a weight a row.
        where: Which rows: ``"time == 0 and kind != 'b'"``.
        objective: What to minimise; as the options below it in :func:`solve`.
        scheme: How to step.
        block: With which maps.
        blocks: Blocks by step instead of ``block``.
        solver: The inner solver.
        refine: Joint training of all blocks.
        guard: What a step must satisfy.
        stop: When to stop.
        certify: How the certificate is measured.
        smooth_time: Smoothing, for data without a density.
        seed: Of the random numbers; the same seed gives the same run.
        dtype: Of the particles and maps.
        device: Where to train.
        precision: To what nets round in training, as in :func:`solve`.
        compile: Whether maps are compiled in training, likewise.
        budget: CPU seconds of training, a number or ``"5min"``; 60 by default.
        tracker: Where records of steps are sent, as in :func:`solve`.
        listener: Who is told of the work, likewise.

    Raises:
        DataError: The data cannot be used.

    Example:
        >>> import wopt
        >>> x = torch.randn(600, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
        >>> solution = wopt.fit(x, block={"name": "ode", "width": 8}, stop={"steps": 1},
        ...     solver={"iterations": 20})
        >>> solution.status, solution.flow.sample(4).shape
        ('done', torch.Size([4, 2]))
    """
    table = (preprocess, split, dequantise, columns, context, kinds, support, nan, weights, where)
    if budget is None and block is None and blocks is None and solver is None:
        budget = BUDGET
    return _warned(solve(
        Rows(x, conditions, *table), budget=budget, objective=objective, scheme=scheme, block=block,
        blocks=blocks, solver=solver, refine=refine, guard=guard, stop=stop, certify=certify,
        model="pull_back", smooth_time=smooth_time, seed=seed, dtype=dtype, device=device,
        precision=precision, compile=compile, tracker=tracker, listener=listener,
    ))  # fmt: skip


def _warned(solution: Solution) -> Solution:
    """Return a fit's solution, with a warning to the caller of ``fit`` where it has no maps."""
    if solution.status == "failed":
        warnings.warn(f"the fit failed: {solution.reason}", RuntimeWarning, stacklevel=3)
    elif solution.status == "done" and not solution.history:
        warnings.warn(
            "the fit made no step, so the model is the target's law in the coordinates of the "
            f"preprocessing (with whitening a fitted Gaussian): {solution.reason}. That is right "
            "for Gaussian data; else give more rows, or another block",
            RuntimeWarning,
            stacklevel=3,
        )
    return solution


def run(
    config: RunConfig | Table | str | Path, out: str | Path, listener: ListenerLike = None
) -> RunResult:
    """Make a run directory, as ``wopt run`` does, and return what ``result.json`` holds.

    Args:
        config: A configuration, a table as in a TOML file, or such a file.
        out: The run directory, which must not hold a run yet.
        listener: Who is told of the work, as in :func:`solve`; warnings are in the log in any case.

    Raises:
        UserError: The configuration, data or parts cannot be used; nothing is written then.
    """
    from wopt.runs import execute
    from wopt.runs.together import run_table

    told = listener_of(listener, SILENT)  # the run's log has all warnings
    if isinstance(config, RunConfig):
        return execute.run(config, Path(out), told)
    where = str(config) if isinstance(config, (str, Path)) else ""
    table = read_toml(Path(config)) if isinstance(config, (str, Path)) else dict(config)
    return run_table(table, where, Path(out), told)


def _from_particles(
    table: dict[str, Any], train: Particles, valid: Particles, transform: AffineTransform | None
) -> Prepared:
    """Prepare a solve from particles that are where they should be already."""
    config = validate({**table, "source": Rows(train.points)})
    check_precision(config)
    objective = config.objective
    if train.condition:
        _, given = split_conditions(train.points, train.condition)
        objective = conditional(objective, given.cpu())
    check_parts(
        objective,
        config.scheme,
        config.block_specs,
        log_density=train.log_density_start is not None,
        dim=train.dim,
        condition=train.condition,
        rounded=config.run.precision is not None,
        compiled=config.run.compile,
    )
    units = transform or AffineTransform.fit(train.points.cpu(), "none")
    problem = problem_of(config, objective, float(units.log_det))
    return Prepared(config, problem, train, valid, units, None, False, ())
