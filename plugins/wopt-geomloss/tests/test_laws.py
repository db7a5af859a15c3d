"""What holds for every objective of this plugin, by name from the registry."""

import pytest
import torch

import wopt
from wopt.host import host
from wopt.interfaces.objective import energy_derivatives
from wopt.testing import GaussianTarget, check_objective

TIGHT = {"epsilon": 1.0, "tolerance": 1e-11}
CASES = [
    ("sinkhorn", {"samples": 25, **TIGHT}),
    ("wasserstein", {"samples": 25}),
    ("barycenter", {"samples": 25}),
]
each = pytest.mark.parametrize(("name", "options"), CASES, ids=[name for name, _ in CASES])


def gaussian(dim, shift=0.0):
    mean, covariance = [0.3 + shift, -0.1], [[1.5, 0.3], [0.3, 1.0]]
    return GaussianTarget(mean[:dim], [row[:dim] for row in covariance[:dim]])


def make(name, options, dim=2):
    """Return the objective with Gaussian targets of this dimension."""
    if name == "barycenter":
        targets = [{"target": gaussian(dim), "weight": 3.0}, {"target": gaussian(dim, 2.0)}]
        return wopt.build("objective", {"name": name, "targets": targets, **options})
    return wopt.build("objective", {"name": name, "target": gaussian(dim), **options})


def weighted(n=18, dim=2):
    """Return particles of a law that is not Gaussian, with weights that are not equal."""
    rng = torch.Generator().manual_seed(3)
    z = torch.randn(n, dim, dtype=torch.float64, generator=rng)
    w = torch.rand(n, dtype=torch.float64, generator=rng) + 0.2
    return wopt.Particles(z + z.square() / 3, w / w.sum())


def points(n, seed=0):
    return torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_this_list_is_complete():
    registered = [e for e in host().registry.entries() if e.plugin == "geomloss"]
    names = {(e.kind, e.name) for e in registered}
    others = {
        ("objective", "learnt_potential"),  # in test_learnt_potential.py
        ("scheme", "entropic_jko"),
        ("source", "snapshots"),
        ("step_size", "arrival"),
    }
    assert names == others | {("objective", name) for name, _ in CASES}
    assert all(e.summary for e in registered)


@each
@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("weights", [False, True])
def test_laws_of_objectives(name, options, dim, weights):
    p = weighted(dim=dim)
    laws = check_objective(make(name, options, dim), p if weights else wopt.Particles(p.points))
    assert {"derivative_matches_differences", "contributions_average"} <= set(laws)


@each
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_gradient_is_that_of_the_energy_along_a_field_that_is_not_affine(name, options, dim):
    """The samples are fixed, so both are deterministic, and agree to 1e-6."""
    p = weighted(dim=dim)
    if dim == 5:
        target = GaussianTarget([0.2] * 5, torch.eye(5).tolist())
        chosen = {"target": target}
        if name == "barycenter":
            chosen = {"targets": [chosen, {"target": GaussianTarget([1.0] * 5, target.covariance)}]}
        g = wopt.build("objective", {"name": name, **chosen, **options})
    else:
        g = make(name, options, dim)
    v = torch.sin(p.points.roll(1, 1) * 0.9 + 0.4) + p.points.square() / 5
    slope = float((energy_derivatives(g, p)[0] * v).sum())

    def along(t):
        return float(g.energy(p.moved(p.points + t * v, None)))

    h = 1e-3 if name == "sinkhorn" else 1e-6
    numeric = (8 * (along(h) - along(-h)) - along(2 * h) + along(-2 * h)) / (12 * h)
    assert slope == pytest.approx(numeric, rel=1e-6)


@each
@pytest.mark.parametrize("dim", [1, 2])
def test_contributions_are_the_first_variation(name, options, dim):
    """d/dt G((1 - t) rho + t pi) = sum_i (pi_i - rho_i) dG(x_i), for pi on the same points."""
    p, g = weighted(dim=dim), make(name, options, dim)
    change = p.weights.roll(5) - p.weights
    slope = float(change @ g.contributions(p))

    def along(t):
        return float(g.energy(wopt.Particles(p.points, p.weights + t * change)))

    h = 1e-3 if name == "sinkhorn" else 1e-6
    numeric = (8 * (along(h) - along(-h)) - along(2 * h) + along(-2 * h)) / (12 * h)
    assert slope == pytest.approx(numeric, rel=1e-5)


@each
def test_contributions_tell_the_standard_error(name, options):
    """Over fresh particles the energy varies as the spread of the contributions says."""
    g = make(name, options | ({"tolerance": 1e-4} if name == "sinkhorn" else {}))
    energies, errors = [], []
    for seed in range(50):
        p = wopt.Particles(0.8 * points(150, seed) + 1)
        energies.append(g.energy(p))
        errors.append(g.contributions(p).std() / 150**0.5)
    ratio = float(torch.stack(energies).std() / torch.stack(errors).mean())
    assert 0.7 < ratio < 1.4  # 50 energies know their spread to 10 %


@each
def test_energies_are_functions_of_the_key_alone(name, options):
    p = wopt.Particles(points(30))
    one, two = make(name, options), make(name, options)
    first = one.energy(p)
    assert torch.equal(first, two.energy(p))
    drawn_at_one = one.at(1).energy(p)
    assert torch.equal(drawn_at_one, two.at(2).at(1).energy(p))
    assert torch.equal(first, one.energy(p))
    assert not torch.equal(drawn_at_one, first)


@each
def test_float32_agrees(name, options):
    x = points(30)
    energy = make(name, options).energy(wopt.Particles(x.float()))
    assert energy.dtype == torch.float32
    assert float(energy) == pytest.approx(
        float(make(name, options).energy(wopt.Particles(x))), 1e-5
    )


@each
def test_particles_of_no_weight_change_nothing(name, options):
    p, g = weighted(), make(name, options)
    more = wopt.Particles(
        torch.cat([p.points, torch.full((1, 2), 3.0).double()]),
        torch.cat([p.weights, torch.zeros(1).double()]),
    )
    assert float(g.energy(more)) == pytest.approx(float(g.energy(p)), rel=1e-9)
    assert torch.isfinite(energy_derivatives(g, more)[0]).all()
    assert torch.isfinite(g.contributions(more)).all()


@each
def test_particles_that_ran_away_give_nan_and_no_error(name, options):
    x = points(10)
    x[3, 1] = float("inf")
    assert make(name, options).energy(wopt.Particles(x)).isnan()


@each
def test_needs_and_split(name, options):
    g = make(name, options)
    assert g.needs == wopt.Capability.TARGET_SAMPLES
    explicit, rest = g.split()
    assert rest is None
    p = wopt.Particles(points(10))
    assert float(explicit.energy(p)) == pytest.approx(float(g.energy(p)), rel=1e-12)
