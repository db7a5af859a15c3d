"""The builder of runs, from a configuration and data to a problem, its particles and model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from wopt.capabilities import Capability
from wopt.component import name_of
from wopt.config.model import RunConfig, check_precision
from wopt.data.dataset import Dataset, check_finite, smooth_dataset, smoothed, subsample_eval
from wopt.data.transform import AffineTransform, check_size
from wopt.errors import CapabilityError, DataError
from wopt.flow import Flow, SourceLaw
from wopt.interfaces import returns
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.objective import Objective
from wopt.mapped import IN_MEMORY, Memory
from wopt.origin import check_returned
from wopt.particles import Particles
from wopt.push import in_batches
from wopt.runtime import ALONE, Runtime
from wopt.seeds import derive, generator
from wopt.sharded import own_rows
from wopt.train.check import check_parts
from wopt.train.problem import Problem
from wopt.train.stop import check_times

CONDITIONS = 10_000
"""Most rows of conditions that a model keeps, for samples whose conditions are not given."""

_VALUES = 2**21
"""Number of values that are transformed at a time, in float64."""


@dataclasses.dataclass(frozen=True, repr=False, kw_only=True)
class Prepared(Problem):
    """The problem of a run, with the data and the model that it is about.

    Attributes:
        config: Options of the run.
        transform: The preprocessing, from the data's units to the flow's coordinates.
        dataset: The data, with rows to judge by; ``None`` where particles were given.
        pushes: Whether the model is the start carried to the target, and not the target carried
            back to the data.
        names: Names of the columns.
        conditions: Rows of conditions, shape ``(m, k)``, in the flow's coordinates, from which
            samples of the model draw theirs.
        loaded: The data as the source loaded them, before rows to judge by were chosen.
    """

    config: RunConfig
    transform: AffineTransform
    dataset: Dataset | None = None
    pushes: bool = False
    names: tuple[str, ...] = ()
    conditions: Tensor | None = None
    loaded: Dataset | None = None

    def __repr__(self) -> str:
        objective, scheme = (name_of(c) for c in (self.objective, self.scheme))
        rows = f"{len(self.train)} + {len(self.valid)} particles in {self.train.dim} dimensions"
        return f"Prepared({objective} by {scheme}, from {rows})"

    @property
    def problem(self) -> Prepared:
        """The problem itself, as measurements may ask for it."""
        return self

    @property
    def train(self) -> Particles:
        """The training particles before the first step."""
        assert self.start is not None
        return self.start[0]

    @property
    def valid(self) -> Particles:
        """The held-out particles before the first step."""
        assert self.start is not None
        return self.start[1]

    def flow(self, blocks: Iterable[FlowBlock]) -> Flow:
        """Return the model with these blocks."""
        maps = [self.transform, *blocks]
        if not self.pushes:
            return Flow(maps, self.objective.target, self.names, None, self.conditions)
        start = SourceLaw(self.config.source, self.config.seed, self.dataset)
        return Flow(maps, start, self.names).inverted()


def prepare(
    config: RunConfig,
    dataset: Dataset | None = None,
    placed: tuple[Particles, Particles] | None = None,
    runtime: Runtime = ALONE,
) -> Prepared:
    """Check that parts and data fit together and place the particles."""
    check_precision(config)
    if dataset is None:
        dataset = config.source.loaded(derive(config.seed, "source"), runtime)
    loaded = dataset
    dataset = subsample_eval(dataset, config.guard.rows, derive(config.seed, "judges"))
    known = dataset.log_density is not None and config.smooth_time == 0
    _check_parts(
        config, config.objective, known, dataset.dim - dataset.condition, dataset.condition
    )
    objective = config.source.aims(config.objective, config.scheme, dataset)
    _check(config, objective, dataset)
    pushes = _pushes(config, objective, dataset)
    if pushes and objective.target is not None and objective.target.names:
        dataset = dataclasses.replace(dataset, names=objective.target.names)
    # A density of training particles costs time, and most objectives do not need it.
    everywhere = Capability.LOG_DENSITY in config.objective.needs
    start = smooth_dataset(dataset, config.smooth_time, derive(config.seed, "smooth"))
    able = dataset.sample is not None or config.smooth_time > 0
    draw = FreshParticles(config, dataset, everywhere) if able else None
    density = log_density_of(dataset) if known and not dataset.condition else None
    at = placed or _placed(start, config, runtime, everywhere)
    # Rows that are draws of a start to push forward have no likelihood by the model.
    moved = start.split(start.valid)[0]
    log_det = None if pushes else float(dataset.transform(moved)[1].mean())
    prepared = Prepared(
        **parts_of(config, objective, at, log_det, runtime),
        draw=draw,
        log_density=density,
        config=config,
        transform=dataset.transform,
        dataset=dataset,
        pushes=pushes,
        names=dataset.names,
        conditions=conditions_of(dataset),
        loaded=loaded,
    )
    check_times(config.scheme, prepared.ends)
    return prepared


def _placed(
    start: Dataset, config: RunConfig, runtime: Runtime, known: bool
) -> tuple[Particles, Particles]:
    """Return the training particles, with their density if wanted, and the held-out ones."""
    weights = start.weights or (None, None)
    of, rows, own = runtime.team, start.train, weights[0]
    total = len(rows) if start.shared is None else start.shared
    if runtime.by_rows and start.shared is None:
        span = of.span(total)
        rows, own = rows[span].clone(), None if own is None else own[span]
    place = functools.partial(particles_of, start, config=config, memory=runtime.memory)
    train = place(rows, known=known, weights=own)
    valid = place(start.valid, known=True, weights=weights[1])
    return (own_rows(train, of, total) if runtime.by_rows else train), valid


def from_particles(
    config: RunConfig,
    train: Particles,
    valid: Particles,
    transform: AffineTransform | None = None,
    runtime: Runtime = ALONE,
) -> Prepared:
    """Return the problem of given particles."""
    check_precision(config)
    objective = config.objective
    known = train.log_density_start is not None
    _check_parts(config, objective, known, train.dim, train.condition)
    rows, context = torch.cat(train.inputs, dim=1).cpu(), train.context
    units = transform or AffineTransform.fit(rows, "none", condition=train.condition)
    log_det = -float(units.inverse(train.points.cpu())[1].mean())
    parts = parts_of(config, objective, (train, valid), log_det, runtime)
    conditions = None if context is None else context.cpu()
    return Prepared(**parts, config=config, transform=units, conditions=conditions)


def _check_parts(
    config: RunConfig, objective: Objective, known: bool, dim: int, condition: int
) -> None:
    """Raise unless the parts of a configuration fit together, and the start's density if known."""
    check_parts(
        objective,
        config.scheme,
        config.block_specs,
        log_density=known,
        dim=dim,
        condition=condition,
        rounded=config.run.precision is not None,
        compiled=config.run.compile,
    )


def parts_of(
    config: RunConfig,
    objective: Objective,
    start: tuple[Particles, Particles],
    log_det: float | None,
    runtime: Runtime,
) -> dict[str, Any]:
    """Return the fields of a problem that a configuration gives."""
    same = ("scheme", "solver", "guard", "stop", "seed", "refine")
    return {
        **{name: getattr(config, name) for name in same},
        "objective": objective,
        "block": config.block_specs,
        "log_det": log_det,
        "times": tuple(config.snapshots.times or ()),
        "start": start,
        "runtime": dataclasses.replace(
            runtime, precision=config.run.precision, compile=config.run.compile
        ),
    }


def log_density_of(dataset: Dataset) -> Callable[[Tensor], Tensor] | None:
    """Return the start's log-density, ``(n, d)`` to ``(n,)``, in the flow's coordinates."""
    known, transform = dataset.log_density, dataset.transform
    if known is None:
        return None

    def at(z: Tensor) -> Tensor:
        """Return the log-density in nats, shape ``(n,)``."""
        x, log_det = transform.inverse(z.to(transform.shift))
        return known(x) + log_det

    return at


def _check(config: RunConfig, objective: Objective, dataset: Dataset) -> None:
    for name in ("train", "valid", "test"):
        rows, where = getattr(dataset, name), f"source, {name} split"
        check_finite(rows, dataset.names, where)
        if dataset.transform.columns is None:
            check_size(rows, dataset.names, where)
    target, moved = objective.target, dataset.dim - dataset.condition
    if target is not None and target.dim not in (None, moved):
        raise DataError(
            f"the target has dimension {target.dim} and the source {moved}; they must agree"
        )
    if target is not None and Capability.POTENTIAL in target.provides:
        # A user's function that does not fit the rows raises before anything is written.
        rows = dataset.transform.move(dataset.split(dataset.train[:2])[0])
        rows = rows.to(dtype=getattr(torch, config.dtype), device=config.device)
        with torch.no_grad():
            values = target.potential(rows)
        wanted = returns.TARGET["potential"](target, (rows,), values)  # others would be broadcast
        check_returned(target, "potential", values, wanted)
        if config.source.role == "start":
            target.check_density(moved, generator(config.seed, "check"))
    if dataset.condition and config.smooth_time:
        raise CapabilityError(
            "smooth_time would smooth the conditions too; leave it out, or the source's `context`"
        )


def particles_of(
    dataset: Dataset,
    x: Tensor,
    config: RunConfig,
    *,
    known: bool,
    weights: Tensor | None = None,
    memory: Memory = IN_MEMORY,
) -> Particles:
    """Return rows, shape ``(n, d)``, as particles in the flow's coordinates.

    Args:
        dataset: Data to which the rows belong.
        x: The rows, shape ``(n, d)``, in the data's units.
        config: The run's options.
        known: Whether to include their density, where the dataset knows it.
        weights: Weights of the rows, shape ``(n,)``.
        memory: Where large results are.
    """
    like = {"dtype": getattr(torch, config.dtype), "device": config.device}

    def density_at(x: Tensor) -> Tensor:
        """Return the log-density in the flow's coordinates, shape ``(n,)``, in nats."""
        assert dataset.log_density is not None
        return (dataset.log_density(x) - dataset.transform(x)[1]).to(**like)

    density = None
    if known and dataset.log_density is not None:
        density = in_batches(density_at, x, rows=len(x), memory=memory)

    z, *context = in_batches(
        lambda part: [t.to(**like) for t in dataset.transform.inside(*dataset.split(part))],
        x,
        rows=max(1, _VALUES // dataset.dim),
        memory=memory,
    )
    weights = None if weights is None else weights.to(**like)
    return Particles.start(z, weights, density, *context)


@dataclasses.dataclass(frozen=True)
class FreshParticles:
    """Draws new particles of the start: from the source, or from its rows with new noise.

    Attributes:
        config: The run's options.
        dataset: The data of the source.
        known: Whether to include their log-density.
    """

    config: RunConfig
    dataset: Dataset
    known: bool

    def __call__(self, n: int, rng: torch.Generator) -> Particles:
        """Return ``n`` new particles."""
        data, time = self.dataset, self.config.smooth_time
        if data.sample is not None:
            rows = data.sample(n, rng)
        else:
            rows = data.train[torch.randint(len(data.train), (n,), generator=rng)]
        if time:
            inside = smoothed(data.transform.move(rows), time, rng)
            rows = data.transform.inverse(inside)[0]
        return particles_of(data, rows, self.config, known=self.known and not time)


def conditions_of(dataset: Dataset) -> Tensor | None:
    """Return conditions of at most 10,000 training rows, ``(n, k)``, in the flow's coordinates."""
    _, *c = dataset.transform.inside(*dataset.split(dataset.train[:CONDITIONS]))
    return c[0] if c else None


def _pushes(config: RunConfig, objective: Objective, dataset: Dataset) -> bool:
    """Return whether the model is a push-forward, by option or by source and target."""
    # Data are modelled by pulling the target back. A start is pushed forward, and so is any source
    # whose target cannot be sampled or has no density, such as another population. A smoothed start
    # is not the known law, and is treated as data.
    target, still = objective.target, config.smooth_time == 0
    able = dataset.log_density is not None and dataset.sample is not None and still
    by_rows = still and (target is None or Capability.POTENTIAL not in target.provides)
    if config.model == "push_forward" and not (able or by_rows):
        why = "these data are known by samples only"
        if not still:
            why = "smooth_time changes the start to a law that is known by samples only"
        raise CapabilityError(
            f'model = "push_forward" needs a start whose density is known, and {why}; choose '
            'another source (gaussian, mixture) without smooth_time, or model = "pull_back"'
        )
    drawable = target is not None and Capability.TARGET_SAMPLES in target.provides
    natural = by_rows or (able and (config.source.role == "start" or not drawable))
    pushes = natural if config.model == "auto" else config.model == "push_forward"
    if pushes and by_rows and drawable and not dataset.transform.is_identity:
        raise CapabilityError(
            "the source's rows are carried to samples of the target, so both must be in the same "
            "units, and the source's preprocessing changes those of the source alone; set "
            '`preprocess = "none"` in [source] and leave out `support` (model = "pull_back" models '
            "the source by samples of the target instead, in the flow's coordinates)"
        )
    return pushes
