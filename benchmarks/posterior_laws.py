"""Targets whose log Z and moments are known: arms, rings, funnels, tails, modes.

Each is ``(log_prob, dim, log_z, draws)``: log_prob is the log-density plus ``log_z``, and ``draws``
are exact ones (or None, with means and deviations by quadrature). Half of them were looked at while
samplers were written; the others (``HELD_OUT``) only to report.
"""

import dataclasses
import math

import torch
from torch import Tensor

from wopt_measures.laws.bent import BananaLaw, FunnelLaw
from wopt_measures.laws.gaussian import GaussianLaw
from wopt_measures.laws.mixture import MixtureLaw
from wopt_measures.laws.spheres import StudentLaw

__all__ = ["FRESH", "HELD_OUT", "LAWS", "TUNED", "Law"]

MANY = 400_000
LOG_Z = 1.5
"""Added to every log-density."""


@dataclasses.dataclass
class Law:
    """A target: its log-density up to ``log_z``, and exact draws or its moments.

    With ``tails`` means and deviations are those of asinh, since the law has no variance.
    """

    log_prob: object
    dim: int
    draws: Tensor | None = None
    moments: tuple[Tensor, Tensor] | None = None
    tails: bool = False
    log_z: float = LOG_Z

    def of(self, x):
        return torch.asinh(x) if self.tails else x

    def truth(self):
        if self.moments is not None:
            return self.moments
        x = self.of(self.draws)
        return x.mean(0), x.std(0)


def normal(x, mean=0.0, sd=1.0):
    sd = torch.as_tensor(sd, dtype=torch.float64)
    return -(((x - mean) / sd) ** 2) / 2 - torch.log(sd) - math.log(2 * math.pi) / 2


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=chance(seed))


def bananas(bends, sds, turn=False):
    """x_0 and then, for each bend, b (x_0^2 - 1) plus noise; perhaps turned at random."""
    b, s = torch.tensor(bends).double(), torch.tensor(sds).double()
    d = 1 + len(bends)
    q = torch.linalg.qr(randn(d, d, seed=9))[0] if turn else torch.eye(d).double()

    def log_prob(x):
        x = x @ q
        head = x[:, :1]
        return LOG_Z + normal(head)[:, 0] + normal(x[:, 1:], b * (head**2 - 1), s).sum(1)

    z = randn(MANY, d)
    return Law(log_prob, d, torch.cat([z[:, :1], b * (z[:, :1] ** 2 - 1) + s * z[:, 1:]], 1) @ q.T)


def pairs(bends, sd, turn=True):
    """Planar bananas side by side, turned at random."""
    d = 2 * len(bends)
    b = torch.tensor(bends).double()
    q = torch.linalg.qr(randn(d, d, seed=8))[0] if turn else torch.eye(d).double()

    def log_prob(x):
        x = x @ q
        head, tail = x[:, ::2], x[:, 1::2]
        return LOG_Z + (normal(head) + normal(tail, b * (head**2 - 1), sd)).sum(1)

    z = randn(MANY, d)
    z[:, 1::2] = b * (z[:, ::2] ** 2 - 1) + sd * z[:, 1::2]
    return Law(log_prob, d, z @ q.T)


def ring(radius, sd):
    mass = radius * sd * math.sqrt(2 * math.pi)  # of r exp(...) over r; r < 0 weighs nothing
    log_mass = math.log(2 * math.pi * mass)

    def log_prob(x):
        return LOG_Z - log_mass - ((x.norm(dim=1) - radius) / sd) ** 2 / 2

    size = math.sqrt((radius**2 + 3 * sd**2) / 2)  # E r^3 / E r, over two
    zero = torch.zeros(2).double()
    return Law(log_prob, 2, moments=(zero, zero + size))


def known(law, tails=False):
    draws = law.sample(MANY, law.dim, chance())
    return Law(lambda x: LOG_Z + law.log_prob(x), law.dim, draws, tails=tails)


def moons():
    """Two thin arcs: Rezende, Mohamed, 2015; normalised by quadrature."""

    def arcs(x):
        a = -(((x.norm(dim=1) - 2) / 0.2) ** 2) / 2
        side = [-(((x[:, 0] - c) / 0.3) ** 2) / 2 + math.log(w) for c, w in ((2, 0.7), (-2, 0.3))]
        return a + torch.logaddexp(*side)

    t = torch.linspace(-5, 5, 2001).double()
    x = torch.cartesian_prod(t, t)
    log_mass = arcs(x).logsumexp(0) + 2 * math.log(0.005)
    w = (arcs(x) - log_mass).exp() * 0.005**2
    mean = w @ x
    sd = (w @ (x - mean) ** 2).sqrt()
    return Law(lambda x: LOG_Z - float(log_mass) + arcs(x), 2, moments=(mean, sd))


def gaussian(d, condition):
    values = torch.logspace(0, math.log10(condition), d).double()
    q = torch.linalg.qr(randn(d, d, seed=7))[0]
    factor = torch.linalg.cholesky(q @ values.diag() @ q.T)
    return known(GaussianLaw(torch.full((d,), 3.0).double(), factor))


def horseshoe(estimates, error):
    """A horseshoe regression of orthogonal columns: x = (log tau, log lambda_j, beta_j).

    beta_j ~ N(0, tau^2 lambda_j^2), tau and lambda_j half-Cauchy, estimates_j ~ N(beta_j, error^2).
    Given tau the coefficients are independent, so log Z and moments are by quadrature.
    """
    y = torch.tensor(estimates).double()
    p = len(y)

    def half_cauchy(u):  # of a logarithm
        return math.log(2 / math.pi) + u - torch.nn.functional.softplus(2 * u)

    def log_prob(x):
        tau, local, beta = x[:, 0], x[:, 1 : p + 1], x[:, p + 1 :]
        prior = half_cauchy(tau) + half_cauchy(local).sum(1)
        scale = (tau[:, None] + local).exp()
        return prior + (normal(beta, 0.0, scale) + normal(y, beta, error)).sum(1)

    u = torch.linspace(-25, 25, 4001).double()
    step = float(u[1] - u[0])
    spread = (u[::4, None] + u).exp() ** 2  # tau down, lambda across
    part, first, second = [], [], []
    for k in range(p):
        log_joint = half_cauchy(u) + normal(y[k], 0.0, (spread + error**2).sqrt())
        given = log_joint.logsumexp(1) + math.log(step)
        part.append(given)
        w = (log_joint - given[:, None] + math.log(step)).exp()
        shrink = spread / (spread + error**2)
        mean = y[k] * shrink
        first.append(torch.stack([(w * u).sum(1), (w * mean).sum(1)]))
        square = mean**2 + error**2 * shrink
        second.append(torch.stack([(w * u**2).sum(1), (w * square).sum(1)]))
    log_tau = half_cauchy(u[::4]) + sum(part)
    log_z = float(log_tau.logsumexp(0)) + math.log(4 * step)
    w = (log_tau - log_z + math.log(4 * step)).exp()
    m1, m2 = torch.stack(first, 1) @ w, torch.stack(second, 1) @ w
    mean = torch.cat([(w @ u[::4])[None], m1.reshape(-1)])
    square = torch.cat([(w @ u[::4] ** 2)[None], m2.reshape(-1)])
    return Law(log_prob, 2 * p + 1, moments=(mean, (square - mean**2).sqrt()), log_z=log_z)


def shell(d, radius, sd):
    """A thin sphere: the arms of a ring in more dimensions."""
    r = torch.linspace(0, radius + 12 * sd, 40_001).double()
    values = (d - 1) * torch.log(r) - ((r - radius) / sd) ** 2 / 2
    area = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
    log_mass = float(values.logsumexp(0)) + math.log(float(r[1])) + area
    size = float((values.softmax(0) @ r**2 / d).sqrt())
    zero = torch.zeros(d).double()
    return Law(
        lambda x: LOG_Z - log_mass - ((x.norm(dim=1) - radius) / sd) ** 2 / 2,
        d,
        moments=(zero, zero + size),
    )


def rosenbrock(count):
    """Pairs x ~ N(1, 10), y ~ N(x^2, 0.1) side by side: Rosenbrock's function over 20."""
    z = randn(MANY, 2 * count)

    def log_prob(x):
        head, tail = x[:, ::2], x[:, 1::2]
        return LOG_Z + (normal(head, 1.0, 10**0.5) + normal(tail, head**2, 0.1**0.5)).sum(1)

    z[:, ::2] = 1 + 10**0.5 * z[:, ::2]
    z[:, 1::2] = z[:, ::2] ** 2 + 0.1**0.5 * z[:, 1::2]
    return Law(log_prob, 2 * count, z)


def two_scales(d, fraction, away, sd):
    """A mixture of N(0, I) and, with a fraction, of N(away e, sd^2 I), e = (1, ..., 1)/sqrt(d)."""
    centre = torch.full((d,), away / math.sqrt(d)).double()

    def log_prob(x):
        parts = normal(x).sum(1), normal(x, centre, sd).sum(1)
        return LOG_Z + torch.logaddexp(
            math.log(1 - fraction) + parts[0], math.log(fraction) + parts[1]
        )

    square = (1 - fraction) + fraction * (sd**2 + centre**2)
    mean = fraction * centre
    return Law(log_prob, d, moments=(mean, (square - mean**2).sqrt()))


def log_gammas(shape, d):
    """Logarithms of Gamma variables, turned at random: one tail of each is exponential."""
    q = torch.linalg.qr(randn(d, d, seed=11))[0]
    a = torch.tensor(shape).double()
    middle, spread = torch.digamma(a), torch.polygamma(1, a).sqrt()

    def log_prob(x):
        u = x @ q
        return LOG_Z + (a * u - u.exp() - torch.lgamma(a)).sum(1)

    return Law(log_prob, d, moments=((q * middle).sum(1), (q.square() @ spread.square()).sqrt()))


def student_regression(count):
    """y ~ a + b x + exp(s) t_4 with two outliers, normal priors; moments on a grid of (a, b, s)."""
    x = torch.linspace(-1, 1, count).double()
    y = 0.5 + x + 0.3 * randn(count, seed=12)
    y[:2] += 4

    def log_prob(p):
        a, b, s = p[:, :1], p[:, 1:2], p[:, 2:]
        away = (y - a - b * x) / s.exp()
        constant = math.lgamma(2.5) - math.lgamma(2.0) - math.log(4 * math.pi) / 2
        rows = constant - s - 2.5 * torch.log1p(away.square() / 4)
        return rows.sum(1) + normal(p, 0.0, 2.0).sum(1)

    at = [torch.linspace(low, high, 121).double() for low, high in ((-4, 5), (-5, 5), (-5, 3))]
    volume = math.prod(float(g[1] - g[0]) for g in at)
    grid = torch.cartesian_prod(*at)
    value = torch.cat([log_prob(part) for part in grid.split(100_000)])
    log_z = float(value.logsumexp(0)) + math.log(volume)
    w = value.softmax(0)
    mean = w @ grid
    return Law(log_prob, 3, moments=(mean, (w @ (grid - mean) ** 2).sqrt()), log_z=log_z)


def counts(y):
    """y_j ~ Poisson(exp(u_j)), u_j ~ N(m, exp(2 s)), m ~ N(0, 4), s ~ N(0, 1): (m, s, u)."""
    y = torch.tensor(y).double()

    def poisson(u):
        return y * u - u.exp() - torch.lgamma(y + 1)

    def log_prob(x):
        m, s, u = x[:, :1], x[:, 1:2], x[:, 2:]
        prior = normal(m, 0.0, 2.0) + normal(s)
        return prior[:, 0] + (poisson(u) + normal(u, m, s.exp())).sum(1)

    m, s = torch.linspace(-9, 9, 121).double(), torch.linspace(-5.5, 5.5, 121).double()
    z = torch.linspace(-9, 9, 361).double()
    pairs = torch.cartesian_prod(m, s)
    log_joint = normal(pairs[:, 0], 0.0, 2.0) + normal(pairs[:, 1])
    first, second = [], []
    for k in range(len(y)):  # u = m + exp(s) z
        u = pairs[:, :1] + pairs[:, 1:].exp() * z
        rows = y[k] * u - u.exp() - torch.lgamma(y[k] + 1) + normal(z)
        log_joint = log_joint + rows.logsumexp(1) + math.log(float(z[1] - z[0]))
        w = rows.softmax(1)
        first.append((w * u).sum(1))
        second.append((w * u**2).sum(1))
    log_z = float(log_joint.logsumexp(0)) + math.log(float((m[1] - m[0]) * (s[1] - s[0])))
    w = log_joint.softmax(0)
    mean = torch.cat([w @ pairs, torch.stack(first, 1).T @ w])
    square = torch.cat([w @ pairs**2, torch.stack(second, 1).T @ w])
    law = (square - mean**2).sqrt()
    return Law(log_prob, 2 + len(y), moments=(mean, law), log_z=log_z)


FOUR = [[-5.0, -4.0], [5.0, -5.0], [4.0, 5.0], [-6.0, 5.0]]
NINE = [[6.0 * i, 6.0 * j] for i in (-1, 0, 1) for j in (-1, 0, 1)]

TUNED = {
    "banana, d = 2": lambda: known(BananaLaw(2, across=0.5)),
    "bananas, d = 10": lambda: pairs([0.5, 1.0, 1.5, 2.0, 0.0], 0.5),
    "ring, d = 2": lambda: ring(4.0, 0.2),
    "4 modes, d = 2": lambda: known(MixtureLaw.make(FOUR, 0.7, weights=[4.0, 3.0, 2.0, 1.0])),
    "funnel, d = 3": lambda: known(FunnelLaw(3, 3.0), tails=True),
    "Student, 2 dof, d = 2": lambda: known(StudentLaw(2, 2), tails=True),
    "Gaussian, condition 1e4, d = 5": lambda: gaussian(5, 1e4),
}
HELD_OUT = {
    "banana, bend 2, d = 2": lambda: known(BananaLaw(2, 2.0, across=0.4)),
    "banana, four arms, d = 5": lambda: bananas([2.0, 1.0, -1.5, 0.5], [0.5] * 4, turn=True),
    "two moons, d = 2": moons,
    "sphere, d = 5": lambda: shell(5, 4.0, 0.3),
    "9 modes, d = 2": lambda: known(
        MixtureLaw.make(NINE, 0.6, weights=[float(k) for k in range(1, 10)])
    ),
    "4 modes, d = 10": lambda: known(
        MixtureLaw.make((4 * randn(4, 10, seed=5)).tolist(), weights=[1.0, 2.0, 3.0, 4.0])
    ),
    "funnel, d = 10": lambda: known(FunnelLaw(10, 3.0), tails=True),
    "Student, 2 dof, d = 5": lambda: known(StudentLaw(5, 2), tails=True),
    "Gaussian, condition 1e4, d = 20": lambda: gaussian(20, 1e4),
    "horseshoe, d = 11": lambda: horseshoe([0.2, -0.5, 1.0, 3.0, 8.0], 1.0),
}
FRESH = {  # written when the sampler was done, to judge it
    "banana, d = 4, turned": lambda: bananas([1.5, -1.0, 0.7], [0.4] * 3, turn=True),
    "two scales, d = 20": lambda: two_scales(20, 0.4, 8.0, 0.3),
    "log gammas, d = 8": lambda: log_gammas([0.3, 0.5, 0.5, 1.0, 1.0, 2.0, 5.0, 20.0], 8),
    "Student regression, d = 3": lambda: student_regression(20),
    "counts, d = 8": lambda: counts([0, 1, 1, 3, 8, 30]),
    "Rosenbrock, d = 10": lambda: rosenbrock(5),
}
LAWS = {**TUNED, **HELD_OUT, **FRESH}
