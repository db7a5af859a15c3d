"""What a run leaves in JSON: ``result.json``, and the lines of ``losses.jsonl``."""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from wopt.errors import RunError
from wopt.interfaces.measurement import document_of
from wopt.typed import Typed


class GapKind(enum.StrEnum):
    """The kind of a gap; its value is the notation."""

    KL_DATA_MODEL = "KL(data | model)"
    KL_MODEL_TARGET = "KL(model | target)"
    ENERGY = "G(p_N) - min G"

    @property
    def in_nats(self) -> bool:
        """Whether the gap is a divergence."""
        return self is not GapKind.ENERGY

    @property
    def along(self) -> str:
        """The notation of the gap after each step."""
        return "KL(p_n | q)" if self.in_nats else "G(p_n) - min G"

    @property
    def known_by(self) -> str:
        """The reason why the gap's value is known, where it is."""
        return "both densities, which are known" if self.in_nats else "the minimum, which is known"

    @property
    def short(self) -> str:
        """The notation in a formula."""
        return "KL" if self.in_nats else "G - min G"

    @classmethod
    def of_model(cls, pushes: bool) -> GapKind:
        """Return the divergence of a start pushed forward, or of a target pulled back to data."""
        return cls.KL_MODEL_TARGET if pushes else cls.KL_DATA_MODEL


def _left_by(measurement: str, value: Any) -> Any:
    """Return what a measurement left; without its plugin the table itself."""
    of = document_of(measurement)
    if of is None or not isinstance(value, dict):
        return value
    try:
        return of.from_dict(value)
    except RunError as error:
        raise ValueError(str(error)) from None


Sampler = Annotated[Any, BeforeValidator(functools.partial(_left_by, "sampler"))]
Exact = Annotated[Any, BeforeValidator(functools.partial(_left_by, "evolution"))]
Populations = Annotated[Any, BeforeValidator(functools.partial(_left_by, "populations"))]


@dataclasses.dataclass(frozen=True)
class RunResult(Typed):
    """The scores of a finished run, on test rows that nothing was fitted to or chosen by.

    Attributes:
        status: Whether the run is done, failed or was interrupted.
        reason: Why it ended.
        steps: Number of blocks.
        nll_test, nll_error: Test NLL by the audited maps with its standard error, nats; ``None``
            for a start pushed forward, whose rows are not data.
        nll_gaussian: Test NLL of a fitted Gaussian, nats.
        bits_per_dim: For data on a grid of cells of width w, (NLL/d - log w)/log 2: an upper bound
            of the mean number of bits that the model needs per column of a row.
        published: Published bits per dimension of such data, by name.
        entropy: Entropy of the source, nats, where it is known.
        kl: The divergence ``kl_of``, nats, where both densities are known (an estimate, which
            noise, or a density that is not normalised, can make negative).
        kl_error: Standard error of ``kl``, nats.
        kl_of: ``KL(data | model)``, or ``KL(model | target)`` for a start pushed forward.
        likelihood_error: Mean |difference| of log-likelihoods, integration in use against audit.
        inversion_error: Root mean square of F^-1(F(x)) - x, on a thousand of these rows.
        rows: Number of test rows.
        far_rows: Number of them that decide their mean each by itself; ``None`` for none.
        parameters: Number of parameters of all blocks.
        model: Direction of the model.
        versions: Versions of the software that made the run.
        sampler: For a start pushed forward: both sides of log Z, ESS, k-hat, moments, lost modes.
        exact: Distances of the last law from the exact solution, where one is named.
        exact_by_time: Distances at each snapshot.
        populations: For a flow through snapshots: distances of carried rows from each population,
            and from populations that were left out.
        seconds, cpu_seconds: Times of training and measuring, without certifying, in seconds.
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
    kl_of: GapKind = GapKind.KL_DATA_MODEL
    likelihood_error: float | None = None
    inversion_error: float | None = None
    rows: int | None = None
    far_rows: int | None = None
    parameters: int | None = None
    model: Literal["auto", "pull_back", "push_forward"] = "pull_back"
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    sampler: Sampler = None
    exact: Exact = None
    exact_by_time: tuple[Exact, ...] = ()
    populations: Populations = None
    seconds: float | None = None
    cpu_seconds: float | None = None

    @property
    def gain(self) -> float | None:
        """Difference of NLL, in nats, of a fitted Gaussian and the model."""
        if self.nll_test is None or self.nll_gaussian is None:
            return None
        return self.nll_gaussian - self.nll_test

    @property
    def impossible(self) -> bool:
        """Whether the divergence is so far below zero that a density must be wrong."""
        return self.kl is not None and self.kl < -(5 * (self.kl_error or 0.0) + 1e-3)


@dataclasses.dataclass(frozen=True)
class Losses(Typed):
    """A line of ``losses.jsonl``: the losses of one training.

    Attributes:
        step: Number of the step, from 1.
        what: Kind of training: of a step, or the refinement of all.
        iterations, losses: Some iterations, and the smoothed loss at each.
    """

    step: int
    what: str
    iterations: tuple[int, ...]
    losses: tuple[float | None, ...]

    def __post_init__(self) -> None:
        if not self.iterations or len(self.iterations) != len(self.losses):
            raise ValueError("it has different numbers of losses and iterations")
