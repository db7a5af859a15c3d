"""Distances of a run from the exact solution."""

from __future__ import annotations

import dataclasses

from wopt.typed import Number, Typed


@dataclasses.dataclass(frozen=True)
class Distances(Typed):
    """Distances between p, the law of a run at a time, and the exact law p*; estimates.

    They are means over held-out particles; standard errors are 0 for quadrature nodes, which are
    not random. ``None`` stands for a distance that is unknown or does not exist (KL of laws of
    which one is 0 where the other is not).

    Attributes:
        step: Number of steps made.
        time: Time t.
        kl, kl_error: KL(p | p*) = E_p log p/p*, nats, with its standard error.
        kl_back, kl_back_error: KL(p* | p), nats.
        sym_kl, sym_kl_error: Sum of the two divergences, nats.
        l1, l1_error: int |p - p*| = 2 E_p (1 - p*/p)_+, between 0 and 2.
        w2_at_most: Root mean square distance of each particle from the exact solution's image of
            its starting point: an upper bound of W_2, equal to it for dilations.
        second_moment: Second moment E_p |x|^2.
        second_moment_exact: Second moment E_p* |x|^2.
        second_moment_error: Difference of the two, as a fraction of the exact one.
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
