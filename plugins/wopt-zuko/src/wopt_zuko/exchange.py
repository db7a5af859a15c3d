"""Flows of wopt as flows of zuko, and the other way round."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Transform, constraints
from zuko.lazy import Flow as ZukoFlow
from zuko.lazy import LazyDistribution, LazyTransform

import wopt
from wopt.bijection import given
from wopt_zuko.audit import difference_log_det
from wopt_zuko.block import ZukoBlock


def to_zuko(flow: wopt.Flow) -> ZukoFlow:
    """Return a flow of zuko with the law of ``flow``: ``zuko_flow(c).sample((n,))``.

    It shares the parameters, which are frozen until ``requires_grad_()``. Conditions c, shape
    ``(..., k)``, are zuko's context. ``log_prob`` takes ``(..., d - k)`` to ``(...)``, in nats.
    Gradients reach x and the parameters.

    Example:
        >>> units = wopt.AffineTransform.fit(torch.randn(50, 2), "none")
        >>> law = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
        >>> flow = wopt.Flow([units], law)
        >>> x = torch.ones(3, 2)
        >>> bool(torch.allclose(to_zuko(flow)().log_prob(x), flow.log_prob(x).float()))
        True
    """
    return ZukoFlow(_LazyMap(flow), _LazyBase(flow))


def from_zuko(flow: ZukoFlow) -> wopt.Flow:
    """Return a flow of zuko, without context, as one of wopt, sharing its parameters.

    ``log_prob(x, audit=True)`` computes it in float64 with derivatives by differences and does not
    use zuko's log-det: maps that are flat to rounding claim likelihoods above the truth.
    ``flow.save`` cannot describe it, since its transforms are not registered: save zuko's
    own ``state_dict``.

    Args:
        flow: An unconditional flow of zuko, with event shape ``(d,)``.

    Raises:
        CapabilityError: The flow needs a context.

    Example:
        >>> import zuko
        >>> given = zuko.flows.NSF(2, transforms=1, hidden_features=[8])
        >>> flow, x = from_zuko(given), torch.ones(3, 2)
        >>> bool(torch.allclose(flow.log_prob(x), given().log_prob(x), atol=1e-5))
        True
    """
    try:
        law = flow.base()
        dim = law.event_shape[0]
        with torch.no_grad():
            flow.transform()(law.sample((1,)))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise wopt.CapabilityError(
            "only flows of zuko without context, with event shape (d,), become flows of wopt; "
            f"this one answered: {type(error).__name__}: {error}"
        ) from error
    units = wopt.AffineTransform.fit(torch.zeros(1, dim), "none")
    return wopt.Flow(wopt.Chain([_Given(dim, transform=flow.transform)], units), law)


class _Given(ZukoBlock):
    """Any transform of zuko; it need not be the identity."""

    def __init__(self, dim: int, transform: Any = None) -> None:
        super().__init__()
        self.hold(transform, dim)

    @torch.no_grad()
    def audit(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x) ``(n, d)`` and its log-det ``(n,)``, by differences in float64."""
        exact = copy.deepcopy(self.transform).double()()
        z = x.double()
        return exact(z).to(x), difference_log_det(exact, z).to(x)


class _LazyMap(LazyTransform):  # type: ignore[misc]
    """The map of a flow from the model's units to the base, as a lazy transform."""

    def __init__(self, flow: wopt.Flow) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, c: Tensor | None = None) -> Transform:
        """Return the map given conditions c, shape ``(..., k)``."""
        return _Map(self.flow, c)


class _Map(Transform):
    """The map given conditions, on the columns that it moves."""

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, flow: wopt.Flow, c: Tensor | None) -> None:
        super().__init__()
        if (c is None) != (flow.condition == 0):
            raise wopt.CapabilityError(
                f"this flow has {flow.condition} condition(s): call it with a context if that is "
                "not 0, and without one if it is"
            )
        self.flow = flow
        self.c = c

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image, shape ``(..., d)``, and the log-det in nats, shape ``(...)``."""
        return self._through(self.flow, x)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the log-det at ``x``, shape ``(...)``."""
        return self.call_and_ladj(x)[1]

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        return self._through(self.flow.inverse, y)[0]

    def _through(self, function: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = given(x, self.c)
        batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
        rows = (part.expand(*batch, -1).reshape(-1, part.shape[-1]) for part in parts)
        y, log_det = function(*rows)
        return y.reshape(*batch, -1).to(x), log_det.reshape(batch).to(x)


class _LazyBase(LazyDistribution):  # type: ignore[misc]
    """The base of a flow."""

    def __init__(self, flow: wopt.Flow) -> None:
        super().__init__()
        self.base = flow.base
        self.dim = flow.dim - flow.condition

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return the law, which does not depend on conditions c, shape ``(..., k)``."""
        return _Law(self.base, self.dim)


class _Law(Distribution):
    """A base law on the columns that a flow moves."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector

    def __init__(self, base: Any, dim: int, batch_shape: Size | tuple[int, ...] = ()) -> None:
        self.base, self.dim = base, dim
        super().__init__(Size(batch_shape), Size([dim]), validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> _Law:
        """Return the law of a batch of independent draws."""
        return _Law(self.base, self.dim, batch_shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the log-density in nats, shape ``z.shape[:-1]``."""
        log_prob: Tensor = self.base.log_prob(z.reshape(-1, z.shape[-1]))
        return log_prob.reshape(z.shape[:-1]).to(z)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Return draws, shape ``(*sample_shape, ..., d)``, by torch's global generator."""
        shape = Size(sample_shape) + self.batch_shape
        rng = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        z = self.base.sample(shape.numel(), self.event_shape[0], rng)
        return z.reshape(shape + self.event_shape).to(torch.get_default_dtype())
