"""The kinds of challengers: mixtures, laws of the distance from a centre, free steps."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from wopt.capabilities import Capability, require
from wopt.component import Spec, build
from wopt.host import host
from wopt.interfaces import FlowBlock, Target, Training, new_block
from wopt.particles import split_conditions
from wopt.push import in_batches
from wopt.seeds import derive, seeded
from wopt.train import Muon, minimise
from wopt_certify.challenge.challenger import Challenger, ChallengeRows, Density, rows_of_turn

_SIZES = (1, 4, 12, 32)
_ROUNDS = 40
_GROWTH = 2e-4


class Mixtures(Challenger):
    """Mixtures of Gaussians; held-out rows choose the number of components."""

    name = "Gaussians"

    def fit(self, fit: Tensor, hold: Tensor, turn: int, seed: int) -> Density:
        """Return a mixture fitted to rows ``(n, d)``."""
        return MixtureDensity.best(rows_of_turn(fit, turn), hold, seed)


@dataclasses.dataclass(frozen=True)
class MixtureDensity:
    """p = sum_k w_k N(m_k, S_k), with full covariances shrunk towards that of all rows.

    scikit-learn's mixture is not used: its import costs more CPU time than a short challenge.

    Attributes:
        log_weights: log w_k, shape ``(k,)``.
        means: m_k, shape ``(k, d)``.
        factors: Lower Cholesky factors of the precisions, shape ``(k, d, d)``.
    """

    log_weights: Tensor
    means: Tensor
    factors: Tensor

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor, seed: int) -> MixtureDensity:
        """Fit rows ``(n, d)`` with more and more components until the held-out likelihood falls."""
        fit, hold = fit.double(), hold.double()
        rng = torch.Generator().manual_seed(seed)
        kept, best = None, -math.inf
        for size in _SIZES:
            if kept is not None and size * (fit.shape[1] + 1) * 3 > len(fit):
                break
            mixture, value = cls._em(fit, hold, size, rng)
            if value <= best:
                break
            kept, best = mixture, value
        assert kept is not None
        return kept

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        return torch.cat([self.joint(part).logsumexp(1) for part in points.double().split(8192)])

    def score(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return phi = grad log p at points, shape ``(n, d)``, and its divergence ``(n,)``.

            phi(y) = sum_k c_k g_k,  g_k = P_k (m_k - y),  c_k ~ w_k N(y; m_k, S_k),
            div phi = sum_k c_k (|g_k|^2 - tr P_k) - |phi|^2.

        The field is smooth, so its divergence has no singular part.
        """
        fields, divergences = list[Tensor](), list[Tensor]()
        for y in points.double().split(8192):
            phi, squares = torch.zeros_like(y), y.new_zeros(len(y))
            pairs = zip(self.joint(y).softmax(1).T, self.means, self.factors, strict=True)
            for fraction, mean, factor in pairs:
                slope = (mean - y) @ factor @ factor.T
                phi += fraction[:, None] * slope
                squares += fraction * (slope.square().sum(1) - factor.square().sum())
            fields.append(phi)
            divergences.append(squares - phi.square().sum(1))
        return torch.cat(fields), torch.cat(divergences)

    def joint(self, x: Tensor) -> Tensor:
        """Return log w_k N(x; m_k, S_k) in nats, shape ``(n, k)``, at points ``(n, d)``."""
        # P = U U^T: |U^T (x - m)|^2 by one product for each component.
        pairs = zip(self.means, self.factors, strict=True)
        size = torch.stack([((x - m) @ u).square().sum(1) for m, u in pairs], dim=1)
        log_det = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        return self.log_weights + log_det - x.shape[1] / 2 * math.log(2 * math.pi) - size / 2

    @classmethod
    def _em(
        cls, fit: Tensor, hold: Tensor, size: int, rng: torch.Generator
    ) -> tuple[MixtureDensity, float]:
        whole = _covariance(fit)
        now, best = cls._of(fit, _first_shares(fit, size, rng), whole), -math.inf
        kept, last = now, -math.inf
        for _ in range(_ROUNDS if size > 1 else 1):
            value = float(now(hold).mean())
            if value > best:
                kept, best = now, value
            elif value < best - 0.01:
                break
            joint = now.joint(fit)
            reached = float(joint.logsumexp(1).mean())
            if reached < last + _GROWTH * fit.shape[1]:
                break
            last = reached
            now = cls._of(fit, joint.softmax(1), whole)
        return kept, best

    @classmethod
    def _of(cls, x: Tensor, shares: Tensor, whole: Tensor) -> MixtureDensity:
        counts = shares.sum(0) + 1e-9
        means, d, factors = shares.T @ x / counts[:, None], x.shape[1], list[Tensor]()
        for k in range(len(counts)):
            centred = x - means[k]
            scatter = (shares[:, k, None] * centred).T @ centred
            # A twentieth of the covariance of all rows, with weight d + 1, keeps it regular.
            covariance = (scatter + 0.05 * (d + 1) * whole) / (counts[k] + 0.05 * (d + 1))
            factors.append(torch.linalg.cholesky(torch.linalg.inv(covariance)))
        return cls((counts / counts.sum()).log(), means, torch.stack(factors))


def centre_and_whitening(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return m ``(d,)`` and lower triangular W ``(d, d)``, with which W^T (x - m) is white.

    Example:
        >>> m, w = centre_and_whitening(torch.tensor([[1.0], [5.0]]).double())
        >>> float(m), round(float(w), 3)
        (3.0, 0.5)
    """
    return x.mean(0), torch.linalg.cholesky(torch.linalg.inv(_covariance(x)))


def _covariance(x: Tensor) -> Tensor:
    """Return the covariance of rows ``(n, d)`` with a small ridge."""
    whole = torch.cov(x.T, correction=0).reshape(2 * x.shape[1:])
    return whole + 1e-6 * float(whole.diagonal().mean()) * torch.eye(len(whole)).to(whole)


def _first_shares(x: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Return memberships by the nearest of centres that are far apart (k-means++)."""
    rows = x[torch.randperm(len(x), generator=rng)[:2000]]
    centres = rows[:1]
    for _ in range(size - 1):
        gap = torch.cdist(rows, centres).square().amin(1)
        centres = torch.cat([centres, rows[torch.multinomial(gap, 1, generator=rng)]])
    for _ in range(5):
        near = torch.cdist(x, centres).argmin(1)
        counts = torch.bincount(near, minlength=size).clamp(min=1)
        centres = torch.zeros_like(centres).index_add_(0, near, x) / counts[:, None]
    return torch.nn.functional.one_hot(torch.cdist(x, centres).argmin(1), size).double()


_KNOTS = (0, 8, 32, 96)
"""Numbers of quantiles among which held-out rows choose; 0 for a Gaussian."""
_ROWS_A_KNOT = 16


@dataclasses.dataclass(frozen=True)
class NormalScores:
    """p(x) = phi(u(x)) u'(x),  u piecewise linear and increasing, so u(X) is about N(0, 1).

    Attributes:
        x, u: Knots and their normal scores, shape ``(k,)``; beyond them u continues straight.
    """

    x: Tensor
    u: Tensor

    @classmethod
    def best(cls, fit: Tensor, hold: Tensor) -> NormalScores:
        """Return the curve of a column ``(n,)`` that rows ``hold`` find likeliest."""
        trials = [cls.of(fit, k) for k in _KNOTS if k * _ROWS_A_KNOT <= len(fit)]
        return max(trials, key=lambda one: float(one(hold).mean()))

    @classmethod
    def of(cls, column: Tensor, knots: int) -> NormalScores:
        """Return the curve through so many quantiles of a column ``(n,)``; 0 for a Gaussian."""
        levels = (torch.arange(knots).to(column) + 0.5) / max(knots, 1)
        x = column.quantile(levels)
        apart = torch.ones(knots, dtype=torch.bool)
        apart[1:] = x.diff() > 1e-9 * float(column.std())
        if int(apart.sum()) < 2:
            mean, scale = column.mean(), column.std().clamp(min=1e-12)
            return cls(torch.stack([mean - scale, mean + scale]), column.new_tensor([-1.0, 1.0]))
        return cls(x[apart], torch.special.ndtri(levels)[apart])

    def scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return u(x) and log u'(x), shape ``(n,)`` each."""
        at = torch.searchsorted(self.x, x.contiguous()).clamp(1, len(self.x) - 1) - 1
        slope = (self.u.diff() / self.x.diff())[at]
        return self.u[at] + (x - self.x[at]) * slope, slope.log()

    def __call__(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, shape ``(n,)``."""
        u, log_slope = self.scores(x)
        return log_slope - u.square() / 2 - math.log(2 * math.pi) / 2


class Shells(Challenger):
    """Laws of the distance from a centre: thin shells, and tails of any weight."""

    name = "shells"

    def takes(self, turn: int, rows: ChallengeRows) -> bool:
        """Return whether it takes a turn: that of its kind, in two dimensions and more."""
        return super().takes(turn, rows) and rows.points["data"].shape[1] > 1

    def fit(self, fit: Tensor, hold: Tensor, turn: int, seed: int) -> Density:
        """Return the likelier of two shells of rows ``(n, d)``, about 0 and about their mean."""
        fit, hold, d = rows_of_turn(fit, turn), hold.double(), fit.shape[1]
        frames = (fit.new_zeros(d), torch.eye(d).to(fit)), centre_and_whitening(fit)
        shells = [Shell.of(fit, hold, *frame) for frame in frames]
        return max(shells, key=lambda one: float(one(hold).mean()))


@dataclasses.dataclass(frozen=True)
class Shell:
    """p(x) = |W| g(log |w|) / (A_d |w|^d),  w = W^T (x - m),  A_d the area of the unit sphere.

    From the noise's side and about the origin it is the model times a function of the distance.

    Source: Lyu, Simoncelli, *Nonlinear extraction of independent components using radial
    Gaussianization*, 2009.

    Attributes:
        centre, factor: m, shape ``(d,)``, and lower triangular W, shape ``(d, d)``.
    """

    centre: Tensor
    factor: Tensor
    curve: NormalScores

    @classmethod
    def of(cls, fit: Tensor, hold: Tensor, centre: Tensor, factor: Tensor) -> Shell:
        """Return the law of rows ``(n, d)`` for this centre and factor."""
        sizes = [_log_size((x - centre) @ factor) for x in (fit, hold)]
        return cls(centre, factor, NormalScores.best(*sizes))

    def __call__(self, points: Tensor) -> Tensor:
        """Return log p in nats, shape ``(n, d)`` to ``(n,)``, float64."""
        size, d = _log_size((points.double() - self.centre) @ self.factor), points.shape[1]
        area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
        return self.factor.diagonal().log().sum() + self.curve(size) - area - d * size


def _log_size(w: Tensor) -> Tensor:
    return w.norm(dim=1).clamp(min=1e-12).log()


_SOLVER = Muon(learning_rate=4e-3, weight_decay=0.3, warmup=0.1, check_every=0.1, patience=0.99)
"""The best of its ten checks is kept."""


class FreeSteps(Challenger):
    """The proximal step with h = infinity, from the noise's side or the data's.

        log r(x) = log q(B x) + log |det DB(x)|,  the minimiser of KL(B_# p | q) over a block B.

    Args:
        condition: Number of coordinates, the last ones, that are conditions.
        iterations: Iterations of Adam and Muon at its first turn, the third.

    Example:
        >>> import wopt
        >>> from wopt.testing import NormalTarget
        >>> x = 3 + torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> normal = NormalTarget([0.0], [[1.0]])
        >>> steps = FreeSteps(wopt.build("block", "affine"), normal, iterations=300)
        >>> abs(float(steps.fit(x[:400], x[400:], turn=2, seed=0)(x).mean()) + 1.4189) < 0.1
        True
    """

    name = "free step"

    def __init__(
        self, spec: Spec, target: Target, condition: int = 0, iterations: int = 100
    ) -> None:
        self.spec, self.target, self.condition = spec, target, condition
        self.iterations = iterations

    def takes(self, turn: int, rows: ChallengeRows) -> bool:
        """Return that it takes every turn after those of closed forms."""
        return turn > 1

    def fit(self, fit: Tensor, hold: Tensor, turn: int, seed: int) -> Density:
        """Return a step from rows ``(n, d)``, with twice the iterations of the turn before."""
        # The block starts on standardised rows, conditions as they are.
        fit, d = fit.double(), fit.shape[1] - self.condition
        shift, scale = fit.mean(0), fit.std(0).clamp(min=1e-6)
        shift[d:], scale[d:] = 0.0, 1.0

        def inside(points: Tensor) -> tuple[Tensor, ...]:
            """Return rows ``(n, d)`` in the block's coordinates, and their conditions."""
            rows = ((points.double() - shift) / scale).float()
            return split_conditions(rows, self.condition)

        @torch.no_grad()
        def density(points: Tensor) -> Tensor:
            """Return log r in nats by the audited map, shape ``(n, d)`` to ``(n,)``, float64."""
            y, log_det = in_batches(block.audit, *inside(points))
            log_q = -self.target.potential(y).double()
            return (log_q + log_det.double() - scale.log().sum()).nan_to_num(-math.inf, -math.inf)

        def loss(block: FlowBlock, rows: Tensor | None) -> Tensor:
            """Return KL to the target but for a constant, nats, on rows of numbers ``(n,)``."""
            y, log_det = block(*(x if rows is None else x[rows] for x in x_and_c))
            return (self.target.potential(y) - log_det).mean()

        with seeded(derive(seed, "free step")), torch.enable_grad():
            block: FlowBlock = new_block(self.spec, d, self.condition)
            name = f"block {type(block).__name__}"
            require("a challenger", Capability.LOG_DET, name, block.provides)
            block.to(torch.float32)
            x_and_c = inside(fit)
            with torch.no_grad():
                block.initialise(*x_and_c)
            solver = _SOLVER.varied(iterations=self.iterations * 2 ** (turn - 2))
            training = Training(
                block, loss, len(fit), held_out=lambda _: -float(density(hold).mean())
            )
            minimise(solver, training)
        block.freeze()
        return density


def block_for(preferred: tuple[str, ...] = ("autoregressive", "spline", "ode")) -> Spec | None:
    """Return the first of these blocks that is installed, by default ``autoregressive``."""
    known = host().registry.names("block")
    return next((build("block", name) for name in preferred if name in known), None)
