"""The source ``rejection``: a sampler's model, corrected by rejection and resampling."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import Capability, Dataset, Source, Target
from wopt.capabilities import require
from wopt.data import File, assemble, draw_splits
from wopt.flow import free
from wopt.seeds import derive, generator
from wopt_measures.options import Size
from wopt_measures.rejection import Rejection
from wopt_measures.weights import log_weights_of


class RejectionSource(Source):
    """Draws of a sampler after steps of rejection and resampling: a start nearer to the target.

        p_{k+1} = p_k (alpha_k + 1 - E alpha_k),    alpha_k = min(1, w_k/c_k),   w_k = exp(-V)/p_k,

    where p_0 is a saved push-forward model (``flow.save``). KL(p_k | target) never rises, draws are
    independent, and the density is known, so that JKO steps can continue from here: local steps by
    maps alternate with steps that move mass over any distance. E alpha_k is estimated by ``pilots``
    draws, and the density is exact up to that, an error of about 1/sqrt(pilots); see
    :class:`wopt_measures.Rejection`.

    Source: Hertrich, Gruhlke, *Importance corrected neural JKO sampling*, 2025.

    Raises:
        ConfigError: The flow does not exist.
        CapabilityError: The flow is not a push-forward of known density, or the target has no
            potential.

    Example:
        >>> RejectionSource(flow="nowhere.safetensors").load(seed=0)
        Traceback (most recent call last):
        wopt.errors.ConfigError: .../nowhere.safetensors: there is no such file or run directory
    """

    cites = ("hertrich2025",)
    role: ClassVar[Literal["data", "start"]] = "start"

    def __init__(
        self,
        flow: File,
        target: Annotated[
            Target, Field(description="the target of the flow, in its coordinates")
        ] = wopt.named("gaussian"),
        steps: Annotated[int, Field(ge=1, le=40, description="steps of rejection")] = 4,
        rate: Annotated[
            float, Field(gt=0, lt=1, description="fraction of the draws that each step rejects")
        ] = 0.2,
        pilots: Annotated[
            int, Field(ge=1000, description="draws of the flow by which the steps are chosen")
        ] = 50_000,
        n_train: Size = 10_000,
        n_valid: Size = 2_000,
        n_test: Size = 10_000,
    ) -> None:
        require("rejection", Capability.POTENTIAL, "the target", target.provides)
        self.path, self.target = flow, target
        self.steps, self.rate, self.pilots = steps, rate, pilots
        self.sizes = (n_train, n_valid, n_test)

    def load(self, seed: int) -> Dataset:
        """Return the draws, the same for the same seed."""
        law = _Corrected(self, seed)
        splits = draw_splits(law.sample, self.sizes, derive(seed, "splits"))
        return assemble(splits, "none", None, law.log_prob, None, law.sample)


class _Corrected:
    """The law of a source: draws and density. It pickles as source and seed."""

    def __init__(self, source: RejectionSource, seed: int) -> None:
        self.made_of = source, seed
        self.flow, self.target = free(wopt.load(source.path)), source.target
        rng = generator(seed, "pilots")
        self.fit = Rejection.fitted(self._draw(source.pilots, rng)[1], source.steps, source.rate)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Return n independent draws, shape ``(n, d)``, float64."""
        return self.fit.sample(lambda m: self._draw(m, rng), n, rng)[0]

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density in nats, shape ``(n, d)`` to ``(n,)``."""
        log_p = self.flow.log_prob(x.double()).double().cpu()
        log_w = log_weights_of(self.flow, self.target, x, log_p)
        return (log_p + self.fit.log_factor(log_w)).to(x.device)

    def _draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        x, log_p = self.flow.sample_and_log_prob(n, generator=rng)
        return x.double().cpu(), log_weights_of(self.flow, self.target, x, log_p)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.made_of
