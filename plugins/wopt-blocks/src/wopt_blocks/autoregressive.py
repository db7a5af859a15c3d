"""The block ``autoregressive``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from wopt import Bijection, Capability, ConfigError, FlowBlock
from wopt.component import fields
from wopt.jacobian import linearised
from wopt_blocks.defensive import DefensiveTails
from wopt_blocks.jacobian import JacobianBlock
from wopt_blocks.masked import Activation, MaskedNet
from wopt_blocks.monotone import MonotoneName, Tails, monotone, reach
from wopt_blocks.radial import RadialMap
from wopt_blocks.white import White


@fields
class Autoregressive(JacobianBlock):
    """Every coordinate goes through a monotone function given the coordinates before it.

        y_i = S(x_i; phi_i(x_1, ..., x_{i-1}, c)),    log |det DT| = sum_i log S'(x_i; phi_i),

    several times, with the order reversed from one to the next. S is affine (masked autoregressive
    flows), a rational-quadratic spline on [-B, B] and the identity outside (neural spline flows),
    or the one after the other; phi is a masked net. Forward takes one pass, and the inverse,
    coordinate by coordinate, the arithmetic of one. Both are exact in exact arithmetic; in the
    inverse, rounding grows with d and the slopes.

    To the nets a coordinate beyond the reach of the particles of the step (1.5 times the 99.9 %
    quantile of their |coordinates|) is moved to its end. Without this, what is far out would be
    carried further at every coordinate of the inverse, beyond all bounds in many dimensions
    (Behrmann et al., *Understanding and mitigating exploding inverses*, 2021).

    With ``sees = "images"`` T is the inverse of such a map: the nets are given the coordinates of
    images, and forward goes one by one. It is for targets with modes that are known by a potential.
    Between modes there is room in which a net can change its mind; the start has none, so that
    parameters of its coordinates would have to jump (docs/samplers.md). Nets that are trained on
    data see the modes already.

    Two options are for data with tails and scales that vary together, as those of images: with
    ``magnitudes`` the nets see |x| beside x, and with ``radial`` every map begins with a monotone
    map of the norm of the coordinates that move, along rays.

    With ``tails = "logarithmic"`` every S goes on as a logarithm beyond c, a tenth further out than
    all particles of the step:

        sign(y) (c + log(1 + |y| - c)) in the place of y where |y| > c.

    So a row unlike all training rows costs tens of nats and not thousands, where columns of few
    values have made slopes steep. With ``tails = "defensive"`` T ends in
    :class:`~wopt_blocks.defensive.DefensiveTails`, which has the same effect for targets N(0, I),
    learns tails too, and is calibrated by held-out particles.

    Compared with ``maf`` and ``spline`` of wopt-zuko it adds residual nets, splines after affine
    maps, and speed (see docs/benchmarks.md). The defaults suit tables of measurements; splines
    alone with ``residual = false`` and ``relu`` suit drawings in the plane.

    Source: Papamakarios, Pavlakou, Murray, *Masked Autoregressive Flow for Density Estimation*,
    2017; Durkan, Bekasov, Murray, Papamakarios, *Neural Spline Flows*, 2019; Lyu, Simoncelli,
    *Nonlinear extraction of independent components of natural images using radial
    Gaussianization*, 2009.

    Args:
        univariate: The form of S, one for all maps or one for each. A spline takes most of a map's
            time; in many dimensions splines in only some of the maps do nearly as well.
        whiten: Whether T acts in coordinates in which the particles of the step are white: W^-1 T W
            with W affine. For particles of any scales and correlations.

    Raises:
        ConfigError: All coordinates are conditions, a list ``univariate`` is not as long as
            ``transforms`` says, or ``residual`` has layers of several widths.

    Example:
        >>> block = Autoregressive(3, hidden=[16, 16])
        >>> x = torch.randn(5, 3)
        >>> y, log_det = block(x)
        >>> bool(torch.allclose(y, x, atol=1e-5)), log_det.shape
        (True, torch.Size([5]))
    """

    cites = ("papamakarios2017", "durkan2019", "lyu2009", "germain2015")
    provides = JacobianBlock.provides | Capability.ROUNDED

    dim: int
    condition: int = 0
    univariate: Annotated[
        MonotoneName | tuple[MonotoneName, ...],
        Field(description="transform of every coordinate; a list gives one to each map"),
    ] = "affine_spline"
    transforms: Annotated[
        int, Field(ge=1, le=1000, description="number of maps that are composed")
    ] = 3
    bins: Annotated[int, Field(ge=2, le=500, description="number of bins of every spline")] = 8
    bound: Annotated[
        float | None,
        Field(
            gt=0,
            description="splines act on [-bound, bound] in every coordinate; by default "
            "chosen from the particles",
        ),
    ] = None
    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(min_length=1, description="widths of the hidden layers of the networks"),
    ] = (64, 64)
    activation: Annotated[Activation, Field(description="activation function of the networks")] = (
        "elu"
    )
    residual: Annotated[
        bool,
        Field(
            description="whether hidden layers are residual: each is added to the one "
            "before, and all have one width"
        ),
    ] = True
    magnitudes: Annotated[
        bool, Field(description="whether the networks are given |x| beside x")
    ] = False
    radial: Annotated[
        bool, Field(description="whether every map begins with one along rays from the origin")
    ] = False
    whiten: Annotated[
        bool,
        Field(description="whether to act in coordinates in which a step's particles are white"),
    ] = False
    sees: Annotated[
        Literal["particles", "images"],
        Field(description="of which the networks are given the earlier coordinates"),
    ] = "particles"
    tails: Annotated[
        Tails, Field(description="how transforms go on beyond where particles of the step are")
    ] = "linear"

    def __post_init__(self) -> None:
        super().__init__(self.dim)
        given, count = self.univariate, self.transforms
        names = [given] * count if isinstance(given, str) else given
        if len(names) != count:
            raise ConfigError(
                f"univariate names {len(names)} functions for {count} transforms: give one for "
                "each, or one name for all"
            )
        self.functions = nn.ModuleList(
            monotone(name, self.bins, self.bound, self.tails) for name in names
        )
        self.ends = DefensiveTails(self.dim) if self.tails == "defensive" else None
        ascending = range(self.dim)
        self.nets = nn.ModuleList(
            MaskedNet(
                ascending[::-1] if k % 2 else ascending,
                self.condition,
                function.numbers,  # type: ignore[arg-type]
                self.hidden,
                self.activation,
                self.residual,
                self.magnitudes,
            )
            for k, function in enumerate(self.functions)
        )
        self.radials = nn.ModuleList(RadialMap() for _ in names if self.radial)
        self.white = White(self.dim) if self.whiten else None
        self.image = White(self.dim) if self.whiten else None

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x) ``(n, d)`` and its log-det ``(n,)`` in nats."""
        return self._chunked(self._through, x, c)

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T^-1(y) ``(n, d)`` and its log-det ``(n,)`` in nats."""
        return self._chunked(self._back, y, c)

    def initialise(self, points: Tensor, c: Tensor | None = None) -> None:
        """Set whitening, boxes of splines and reach of nets by particles, shape ``(n, d)``."""
        if self.white is not None and self.image is not None:
            self.white.initialise(points)
            self.image.initialise(points)
            points = self.white(points)
        far = reach(points)
        for net, function in zip(self.nets, self.functions, strict=True):
            net.reach.fill_(far)  # type: ignore[operator]
            function.initialise(points)  # type: ignore[operator]
        if self.ends is not None:
            self.ends.initialise(points)

    def initialise_images(self, points: Tensor) -> None:
        """With ``whiten``, start by spreading particles over far-off points, shape ``(n, d)``."""
        if self.white is not None and self.image is not None:
            self.image.initialise_beside(self.white, points)

    def calibrate(self, points: Tensor, c: Tensor | None = None) -> bool:
        """Take the width of defensive tails from held-out particles, shape ``(n, d)``."""
        if self.ends is None:
            return False
        self.ends.calibrate(self(points, c)[0])
        return bool(self.ends.log_width > 0)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # Maps saved before there was `image` ended in the coordinates that they began in.
        if self.image is not None:
            for name in self.image.state_dict():
                if (own := f"{prefix}white.{name}") in state_dict:
                    state_dict.setdefault(f"{prefix}image.{name}", state_dict[own])
        super()._load_from_state_dict(state_dict, prefix, *args)

    differentiable_inverse = Bijection.differentiable_inverse  # autograd follows the inverse

    def warm_start(self, previous: FlowBlock) -> None:
        """Begin from the previous step's parameters, on this block's own boxes."""
        own = {k: v.clone() for k, v in self.named_buffers()}
        super().warm_start(previous)
        for name, buffer in self.named_buffers():
            buffer.copy_(own[name])

    def value(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return T(z; c), shape ``(n, d)``."""
        return self._through(z, c)[0]

    def linearise(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return T(z; c), shape ``(n, d)``, and D_z T, ``(n, d, d)``, by m backward passes."""
        return linearised(lambda at: self.value(at, c), z)

    def floats_a_row(self) -> int:
        """Return how many numbers the largest tensor holds for one row."""
        numbers = max(int(function.numbers) for function in self.functions)  # type: ignore[arg-type]
        return self.dim * max(self.dim, numbers)

    def _through(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        way = self._pass if self.sees == "particles" else self._unrolled
        return way(x, c, self.white, self.image)

    def _back(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        way = self._unrolled if self.sees == "particles" else self._pass
        return way(y, c, self.image, self.white)

    def _pass(
        self,
        x: Tensor,
        given: Tensor | None,
        enter: White | None,
        leave: White | None,
    ) -> tuple[Tensor, Tensor]:
        """Go through the maps, all coordinates at once: nets see what enters."""
        z, c = _columns(x, given, enter)
        log_det = _change(x, enter, leave)
        for k, (net, function) in enumerate(zip(self.nets, self.functions, strict=True)):
            if self.radials:
                z, stretch = self.radials[k](z)
                log_det = log_det + stretch
            z, log_slopes = function(net(torch.cat([z, c])), z)
            log_det = log_det + log_slopes.sum(0)
        if self.ends is not None:
            z, log_slopes = self.ends(z)
            log_det = log_det + log_slopes.sum(0)
        return _rows(z, leave), log_det

    def _unrolled(
        self,
        y: Tensor,
        given: Tensor | None,
        enter: White | None,
        leave: White | None,
    ) -> tuple[Tensor, Tensor]:
        """Undo :meth:`_pass`, one coordinate after the other: nets see what leaves."""
        z, c = _columns(y, given, enter)
        log_det = _change(y, enter, leave)
        if self.ends is not None:
            z, log_slopes = self.ends.inverse(z)
            log_det = log_det + log_slopes.sum(0)
        for k in reversed(range(len(self.nets))):
            z, log_slope = self.nets[k].unroll(z, c, self.functions[k].inverse)  # type: ignore[operator]
            log_det = log_det + log_slope
            if self.radials:
                z, stretch = self.radials[k].inverse(z)  # type: ignore[operator]
                log_det = log_det + stretch
        return _rows(z, leave), log_det


def _change(x: Tensor, enter: White | None, leave: White | None) -> Tensor:
    """Return the log-det, shape ``(n,)``, of whitening and its undoing."""
    if enter is None or leave is None:
        return x.new_zeros(len(x))
    return (enter.log_det - leave.log_det).expand(len(x))


def _columns(x: Tensor, c: Tensor | None, white: White | None) -> tuple[Tensor, Tensor]:
    """Return points, whitened if asked, and conditions, with points as columns."""
    z = x if white is None else white(x)
    return z.T.contiguous(), z.new_zeros(0, len(x)) if c is None else c.T.contiguous()


def _rows(z: Tensor, white: White | None) -> Tensor:
    """Return points as rows, whose whitening is undone if asked."""
    return (z.T if white is None else white.inverse(z.T)).contiguous()
