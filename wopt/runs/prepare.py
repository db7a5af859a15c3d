"""From a configuration to a problem: the data, the particles and the parts, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.capabilities import Need
from wopt.config.model import RunConfig
from wopt.data.dataset import Dataset, check_finite
from wopt.data.smooth import smooth_dataset
from wopt.errors import CapabilityError, DataError
from wopt.flow import Direction, Flow, Start
from wopt.interfaces.block import FlowBlock
from wopt.particles import Particles
from wopt.train.check import check_parts
from wopt.interfaces.conditional import conditional
from wopt.train.problem import Problem
from wopt.seeds import derive

CONDITIONS = 10_000
"""Rows of conditions that a run keeps, for samples whose conditions are not given."""

__all__ = [
    "CONDITIONS",
    "Prepared",
    "conditions_of",
    "direction_of",
    "prepare",
    "problem_of",
    "start_of",
]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run that is ready to begin.

    Attributes:
        dataset: What the source loaded.
        start: The same, smoothed if ``smooth_time`` says so: what the particles are placed from.
        problem: What is minimised and how.
        train, valid: The particles at the start.
        direction: Which way the model looks.
    """

    dataset: Dataset
    start: Dataset
    problem: Problem
    train: Particles
    valid: Particles
    direction: Direction

    def flow(self, blocks: list[FlowBlock]) -> Flow:
        """Return the model made of these blocks."""
        return Flow(
            blocks,
            self.problem.objective.target,
            self.dataset.transform,
            self.direction,
            start_of(self.dataset),
        )


def problem_of(config: RunConfig, dataset: Dataset) -> Problem:
    """Return the problem that a configuration describes."""
    transform, objective = dataset.transform, config.objective
    if dataset.condition:
        objective = conditional(objective, conditions_of(dataset))
    return Problem(
        objective,
        config.scheme,
        config.block_spec,
        config.solver,
        config.guard,
        config.stop,
        config.seed,
        transform.log_det,
    )


def prepare(config: RunConfig, dataset: Dataset) -> Prepared:
    """Check that parts and data fit together and place the particles.

    Raises:
        CapabilityError: Something is needed that nothing provides.
        DataError: The data are not usable.
    """
    check_parts(
        config.objective,
        config.scheme,
        config.block,
        log_density=dataset.log_density is not None and config.smooth_time == 0,
        dim=dataset.dim,
        condition=dataset.condition,
    )
    for name in ("train", "valid", "test"):
        check_finite(getattr(dataset, name), dataset.names, f"source, {name} split")
    target = config.objective.target
    moved = dataset.dim - dataset.condition
    if target is not None and target.dim not in (None, moved):
        raise DataError(
            f"the target has dimension {target.dim} and the source {moved}; they must agree"
        )
    # A density on the training particles costs time and is a constant to most objectives.
    everywhere = Need.LOG_DENSITY in config.objective.needs
    if dataset.condition and config.smooth_time:
        raise CapabilityError(
            "smooth_time would smooth the conditions too; leave it out, or the source's `context`"
        )
    start = smooth_dataset(dataset, config.smooth_time, derive(config.seed, "smooth"))
    return Prepared(
        dataset,
        start,
        problem_of(config, dataset),
        place(start, start.train, config, known=everywhere),
        place(start, start.valid, config, known=True),
        direction_of(config, dataset),
    )


def place(dataset: Dataset, x: Tensor, config: RunConfig, *, known: bool) -> Particles:
    """Return rows as particles in the flow's coordinates, with their density if ``known``."""
    like = {"dtype": getattr(torch, config.dtype), "device": config.device}
    density = None
    if known and dataset.log_density is not None:
        density = (dataset.log_density(x) - dataset.transform.log_det).to(**like)
    found = Particles.start(dataset.transform.forward(x).to(**like), log_density=density)
    return dataclasses.replace(found, condition=dataset.condition)


def conditions_of(dataset: Dataset) -> Tensor:
    """Return conditions of the training rows, in the flow's coordinates: at most 10,000 of them."""
    rows = dataset.transform.forward(dataset.train[:CONDITIONS])
    return rows[:, dataset.dim - dataset.condition :]


def direction_of(config: RunConfig, dataset: Dataset) -> Direction:
    """Return which way the model looks: as wished, or what source and target allow.

    Data are modelled by pulling the target back. A start is pushed forward, and so is everything
    whose target cannot be sampled. A smoothed start is not the known law, so data it is.

    Raises:
        CapabilityError: ``push_forward`` is wished for and the start's density is not known.
    """
    able = start_of(dataset) is not None and config.smooth_time == 0
    if config.model == "push_forward" and not able:
        why = "these data are known by samples only"
        if config.smooth_time > 0:
            why = "smooth_time changes the start to a law that is known by samples only"
        raise CapabilityError(
            f'model = "push_forward" needs a start whose density is known, and {why}; choose '
            'another source (gaussian, mixture) without smooth_time, or model = "pull_back"'
        )
    if config.model != "auto":
        return "push_forward" if config.model == "push_forward" else "pull_back"
    target = config.objective.target
    drawable = target is not None and Need.TARGET_SAMPLES in target.provides
    start = config.source.role == "start"
    return "push_forward" if able and (start or not drawable) else "pull_back"


def start_of(dataset: Dataset) -> Start | None:
    """Return the start's law, where its density is known and it can be sampled."""
    log_density: Callable[[Tensor], Tensor] | None = dataset.log_density
    if log_density is None or dataset.sample is None:
        return None
    return Start(log_density, dataset.sample)
