"""Energies against closed forms for Gaussians (docs/theory 2.1), on exact quadrature nodes."""

import math

import pytest
import torch

import wopt
from wopt.testing import NormalTarget, gaussian_kl, gaussian_nodes
from wopt_functionals import (
    Chi2,
    Entropy,
    FDivergence,
    ForwardKL,
    Internal,
    Potential,
    RenyiDivergence,
    RenyiEntropy,
)

M, N = torch.tensor([0.5, -0.3]).double(), torch.tensor([-0.2, 0.4]).double()
C = torch.tensor([[1.0, 0.3], [0.3, 0.8]]).double()
S = torch.tensor([[1.2, -0.2], [-0.2, 0.9]]).double()
CASES = {
    "line": (M[:1], C[:1, :1], N[:1], S[:1, :1], 80),
    "plane": (M, C, N, S, 40),
}


@pytest.fixture(params=CASES)
def pair(request):
    return CASES[request.param]


def target(n, s):
    return NormalTarget(n.tolist(), s.tolist())


def near(value, exact, tolerance=1e-7):
    assert float(value) == pytest.approx(float(exact), rel=tolerance, abs=tolerance)


def power_integral(c, m):
    """Return int p^m for p = N(., c)."""
    d = len(c)
    det = torch.linalg.det(c)
    return (2 * math.pi) ** (d * (1 - m) / 2) * det ** ((1 - m) / 2) * m ** (-d / 2)


def ratio_integral(m, c, n, s, alpha):
    """Return int p^alpha q^(1 - alpha)."""
    mixed = (1 - alpha) * c + alpha * s
    gap = m - n
    dets = [torch.linalg.det(x) for x in (c, s, mixed)]
    inner = gap @ torch.linalg.solve(mixed, gap)
    scale = dets[0] ** ((1 - alpha) / 2) * dets[1] ** (alpha / 2) * dets[2] ** -0.5
    return scale * torch.exp(alpha * (alpha - 1) * inner / 2)


def entropy(c):
    return 0.5 * torch.logdet(2 * math.pi * math.e * c)


def alpha_divergence(a):
    return lambda *pq: (ratio_integral(*pq, a) - 1) / (a * (a - 1))


def reverse_kl(m, c, n, s):
    return gaussian_kl(n, s, m, c)


def chi2(*pq):
    return ratio_integral(*pq, 2.0) - 1


EXACT = [
    *((Internal, {"m": k}, lambda m, c, n, s, k=k: power_integral(c, k) / (k - 1))
      for k in (2.0, 1.5, 3.0, 0.8)),
    *((RenyiEntropy, {"alpha": a}, lambda m, c, n, s, a=a: power_integral(c, a).log() / (a - 1))
      for a in (2.0, 0.5)),
    *((RenyiDivergence, {"alpha": a}, lambda *pq, a=a: ratio_integral(*pq, a).log() / (a - 1))
      for a in (0.5, 1.5, 2.0)),
    *((FDivergence, {"f": "alpha", "alpha": a}, alpha_divergence(a)) for a in (1.5, 0.5, -0.5)),
    (FDivergence, {"f": "alpha", "alpha": 0.0}, reverse_kl),
    (FDivergence, {"f": "alpha", "alpha": 1.0}, gaussian_kl),
    (FDivergence, {"f": "kl"}, gaussian_kl),
    (FDivergence, {"f": "reverse_kl"}, reverse_kl),
    (FDivergence, {"f": "chi2"}, chi2),
    (FDivergence, {"f": "hellinger"}, lambda *pq: 2 - 2 * ratio_integral(*pq, 0.5)),
    (Entropy, {}, lambda m, c, n, s: -entropy(c)),
    (Potential, {}, lambda m, c, n, s: gaussian_kl(m, c, n, s) + entropy(c)),
    (ForwardKL, {}, reverse_kl),
    (Chi2, {}, chi2),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "exact"), EXACT)
def test_energies_are_the_closed_forms(pair, kind, options, exact):
    *pq, order = pair
    if kind not in (Internal, RenyiEntropy, Entropy):
        options = {"target": target(*pq[2:]), **options}
    near(kind(**options).energy(gaussian_nodes(*pq[:2], order)), exact(*pq), 1e-6)


def test_entropy_without_the_start_is_right_up_to_a_constant():
    p = gaussian_nodes(M, C, 5)
    unknown = wopt.Particles.start(p.points, p.weights)
    moved = torch.full((len(p),), 0.7, dtype=torch.float64)
    change = [
        Entropy().energy(q.moved(q.points, moved)) - Entropy().energy(q) for q in (p, unknown)
    ]
    near(change[0], -0.7)
    near(change[1], -0.7)


def test_renyi_divergence_needs_no_constant(pair):
    m, c, n, s, order = pair
    known, p = target(n, s), gaussian_nodes(m, c, order)
    unknown = wopt.build(
        "target", {"name": "potential", "function": lambda x: known.potential(x) + 3}
    )
    gap = RenyiDivergence(unknown).energy(p) - RenyiDivergence(known).energy(p)
    near(gap, 3)
    with pytest.raises(wopt.CapabilityError, match="NORMALISED"):
        wopt.solve(p, objective=Chi2(unknown))


def test_jensen_shannon_against_quadrature_on_a_grid():
    (m, c, n, s, order) = CASES["line"]
    grid = torch.linspace(-12, 12, 20001).double()[:, None]
    laws = [torch.distributions.MultivariateNormal(*pair) for pair in ((m, c), (n, s))]
    p, q = (law.log_prob(grid).exp() for law in laws)
    middle = (p + q) / 2
    exact = (torch.xlogy(p, p / middle) + torch.xlogy(q, q / middle)).sum() / 2 * 24 / 20000
    found = FDivergence(target(n, s)).energy(gaussian_nodes(m, c, order))
    near(found, exact, 1e-5)


def test_f_as_a_python_function_agrees_with_its_name(pair):
    m, c, n, s, order = pair
    p = gaussian_nodes(m, c, order)
    mine = FDivergence(target(n, s), f=lambda r: 2 * (r - r.sqrt())).energy(p)
    near(mine, FDivergence(target(n, s), f="hellinger").energy(p))
