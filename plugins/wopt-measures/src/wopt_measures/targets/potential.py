"""The target exp(-V)/Z of a potential, a score, or both, written in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from torch import Tensor

from wopt import Capability, ConfigError, Target
from wopt.capabilities import require
from wopt_measures.laws.gaussian import check_points
from wopt_measures.targets.checked import differentiable, one_vector_a_point
from wopt_measures.targets.density import one_value_a_point


def _asked_for(value: Any) -> str:
    return (
        f"needs a Python function V(x), (n, d) to (n,), or a score, got {value!r}; a configuration "
        "file cannot hold one: use wopt.solve or wopt.sample, or put the function in a target of "
        "your own, registered by a plugin (`wopt new-plugin NAME --kind target`), and name that"
    )


def _callable(value: Any) -> Any:
    if value is not None and not callable(value):
        raise ValueError(_asked_for(value))
    return value


def _describe(value: Any) -> str | None:
    if value is None:
        return None
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"python:{getattr(value, '__module__', None) or '?'}.{name}"


_Function = Annotated[
    Callable[[Tensor], Tensor] | None,
    PlainValidator(_callable),
    PlainSerializer(_describe),
    WithJsonSchema({"not": {}}),
]


class PotentialTarget(Target):
    """The measure exp(-V)/Z, given by V, by its score -grad V, by samples, or by several of them.

    Without a score V is differentiated by autograd. A score alone suffices for objectives that need
    no more (``ksd``); samples beside either suffice for those that compare with samples.

    The constant Z need not be known, so energies are right up to a constant. In a configuration the
    function is written as its name, from which it cannot be restored.

    Raises:
        ConfigError: Neither V nor a score is given.
        DataError: V does not return one value per point, or is not differentiable; the score does
            not return one vector per point.

    Example:
        >>> target = PotentialTarget(lambda x: x.pow(4).sum(1) / 4)
        >>> target.score(torch.tensor([[2.0, 1.0]])).tolist()
        [[-8.0, -1.0]]
        >>> PotentialTarget(score=lambda x: -x).provides.describe()
        'SCORE'
    """

    cites = ()

    def __init__(
        self,
        function: Annotated[
            _Function,
            Field(description="V(x), shape (n, d) to (n,), in torch; from Python only"),
        ] = None,
        convexity: Annotated[
            float | None,
            Field(
                allow_inf_nan=False,
                description="a number lambda for which V - lambda |x|^2/2 is convex, if one is "
                "known",
            ),
        ] = None,
        dim: Annotated[
            int | None,
            Field(
                ge=1,
                description="the dimension of the points, if V is defined in one dimension only",
            ),
        ] = None,
        score: Annotated[
            _Function,
            Field(description="-grad V(x), shape (n, d) to (n, d), in torch; from Python only"),
        ] = None,
        samples: Annotated[
            Target | None, Field(description="a target with the same law that can be sampled")
        ] = None,
    ) -> None:
        if function is None and score is None:
            raise ConfigError(f"PotentialTarget: function: {_asked_for(None)}")
        self.function, self.given_score, self.samples = function, score, samples
        self.provides = Capability.SCORE
        if function is not None:
            self.provides |= Capability.POTENTIAL
        if samples is not None:
            require("samples", Capability.TARGET_SAMPLES, "the target given", samples.provides)
            self.provides |= Capability.TARGET_SAMPLES
        self.convexity, self.dim = convexity, dim

    def potential(self, x: Tensor) -> Tensor:
        """Return V in nats, shape ``(n, d)`` to ``(n,)``, checked."""
        if self.function is None:
            raise self._lacks(Capability.POTENTIAL)
        check_points(x, self.dim)
        value = one_value_a_point(self.function(x), x, "the potential", self.function)
        return differentiable(value, x, "the potential")

    def score(self, x: Tensor) -> Tensor:
        """Return the given score, checked, or -grad V by autograd, shape ``(n, d)``."""
        if self.given_score is None:
            return super().score(x)
        check_points(x, self.dim)
        return one_vector_a_point(self.given_score(x), x, "the score")

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return samples, shape ``(n, dim)``, of the target given as ``samples``."""
        if self.samples is None:
            raise self._lacks(Capability.TARGET_SAMPLES)
        return self.samples.sample(n, dim, rng)
