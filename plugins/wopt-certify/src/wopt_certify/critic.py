"""The critic: smooth test fields for the Stein form, fitted and evaluated on different rows."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.bijection import given
from wopt.capabilities import Capability
from wopt.component import Spec
from wopt.errors import CapabilityError, DataError
from wopt.interfaces import FlowBlock, Training, new_block
from wopt.particles import split_conditions
from wopt.seeds import derive, generator, seeded
from wopt.stein import AffineField, SteinForm
from wopt.train import Adam, minimise
from wopt_blocks import Gaussians
from wopt_certify.challenge.densities import likeliest_mixture
from wopt_certify.estimate import Estimate, combine

_WAVES = 300
_ROWS, _POINTS = 8000, 8192
_RIDGES = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Ridges that are tried, in multiples of the functions' mean square."""


@dataclasses.dataclass(frozen=True)
class CriticOptions:
    """The options of the search for test fields.

    Attributes:
        net: A block that provides VELOCITY: its velocity is a field, with exact divergence.
        iterations: Adam iterations of the net; 0 leaves affine fields alone.
        mixtures: Mixtures fitted so far, with their rows ``(n, d)``: the critics of a step and of
            the gradient after it share the same particles.
    """

    net: Spec
    iterations: int = 300
    learning_rate: float = 5e-3
    batch_size: int = 1000
    level: float = 0.95
    seed: int = 0
    mixtures: list[tuple[Tensor, Gaussians]] = dataclasses.field(
        default_factory=list, repr=False, compare=False
    )


def _ridged(
    gram: Tensor, linear: Tensor, of: Callable[[Tensor], tuple[Tensor, Tensor]], form: SteinForm
) -> Tensor:
    """Return coefficients that maximise  2 <xi, phi> - E|phi|^2 - ridge |c|^2.

    The ridge is the best on other rows, of ``form``, for fields that ``of`` returns there; the
    coefficients are zero where no field gains.
    """
    size, eye = float(gram.diagonal().mean()), torch.eye(len(gram)).to(gram)
    best, kept = 0.0, torch.zeros_like(linear)
    for ridge in _RIDGES:
        found, singular = torch.linalg.solve_ex(gram + ridge * size * eye, linear)
        if singular:  # all rows are one point in float64
            continue
        gain = _gain(form, *of(found))
        if gain > best:
            best, kept = gain, found
    return kept


class WaveField:
    """phi(y) = sum_j c_j sin(w_j . u + b_j),  u = (y - m)/s,  w_j ~ N(0, I/bandwidth^2).

    The coefficients c_j in R^d solve one linear system for all coordinates.

    Source: Rahimi, Recht, *Random features for large-scale kernel machines*, 2007; docs/theory
    (4.1).

    Args:
        bandwidth: Bandwidth in units of the standard deviation of a coordinate.
    """

    def __init__(self, fit: SteinForm, validation: SteinForm, bandwidth: float, seed: int) -> None:
        y = torch.cat(fit.inputs, dim=1)[:_ROWS]
        self.shift, self.scale = y.mean(0), y.std(0).clamp(min=1e-12)
        count = max(2, min(_WAVES, len(y) // 4))
        rng = generator(seed, "waves")
        waves = torch.randn(y.shape[1], count, generator=rng, dtype=torch.float64) / bandwidth
        phase = 2 * torch.pi * torch.rand(count, generator=rng, dtype=torch.float64)
        self.waves, self.phase = waves.to(y), phase.to(y)
        self.slopes = (self.waves / self.scale[:, None])[: fit.points.shape[1]]
        fit = fit.rows(slice(_ROWS))
        sine, cosine = self._angles(*fit.inputs)
        n = len(sine)
        linear = sine.T @ fit.by_point / n
        linear = linear + (cosine.T @ fit.by_log_det / n)[:, None] * self.slopes.T
        seen = self._angles(*validation.inputs)
        self.matrix = _ridged(
            sine.T @ sine / n, linear, lambda matrix: self._of(*seen, matrix), validation
        )

    def __call__(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y`` given c, shapes ``(n, d)`` and ``(n,)``."""
        return self._of(*self._angles(y.double(), c), self.matrix)

    def _angles(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        angle = (torch.cat(given(y, c), dim=1) - self.shift) / self.scale @ self.waves + self.phase
        return angle.sin(), angle.cos()

    def _of(self, sine: Tensor, cosine: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        divergence = cosine @ (self.slopes.T * matrix).sum(1)
        return sine @ matrix, divergence


_CENTRES_OF_RADIUS = 9
_REACH, _WIDTH = 3.0, 0.75
"""Reach and width of the bumps, in standard deviations of the logarithm of the distance."""


class RadialField:
    """The best field phi(y) = (y - m) b(t),  t = log |y - m|,  b a sum of bumps.

        b(t) = sum_k c_k exp(-(t - t_k)^2/(2 w^2)) + c,    div phi = d b + b'(t).

    There are ten coefficients in any dimension.
    """

    def __init__(self, fit: SteinForm, validation: SteinForm) -> None:
        self.centre = fit.points.mean(0)
        logs = self._outward(fit.points)[1]
        self.shift, self.scale = float(logs.mean()), max(float(logs.std()), 1e-6)
        way, bumps, slopes = self._parts(fit.points)
        along = (fit.by_point * way).sum(1)
        each = along[:, None] * bumps
        each = each + fit.by_log_det[:, None] * (way.shape[1] * bumps + slopes)
        gram = (bumps * way.square().sum(1, keepdim=True)).T @ bumps / len(way)
        seen = self._parts(validation.points)
        self.coefficients = _ridged(gram, fit.mean(each), lambda c: self._of(*seen, c), validation)

    def __call__(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y``, shapes ``(n, d)`` and ``(n,)``."""
        return self._of(*self._parts(y.double()), self.coefficients)

    @staticmethod
    def _of(way: Tensor, bumps: Tensor, slopes: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        b = bumps @ c
        return way * b[:, None], way.shape[1] * b + slopes @ c

    def _outward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return y - m and log |y - m|."""
        way = y - self.centre
        return way, way.norm(dim=1).clamp(min=1e-12).log()

    def _parts(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return y - m, and the functions of t and their derivatives, the last one constant."""
        way, logs = self._outward(y)
        centres = torch.linspace(-_REACH, _REACH, _CENTRES_OF_RADIUS).to(logs)
        u = (((logs - self.shift) / self.scale)[:, None] - centres) / _WIDTH
        bumps = (-u.square() / 2).exp()
        slopes = -u * bumps / (_WIDTH * self.scale)
        pad = torch.nn.functional.pad
        return way, pad(bumps, (0, 1), value=1.0), pad(slopes, (0, 1))


class NetField:
    """phi(y) = s u((y - m)/s) for a block's velocity u, trained to maximise (4.1) of the theory."""

    def __init__(self, train: SteinForm, validation: SteinForm, options: CriticOptions) -> None:
        y, d = torch.cat(train.inputs, dim=1), train.points.shape[1]
        self.shift = train.mean(y)
        self.scale = train.mean((y - self.shift).square()).sqrt().clamp(min=1e-12)
        with seeded(options.seed), torch.enable_grad():
            self.net: FlowBlock = new_block(options.net, d, y.shape[1] - d)
            if Capability.VELOCITY not in self.net.provides:
                raise CapabilityError(
                    f"block {type(self.net).__name__} cannot be the critic: it provides no "
                    "VELOCITY; choose another certify.critic, such as ode"
                )
            self.net.to(dtype=torch.float32, device=y.device)
            solver = Adam(
                iterations=options.iterations,
                learning_rate=options.learning_rate,
                batch_size=options.batch_size,
                warmup=0.1,
                check_every=0.1,
                patience=0.99,  # the best of these checks is kept
            )
            minimise(
                solver,
                Training(
                    self.net,
                    self._loss(train),
                    len(y),
                    held_out=lambda _: -_gain(validation, *self(*validation.inputs)),
                ),
            )
        self.net.freeze()

    def __call__(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``(phi, div phi)`` at ``y`` given c, shapes ``(n, d)`` and ``(n,)``."""
        # Scaling by s outside and 1/s inside leaves the divergence unchanged.
        with torch.no_grad():
            v, divergence = self.net.velocity(*self._inside(y, c))
        return self.scale[: y.shape[1]] * v.double(), divergence.double()

    def _inside(self, y: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
        inside = ((torch.cat(given(y, c), dim=1) - self.shift) / self.scale).float()
        return split_conditions(inside, inside.shape[1] - y.shape[1])

    def _loss(self, train: SteinForm) -> Callable[[FlowBlock, Tensor | None], Tensor]:
        """Return a function for  E|phi|^2 - 2 <xi, phi>  on rows."""
        inside, scale = self._inside(*train.inputs), self.scale[: train.points.shape[1]]
        by_point, scale = (train.by_point * scale).float(), scale.float()
        by_log_det, n = train.by_log_det.float(), len(train.points)
        shares = torch.ones(n) if train.weights is None else (train.weights * n).float()

        def loss(net: FlowBlock, chosen: Tensor | None) -> Tensor:
            """Return the mean over rows of numbers ``(n,)``, or over all."""
            rows = slice(None) if chosen is None else chosen
            v, divergence = net.velocity(*(part[rows] for part in inside))
            along = (by_point[rows] * v).sum(1) + by_log_det[rows] * divergence
            return (shares.to(v)[rows] * ((scale * v).square().sum(1) - 2 * along)).mean()

        return loss


def _gain(form: SteinForm, phi: Tensor, divergence: Tensor) -> float:
    """Return  2 <xi, phi> - E|phi|^2."""
    return float(form.mean(2 * form.along(phi, divergence) - phi.square().sum(1)))


Field = Callable[..., tuple[Tensor, Tensor]]
"""A test field: from points ``(n, d)``, and their context ``(n, k)`` if any, to ``(phi, div phi)``,
shapes ``(n, d)`` and ``(n,)``."""

TOGETHER = "together"
"""The name of the best combination of all fields."""

_BANDWIDTHS = (0.12, 0.35, 1.0)
"""Bandwidths of waves, in units of a typical distance, sqrt(d) standard deviations."""


def seen_by_fields(form: SteinForm, options: CriticOptions) -> dict[str, Estimate]:
    """Return the part of |xi| that each test field sees, and their best combination.

        |xi| >= sup over phi of <xi, phi>/|phi|

    up to the sampling error that the interval states: a finite class cannot see all of xi.

    Fields fitted on one half of the rows are evaluated on the other, and the other way round: an
    affine one, one along the distance from a centre, random waves, the score of a mixture, a net.
    Quadrature nodes (weights) serve for both; there only affine fields and a net are used.

    Raises:
        CapabilityError: The net has no velocity.
        DataError: There are fewer than six rows.

    Source: docs/theory 4.2 (b), (4.1).
    """
    if form.weights is not None:
        parts = [_judged(form, _fields(form, form, options), form)]
    else:
        parts = []
        for k in (0, 1):
            fit, judge = form.rows(slice(k, None, 2)), form.rows(slice(1 - k, None, 2))
            cut = len(fit.points) * 4 // 5
            if cut < 2:
                raise DataError(
                    "test fields are fitted on parts of 6 rows at least, and there are "
                    f"{len(form.points)}; give more rows"
                )
            fold = dataclasses.replace(options, seed=derive(options.seed, "fold", k))
            train, validation = fit.rows(slice(cut)), fit.rows(slice(cut, None))
            parts.append(_judged(validation, _fields(train, validation, fold), judge))
    return {name: combine([part[name] for part in parts], options.level) for name in parts[0]}


def _judged(
    validation: SteinForm, fields: dict[str, Field], judge: SteinForm
) -> dict[str, tuple[float, float]]:
    """Return <xi, phi>/|phi| and its error on other rows, by field and for their combination."""
    values = {name: field(*judge.inputs) for name, field in fields.items()}
    sizes = {name: judge.size(*value) for name, value in values.items()}
    weights = _weights(validation, [field(*validation.inputs) for field in fields.values()])
    pairs = list(zip(weights, values.values(), strict=True))
    phi = torch.stack([w * v for w, (v, _) in pairs]).sum(0)
    divergence = torch.stack([w * div for w, (_, div) in pairs]).sum(0)
    return {**sizes, TOGETHER: judge.size(phi, divergence)}


def _weights(validation: SteinForm, values: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the best combination of fields on held-out rows."""
    # Fields that see nothing there would add their sampling error: all but the affine one need
    # three times their standard error.
    sizes = [validation.size(*value) for value in values]
    used = [k for k, (size, error) in enumerate(sizes) if not k or size > 3 * error]
    some = [values[k] for k in used]
    linear = torch.stack([validation.mean(validation.along(*value)) for value in some])
    rows = [[validation.mean((a * b).sum(1)) for a, _ in some] for b, _ in some]
    gram = torch.stack([torch.stack(row) for row in rows])
    # A field that is zero (an exact step can leave nothing to find) makes the matrix singular.
    best = torch.linalg.lstsq(gram, linear[:, None], driver="gelsd").solution[:, 0]
    weights = linear.new_zeros(len(values))
    weights[used] = best if float(best @ linear) > 0 else torch.ones_like(best)
    return weights


def _fields(train: SteinForm, validation: SteinForm, options: CriticOptions) -> dict[str, Field]:
    """Return fields fitted on ``train``, their states chosen on ``validation``."""
    fields: dict[str, Field] = {"affine": AffineField(train)}
    if options.iterations and train.weights is None:
        size = math.sqrt(train.points.shape[1])
        for k, fraction in enumerate(_BANDWIDTHS):
            waves = WaveField(train, validation, fraction * size, derive(options.seed, k))
            fields[f"waves {fraction:g}"] = waves
        fields["radial"] = RadialField(train, validation)
        if train.context is None:
            fields["mixture score"] = functools.partial(
                score_of_mixture, _mixture(train, validation, options)
            )
    if options.iterations:
        fields[f"net {options.iterations}"] = NetField(train, validation, options)
    return fields


def _mixture(train: SteinForm, validation: SteinForm, options: CriticOptions) -> Gaussians:
    """Return the mixture fitted to these rows, once for all forms on them."""
    for rows, known in options.mixtures:
        if torch.equal(rows, train.points):
            return known
    made = likeliest_mixture(train.points, validation.points)
    options.mixtures.append((train.points, made))
    return made


def score_of_mixture(law: Gaussians, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return phi = grad log p at points, shape ``(n, d)``, and its divergence ``(n,)``.

    phi(y) = sum_k c_k g_k,  g_k = P_k (m_k - y),  c_k ~ w_k N(y; m_k, S_k),  P_k = S_k^-1,
    div phi = sum_k c_k (|g_k|^2 - tr P_k) - |phi|^2.
    """
    precisions = torch.cholesky_inverse(law.factors)
    traces = precisions.diagonal(dim1=1, dim2=2).sum(1)
    parts = []
    for y in points.double().split(_POINTS):
        shares = law.joint(y).softmax(1).T
        slopes = (law.means[:, None] - y) @ precisions
        phi = (shares[:, :, None] * slopes).sum(0)
        squares = (shares * (slopes.square().sum(2) - traces[:, None])).sum(0)
        parts.append((phi, squares - phi.square().sum(1)))
    fields, divergences = zip(*parts, strict=True)
    return torch.cat(fields), torch.cat(divergences)
