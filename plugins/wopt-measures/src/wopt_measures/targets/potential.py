"""The target exp(-V)/Z of any potential written in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from torch import Tensor

from wopt import DataError, Need, Target
from wopt_measures.laws.gaussian import check_points

__all__ = ["PotentialTarget"]


def _callable(value: Any) -> Any:
    if not callable(value):
        raise ValueError(
            f"needs a Python function V(x), (n, d) to (n,), got {value!r}; a configuration file "
            "cannot hold one: build the run in Python, or put the function in a target of your "
            "own, registered by a plugin (`wopt new-plugin NAME --kind target`), and name that"
        )
    return value


def _describe(value: Any) -> str:
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"python:{getattr(value, '__module__', None) or '?'}.{name}"


class PotentialTarget(Target):
    """The measure exp(-V)/Z of a function V, differentiated by autograd.

    The constant Z need not be known, so energies are right up to a constant. Written into a
    configuration the function becomes its name, from which it cannot be made again.

    Raises:
        ConfigError: No function is given.
        DataError: V does not return one value a point, or is not differentiable.

    Example:
        >>> target = PotentialTarget(lambda x: x.pow(4).sum(1) / 4)
        >>> target.score(torch.tensor([[2.0, 1.0]])).tolist()
        [[-8.0, -1.0]]
    """

    provides = Need.POTENTIAL | Need.SCORE

    def __init__(
        self,
        function: Annotated[
            Callable[[Tensor], Tensor] | None,
            PlainValidator(_callable),
            PlainSerializer(_describe),
            WithJsonSchema({"not": {}}),
            Field(description="V(x), shape (n, d) to (n,), in torch; from Python only"),
        ] = None,
        convexity: Annotated[
            float | None,
            Field(allow_inf_nan=False, description="lambda with V - lambda |x|^2/2 convex"),
        ] = None,
        dim: Annotated[
            int | None, Field(ge=1, description="the dimension, if V has only one")
        ] = None,
    ) -> None:
        self.function = function
        self.convexity = convexity
        self.dim = dim

    def potential(self, x: Tensor) -> Tensor:
        """Return V, shape ``(n, d)`` to ``(n,)``, checked."""
        check_points(x, self.dim)
        value: Any = _callable(self.function)(x)
        if not isinstance(value, Tensor):
            raise DataError(
                f"the potential returned {type(value).__name__}, not a tensor; write it in torch"
            )
        if value.shape != x.shape[:1]:
            raise DataError(
                f"the potential returned shape {tuple(value.shape)} for points of shape "
                f"{tuple(x.shape)}; it must return one value a point, shape ({len(x)},): sum over "
                "the coordinates (`.sum(1)`) or drop a last axis (`.squeeze(-1)`)"
            )
        if torch.is_grad_enabled() and x.requires_grad and not value.requires_grad:
            raise DataError(
                "the potential's value does not depend on its points differentiably; compute it "
                "from x in torch, without numpy, .item() or .detach()"
            )
        return value
