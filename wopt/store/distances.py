"""How far an evolution is from the exact solution at a time."""

from __future__ import annotations

import dataclasses

from wopt.typed import Number, Typed

__all__ = ["Distances"]


@dataclasses.dataclass(frozen=True)
class Distances(Typed):
    """Distances between p, the law that a run has at a time, and the exact law p*; estimates.

    They are means over held-out particles; standard errors are 0 for quadrature nodes, which are
    not drawn. ``None`` where something is not known, or does not exist (KL of laws of which one is
    0 where the other is not).

    Attributes:
        step: Steps made.
        time: t.
        kl, kl_error: KL(p | p*) = E_p log p/p*, nats, with its standard error.
        kl_back, kl_back_error: KL(p* | p).
        sym_kl, sym_kl_error: Their sum.
        l1, l1_error: int |p - p*| = 2 E_p (1 - p*/p)_+, between 0 and 2.
        w2_at_most: The root mean square distance of each particle from where the exact solution
            carries the point it came from: W_2 is at most that, and equal for dilations.
        second_moment: E_p |x|^2.
        second_moment_exact: E_p* |x|^2.
        second_moment_error: How far they are apart, as a share of the exact one.

    Example:
        >>> Distances(step=3, time=0.9, kl=0.01).sym_kl is None
        True
    """

    step: int
    time: float
    kl: Number | None = None
    kl_error: Number | None = None
    kl_back: Number | None = None
    kl_back_error: Number | None = None
    sym_kl: Number | None = None
    sym_kl_error: Number | None = None
    l1: Number | None = None
    l1_error: Number | None = None
    w2_at_most: Number | None = None
    second_moment: Number | None = None
    second_moment_exact: Number | None = None
    second_moment_error: Number | None = None
