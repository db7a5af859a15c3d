"""The block ``ode``: the flow of a velocity net for unit time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wopt import Bijection, Capability, ConfigError
from wopt.interfaces import Compiler
from wopt_jko.ode import options
from wopt_jko.ode.integrate import DORMAND_PRINCE, integrate, uniform_grid
from wopt_jko.ode.integrated import IntegratedBlock
from wopt_jko.ode.nets import make_net
from wopt_jko.ode.velocity import Field, NetShape

_FEW = 12
"""Largest dimension in which ``half_way`` is offered, as it needs the whole Jacobian."""


Call = Callable[[Field, float | Tensor, Tensor], tuple[Tensor, Tensor | None]]


class ODEBlock(IntegratedBlock):
    """T(x) = x(1) for  dx/dt = v(t, x), x(0) = x,  log |det DT| = int_0^1 div v(t, x(t)) dt.

    v is a net whose divergence is exact:

    - ``two_layer``: two hidden layers, a closed form in any dimension, see
      :class:`~wopt_jko.ode.deep.DeepVelocity`;
    - ``gradient``: the gradient of a potential, so that a step is closer to an optimal map; a
      closed form for one hidden layer, see :class:`~wopt_jko.ode.gradient.GradientVelocity`;
    - ``deep``: any number of hidden layers; beyond two the divergence costs about min(d, width)
      times the velocity, see :class:`~wopt_jko.ode.deep.DeepVelocity`;
    - ``conv``: for rows that are grey images, pixel by pixel (``preprocess`` must not mix pixels:
      "standardise" or "none"): a convolution and the same net at all pixels; a closed form, see
      :class:`~wopt_jko.ode.conv.ConvVelocity`.

    ``divergence = "hutchinson"`` replaces the divergence **in training** by an unbiased estimate
    with one random probe a particle, drawn anew for every pass and kept along the flow. Evaluation,
    and so everything that is reported, stays exact and deterministic.

    Training, evaluation and inversion use one integrator: a fixed grid, whose inner points are
    jittered in training so that none can be exploited; or ``dopri5``, which chooses its steps by
    tolerances, for all rows of a call together: there T(x) depends on the other rows, within the
    tolerance. :meth:`audit` integrates by Dormand and Prince's method on fixed grids instead,
    doubling the grid until the log-det stands still.

    Given conditions the velocity depends on them. With ``latent`` k only the first k coordinates
    move, and the velocity does not see the others.
    Where the coordinates are white principal components (``preprocess = "principal"``) and the
    target is normal, the model is then a flow of k components times the Gaussian that is fitted in
    their orthogonal complement: a density of all coordinates, whose likelihood is exact.

    Source: Chen, Rubanova, Bettencourt, Duvenaud, *Neural ODEs*, 2018; Grathwohl et al., *FFJORD*,
    2019 (the probe that is kept along the flow); Tipping, Bishop, *Probabilistic principal
    component analysis*, 1999 (the Gaussian in the complement, there of one variance).

    Args:
        activation: ``softplus`` (sharp drawings), ``silu`` or ``tanh``.
        sharpness: Factor inside the activation: larger resolves finer detail, needs more steps.
        time: Whether the velocity depends on time.
        steps: Steps of the grid; for ``dopri5`` the first step tried is one of them.
        jitter: Random shift of inner grid points in training, as a fraction of their distance.
        net: ``two_layer``, ``gradient``, ``deep`` or ``conv``.
        depth: Hidden layers of ``gradient`` (1 if not given), ``deep`` (3) or ``conv`` (2).
        divergence: ``exact``, or ``hutchinson`` for an estimate in training.
        integrator: ``euler``, ``midpoint``, ``rk4``, or ``dopri5`` (needs torchdiffeq).
        rtol: Relative tolerance of ``dopri5``.
        atol: Absolute tolerance of ``dopri5``.
        window: Pixels that the net sees, for ``conv``; a square of 5 x 5 pixels if not given.
        latent: Number k of coordinates that move; all if not given.

    Raises:
        ConfigError: Options do not fit together, or torchdiffeq is needed and missing.

    Example:
        >>> block = ODEBlock(2, width=16)
        >>> x = torch.randn(5, 2)
        >>> y, log_det = block(x)
        >>> bool((y == x).all()), log_det.shape
        (True, torch.Size([5]))
        >>> ODEBlock(2, net="deep", depth=4, integrator="midpoint", time=False).net.hidden[2]
        Linear(in_features=128, out_features=128, bias=True)
    """

    cites = ("chen2018", "grathwohl2019", "hutchinson1989", "dormand1980")
    provides = (
        Capability.LOG_DET
        | Capability.INVERSE
        | Capability.ACTION
        | Capability.VELOCITY
        | Capability.FIELD
        | Capability.CONDITION
        | Capability.ROUNDED
    )

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        width: options.Width = 128,
        activation: options.Activation = "softplus",
        sharpness: options.Sharpness = 20.0,
        time: options.Time = True,
        steps: options.Steps = 4,
        jitter: options.Jitter = 0.5,
        net: options.Net = "two_layer",
        depth: options.Depth = None,
        divergence: options.Divergence = "exact",
        integrator: options.Integrator = "rk4",
        rtol: options.Rtol = 1e-5,
        atol: options.Atol = 1e-5,
        window: options.Window = None,
        latent: options.Latent = None,
    ) -> None:
        super().__init__(integrator, steps, jitter, rtol, atol)
        self.moves = _moving(dim, latent)
        shape = NetShape(self.moves, width, activation, sharpness, time, condition)
        self.net = make_net(net, shape, depth, window)
        self.estimates = divergence == "hutchinson"
        if self.estimates and self.net.closed:
            raise ConfigError(
                f'ODEBlock: divergence = "hutchinson": net {net} of this depth has its divergence '
                'in closed form, cheaper than an estimate and without its noise; leave it "exact"'
            )
        if self.tableau is not None and self.moves <= _FEW:
            self.provides = type(self).provides | Capability.HALF_WAY
        self._call: Call | None = None

    def compile_training(self, compiler: Compiler | None) -> None:
        """Compile the velocity, which a pass calls many times."""
        self._call = None if compiler is None else compiler(_called)

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T(x) ``(n, d)`` and its log-det ``(n,)`` in nats, or in training its estimate."""
        y, log_det, _ = self._solve(x, c)
        return y, log_det

    def move(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return T(x), shape ``(n, d)``, without the divergence."""
        return self._solve(x, c, divergence=False)[0]

    def forward_with_action(
        self, x: Tensor, c: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return T(x) ``(n, d)``, the log-det in nats and int |v|^2 dt, shapes ``(n,)``."""
        return self._solve(x, c, action=True)

    def half_way(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (x + T(x))/2 ``(n, d)`` and log |det (I + DT)/2| ``(n,)``, by the Jacobian."""
        tableau = self.tableau
        if tableau is None:
            return super().half_way(x, c)
        # The grid is drawn here, since nothing may be drawn inside vmap.
        grid = self.grid()

        def one(point: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
            """Return T of one point, shape ``(d,)``, twice: to derive, and to keep."""
            field = self.net.field(False, None if given is None else given[None])
            y = integrate(field, point[None], grid, tableau)[0][0]
            return y, y

        z = x[:, : self.moves]
        each = (0, None if c is None else 0)
        jacobian, y = torch.func.vmap(torch.func.jacrev(one, has_aux=True), each)(z, c)
        half = (jacobian + torch.eye(self.moves, dtype=x.dtype, device=x.device)) / 2
        return self._joined((z + y) / 2, x), torch.linalg.slogdet(half)[1]

    def velocity(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the time mean u of v, ``(n, d)``, and div u, ``(n,)``, by Simpson's rule.

        To first order in u, T is id + u, and the flow of u for unit time. A velocity that does not
        depend on time is its own mean.
        """
        z = x[:, : self.moves]
        field = self._field(z, c)
        if self.net.time is None:
            u, divergence = field(0.0, z)
            assert divergence is not None  # it was asked for
            return self._still(u, x), divergence
        u, divergence = torch.zeros_like(z), z.new_zeros(len(z))
        for t, weight in ((0.0, 1 / 6), (0.5, 4 / 6), (1.0, 1 / 6)):
            v, rate = field(t, z)
            assert rate is not None
            u, divergence = u + weight * v, divergence + weight * rate
        return self._still(u, x), divergence

    def field(self, t: Tensor, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return v(t, x; c), shape ``(n, d)``, times of shape ``(n,)``."""
        z = x[:, : self.moves]
        return self._still(self.net.field(False, c)(t[:, None], z)[0], x)

    def inverse(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return T^-1(y) ``(n, d)`` and its log-det ``(n,)`` in nats, backwards in time."""
        x, log_det, _ = self._solve(y, c, reverse=True)
        return x, log_det

    differentiable_inverse = Bijection.differentiable_inverse  # autograd follows the inverse

    @torch.no_grad()
    def audit(
        self, x: Tensor, c: Tensor | None = None, tolerance: float = 1e-3
    ) -> tuple[Tensor, Tensor]:
        """Return T(x) ``(n, d)`` and its log-det ``(n,)`` on grids refined until they agree.

        The method differs from that of training. All rows go on finer grids until they agree in the
        mean, then only those that do not yet.

        Args:
            x: Points, shape ``(n, d)``.
            c: Conditions, shape ``(n, k)``.
            tolerance: Mean change of the log-det (nats) under which a grid counts as fine; a single
                row may change by ten times as much.
        """
        z = x[:, : self.moves]
        steps = self._count
        y, log_det = self._fine(z, c, steps)
        rows = torch.arange(len(z), device=z.device)
        while steps < options.FINEST and len(rows):
            steps *= 2
            there, changed = self._fine(z[rows], None if c is None else c[rows], steps)
            change = (changed - log_det[rows]).abs()
            y[rows], log_det[rows] = there, changed
            if not torch.isfinite(change.mean()):
                break
            if len(rows) < len(z) or change.mean() < tolerance:
                rows = rows[change > 10 * tolerance]
        return self._joined(y, x), log_det

    def _fine(self, z: Tensor, c: Tensor | None, steps: int) -> tuple[Tensor, Tensor]:
        """Return end points and log-det by the audit's method on a grid."""
        grid = uniform_grid(steps)
        y, log_det, _ = integrate(self.net.field(True, c), z, grid, DORMAND_PRINCE)
        return y, log_det

    def _solve(
        self,
        x: Tensor,
        c: Tensor | None,
        divergence: bool = True,
        reverse: bool = False,
        action: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return positions, log-det and action at the other end."""
        z = x[:, : self.moves]
        field = self._field(z, c) if divergence else self._compiled(self.net.field(False, c))
        z, log_det, cost = self.integrated(field, z, reverse, action)
        return self._joined(z, x), log_det, cost

    def _field(self, z: Tensor, given: Tensor | None) -> Field:
        """Return the velocity with its divergence, or with an estimate of it in training."""
        probe = None
        if self.estimates and self.training:
            probe = torch.randint(0, 2, z.shape, device=z.device).to(z) * 2 - 1
        return self._compiled(self.net.field(True, given, probe))

    def _compiled(self, field: Field) -> Field:
        """Return the same velocity, in training in compiled form, if there is one."""
        call = self._call
        if call is None or not self.training:
            return field
        # A time given as a number would become a constant of the compiled code.
        return lambda t, z: call(field, torch.tensor(t, dtype=z.dtype), z)

    def _joined(self, z: Tensor, x: Tensor) -> Tensor:
        """Return points of all coordinates: the moved ones z, and the rest of x."""
        return z if x.shape[1] == self.moves else torch.cat([z, x[:, self.moves :]], dim=1)

    def _still(self, v: Tensor, x: Tensor) -> Tensor:
        """Return a velocity of all coordinates: zero for those that stay."""
        return torch.nn.functional.pad(v, (0, x.shape[1] - self.moves))


def _called(field: Field, t: float | Tensor, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return a velocity at a time; this is the function that is compiled."""
    return field(t, z)


def _moving(dim: int, latent: int | None) -> int:
    """Return how many coordinates move."""
    if latent is not None and latent > dim:
        raise ConfigError(
            f"ODEBlock: latent = {latent}: only {dim} coordinates can move; make it smaller, or "
            "leave it out"
        )
    return latent or dim
