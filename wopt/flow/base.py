"""Laws at which a flow may end besides targets: that of a source, and distributions of torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from wopt.bijection import given
from wopt.capabilities import Capability, require
from wopt.data.dataset import Dataset
from wopt.data.rows import as_rows
from wopt.errors import CapabilityError, DataError
from wopt.interfaces.source import Source
from wopt.interfaces.target import Law
from wopt.seeds import derive

if TYPE_CHECKING:
    from wopt.flow.flow import Flow, FlowMap

_ALL = Capability.POTENTIAL | Capability.SCORE | Capability.NORMALISED | Capability.TARGET_SAMPLES


@dataclasses.dataclass(eq=False, repr=False)
class SourceLaw(Law):
    """The law of a source, which a push-forward flow carries to its target; float64 on the CPU.

    A source known by rows only has no density; its samples are its held-out rows, drawn without
    replacement if there are enough of them, and otherwise with it.

    Attributes:
        source: The source.
        seed: Seed of the run, as for its data.
        dataset: The source's dataset; loaded when needed if not given.
        check: Called with a dataset loaded here, which it may reject.
    """

    source: Source
    seed: int
    dataset: Dataset | None = None
    check: Callable[[Dataset], object] | None = None
    provides = _ALL

    def __getstate__(self) -> dict[str, Any]:
        # A source's functions cannot be pickled; the source itself can, and loads them anew.
        return {**self.__dict__, "dataset": None, "check": None}

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the source's log-density, shape ``(n,)``, nats."""
        log_density = self._loaded().log_density
        if log_density is None:
            raise CapabilityError(_NO_DENSITY)
        return log_density(x.double().cpu()).to(x)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return fresh rows of the source, or rows that were held out, shape ``(n, dim)``."""
        data = self._loaded()
        if data.sample is not None:
            return data.sample(n, rng)
        rows = torch.cat([data.test, data.valid])
        if n <= len(rows):
            return rows[torch.randperm(len(rows), generator=rng)[:n]]
        return rows[torch.randint(len(rows), (n,), generator=rng)]

    @property
    def normalised(self) -> bool:
        """Whether the source has a known density."""
        return self._loaded().log_density is not None

    def _loaded(self) -> Dataset:
        if self.dataset is None:
            loaded = self.source.loaded(derive(self.seed, "source"))
            if self.check is not None:
                self.check(loaded)
            self.dataset = loaded
        return self.dataset


class DistributionLaw(Law):
    """A distribution of torch with event shape ``(d,)``.

    Args:
        law: The distribution.
    """

    provides = _ALL

    def __init__(self, law: Distribution) -> None:
        if len(law.event_shape) != 1 or law.batch_shape:
            raise DataError(
                "a base law has event shape (d,) and no batch shape, got "
                f"{tuple(law.event_shape)} and {tuple(law.batch_shape)}; wrap it in "
                "torch.distributions.Independent"
            )
        self.law, self.dim = law, law.event_shape[0]

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the distribution's log-density, shape ``(n,)``, nats."""
        log_density: Tensor = self.law.log_prob(x)
        return log_density

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return samples, shape ``(n, dim)``; torch draws them from the global generator."""
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
            samples: Tensor = self.law.sample((n,))
        return samples


def draw(law: Law, n: int, dim: int, rng: torch.Generator) -> Tensor:
    """Return samples of a law, of the checked shape ``(n, dim)``."""
    x = law.sample(n, dim, rng)
    if x.shape != (n, dim):
        raise DataError(
            f"target {type(law).__name__} gave samples of shape {tuple(x.shape)} instead of "
            f"({n}, {dim})"
        )
    return x


def moved_conditions(flow: Flow, conditions: Any) -> Tensor:
    """Return conditions in the flow's coordinates, shape ``(..., c)``."""
    width, units = flow.condition, flow.transform.of_conditions
    wanted = flow.names[-width:] if flow.names else ()
    asked = as_rows(conditions, wanted, None, 0, flow.columns)
    if asked.ndim == 0 or asked.shape[-1] != width or not bool(torch.isfinite(asked).all()):
        raise DataError(
            f"conditions are finite numbers of shape (..., c) with c = {width}, got shape "
            f"{tuple(asked.shape)}"
        )
    return units.move(asked)


def inputs_of(flow: FlowMap, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
    """Return points ``(n, d)`` and conditions ``(n, k)`` in the flow's coordinates for its map."""
    width = 0 if c is None else c.shape[1]
    if x.ndim != 2 or (x.shape[1], width) != (flow.modelled, flow.condition):
        wanted = f"{flow.dim} columns, {flow.condition} of them conditions"
        raise DataError(f"this flow takes rows of {wanted}, got shape {tuple(x.shape)}")
    return x, *(flow.transform.of_conditions.move(part) for part in given(c))


_AGAIN = 10
"""Times that samples which overflowed are drawn anew."""


def carried(
    law: Law,
    back: Callable[..., tuple[Tensor, Tensor]],
    inputs: tuple[Tensor, ...],
    rng: torch.Generator,
    *,
    again: bool,
) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Return points z with conditions, samples x = back(z; c), ``(n, d)``, and log-dets, ``(n,)``.

    Args:
        back: The map from z to x, with its log-det.
        inputs: Points z, shape ``(n, d)``, and conditions c, ``(n, k)``, if there are any.
        again: Whether points whose samples overflow are drawn anew; their conditions are kept.
    """
    z, *c = inputs
    x, log_det = back(z, *c)
    for _ in range(_AGAIN if again else 0):
        lost = (~torch.isfinite(x).all(1)).nonzero()[:, 0]
        if not len(lost):
            break
        z = z.index_copy(0, lost, draw(law, len(lost), z.shape[1], rng).to(z))
        more, log_dets = back(z[lost], *(part[lost] for part in c))
        x, log_det = x.index_copy(0, lost, more), log_det.index_copy(0, lost, log_dets)
    return (z, *c), x, log_det


def noise(
    law: Law, n: int, dim: int, rng: torch.Generator, conditions: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Return draws of a law, ``(n, dim)``, and conditions drawn for them, ``(n, k)``, if any.

    Args:
        conditions: Rows of conditions, shape ``(m, k)``.
    """
    z = draw(law, n, dim, rng)
    if conditions is None:
        return (z,)
    rows = torch.randint(len(conditions), (n,), generator=rng, device=rng.device)
    return z, conditions.to(z)[rows]


def begun(
    flow: Flow, law: Law, size: torch.Size, conditions: Any, rng: torch.Generator
) -> tuple[torch.Size, tuple[Tensor, ...]]:
    """Return the shape of samples, and draws of a law, ``(n, d)``, with conditions, ``(n, k)``."""
    if conditions is None:
        return size, noise(law, size.numel(), flow.modelled, rng, flow.conditions)
    asked = moved_conditions(flow, conditions)
    size = size + asked.shape[:-1]
    z = draw(law, size.numel(), flow.modelled, rng)
    return size, (z, asked.expand(*size, -1).reshape(-1, flow.condition).to(z))


def providing(law: Law | None, need: Capability, what: str) -> Law:
    """Return the law at which a model ends, which must provide what is needed."""
    if law is None:
        raise CapabilityError(f"the model has no {what}: its objective has no target")
    try:
        who = f"target {type(law).__name__}"
        require(f"a model with {what}", need, who, law.provides)
    except CapabilityError as error:
        if Capability.POTENTIAL not in law.provides:
            raise
        raise CapabilityError(f"{error}. {_INSTEAD}") from None
    return law


_INSTEAD = (
    "This model is the law of the source's rows, which the map carries to the target. To sample "
    'the target itself: wopt.sample(log_prob, dim), or a start such as source = "gaussian"'
)

_NO_DENSITY = (
    "the model's density is not known: it is the law of rows carried to the target, and that of "
    "the rows is not known; a source with a density (gaussian, mixture) would give it one"
)
