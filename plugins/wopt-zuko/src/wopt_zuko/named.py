"""The blocks ``coupling``, ``maf`` and ``spline``."""

from __future__ import annotations

from functools import partial

from wopt_zuko import options as opt
from wopt_zuko.block import ZukoBlock
from wopt_zuko.univariate import AffineUnivariate, Spline


class CouplingBlock(ZukoBlock):
    """Affine couplings: half of the coordinates are scaled and shifted given the others, in turn.

        y_a = x_a,    y_b = exp(s(x_a)) x_b + t(x_a),    log |det DT| = sum s(x_a).

    The halves (even and odd coordinates) change places from transform to transform. Forward and
    inverse cost one pass each; the scales lie in [1e-3, 1e3].

    Source: Dinh, Sohl-Dickstein, Bengio, *Density estimation using Real NVP*, 2017.

    Args:
        hidden: Widths of the hidden layers of (s, t).

    Example:
        >>> import torch
        >>> block = CouplingBlock(3, hidden=[16])
        >>> x = torch.randn(5, 3)
        >>> y, log_det = block(x)
        >>> bool((y == x).all()), float(log_det.detach().abs().max())
        (True, 0.0)
    """

    cites = ("dinh2017", "rozet2022")

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        transforms: opt.Transforms = 4,
        hidden: opt.Hidden = (64, 64),
        activation: opt.ActivationOption = "silu",
    ) -> None:
        super().__init__()
        self.compose(
            "GeneralCouplingTransform", AffineUnivariate,
            dim, condition, transforms, hidden, activation,
        )  # fmt: skip


class MAFBlock(ZukoBlock):
    """Affine masked autoregressive maps: every coordinate is scaled and shifted given those before.

        y_i = exp(s_i(x_1, ..., x_{i-1})) x_i + t_i(x_1, ..., x_{i-1}),

    with the order reversed from transform to transform. Forward costs one pass, the inverse one
    per coordinate (or ``passes``, which then groups the coordinates); the scales lie in
    [1e-3, 1e3]. The inverse is exact in exact arithmetic; rounding grows with d and the scales.

    Source: Papamakarios, Pavlakou, Murray, *Masked Autoregressive Flow*, 2017.

    Args:
        passes: Number of passes of the inverse, which is that of groups of coordinates.

    Example:
        >>> import torch
        >>> block = MAFBlock(3, hidden=[16])
        >>> x = torch.randn(5, 3)
        >>> bool((block(x)[0] == x).all())
        True
    """

    cites = ("papamakarios2017", "rozet2022")

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        transforms: opt.Transforms = 3,
        hidden: opt.Hidden = (64, 64),
        activation: opt.ActivationOption = "silu",
        passes: opt.Passes = None,
    ) -> None:
        super().__init__()
        self.compose(
            "MaskedAutoregressiveTransform", AffineUnivariate,
            dim, condition, transforms, hidden, activation, passes,
        )  # fmt: skip


class SplineBlock(ZukoBlock):
    """Neural splines: every coordinate goes through a monotone spline given those before.

        y_i = S(x_i; phi_i(x_1, ..., x_{i-1})),

    S rational-quadratic with ``bins`` pieces on [-bound, bound] and the identity outside. New nets
    give bins of one size and knots of slope 1, so S(x) = x. Forward costs one pass, the inverse
    (in closed form for S) one per coordinate; ``passes = 2`` makes it a coupling.

    Outside its box a spline is the identity, and no point crosses the border. Without
    ``bound`` the box is chosen by the particles of each step: 1.5 times the 99.9 % quantile of
    their |coordinates|, and at least 5. Use it on standardised data.

    Source: Durkan, Bekasov, Murray, Papamakarios, *Neural Spline Flows*, 2019.

    Args:
        passes: Number of passes of the inverse, which is that of groups of coordinates.

    Example:
        >>> import torch
        >>> block = SplineBlock(3, bins=4, hidden=[16])
        >>> x = 3 * torch.randn(5, 3)
        >>> bool(torch.allclose(block(x)[0], x, atol=1e-6))
        True
    """

    cites = ("durkan2019", "rozet2022")

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        transforms: opt.Transforms = 2,
        bins: opt.Bins = 8,
        hidden: opt.Hidden = (64, 64),
        activation: opt.ActivationOption = "silu",
        bound: opt.Bound = None,
        passes: opt.Passes = None,
    ) -> None:
        super().__init__()
        self.compose(
            "MaskedAutoregressiveTransform", partial(Spline, bins, bound),
            dim, condition, transforms, hidden, activation, passes,
        )  # fmt: skip
