"""The laws at which a flow ends: normal laws, mixtures, and samples that are given."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from wopt.capabilities import Capability, require
from wopt.data.dataset import Dataset
from wopt.errors import CapabilityError, DataError
from wopt.interfaces.conditional import ConditionalTarget
from wopt.interfaces.source import Source
from wopt.interfaces.target import Target
from wopt.seeds import derive

__all__ = [
    "Base",
    "DistributionBase",
    "SourceBase",
    "TargetBase",
    "as_base",
    "draw",
    "held_out_rows",
]


def held_out_rows(dataset: Dataset, n: int, rng: torch.Generator) -> Tensor:
    """Return ``n`` rows of the test and validation splits, shape ``(n, d)``.

    They are drawn without replacement if there are enough rows, and otherwise with replacement
    (a bootstrap).

    Args:
        dataset: The data.
        n: Number of rows.
        rng: Random numbers.
    """
    rows = torch.cat([dataset.test, dataset.valid])
    if n <= len(rows):
        return rows[torch.randperm(len(rows), generator=rng)[:n]]
    return rows[torch.randint(len(rows), (n,), generator=rng)]


class Base(nn.Module, abc.ABC):
    """A law on R^d with a density and samples, as far as either is known."""

    @abc.abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return the log-density, nats: shape ``(n, d)`` to ``(n,)``.

        Raises:
            CapabilityError: The density is not known.
        """

    @abc.abstractmethod
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, d)``.

        Raises:
            CapabilityError: The law cannot be sampled.
        """

    @property
    def normalised(self) -> bool:
        """Whether the density integrates to one."""
        return True


_INSTEAD = (
    "This model is the law of the source's rows, which the map carries to the target. To sample "
    'the target itself: wopt.sample(log_prob, dim), or a start such as source = "gaussian"'
)


class TargetBase(Base):
    """An objective's target, which a flow from data was trained to reach.

    Args:
        target: The target; ``None`` for an objective without one.
        dim: The dimension d.
    """

    def __init__(self, target: Target | None, dim: int) -> None:
        super().__init__()
        self.dim = dim
        # Rows of conditions are part of the model, so they belong to its state.
        rows = target.conditions if isinstance(target, ConditionalTarget) else None
        self.target = target.target if isinstance(target, ConditionalTarget) else target
        self.register_buffer("conditions", rows)
        self.conditions: Tensor | None

    def extra_repr(self) -> str:
        """Return the target, for printing."""
        return f"{self.target}"

    @property
    def law(self) -> Target | None:
        """The target on R^d, with the law of the conditions if there are any."""
        if self.conditions is None or self.target is None:
            return self.target
        return ConditionalTarget(self.target, self.conditions)

    @property
    def normalised(self) -> bool:
        """Whether the target's density integrates to one."""
        return self.target is not None and Capability.NORMALISED in self.target.provides

    def log_prob(self, z: Tensor) -> Tensor:
        """Return minus the target's potential, shape ``(n,)``, nats."""
        return -self._with(Capability.POTENTIAL | Capability.NORMALISED, "a likelihood").potential(
            z
        )

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return samples of the target, shape ``(n, d)``."""
        return draw(self._with(Capability.TARGET_SAMPLES, "samples"), n, self.dim, rng)

    def _with(self, need: Capability, what: str) -> Target:
        law = self.law
        if law is None:
            raise CapabilityError(f"the model has no {what}: its objective has no target")
        try:
            holder = f"target {type(self.target).__name__}"
            require(f"a model with {what}", need, holder, law.provides)
        except CapabilityError as error:
            if Capability.POTENTIAL not in law.provides:
                raise
            raise CapabilityError(f"{error}. {_INSTEAD}") from None
        return law


class SourceBase(Base):
    """The law of a source, which a push-forward flow carries to its target; float64 on the CPU.

    A source known by rows only has no density; its samples are drawn from its held-out rows
    (:func:`~wopt.flow.base.held_out_rows`).

    Args:
        source: The source.
        seed: Seed of the run, as for its data.
        dataset: The source's dataset; loaded when needed if not given.
        check: Called with a dataset loaded here, which it may reject.
    """

    def __init__(
        self,
        source: Source,
        seed: int,
        dataset: Dataset | None = None,
        check: Callable[[Dataset], object] | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.seed = seed
        self._loaded = dataset
        self._check = check

    def __getstate__(self) -> dict[str, Any]:
        # A source's functions cannot be pickled; the source itself can, and loads them anew.
        return {**self.__dict__, "_loaded": None, "_check": None}

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the source's log-density, shape ``(n,)``, nats."""
        log_density = self._dataset().log_density
        if log_density is None:
            raise CapabilityError(_NO_DENSITY)
        return log_density(z.double().cpu()).to(z)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return fresh rows of the source, or rows that were held out, shape ``(n, d)``."""
        sampler = self._dataset().sample
        if sampler is None:
            return held_out_rows(self._dataset(), n, rng)
        return sampler(n, rng)

    @property
    def normalised(self) -> bool:
        """Whether the source has a known density."""
        return self._dataset().log_density is not None

    def _dataset(self) -> Dataset:
        if self._loaded is None:
            loaded = self.source.loaded(derive(self.seed, "source"))
            if self._check is not None:
                self._check(loaded)
            self._loaded = loaded
        return self._loaded


class DistributionBase(Base):
    """A distribution of torch with event shape ``(d,)``.

    Args:
        law: The distribution.
    """

    def __init__(self, law: Distribution) -> None:
        super().__init__()
        if len(law.event_shape) != 1 or law.batch_shape:
            raise DataError(
                "a base law has event shape (d,) and no batch shape, got "
                f"{tuple(law.event_shape)} and {tuple(law.batch_shape)}; wrap it in "
                "torch.distributions.Independent"
            )
        self.law = law

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the distribution's log-density, shape ``(n,)``, nats."""
        log_density: Tensor = self.law.log_prob(z)
        return log_density

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return samples, shape ``(n, d)``; torch draws them from the global generator."""
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
            samples: Tensor = self.law.sample((n,))
        return samples


def as_base(law: Base | Target | Distribution | None, dim: int) -> Base:
    """Return a base law of a base, a target, or a distribution of torch."""
    if isinstance(law, Base):
        return law
    return DistributionBase(law) if isinstance(law, Distribution) else TargetBase(law, dim)


def draw(target: Target, n: int, dim: int, rng: torch.Generator) -> Tensor:
    """Return samples of a target, of the checked shape ``(n, dim)``."""
    x = target.sample(n, dim, rng)
    if x.shape != (n, dim):
        raise DataError(
            f"target {type(target).__name__} gave samples of shape {tuple(x.shape)} instead of "
            f"({n}, {dim})"
        )
    return x


_NO_DENSITY = (
    "the model's density is not known: it is the law of rows carried to the target, and that of "
    "the rows is not known; a source with a density (gaussian, mixture) would give it one"
)
