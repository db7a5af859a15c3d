"""What plugins claim: false claims are caught, by checks and by a run's own energies."""

import pytest
import torch

import wopt
from wopt import Capability
from wopt.testing import (
    NormalTarget,
    check_claims,
    check_target_claims,
    gaussian_nodes,
)
from wopt.train.check import false_claims
from wopt_testing.checks import LawError
from wopt_testing.claims import ConvexMap, displaced, normal_particles


class Well(wopt.Objective):
    """E |x|^2/2: convexity 1, minimum 0."""

    convexity = 1.0
    minimum = 0.0

    def contributions(self, particles):
        return particles.points.square().sum(1) / 2

    def energy(self, particles):
        return particles.mean(self.contributions(particles))


class Steeper(Well):
    convexity = 1.01


class Higher(Well):
    minimum = 0.5


class Boastful(Well):
    """The issue's: convexity 50 and minimum 5, of which the bound is 0.05 where the gap is 2.5."""

    convexity = 50.0
    minimum = 5.0


class Entropic(Well):
    """KL to a standard normal up to a constant, without saying that it uses log_det."""

    minimum = None

    def contributions(self, particles):
        return super().contributions(particles) - particles.log_det


class Declared(Entropic):
    needs = Capability.LOG_DET


class IfThere(Entropic):
    """Uses log_det where it is given, so that it does not even fail without."""

    def contributions(self, particles):
        if particles.log_det is None:
            return particles.points.square().sum(1) / 2
        return super().contributions(particles)


class Dense(Entropic):
    """Needs the density and says log_det."""

    needs = Capability.LOG_DET

    def contributions(self, particles):
        return particles.log_density.exp()


class TwoWells(Well):
    """E (x_0^2 - 1)^2 / 4, least curvature -1; minimum 0 at +-1, which only descent comes near."""

    convexity = -1.0

    def contributions(self, particles):
        return (particles.points[:, 0].square() - 1).square() / 4


class Deceptive(TwoWells):
    convexity = -0.5


class Asks(Well):
    """Says that samples of the target are enough, and uses its potential."""

    needs = Capability.TARGET_SAMPLES
    convexity = minimum = None

    def __init__(self, target: wopt.Target) -> None:
        self.target = target

    def contributions(self, particles):
        return self.target.potential(particles.points)


def test_true_claims_hold():
    assert check_claims(Well()) == ["needs_are_declared", "convexity_is_1", "minimum_is_0"]
    assert check_claims(Declared()) == ["needs_are_declared", "convexity_is_1"]
    assert "convexity_is_-1" in check_claims(TwoWells())
    claims = check_claims(Well() + 2 * Well())
    assert "convexity_is_3" in claims


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (Steeper, "declares convexity 1.01"),
        (Deceptive, "declares convexity -0.5"),
        (Higher, "declares minimum 0.5"),
        (Entropic, "needs NOTHING by its declaration.*fails without log_det"),
        (IfThere, "needs NOTHING by its declaration.*depends on log_det"),
        (Dense, "needs LOG_DET by its declaration.*fails without the start's log-density"),
    ],
)
def test_false_claims_are_caught(objective, message):
    with pytest.raises(LawError, match=f"{objective.__name__} {message}"):
        check_claims(objective())


def test_an_objective_that_asks_its_target_for_more_is_caught():
    with pytest.raises(LawError, match=r"asks the target for more.*POTENTIAL"):
        check_claims(Asks(NormalTarget([0.0], [[1.0]])))


NARROW = NormalTarget([0.3], [[0.5]])
WIDE = NormalTarget([0.3, 0.0], [[2.0, 0.5], [0.5, 1.0]])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kl", {"target": NARROW}),
        ("kl", {"target": WIDE}),
        ("chi2", {"target": WIDE}),
        ("energy_distance", {"target": NARROW, "samples": 40}),
        ("f_divergence", {"target": WIDE, "f": "alpha", "alpha": 1.5}),
        ("f_divergence", {"target": WIDE, "f": "jensen_shannon"}),
        ("f_divergence", {"target": WIDE, "f": "kl"}),
        ("interaction", {"kernel": "power", "power": 1.5}),
        ("interaction", {"kernel": "quadratic", "strength": -2.0}),
        ("interaction", {"kernel": "attraction_repulsion"}),
        ("internal", {"m": 2.0}),
        ("mmd", {"target": WIDE, "kernel": "gaussian", "bandwidth": 0.8, "samples": 40}),
        ("renyi_divergence", {"target": WIDE, "alpha": 1.7}),
        ("wasserstein", {"target": NARROW, "samples": 40}),
        ("sinkhorn", {"target": NARROW, "samples": 30, "epsilon": 1.0}),
    ],
    ids=lambda v: v if isinstance(v, str) else "-".join(map(str, list(v.values())[1:])),
)
def test_claims_that_depend_on_options_hold(name, options):
    objective = wopt.build("objective", {"name": name, **options})
    done = check_claims(objective)
    assert (objective.convexity is not None) == any("convexity" in law for law in done)
    assert (objective.minimum is not None) == any("minimum" in law for law in done)


def test_geodesics_carry_their_log_det():
    rng = torch.Generator().manual_seed(0)
    start = normal_particles(5, 2, rng)
    first, second = (ConvexMap.draw(2, 1.0, rng) for _ in range(2))
    for t in (0.0, 0.4, 1.0):
        found = displaced(start, first, second, t)

        def move(z, t=t):
            return ((1 - t) * first(z[None])[0] + t * second(z[None])[0])[0]

        jacobian = torch.stack([torch.autograd.functional.jacobian(move, z) for z in start.points])
        assert torch.allclose(jacobian, jacobian.mT)  # the gradient of a function
        assert bool((torch.linalg.eigvalsh(jacobian) > 0).all())  # which is convex
        assert torch.allclose(torch.linalg.slogdet(jacobian)[1], found.log_det)
    # entropy is convex along them, strictly between laws of different width
    energies = [-float(displaced(start, first, second, t).log_det.mean()) for t in (0, 0.5, 1)]
    assert energies[1] < (energies[0] + energies[2]) / 2


class Claims(NormalTarget):
    def __init__(self, convexity=None, smoothness=None, constant=0.0):
        super().__init__([0.0, 1.0], [[2.0, 0.0], [0.0, 0.5]])
        self.convexity, self.smoothness, self.constant = convexity, smoothness, constant

    def potential(self, x):
        return super().potential(x) + self.constant


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        (
            {"convexity": 0.51},
            "declares convexity 0.51, and the Hessian of V has an eigenvalue 0.5",
        ),
        ({"smoothness": 1.9}, "declares smoothness 1.9.*eigenvalue 2"),
        ({"constant": 3.0}, "says NORMALISED, and exp\\(-V\\) integrates to 0.04979"),
    ],
)
def test_false_claims_of_targets_are_caught(claims, message):
    with pytest.raises(LawError, match=f"target Claims {message}"):
        check_target_claims(Claims(**claims), 2)
    assert check_target_claims(Claims(0.5, 2.0), 2) == [
        "convexity_is_0.5", "smoothness_is_2", "normalised",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"means": [[-2.0, 0.0], [2.0, 0.0]]},
        {"means": [[-1.0, 0.0], [1.0, 0.0], [0.0, 3.0]], "scale": 0.7},
        {"means": [[0.0, 0.0], [1.0, 5.0]], "scale": [0.5, 2.0], "weights": [0.2, 0.8]},
    ],
)
def test_mixtures_keep_what_they_claim(options):
    target = wopt.build("target", {"name": "mixture", **options})
    done = check_target_claims(target, 2)
    assert "normalised" in done
    assert (target.convexity is not None) == any("convexity" in law for law in done)


# A run whose energy falls below what is claimed.


def test_an_energy_below_a_declared_minimum_says_whose_claim_is_false():
    (found,) = false_claims(Higher(), 0.2, 0.01, start_known=False).values()
    assert "Higher claims minimum = 0.5, and an energy of this run, 0.2 +- 0.01" in found
    assert false_claims(Higher(), 0.46, 0.01, start_known=False) == {}  # within five errors
    assert false_claims(Well(), 0.0, 0.0, start_known=False) == {}


def test_a_negative_divergence_says_that_the_target_is_not_normalised():
    """What a template's unnormalised log joint printed as "true 0": KL -58.57."""
    objective = wopt.build("objective", {"name": "kl", "target": Claims(constant=-58.57)})
    (found,) = false_claims(objective, -58.57, 0.01, start_known=True).values()
    assert "target Claims claims NORMALISED" in found
    assert "below it: the claim is false" in found
    assert false_claims(objective, -58.57, 0.01, start_known=False) == {}  # a constant is missing
    assert false_claims(objective, -0.04, 0.01, start_known=True) == {}


@pytest.fixture
def gaussian_nodes_at_two():
    return gaussian_nodes(torch.tensor([2.0, 0.0]).double(), torch.eye(2).double())


def test_who_declares_a_false_minimum_is_not_believed_in_lambda(gaussian_nodes_at_two):
    with pytest.warns(RuntimeWarning, match="minimum"):
        solution = wopt.solve(
            gaussian_nodes_at_two,
            objective=Boastful(),
            scheme={"name": "jko", "step_size": 1.0},
            block="affine",
            solver=wopt.InnerSolver(iterations=30),
            stop=wopt.Stop(steps=1),
        )
    certificate = solution.certificate(iterations=0)
    assert certificate.gap.upper is None
    assert certificate.final.gap is None
    assert "declared minimum is false" in " ".join(certificate.notes)
