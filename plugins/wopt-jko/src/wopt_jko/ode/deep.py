"""The velocity net of any number of hidden layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from wopt_jko.ode import activation as act
from wopt_jko.ode.tangents import by_rows
from wopt_jko.ode.velocity import Field, NetShape, Velocity


class DeepVelocity(Velocity):
    """v(t, x) = W_{L+1} s(W_L s(... s(W1 x + w t + b1) ...) + b_L) + b_{L+1}, zero at the start.

    With D_l the diagonal matrix of the slopes of layer l, the divergence is

        tr(W_{L+1} D_L W_L ... D_1 W_1).

    For L = 1 and 2 it is a closed form (one vector, one matrix product): no autograd, no noise. So
    two layers are the net ``two_layer``. Beyond, tangents are carried forward through the layers,
    exactly: those of the m coordinates, or, since a trace is
    cyclic, those of the first hidden layer, whichever costs less. That is about
    min(m, width) times the work of v; a probe takes a single tangent a row.

    Source: Griewank, Walther, *Evaluating Derivatives*, 2008 (forward mode); Hutchinson, *A
    stochastic estimator of the trace of the influence matrix*, 1989 (the probe).

    Args:
        outputs: Number of values of v; ``None`` means m.
    """

    def __init__(self, shape: NetShape, depth: int = 3, outputs: int | None = None) -> None:
        super().__init__(shape, depth)
        self.last = nn.Linear(shape.width, outputs or shape.dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.closed = depth <= 2

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *how: Any) -> None:
        # In files of an older format the second of two layers has this name.
        for part in ("weight", "bias"):
            if (old := f"{prefix}second.{part}") in state_dict:
                state_dict[f"{prefix}hidden.0.{part}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, *how)

    def field(
        self, divergence: bool, given: Tensor | None = None, probe: Tensor | None = None
    ) -> Field:
        """Return (t, z) -> (v, its divergence or None), shapes ``(n, m)`` and ``(n,)``."""
        w1, shift = self.begin(given)
        layers = self.layers(w1 if divergence else None, probe)

        def velocity(t: float | Tensor, z: Tensor) -> tuple[Tensor, Tensor | None]:
            """Return v and, where asked for, its divergence, shapes ``(n, m)`` and ``(n,)``."""
            return layers(self.product(z, w1, shift(t)))

        return velocity

    def layers(
        self, first: Tensor | None, probe: Tensor | None = None
    ) -> Callable[[Tensor], tuple[Tensor, Tensor | None]]:
        """Return the function from u1, shape ``(n, width)``, to v and, with ``first``, div v.

        Args:
            first: The derivative of u1 by the coordinates, shape ``(m, width)``.
            probe: Random signs, shape ``(n, m)``.
        """
        weights, biases = self.scaled()
        last, bias = (self.gain * self.last.weight).T, self.last.bias
        trace = None if first is None else _Trace(first, weights, last, probe)

        def through(u: Tensor) -> tuple[Tensor, Tensor | None]:
            """Return v and its divergence, shapes ``(n, m)`` and ``(n,)``."""
            if trace is None:
                a = act.value(self.activation, u)
                for w, b in zip(weights, biases, strict=True):
                    a = act.value(self.activation, self.product(a, w, b))
                return self.product(a, last, bias), None
            a, slope = act.value_and_slope(self.activation, u)
            slopes = [slope]
            for w, b in zip(weights, biases, strict=True):
                a, slope = act.value_and_slope(self.activation, self.product(a, w, b))
                slopes.append(slope)
            return self.product(a, last, bias), trace(slopes)

        return through


class _Trace:
    """The function from slopes of layers, each ``(n, width)``, to the divergence, ``(n,)``.

    Args:
        first: W1^T, shape ``(m, width)``.
        weights: W_l^T of the layers between.
        last: W_{L+1}^T, shape ``(width, m)``.
        probe: Random signs, shape ``(n, m)``, or ``None`` for the trace itself.
    """

    def __init__(
        self, first: Tensor, weights: list[Tensor], last: Tensor, probe: Tensor | None
    ) -> None:
        self.weights = weights
        (m, width), between = first.shape, len(weights)
        self.probed, self.cyclic = probe is not None, False
        if between < 2:
            around = last @ first
            self.closed = weights[0] * around.T if between else around.diagonal()[:, None]
        elif probe is not None:
            self.tangents, self.end = (probe @ first)[:, None], (probe @ last.T)[:, None]
        elif (between - 1) * width < between * m:
            self.cyclic, self.end = True, (last @ first).T[None]
        else:
            self.tangents, self.end = first[None], last.T[None]

    def __call__(self, slopes: list[Tensor]) -> Tensor:
        if len(slopes) == 1:
            return (slopes[0] @ self.closed)[:, 0]
        if len(slopes) == 2:
            return ((slopes[0] @ self.closed) * slopes[1]).sum(1)
        if self.probed:
            return self._carried(*slopes)
        return by_rows(self._carried, self.end.shape[1] * self.end.shape[2], *slopes)

    def _carried(self, *slopes: Tensor) -> Tensor:
        """Carry the tangents, shape ``(n, p, width)``, from the first layer to the last."""
        if self.cyclic:
            tangents = slopes[0][:, :, None] * self.weights[0] * slopes[1][:, None]
        else:
            tangents = self.tangents * slopes[0][:, None]
        done = 2 if self.cyclic else 1
        for weight, slope in zip(self.weights[done - 1 :], slopes[done:], strict=True):
            tangents = (tangents @ weight) * slope[:, None]
        return (tangents * self.end).sum((1, 2))
