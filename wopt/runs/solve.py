"""solve, fit and run: the problem is built, its steps are made, and it is finished."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from wopt.config.model import RunConfig
from wopt.config.read import read_toml
from wopt.data.transform import AffineTransform, How
from wopt.interfaces.listener import SILENT
from wopt.interfaces.measurement import Measurement
from wopt.interfaces.solver import Solver
from wopt.interfaces.source import Source
from wopt.particles import Particles
from wopt.plan.facts import BUDGET
from wopt.precision import Precision
from wopt.runs.building import build_problem
from wopt.runs.memory import Rows
from wopt.runs.progress import ListenerLike, listener_of
from wopt.runs.solution import Solution, advance
from wopt.store.result import RunResult
from wopt.train.guard import Guard
from wopt.train.options import Refinement
from wopt.train.stop import Stop

Table = Mapping[str, Any]


def solve(
    source: Source | Particles | str | Table,
    *,
    objective: Any = None,
    scheme: Any = None,
    block: Any = None,
    blocks: Sequence[Any] | None = None,
    solver: Solver | Sequence[Solver | Table] | Table | None = None,
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
        scheme: Scheme, given in the same ways; ``jko`` by default.
        block: Block, given in the same ways; ``ode`` by default. An instance is copied for each
            step.
        blocks: Blocks by step instead of ``block``, the last for all others.
        solver: The inner solver, or a table of its options.
        refine: Joint training of all blocks after the steps, or a table of its options.
        guard: Rule that accepts steps, or a table of its options.
        stop: Stop rule, or a table of its options.
        certify: Options of :meth:`Solution.certificate`, or a table of them.
        model: Direction of the model, see :class:`~wopt.config.model.RunConfig`.
        smooth_time: Time of the Ornstein-Uhlenbeck process that smooths the start; 0 for none.
        seed: Seed of the random numbers; the same seed gives the same run.
        dtype: Type of particles and maps; given particles keep theirs.
        device: Device of training; given particles keep theirs.
        precision: Precision to which nets round the matrices that they multiply in training:
            ``"tf32"`` (on CUDA devices) or ``"bf16"``; no rounding by default.
        compile: Whether ``torch.compile`` compiles maps in training.
        valid: Held-out particles, if ``source`` is particles; by default ``source`` itself, which
            is right for quadrature nodes.
        transform: The preprocessing that was applied to particles, for the model's units.
        budget: CPU seconds, a number or ``"5min"``: the planner then chooses every option that is
            not given, see :mod:`wopt.plan`.
        tracker: Tracker that receives records of steps: an instance, a name, or a table with
            ``name`` and options.
        listener: Receives messages on progress: a :class:`~wopt.interfaces.listener.Listener`, a
            function of ``(step, what, done, total, loss)``, ``True`` for the terminal, ``False``
            for none; by default a terminal or a notebook, if there is one. Without a listener
            problems are Python's warnings.

    Returns:
        The solution, also after a final rejection or Ctrl-C (``status`` says so).

    Raises:
        UserError: Options or parts cannot be used.

    Example:
        >>> import wopt
        >>> from wopt.testing import AffineBlock, gaussian_kl, gaussian_nodes, jko_step, moments
        >>> m, c = torch.ones(2).double(), 4 * torch.eye(2).double()
        >>> solution = wopt.solve(gaussian_nodes(m, c), scheme={"name": "jko", "step_size": 0.5},
        ...     block=AffineBlock(2), solver="lbfgs", stop={"steps": 1})
        >>> exact = jko_step(m, c, 0 * m, torch.eye(2).double(), 0.5)
        >>> bool(torch.allclose(moments(solution.state.train.particles)[1], exact[1], atol=1e-6))
        True
    """
    given = {
        "objective": objective, "scheme": scheme, "block": block, "blocks": blocks,
        "solver": solver, "refine": refine, "guard": guard,
        "stop": stop, "certify": certify, "model": model, "smooth_time": smooth_time, "seed": seed,
        "dtype": str(dtype).removeprefix("torch."), "device": device, "tracker": tracker,
        "plan": None if budget is None or isinstance(source, Particles) else {"budget": budget},
        "run": {"precision": precision, "compile": compile} if precision or compile else None,
    }  # fmt: skip
    table = {key: value for key, value in given.items() if value is not None}
    progress = listener_of(listener)
    if isinstance(source, Particles):
        rows = source, source if valid is None else valid
        problem = build_problem(table, rows, transform=transform)
    else:
        problem = build_problem({**table, "source": source}, listener=progress)
    return advance(problem, problem.begin(), progress)


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
    nan: Literal["model", "refuse", "drop", "mask"] = "model",
    weights: Any = None,
    where: str | None = None,
    objective: Any = None,
    scheme: Any = None,
    block: Any = None,
    blocks: Sequence[Any] | None = None,
    solver: Solver | Sequence[Solver | Table] | Table | None = None,
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
    """Fit a generative model to rows of data.

    Without options, or with a budget, the planner chooses every option that is not given, by the
    data and the speed of this machine; ``solution.prepared.config.plan.summary`` explains it.
    With a block or a solver and no budget, the components' defaults are used instead.

    Args:
        x: Data, shape ``(n, d)``: a tensor, an array, or a frame of pandas, polars or pyarrow,
            whose texts and truth values are categories and whose whole numbers are integers.
        conditions: Conditions of the model, shape ``(n, c)``: it is then the law of x given them.
        preprocess: Preprocessing of the columns, part of the model: ``none``, ``standardise``,
            ``whiten``, ``gaussianise``; by default whitening, or the planner's choice.
        split: Fractions of the rows for training, for accepting or rejecting steps, and for
            testing.
        dequantise: Width of the uniform noise added to data on a grid.
        columns: The columns to use; all by default.
        context: Columns of ``x`` that the model is conditioned on.
        kinds: Kinds of columns: ``{"age": "continuous"}``; also ``integer``, ``categorical``.
        support: Bounds of columns, which every sample respects: ``{"age": (0, 120), "price":
            "positive"}``, or ``"infer"``.
        nan: Treatment of missing values: ``model`` them, so that samples have them too;
            ``refuse`` the data; ``drop`` the rows; or ``mask``: only conditions may have them.
        weights: A column of ``x`` with sample weights, or weights of rows, shape ``(n,)``.
        where: Condition that selects rows: ``"time == 0 and kind != 'b'"``.
        objective, scheme, block, blocks, solver, refine, guard, stop, certify: As in :func:`solve`.
        smooth_time, seed, dtype, device, precision, compile, tracker, listener: As in
            :func:`solve`.
        budget: CPU seconds of training, a number or ``"5min"``; 60 by default.

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
    """Make a run directory, as ``wopt run`` does, and return the result.

    Args:
        config: A configuration, a table as in a TOML file, or the path of such a file.
        out: The run directory, which must not hold a run yet.
        listener: Receives messages on progress, as in :func:`solve`; the log has all warnings.

    Raises:
        UserError: The configuration, data or parts cannot be used; nothing is written then.
    """
    from wopt.runs.execute import run_config

    progress = listener_of(listener, SILENT)  # the run's log has all warnings
    if not isinstance(config, (str, Path)):
        return run_config(config, Path(out), progress)
    return run_config(read_toml(Path(config)), Path(out), progress, where=str(config))
