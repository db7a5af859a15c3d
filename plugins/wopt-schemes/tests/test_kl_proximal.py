"""The scheme kl_proximal between Gaussians, where every step and every law has a closed form."""

import pytest
import torch

import wopt
from wopt.testing import AffineBlock, moments

CLOSE = {"atol": 1e-5, "rtol": 0.0}
MEAN = torch.tensor([3.0, -1.0]).double()
COVARIANCE = torch.tensor([[0.5, 0.2], [0.2, 0.3]]).double()


def solved(steps, even=0.5, **scheme):
    law = {"name": "gaussian", "mean": MEAN.tolist(), "covariance": COVARIANCE.tolist()}
    start = {"name": "gaussian", "scale": 2.0}
    return wopt.solve(
        {"name": "density", "law": start, "rule": "gauss", "nodes": 40, "dim": 2},
        objective={"name": "kl", "target": law},
        scheme={"name": "kl_proximal", "even": even, **scheme},
        block={"name": "affine"},
        solver={"name": "lbfgs", "iterations": 200},
        stop={"steps": steps},
        dtype="float64",
    )


class Law:
    """N(P^-1 b, P^-1), and log of the integral of exp(b x - x P x / 2)."""

    def __init__(self, precision, slope):
        self.precision, self.slope = precision, slope

    def power(self, other, a):
        """The geometric mean of weights 1 - a and a."""
        mix = [(1 - a) * u + a * v for u, v in zip(self.parts, other.parts, strict=True)]
        return Law(*mix)

    @property
    def parts(self):
        return self.precision, self.slope

    def log_mass(self):
        form = self.slope @ torch.linalg.solve(self.precision, self.slope)
        return (form - torch.linalg.slogdet(self.precision)[1]) / 2

    def size(self, other, a):
        """(E w^a)^2 / E w^2a for w = other/self under self; 0 where there is no second moment."""
        twice = self.power(other, 2 * a)
        if float(torch.linalg.eigvalsh(twice.precision)[0]) <= 0:
            return 0.0
        log_size = 2 * self.power(other, a).log_mass() - self.log_mass() - twice.log_mass()
        return float(log_size.exp())


def exact_steps(count, even):
    """The exact a, l and law of each step, by bisection of the closed form of the size."""
    target = Law(torch.linalg.inv(COVARIANCE), torch.linalg.solve(COVARIANCE, MEAN))
    now, reached, made = Law(torch.eye(2).double() / 4, torch.zeros(2).double()), 0.0, []
    for _ in range(count):
        low, high = 0.0, 1.0
        if now.size(target, 1.0) >= even:
            low = 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if now.size(target, middle) >= even else (low, middle)
        now, reached = now.power(target, low), 1 - (1 - reached) * (1 - low)
        made.append((low, reached, now))
    return made


def test_every_step_and_law_is_that_of_the_geometric_path():
    truth = exact_steps(4, even=0.5)
    assert truth[-2][1] < truth[-1][1] == 1
    found = solved(4)
    assert found.status == "done", found.reason
    assert len(found.flow.blocks) == 1  # replaced, not appended
    for record, (a, reached, _) in zip(found.history, truth, strict=True):
        assert record.plan["power"] == pytest.approx(a, abs=1e-6)
        assert record.plan["reached"] == pytest.approx(reached, abs=1e-6)
    for steps in (2, 4):
        mean, covariance = moments(solved(steps).state.train.particles)
        law = truth[steps - 1][2]
        torch.testing.assert_close(mean, torch.linalg.solve(law.precision, law.slope), **CLOSE)
        torch.testing.assert_close(covariance, torch.linalg.inv(law.precision), **CLOSE)


def test_a_step_size_bounds_the_power():
    """a <= h/(1 + h): the proximal step of h = 0.1 leads to pi^(10/11) nu^(1/11)."""
    found = solved(1, even=1e-3, step_size=0.1)
    assert found.history[0].plan["power"] == pytest.approx(1 / 11)


def test_rows_and_heavy_tails_of_draws():
    """Of draws the weights are smoothed: none is above the largest raw one, and their mean is 1."""
    rng = torch.Generator().manual_seed(0)
    x = wopt.Particles.start(torch.randn(500, 1, generator=rng).double())
    kl = wopt.build("objective", {"name": "kl", "target": {"name": "gaussian", "scale": 3.0}})
    scheme = wopt.build("scheme", {"name": "kl_proximal"})
    about = x, None, None, 0, 1e12, None, {"power": 1.0}
    past = wopt.History(*about, start=x, log_density=lambda x: -x[:, 0].square() / 2)
    sub = scheme.subproblem(past, kl)
    raw = (4 / 9 * x.points[:, 0].square()).exp()
    assert float(sub.weights.mean()) == pytest.approx(1.0)
    assert float(sub.weights.max() / sub.weights.min()) < float(raw.max() / raw.min())
    few = sub.rows(torch.arange(10))
    assert torch.equal(few.now.points, x.points[:10])
    assert torch.equal(few.weights, sub.weights[:10])
    block = AffineBlock(1).double()
    assert float(sub.change(block, x).value) == pytest.approx(0.0, abs=1e-12)


def test_a_start_without_a_density_is_refused():
    x = wopt.Particles.start(torch.zeros(4, 1).double())
    past = wopt.History(x, None, None, 0, 1.0, None, start=x)
    with pytest.raises(wopt.CapabilityError, match="by the start's density"):
        wopt.build("scheme", "kl_proximal").plan(past, wopt.build("objective", "kl"))


def test_an_objective_without_a_target_is_refused():
    scheme = wopt.build("scheme", "kl_proximal")
    with pytest.raises(wopt.CapabilityError, match="kl_proximal weighs draws"):
        scheme.check(wopt.build("objective", "entropy"))
