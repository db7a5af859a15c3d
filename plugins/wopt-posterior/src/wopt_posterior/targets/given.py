"""GivenModel: a density with the names and constraints of its coordinates."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wopt.errors import ConfigError


class GivenModel(NamedTuple):
    """A density with names and constraints, which :func:`wopt.sample` takes instead of a function.

    Attributes:
        log_prob: Maps points of the support, ``(n, d)``, to log p up to a constant, ``(n,)``, nats.
    """

    log_prob: Callable[[Tensor], Tensor]
    dim: int
    names: tuple[str, ...]
    support: Mapping[str | int, Any]


class Layout(NamedTuple):
    """Places of a model's variables in a point.

    Attributes:
        shapes: Shape of each variable, by name, in order.
    """

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def dim(self) -> int:
        """The number of coordinates."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates: ``mu``, ``theta[0]``, ``w[0,1]``."""
        return tuple(
            name + (f"[{','.join(map(str, index))}]" if shape else "")
            for name, shape in self.shapes.items()
            for index in np.ndindex(*shape)
        )

    def split(self, point: Any) -> dict[str, Any]:
        """Return the variables of a point ``(d,)``, or of points ``(n, d)``."""
        variables, offset = {}, 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            variables[name] = point[..., offset : offset + size].reshape(
                (*point.shape[:-1], *shape)
            )
            offset += size
        return variables

    def spread(self, of_variable: Mapping[str, Any]) -> dict[str | int, Any]:
        """Return values of variables by coordinate; ``None`` is left out."""
        owners = [n for n, s in self.shapes.items() for _ in range(int(np.prod(s)))]
        return {j: of_variable[n] for j, n in enumerate(owners) if of_variable[n] is not None}


def by_gradient(
    function: Callable[[Any], tuple[Any, Any]],
) -> Callable[[Tensor], Tensor]:
    """Return a torch function, ``(n, d)`` to ``(n,)``, of a numpy function with gradients.

    Args:
        function: Maps points ``(n, d)``, float64, to values ``(n,)`` and gradients ``(n, d)``.

    Example:
        >>> square = by_gradient(lambda x: ((x**2).sum(1), 2 * x))
        >>> x = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
        >>> square(x).sum().backward(); x.grad.tolist()
        [[2.0, 2.0]]
    """

    class Given(torch.autograd.Function):
        """The function with its own gradient."""

        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            """Return values, shape ``(n,)``, at points ``(n, d)``."""
            value, slope = function(x.detach().double().cpu().numpy())
            ctx.save_for_backward(torch.as_tensor(np.array(slope)).to(x))
            return torch.as_tensor(np.array(value)).to(x)

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, weight: Tensor) -> Tensor:
            """Return gradients, shape ``(n, d)``, times weights ``(n,)``."""
            (slope,) = ctx.saved_tensors
            return weight[:, None] * slope

    return lambda x: Given.apply(x)  # type: ignore[no-untyped-call]


def needed(module: str, package: str) -> Any:
    """Return a module of an adapter's language."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"{package} is not installed ({error}): pip install {package}") from None


def interval_of(variable: str, constraint: Any, known: Iterable[str]) -> Any:
    """Return the support of a variable from the bounds of its constraint.

    Args:
        known: Names of constraints without bounds, which stand for all of R.
    """
    base = getattr(constraint, "base_constraint", constraint)
    name = type(base).__name__.strip("_").lower()
    low, high = getattr(base, "lower_bound", None), getattr(base, "upper_bound", None)
    discrete = "integer" in name or name == "boolean" or getattr(base, "is_discrete", False)
    if not discrete and (low is not None or high is not None):
        bounds = [None if v is None else np.unique(np.asarray(v, dtype=float)) for v in (low, high)]
        if all(end is None or len(end) == 1 for end in bounds):
            return [None if end is None else float(end[0]) for end in bounds]
    elif name in known:
        return None
    raise ConfigError(
        f"variable {variable!r} has the constraint {constraint}, which the adapter does not know: "
        "it takes real numbers with the same bounds for all elements of a variable. Sum out "
        "discrete variables, and write others as functions of real ones"
    )
