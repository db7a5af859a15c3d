"""Generation with inexact inverses: mixed statements in KL and W_2."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from wopt.errors import UserError
from wopt_certify.bounds._numbers import Array, Steps
from wopt_certify.bounds.entropy import tv

__all__ = [
    "MixedStatement",
    "inverse_statement",
    "mixed_statement",
    "reverse_error",
    "reverse_error_uniform",
]


@dataclasses.dataclass(frozen=True)
class MixedStatement:
    """There are laws p', q' near data and model in W_2, with a small KL(p'|q') between them.

    Attributes:
        data_w2: Upper bound of W_2(data, p'), in the data's units; 0 means p' is the data's law.
        model_w2: Upper bound of W_2(model, q'); 0 means q' is the model's law.
        kl: Upper bound of KL(p'|q'), in nats.
    """

    data_w2: float
    model_w2: float
    kl: float

    @property
    def tv(self) -> float:
        """A bound of the total variation between p' and q'."""
        return float(tv(self.kl))

    def __str__(self) -> str:
        data = f"a law within W2 <= {self.data_w2:.4g} of the data" if self.data_w2 else "the data"
        model = f"a law within W2 <= {self.model_w2:.4g} of the model"
        to = model if self.model_w2 else "the model"
        return f"KL <= {self.kl:.4g} (TV <= {self.tv:.4g}) from {data} to {to}"


def mixed_statement(round_trip: float, kl: float, smoothing: float = 0.0) -> MixedStatement:
    """Return the statement that needs no Lipschitz constant, from two measured quantities.

    Let F be the flow from data to noise and S the computed reverse, with which samples are made:
    the model is S_# q. For p' = S_# F_# p,

        W_2(p, p') <= (E_p |S(F(x)) - x|^2)^1/2,    KL(p'|S_# q) <= KL(F_# p|q),

    the second by data processing, whatever S is. Likewise the noise round trip bounds
    W_2(F_# S_# q, q) <= (E_q |F(S(z)) - z|^2)^1/2.

    Args:
        round_trip: The root mean square of S(F(x)) - x over data.
        kl: A bound of KL(p_N|q), p_N = F_# p.
        smoothing: A bound of W_2 between the data and the law the flow was trained on
            (``smoothing_distance``), added to the distance.

    Source: docs/theory.md (1.17), (1.18).

    Example:
        >>> print(mixed_statement(0.01, 0.02))
        KL <= 0.02 (TV <= 0.1) from a law within W2 <= 0.01 of the data to the model
    """
    return MixedStatement(round_trip + smoothing, 0.0, kl)


def inverse_statement(inversion: float, kl: float, smoothing: float = 0.0) -> MixedStatement:
    """Return the statement by Lipschitz constants: the model is near a law q_0 with small KL.

    q_0 is what exact inverses would generate:  KL(p|q_0) <= KL(p_N|q)  and
    W_2(q_0, model) <= :func:`reverse_error`.

    Args:
        inversion: The bound of W_2(q_0, model).
        kl: A bound of KL(p_N|q).
        smoothing: As in :func:`mixed_statement`.

    Source: docs/theory.md (1.16).

    Example:
        >>> inverse_statement(float(reverse_error([0.5], [2.0])), 0.02)
        MixedStatement(data_w2=0.0, model_w2=0.5, kl=0.02)
    """
    return MixedStatement(smoothing, inversion, kl)


def reverse_error(errors: Steps, lipschitz: Steps) -> Array:
    """Return  W_2(q_0, q~_0) <= sum_n delta_n prod_{k < n} L_k,  the error of the reverse process.

    q_0 is made with the exact inverses T_n^-1, q~_0 with S_n.

    Args:
        errors: delta_n = |T_n^-1 - S_n| in L^2 of the law that S_n is applied to, n = 1, ...; at
            most L_n r_n where r_n = |T_n S_n - id|. Shape ``(steps, ...)``.
        lipschitz: L_n, Lipschitz constants of T_n^-1, shape ``(steps, ...)``; at most exp(h K) for
            the flow for time h of a field with Lipschitz constant K.

    Raises:
        UserError: The shapes differ, or a number is negative.

    Source: docs/theory.md (1.15).

    Example:
        >>> float(reverse_error([0.5, 0.25], [2.0, 3.0]))  # 0.5 + 2 * 0.25
        1.0
    """
    delta, constants = np.asarray(errors, float), np.asarray(lipschitz, float)
    if delta.shape != constants.shape or delta.ndim == 0:
        raise UserError(
            "each step has an inversion error and a Lipschitz constant, got shapes "
            f"{delta.shape} and {constants.shape}"
        )
    if np.any(delta < 0) or np.any(constants < 0):
        raise UserError("inversion errors and Lipschitz constants cannot be negative")
    before = np.cumprod(np.concatenate([np.ones_like(constants[:1]), constants[:-1]]), axis=0)
    return np.asarray((delta * before).sum(0))


def reverse_error_uniform(round_trip: float, step_size: float, slope: float, steps: int) -> float:
    """Return  r (e^{hK(N+1)} - e^{hK}) / (e^{hK} - 1),  :func:`reverse_error` of equal blocks.

    Args:
        round_trip: r = |T_n S_n - id|, of each block.
        step_size: h.
        slope: K >= 0, the Lipschitz constant of the blocks' velocity.
        steps: N.

    Source: docs/theory.md (1.15), "uniform".

    Example:
        >>> round(reverse_error_uniform(1e-3, 0.5, 1.0, 10), 4)
        0.3746
    """
    growth = step_size * slope
    if growth == 0:
        return round_trip * steps
    if growth * (steps + 1) > 700:  # exp overflows at 709
        return math.inf if round_trip > 0 else 0.0
    return round_trip * math.exp(growth) * math.expm1(growth * steps) / math.expm1(growth)
