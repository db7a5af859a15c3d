"""What holds for every objective of the plugins with every option, by name from the registry."""

import math

import pytest
import torch

import wopt
from wopt import Particles
from wopt.component import options_model
from wopt.host import host
from wopt.interfaces.objective import energy_derivatives
from wopt.testing import NormalTarget, gaussian_nodes

TRANSPORT = ("barycenter", "sinkhorn", "wasserstein")
SAMPLED = {"samples": 40}
CASES = [
    ("barycenter", {"samples": 24}),
    ("chi2", {}),
    ("dual_f_divergence", {"features": 5, "ridge": 0.1, **SAMPLED}),
    ("dual_f_divergence", {"divergence": "reverse_kl", "features": 5, "ridge": 0.1, **SAMPLED}),
    ("dual_f_divergence", {"divergence": "chi2", "features": 5, "ridge": 0.1, **SAMPLED}),
    ("dual_f_divergence", {"divergence": "hellinger", "features": 5, "ridge": 0.1, **SAMPLED}),
    ("dual_f_divergence", {"divergence": "jensen_shannon", "features": 5, "ridge": 1, **SAMPLED}),
    ("energy_distance", SAMPLED),
    ("entropy", {}),
    ("f_divergence", {"f": "kl"}),
    ("f_divergence", {"f": "reverse_kl"}),
    ("f_divergence", {"f": "chi2"}),
    ("f_divergence", {"f": "hellinger"}),
    ("f_divergence", {"f": "jensen_shannon"}),
    ("f_divergence", {"f": "alpha", "alpha": 1.5}),
    ("f_divergence", {"f": lambda s: s * s.log()}),
    ("fisher_information", {"features": 6}),
    ("forward_kl", {}),
    ("interaction", {"kernel": "quadratic", "strength": 2.0}),
    ("interaction", {"kernel": "quadratic", "estimator": "u"}),
    ("interaction", {"kernel": "power", "power": 1.5}),
    ("interaction", {"kernel": "power", "power": 3.0, "estimator": "u"}),
    ("interaction", {"kernel": "power", "power": -0.5}),
    ("interaction", {"kernel": "log"}),
    ("interaction", {"kernel": "newtonian"}),
    ("interaction", {"kernel": "attraction_repulsion"}),
    ("interaction", {"kernel": lambda z: torch.cos(z).sum(-1), "strength": -2.0}),
    ("interaction", {"kernel": lambda z: -z.norm(dim=-1).log(), "estimator": "u"}),
    ("internal", {"m": 2.0}),
    ("internal", {"m": 0.7}),
    ("ksd", {}),
    ("ksd", {"kernel": "gaussian", "bandwidth": 0.7, "estimator": "u"}),
    ("mmd", {"kernel": "gaussian", **SAMPLED}),
    ("mmd", {"kernel": "laplace", "bandwidth": 0.8, **SAMPLED}),
    ("mmd", {"kernel": "inverse_multiquadric", "estimator": "u", **SAMPLED}),
    ("mmd", {"kernel": "energy", **SAMPLED}),
    ("mmd", {"kernel": "laplace", "features": 7, **SAMPLED}),
    ("potential", {}),
    ("renyi_divergence", {"alpha": 1.7}),
    ("renyi_entropy", {"alpha": 0.5}),
    ("sliced_wasserstein", {"projections": 4, "samples": 24}),
    ("sinkhorn", {"samples": 24, "epsilon": 1.0, "tolerance": 1e-11}),
    ("wasserstein", {"samples": 24}),
    (
        "sum",
        {
            "parts": [
                {"objective": "entropy"},
                {"weight": 0.5, "objective": {"name": "interaction"}},
                {"weight": -0.1, "objective": {"name": "mmd", "samples": 30}},
            ]
        },
    ),
]
each = pytest.mark.parametrize(
    ("name", "options"), CASES, ids=[f"{name}-{k}" for k, (name, _) in enumerate(CASES)]
)


def gaussian(dim, shift=0.0):
    mean, covariance = [0.3 + shift, -0.1], [[1.5, 0.3], [0.3, 1.0]]
    return NormalTarget(mean[:dim], [row[:dim] for row in covariance[:dim]])


def make(name, options, dim=2):
    """Return the objective with a Gaussian target of this dimension, where it has one."""
    options = {"name": name, **options}
    fields = options_model(host().registry.load("objective", name)).model_fields
    if "target" in fields:
        options["target"] = gaussian(dim)
    if "targets" in fields:
        options["targets"] = [
            {"target": gaussian(dim), "weight": 3.0}, {"target": gaussian(dim, 2.0)}
        ]  # fmt: skip
    return wopt.build("objective", options)


def bent(nodes):
    """Push particles through a smooth map that is not affine, with its log-det.

    In one dimension x + 0.3 sin(2x); in two (x + 0.4 sin y, y + 0.3 sin(2y)).
    """
    x = nodes.points
    last = x[:, -1]
    y = x.clone()
    y[:, -1] = last + 0.3 * torch.sin(2 * last)
    if x.shape[1] == 2:
        y[:, 0] = x[:, 0] + 0.4 * torch.sin(last)
    return nodes.moved(y, torch.log1p(0.6 * torch.cos(2 * last)))


@pytest.fixture(scope="module", params=["line", "plane", "equal weights"])
def bent_particles(request):
    """Return particles of a law that is not Gaussian, with log-det and density."""
    rng = torch.Generator().manual_seed(3)
    if request.param == "line":
        return bent(gaussian_nodes(torch.tensor([0.4]).double(), torch.eye(1).double() / 2, 9))
    one = torch.eye(2).double() / 2
    if request.param == "plane":
        return bent(gaussian_nodes(torch.tensor([0.4, -0.2]).double(), one, 5))
    x = torch.randn(24, 2, dtype=torch.float64, generator=rng) / math.sqrt(2)
    law = torch.distributions.MultivariateNormal(torch.zeros(2).double(), one)
    return bent(Particles.start(x, log_density=law.log_prob(x)))


def field(x):
    """Return v(x) = sin(B x + c), its divergence and its Jacobian."""
    d = x.shape[1]
    b = torch.tensor([[0.9, -0.4], [0.5, 0.7]]).double()[:d, :d]
    angle = x @ b.T + torch.tensor([0.2, 0.8]).double()[:d]
    jacobian = angle.cos()[:, :, None] * b
    return angle.sin(), jacobian.diagonal(dim1=1, dim2=2).sum(1), jacobian


def test_this_list_is_complete():
    known = {e.name for e in host().registry.entries("objective") if e.plugin != "session"}
    elsewhere = {"kl", "learnt_potential"}  # in test_kl.py and test_learnt_potential.py
    assert known == elsewhere | {name for name, _ in CASES}


@each
def test_wasserstein_gradient_along_a_field_that_is_not_affine(name, options, bent_particles):
    objective, p = make(name, options, bent_particles.dim), bent_particles
    v, divergence, jacobian = field(p.points)
    by_point, by_log_det = energy_derivatives(objective, p)
    slope = float((by_point * v).sum() + (by_log_det * divergence).sum())

    def along(t):
        log_det = torch.linalg.slogdet(torch.eye(p.dim).double() + t * jacobian)[1]
        return float(objective.energy(p.moved(p.points + t * v, log_det)))

    h = 1e-5 if name in ("energy_distance", "sliced_wasserstein") else 2e-4
    h = {"barycenter": 1e-6, "wasserstein": 1e-6, "sinkhorn": 1e-3}.get(name, h)
    numeric = (8 * (along(h) - along(-h)) - along(2 * h) + along(-2 * h)) / (12 * h)
    assert slope == pytest.approx(numeric, rel=1e-6, abs=1e-6)


@each
def test_contributions_tell_the_standard_error(name, options):
    """Over fresh particles the energy varies as the spread of the contributions says."""
    options = options | ({"tolerance": 1e-4} if name == "sinkhorn" else {})
    objective = make(name, options)
    one = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    # Importance weights have a variance only where the particles are wider than the target.
    wide = name == "forward_kl" or options.get("f") in ("reverse_kl", "jensen_shannon")
    scale, energies, errors = 1.2 if wide else 0.8, [], []
    shift = 1.0 if name in TRANSPORT else 0.0  # at the target itself they vary by their squares
    for seed in range(60):
        rng = torch.Generator().manual_seed(seed)
        x = torch.randn(150, 2, dtype=torch.float64, generator=rng)
        density = one.log_prob(x) - 2 * math.log(scale)
        p = wopt.Particles.start(scale * x + shift, log_density=density)
        values = objective.contributions(p)
        if values is None:
            return
        energies.append(objective.energy(p))
        errors.append(values.std() / 150**0.5)
    if torch.stack(energies).std() < 1e-9:  # entropy of a start: no map, no noise
        return
    ratio = float(torch.stack(energies).std() / torch.stack(errors).mean())
    assert 0.7 < ratio < 1.4


@each
def test_energies_are_functions_of_the_key_alone(name, options):
    x = torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p = wopt.Particles.start(x, log_density=-x.square().sum(1) / 2)
    one, two = make(name, options), make(name, options)
    first = one.energy(p)
    assert torch.equal(first, two.energy(p))
    drawn_at_one = one.at(1).energy(p)
    assert torch.equal(drawn_at_one, two.at(2).at(1).energy(p))
    assert torch.equal(first, one.energy(p))
    drawn = name in ("sum",) or "samples" in options
    assert torch.equal(drawn_at_one, first) == (not drawn)


@each
def test_split_is_the_whole(name, options, bent_particles):
    objective = make(name, options, bent_particles.dim)
    parts = [part for part in objective.split() if part is not None]
    total = sum(float(part.energy(bent_particles)) for part in parts)
    assert total == pytest.approx(float(objective.energy(bent_particles)), abs=1e-12)
    explicit = objective.split()[0]
    if explicit is not None:
        assert not explicit.needs & (wopt.Capability.LOG_DET | wopt.Capability.LOG_DENSITY)
