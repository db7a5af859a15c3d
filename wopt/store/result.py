"""What a run leaves in JSON: ``result.json``, and the lines of ``losses.jsonl``."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from wopt.data.snapshots import PopulationsReport
from wopt.errors import RunError
from wopt.interfaces.measurement import document_of
from wopt.store.distances import Distances
from wopt.store.quantity import Quantity
from wopt.typed import Typed

__all__ = ["Losses", "RunResult"]


def _sampler(value: Any) -> Any:
    """Return what the measurement ``sampler`` left; without its plugin the table itself."""
    of = document_of("sampler")
    if of is None or not isinstance(value, dict):
        return value
    try:
        return of.from_dict(value)
    except RunError as error:
        raise ValueError(str(error)) from None


@dataclasses.dataclass(frozen=True)
class RunResult(Typed):
    """The figures of a run that has ended, on test rows that nothing was fitted or chosen on.

    Attributes:
        status: Whether it is done, failed or was interrupted.
        reason: Why it ended.
        steps: How many blocks there are.
        nll_test, nll_error: Test NLL by the audited maps with its standard error, nats; ``None``
            for a start pushed forward, whose rows are no data.
        nll_gaussian: That of a fitted Gaussian.
        bits_per_dim: Of data on a grid of cells of width w, (NLL/d - log w)/log 2: an upper bound
            of the bits that the model needs for a column of a row, in the mean.
        published: Bits per dimension that others have published of such data, by name.
        entropy: Of the source, nats, where it is known.
        kl: The divergence ``kl_of``, nats, where both densities are known (an estimate, which
            noise, or a density that is not normalised, can make negative).
        kl_error: Its standard error.
        kl_of: ``KL(data | model)``, or ``KL(model | target)`` for a start pushed forward.
        likelihood_error: Mean |difference| of log-likelihoods, grid in use against audit.
        inversion_error: Root mean square of F^-1(F(x)) - x, on a thousand of these rows.
        rows: How many test rows there are.
        parameters: Of all blocks.
        model: Which way the model looks.
        versions: Of what made the run.
        sampler: Of a start pushed forward: both sides of log Z, ESS, k-hat, moments, lost modes.
        exact: How far the law at the end is from the exact solution, where one is named.
        exact_by_time: The same at each snapshot.
        populations: Of a flow through snapshots: how far what arrives is from each of them, and
            guesses from populations that were left out.
        seconds, cpu_seconds: Of training and measuring, without certifying.

    Example:
        >>> result = RunResult("done", "2 steps were asked for", 2)
        >>> RunResult.from_dict(result.to_dict()) == result
        True
    """

    status: Literal["done", "failed", "stopped"]
    reason: str
    steps: int
    nll_test: float | None = None
    nll_error: float | None = None
    nll_gaussian: float | None = None
    bits_per_dim: float | None = None
    published: dict[str, float] = dataclasses.field(default_factory=dict)
    entropy: float | None = None
    kl: float | None = None
    kl_error: float | None = None
    kl_of: Quantity = Quantity.KL_DATA_MODEL
    likelihood_error: float | None = None
    inversion_error: float | None = None
    rows: int | None = None
    parameters: int | None = None
    model: Literal["auto", "pull_back", "push_forward"] = "pull_back"
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    sampler: Annotated[Any, BeforeValidator(_sampler)] = None
    exact: Distances | None = None
    exact_by_time: tuple[Distances, ...] = ()
    populations: PopulationsReport | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None

    @property
    def gain(self) -> float | None:
        """By how many nats the model is better than a fitted Gaussian."""
        if self.nll_test is None or self.nll_gaussian is None:
            return None
        return self.nll_gaussian - self.nll_test

    @property
    def impossible(self) -> bool:
        """Whether the divergence is so far below zero that a density is not what it says."""
        return self.kl is not None and self.kl < -(5 * (self.kl_error or 0.0) + 1e-3)


@dataclasses.dataclass(frozen=True)
class Losses(Typed):
    """A line of ``losses.jsonl``: one training.

    Attributes:
        step: 1, 2, ...
        what: Of a step, or the refinement of all.
        iterations, losses: At some iterations, the smoothed loss.
    """

    step: int
    what: str
    iterations: tuple[int, ...]
    losses: tuple[float | None, ...]
