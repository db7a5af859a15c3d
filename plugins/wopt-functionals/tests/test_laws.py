"""What holds for every objective of this plugin, by name from the registry."""

import math

import pytest
import torch

import wopt
from wopt.component import options_model
from wopt.host import host
from wopt.interfaces.objective import energy_derivatives
from wopt.testing import GaussianTarget

SAMPLED = {"samples": 40}
CASES = [
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
NAMES = [f"{name}-{k}" for k, (name, _) in enumerate(CASES)]


def make(name, options, dim=2):
    """Return the objective with a Gaussian target of this dimension, where it has one."""
    options = dict(options)
    if "target" in options_model(host().registry.load("objective", name)).model_fields:
        mean, covariance = [0.3, -0.1][:dim], [[1.5, 0.3], [0.3, 1.0]]
        options["target"] = GaussianTarget(mean, [row[:dim] for row in covariance[:dim]])
    return wopt.build("objective", {"name": name, **options})


def field(x):
    """Return v(x) = sin(B x + c), its divergence and its Jacobian."""
    d = x.shape[1]
    b = torch.tensor([[0.9, -0.4], [0.5, 0.7]]).double()[:d, :d]
    angle = x @ b.T + torch.tensor([0.2, 0.8]).double()[:d]
    jacobian = angle.cos()[:, :, None] * b
    return angle.sin(), jacobian.diagonal(dim1=1, dim2=2).sum(1), jacobian


def test_this_list_is_complete():
    registered = [e for e in host().registry.entries() if e.plugin == "functionals"]
    assert {e.kind for e in registered} == {"objective"}
    assert {e.name for e in registered} == {name for name, _ in CASES}
    assert all(e.summary for e in registered)


@pytest.mark.parametrize(("name", "options"), CASES, ids=NAMES)
def test_wasserstein_gradient_along_a_field_that_is_not_affine(name, options, bent_particles):
    objective, p = make(name, options, bent_particles.dim), bent_particles
    v, divergence, jacobian = field(p.points)
    by_point, by_log_det = energy_derivatives(objective, p)
    slope = float((by_point * v).sum() + (by_log_det * divergence).sum())

    def along(t):
        log_det = torch.linalg.slogdet(torch.eye(p.dim).double() + t * jacobian)[1]
        return float(objective.energy(p.moved(p.points + t * v, log_det)))

    h = 1e-5 if name in ("energy_distance", "sliced_wasserstein") else 2e-4
    numeric = (8 * (along(h) - along(-h)) - along(2 * h) + along(-2 * h)) / (12 * h)
    assert slope == pytest.approx(numeric, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("name", "options"), CASES, ids=NAMES)
def test_contributions_tell_the_standard_error(name, options):
    """Over fresh particles the energy varies as the spread of the contributions says."""
    objective = make(name, options)
    one = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    # Importance weights have a variance only where the particles are wider than the target.
    wide = name == "forward_kl" or options.get("f") in ("reverse_kl", "jensen_shannon")
    scale, energies, errors = 1.2 if wide else 0.8, [], []
    for seed in range(60):
        rng = torch.Generator().manual_seed(seed)
        x = torch.randn(400, 2, dtype=torch.float64, generator=rng) * scale
        density = one.log_prob(x / scale) - 2 * math.log(scale)
        p = wopt.Particles.start(x, log_density=density)
        values = objective.contributions(p)
        if values is None:
            return
        energies.append(objective.energy(p))
        errors.append(values.std() / 20)
    if torch.stack(energies).std() < 1e-9:  # entropy of a start: no map, no noise
        return
    ratio = float(torch.stack(energies).std() / torch.stack(errors).mean())
    assert 0.7 < ratio < 1.4


@pytest.mark.parametrize(("name", "options"), CASES, ids=NAMES)
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


@pytest.mark.parametrize(("name", "options"), CASES, ids=NAMES)
def test_split_is_the_whole(name, options, bent_particles):
    objective = make(name, options, bent_particles.dim)
    parts = [part for part in objective.split() if part is not None]
    total = sum(float(part.energy(bent_particles)) for part in parts)
    assert total == pytest.approx(float(objective.energy(bent_particles)), abs=1e-12)
    explicit = objective.split()[0]
    if explicit is not None:
        assert not explicit.needs & (wopt.Capability.LOG_DET | wopt.Capability.LOG_DENSITY)
