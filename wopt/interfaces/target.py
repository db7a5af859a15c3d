"""Laws: densities and samples as far as they are known, and the supports of coordinates."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints

from wopt.bijection import Bijection
from wopt.capabilities import Capability
from wopt.component import Component
from wopt.errors import CapabilityError, ConfigError
from wopt.interfaces import returns


class Support(Bijection):
    """A bijection R^d -> support, one coordinate at a time.

    Args:
        within: The constraints of the coordinates that have one, by index.

    Example:
        >>> x, log_det = support_of({"0": "positive"}, ("a", "b"))(torch.zeros(1, 2))
        >>> x.tolist(), log_det.tolist()
        ([[1.0, 0.0]], [0.0])
    """

    def __init__(self, within: Mapping[int, constraints.Constraint]) -> None:
        super().__init__()
        self.within = dict(within)
        self.maps = {j: biject_to(constraint) for j, constraint in self.within.items()}

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the image of free points ``(n, d)`` in the support, and log |det|, ``(n,)``."""
        columns, total = list(x.unbind(1)), torch.zeros_like(x[:, 0])
        for j, bijection in self.maps.items():
            columns[j] = bijection(x[:, j])
            total = total + bijection.log_abs_det_jacobian(x[:, j], columns[j])
        return torch.stack(columns, 1), total

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return free points, shape ``(n, d)``, and log |det|, ``(n,)``, for points ``(n, d)``.

        A point outside, or on an end, is mapped to the origin with log-det minus infinity, so that
        densities are zero there.
        """
        inside, middle = self._contains(y)[:, None], self.move(torch.zeros_like(y))
        columns = list(y.where(inside, middle).unbind(1))
        for j, bijection in self.maps.items():
            columns[j] = bijection.inv(columns[j])
        x = torch.stack(columns, 1)
        return x, (-self(x)[1]).where(inside[:, 0], -math.inf)

    def _contains(self, x: Tensor) -> Tensor:
        inside = torch.ones_like(x[:, 0], dtype=torch.bool)
        for j, constraint in self.within.items():
            low, high = _bounds(constraint)
            inside = inside & (x[:, j] > low) & (x[:, j] < high)
        return inside

    def intervals(self) -> dict[str, list[float | None]]:
        """Return the bounds by index, ``None`` for none, as input of :func:`support_of`."""
        return {
            str(j): [float(end) if math.isfinite(end) else None for end in _bounds(constraint)]
            for j, constraint in self.within.items()
        }


def _bounds(constraint: constraints.Constraint) -> tuple[float, float]:
    low = getattr(constraint, "lower_bound", -math.inf)
    return low, getattr(constraint, "upper_bound", math.inf)


def support_of(wishes: Mapping[str | int, Any] | None, names: Sequence[str]) -> Support:
    """Return the bijection to a support.

    Args:
        wishes: The support of a coordinate, by index or name: ``"positive"``, ``[low, high]``
            (either may be ``None`` or infinite), or a constraint of :mod:`torch.distributions`.
        names: Names of the coordinates.
    """
    within: dict[int, constraints.Constraint] = {}
    for key, wish in (wishes or {}).items():
        constraint = _constraint(key, wish)
        if constraint is not None:
            within[_index(key, names)] = constraint
    return Support(within)


def _index(key: str | int, names: Sequence[str]) -> int:
    if str(key) in names:
        return list(names).index(str(key))
    try:
        index = int(key)
    except ValueError:
        index = -1
    if 0 <= index < len(names):
        return index
    raise ConfigError(
        f"support: no coordinate {key!r}; give its index, 0 to {len(names) - 1}, or one of the "
        f"names {', '.join(names[:10])}"
    )


def _constraint(key: str | int, wish: Any) -> constraints.Constraint | None:
    if isinstance(wish, constraints.Constraint):
        if wish.event_dim or wish.is_discrete:
            raise ConfigError(
                f"support of {key!r}: {wish} is not about one continuous coordinate; map it to "
                "free coordinates inside of log_prob, with the log-det of that map"
            )
        return wish
    if wish in (None, "real"):
        return None
    if wish == "positive":
        return constraints.positive
    if isinstance(wish, Sequence) and not isinstance(wish, str) and len(wish) == 2:
        return _interval(key, *wish)
    raise ConfigError(
        f'support of {key!r}: {wish!r} is none of "positive", "real", [low, high] (None for no '
        "end), or a constraint of torch.distributions.constraints"
    )


def _interval(
    key: str | int, low: float | None, high: float | None
) -> constraints.Constraint | None:
    below = -math.inf if low is None else float(low)
    above = math.inf if high is None else float(high)
    if not below < above:
        raise ConfigError(f"support of {key!r}: [{low}, {high}] is empty; give [low, high]")
    if math.isinf(below) and math.isinf(above):
        return None
    if math.isinf(above):
        return constraints.greater_than(below)
    return constraints.less_than(above) if math.isinf(below) else constraints.interval(below, above)


class Law(Component, abc.ABC):
    """A probability measure q = exp(-V)/Z, or one known by samples.

    Targets, the laws at which flows end, exact solutions, mixtures and a user's density are laws. A
    subclass sets :attr:`provides` and overrides the methods that it announces there: of
    :meth:`log_prob` and :meth:`potential`, log p and V = -log p, either one. With
    ``Capability.NORMALISED`` their constant is included, so Z = 1.
    """

    kind: ClassVar[str] = "target"
    returns = returns.TARGET
    provides: Capability = Capability.NOTHING
    dim: int | None = None
    """The dimension; ``None`` if any will do."""
    convexity: float | None = None
    """lambda such that V - lambda |x|^2/2 is convex, where it is known."""
    smoothness: float | None = None
    """L such that L |x|^2/2 - V is convex, where it is known."""
    support: Support | None = None
    """The bijection from the coordinates of :meth:`potential`, all of R^d, to the author's
    coordinates, in which models draw samples; ``None`` if they are the same."""
    names: tuple[str, ...] = ()
    """The author's names of the coordinates, or empty."""
    log_z: float | None = None
    """log of the integral of exp(-V), if it is known; 0 with NORMALISED."""

    @property
    def normalised(self) -> bool:
        """Whether the density is known with its constant."""
        return Capability.NORMALISED in self.provides

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p = -V in nats, up to a constant: shape ``(n, d)`` to ``(n,)``."""
        if type(self).potential is Law.potential:
            raise self._lacks(Capability.POTENTIAL)
        return -self.potential(x)

    def potential(self, x: Tensor) -> Tensor:
        """Return V = -log p in nats, up to a constant: shape ``(n, d)`` to ``(n,)``."""
        if type(self).log_prob is Law.log_prob:
            raise self._lacks(Capability.POTENTIAL)
        return -self.log_prob(x)

    def score(self, x: Tensor) -> Tensor:
        """Return -grad V at ``x``, by autograd: shape ``(n, d)`` to ``(n, d)``."""
        if Capability.POTENTIAL not in self.provides:
            raise self._lacks(Capability.SCORE)
        differentiable = x.requires_grad and torch.is_grad_enabled()
        with torch.enable_grad():
            points = x if differentiable else x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(
                self.potential(points).sum(), points, create_graph=differentiable
            )
        return -gradient

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` samples, shape ``(n, dim)``, float64, on the generator's device."""
        raise self._lacks(Capability.TARGET_SAMPLES)

    def check_density(self, dim: int, rng: torch.Generator) -> None:
        """Raise :class:`~wopt.errors.DataError` for mistakes that show at a few points.

        It is asked before any work that carries a start to this law.
        """

    def components(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the weights of known modes, ``(k,)``, and memberships of points, ``(n, k)``.

        For a mixture these are the components' weights and posterior probabilities at x. Return
        ``None`` if no modes are known.
        """
        return None

    def figures(self, draws: Tensor, weights: Tensor) -> dict[str, float]:
        """Return quantities of a model's draws that are specific to this target, by name.

        Examples are accuracy and likelihood of a regression, or errors against reference draws.

        Args:
            draws: Draws in the author's coordinates, shape ``(n, d)``, float64.
            weights: Importance weights of the draws, shape ``(n,)``, summing to one.
        """
        return {}

    def _lacks(self, need: Capability) -> CapabilityError:
        return CapabilityError(
            f"target {type(self).__name__} does not provide {need.describe()}; "
            f"it provides {self.provides.describe()}"
        )


Target = Law
"""A law as an objective's target, by the name of its kind."""


class Draws:
    """Random numbers of an objective, all of them a function of one key.

    Args:
        target: The target to sample.
        samples: Number m of samples.
        dtype: Dtype of the samples; that of the particles by default.
        key: The seed of all draws.

    Example:
        >>> import wopt
        >>> draws = Draws(wopt.build("target", "gaussian"), 5)
        >>> x = torch.zeros(1, 2)
        >>> bool((draws.points(x) == draws.points(x)).all()), draws.points(x).shape
        (True, torch.Size([5, 2]))
    """

    def __init__(
        self, target: Law, samples: int, dtype: torch.dtype | None = None, key: int = 0
    ) -> None:
        self.target = target
        self.samples = samples
        self.dtype = dtype
        self.key = key
        self._kept: dict[tuple[object, ...], Tensor] = {}
        self._fixed: dict[tuple[object, ...], float] = {}

    def at(self, key: int) -> Draws:
        """Return the draws of a key."""
        made = Draws(self.target, self.samples, self.dtype, key)
        made._fixed = self._fixed
        return made

    def generator(self, like: Tensor, offset: int = 0) -> torch.Generator:
        """Return a generator in the current state, on the device of ``like`` (of any shape)."""
        return torch.Generator(device=like.device).manual_seed(self.key + offset)

    def points(self, like: Tensor) -> Tensor:
        """Return the samples, shape ``(m, d)``, on the device of ``like``."""
        return self.remember("points", like, lambda: self._draw(like, self.generator(like)))

    def remember(self, name: str, like: Tensor, make: Callable[[], Tensor]) -> Tensor:
        """Return the first result of ``make``, of any shape, at this key.

        Results are kept by name and by the dimension, dtype and device of ``like``.
        """
        key = _kind_of(name, like)
        if key not in self._kept:
            self._kept[key] = make().detach()
        return self._kept[key]

    def of_target(self, name: str, like: Tensor, value: Callable[[Tensor], Tensor]) -> float:
        """Return a number of at most 1000 samples, shape ``(m, d)``, of a fixed seed, for all keys.

        It is computed once, and kept as by :meth:`remember`.
        """
        key = _kind_of(name, like)
        if key not in self._fixed:
            rng = torch.Generator(device=like.device).manual_seed(0)
            x = self.target.sample(min(self.samples, 1000), like.shape[1], rng).detach()
            x = x if self.dtype is None else x.to(like.device, self.dtype)
            self._fixed[key] = float(value(x))
        return self._fixed[key]

    def _draw(self, like: Tensor, rng: torch.Generator) -> Tensor:
        x = self.target.sample(self.samples, like.shape[1], rng).detach()
        return x.to(like) if self.dtype is None else x.to(like.device, self.dtype)


def _kind_of(name: str, like: Tensor) -> tuple[object, ...]:
    return name, like.shape[1], like.dtype, like.device
