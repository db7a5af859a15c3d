"""The certificate of runs whose truth is known: Gaussians carried by affine maps."""

import math

import pytest
import torch

import wopt
from wopt.data.transform import AffineTransform
from wopt.interfaces import Subproblem
from wopt.testing import AffineBlock, NormalTarget, gaussian_kl, gaussian_nodes, moments
from wopt.train.problem import Problem
from wopt_certify.certificate import make_certificate
from wopt_certify.measure import base_of
from wopt_certify.options import Certify
from wopt_certify.replay import EvaluationData, replay
from wopt_certify.results import Certificate

MEAN = torch.tensor([2.0, -1.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
TARGET = NormalTarget(mean=[0.0, 0.5], covariance=[[1.0, 0.2], [0.2, 0.8]])
ZERO, EYE = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)


EXACT = wopt.InnerSolver(optimiser="lbfgs", iterations=200)
ROUGH = wopt.InnerSolver(iterations=15, learning_rate=0.05)


def solved(scheme="jko", steps=3, solver=EXACT, objective=None, **options):
    objective = objective or {"name": "kl", "target": TARGET}
    return wopt.solve(
        gaussian_nodes(MEAN, COVARIANCE),
        objective=objective,
        scheme={"name": scheme, "step_size": options.pop("h", 0.6)},
        block=AffineBlock(2),
        solver=solver,
        stop=wopt.Stop(steps=steps),
        **options,
    )


def start(n=4000, seed=0):
    """Return independent draws of the start and their score."""
    law = torch.distributions.MultivariateNormal(MEAN, COVARIANCE)
    z = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x = MEAN + z @ torch.linalg.cholesky(COVARIANCE).T
    score = -torch.linalg.solve(COVARIANCE, (x - MEAN).T).T
    return wopt.Particles.start(x, log_density=law.log_prob(x)), score


def problem_of(found, scheme="jko", objective=None, h=0.6):
    return Problem(
        wopt.build("objective", objective or {"name": "kl", "target": TARGET}),
        wopt.build("scheme", {"name": scheme, "step_size": h}),
        AffineBlock(2),
    )


def certificate(found, scheme="jko", objective=None, h=0.6, score=True, **options):
    particles, known = start()
    evidence = EvaluationData(
        particles,
        "fresh draws",
        known if score else None,
        AffineTransform.fit(particles.points, "none"),
        0.0,
        particles.points,
    )
    chosen = Certify(iterations=0, transport_rows=100, **options)
    problem = problem_of(found, scheme, objective, h)
    made = make_certificate(problem, list(found.flow.blocks), found.history, evidence, chosen)
    assert Certificate.from_dict(made.to_dict()) == made
    return made.to_dict()


@pytest.fixture(scope="module")
def exact():
    return solved()


@pytest.fixture(scope="module")
def of_exact(exact):
    return certificate(exact)


def true_kls(found):
    """Return KL after each step in closed form, from the maps alone."""
    m, c = MEAN, COVARIANCE
    values = []
    for block in found.flow.blocks:
        a, b = block.matrix.double(), block.shift.double()
        m, c = a @ m + b, a @ c @ a.T
        values.append(gaussian_kl(m, c, TARGET.mean, TARGET.covariance))
    return values


def test_the_true_divergence_is_within_its_interval_and_below_every_bound(exact, of_exact):
    for step, true in zip(of_exact["steps"], true_kls(exact), strict=True):
        found = step["gap"]
        assert abs(found["value"] - true) < 4 * found["error"]
        values = [e["value"] for e in step["bounds"]["gap"].values() if e["value"] is not None]
        assert len(values) >= 6
        assert min(values) > true


def test_exact_steps_have_no_residual(of_exact):
    for step in of_exact["steps"]:
        assert step["residual"]["by"] == "score"
        assert step["residuals"]["score"]["value"] < 1e-4
        assert step["residuals"]["affine"]["low"] == 0


def test_the_gradient_is_the_root_of_the_relative_fisher_information(exact, of_exact):
    m, c = MEAN, COVARIANCE
    for block, step in zip(exact.flow.blocks, of_exact["steps"], strict=True):
        a, b = block.matrix.double(), block.shift.double()
        m, c = a @ m + b, a @ c @ a.T
        # grad V + grad log p = (S^-1 - C^-1)(x - m) + S^-1 (m - n) for x of N(m, C)
        s = torch.linalg.inv(TARGET.covariance)
        slope, shift = s - torch.linalg.inv(c), s @ (m - TARGET.mean)
        true = math.sqrt(float(torch.trace(slope @ c @ slope) + shift @ shift))
        found = step["gradient"]
        assert abs(found["value"] - true) < 4 * found["error"] + 1e-9
        assert step["bounds"]["gap"]["log_sobolev"]["value"] == pytest.approx(
            found["high"] ** 2 / (2 * TARGET.convexity)
        )


def test_without_scores_affine_fields_see_all_of_a_gaussians_error():
    """Half-solved steps: the estimate agrees with the pushed score's, which is unbiased."""
    rough = solved(solver=ROUGH, steps=2)
    with_score, without = certificate(rough), certificate(rough, score=False)
    for exact, estimated in zip(with_score["steps"], without["steps"], strict=True):
        true, found = exact["residual"], estimated["residual"]
        assert (true["by"], found["by"]) == ("score", "affine")
        error = math.hypot(true["error"], found["error"])
        assert abs(true["value"] - found["value"]) < 4 * error
        assert true["value"] > 10 * error


def test_movement_and_optimality(exact, of_exact):
    m, c = MEAN, COVARIANCE
    for block, step in zip(exact.flow.blocks, of_exact["steps"], strict=True):
        a, b = block.matrix.double(), block.shift.double()
        moved = torch.trace((a - EYE) @ c @ (a - EYE).T) + ((a - EYE) @ m + b).square().sum()
        found = step["movement"]
        assert abs(found["value"] - math.sqrt(float(moved))) < 4 * found["error"]
        # JKO maps between Gaussians are optimal: symmetric, no gap.
        assert step["transport"]["symmetry"]["relative"] < 1e-4
        assert step["transport"]["high"]["value"] < 1e-2 * step["transport"]["cost"]["value"]
        assert step["inversion_error"] < 1e-6
        m, c = a @ m + b, a @ c @ a.T


def test_the_statement_is_that_of_the_best_bound_and_the_round_trip(of_exact):
    last, said = of_exact["steps"][-1], of_exact["statement"]
    values = [e["value"] for e in last["bounds"]["gap"].values() if e["value"] is not None]
    assert said["kl"] == min(values) == of_exact["final"]["gap"]["value"]
    assert said["w2"] == of_exact["round_trip"]["data_units"]["high"]
    assert said["tv"] == pytest.approx(
        min(math.sqrt(said["kl"] / 2), math.sqrt(-math.expm1(-said["kl"])))
    )
    # Both densities are known, and eps is by the score: the upper side rests on lambda alone.
    gap = of_exact["kl"]
    assert gap == of_exact["gap"]
    assert (gap["of"], gap["by"]) == ("KL(data | model)", "both densities, which are known")
    assert gap["lower"] == last["gap"]["low"]
    assert gap["estimate"] == last["gap"]["value"]
    assert said["text"].startswith("KL(data | model) is at least")
    assert f"at most {said['kl']:.4g} if lambda = {TARGET.convexity:.4g}, as" in said["text"]
    assert gap["refuted"] == []


def test_every_figure_is_labelled(of_exact):
    labels = {"exact", "bound given eps", "estimate", "bound"}
    for step in of_exact["steps"]:
        for key in ("gap", "residual", "movement", "gradient"):
            assert step[key]["label"] in labels
        for table in step["bounds"].values():
            for entry in table.values():
                assert (entry["label"] in labels) == (entry["value"] is not None)
                assert entry["value"] is not None or entry["reason"]


def test_steps_needed(exact):
    of_lenient = certificate(exact, wish=0.05)["final"]["steps_needed"]
    assert of_lenient["steps"] is not None
    assert of_lenient["residual_needed"] == pytest.approx(math.sqrt(0.1 * TARGET.convexity))
    rough = certificate(solved(solver=ROUGH, steps=1), wish=1e-6)["final"]["steps_needed"]
    assert rough["steps"] is None
    assert "not reachable" in rough["text"]


@pytest.mark.parametrize(
    ("scheme", "base", "has"),
    [
        ("jko", "previous", {"theorem_p", "theorem_q", "a_priori", "paper", "log_sobolev"}),
        ("bdf2", "other", {"theorem_q", "log_sobolev"}),
        ("crank_nicolson", "other", {"theorem_q", "log_sobolev"}),
        ("accelerated", "other", {"theorem_q", "log_sobolev"}),
        ("forward_backward", "forward", {"forward_backward", "log_sobolev"}),
        ("midpoint", "none", {"log_sobolev"}),
        ("explicit", "none", {"log_sobolev"}),
        ("sdirk2", "none", {"log_sobolev"}),
    ],
)
def test_each_scheme_gets_the_bounds_that_hold_for_it(scheme, base, has):
    h = 0.3
    found = solved(scheme, steps=3, h=h)
    made = certificate(found, scheme, h=h)
    assert made["base"] == base
    kls = true_kls(found)
    for step, true in list(zip(made["steps"], kls, strict=True)):
        known = {k for k, e in step["bounds"]["gap"].items() if e["value"] is not None}
        assert known >= has
        if base != "previous":
            assert not known & {"theorem_p", "a_priori", "paper", "theorem_s"}
        for name in known:
            assert step["bounds"]["gap"][name]["value"] > true * (1 - 1e-9), name


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("off", "base"), [(5e-5, "forward"), (5e-4, "none")])
def test_a_base_is_found_in_any_units(scale, off, base):
    """The explicit part |x|^2/2 moves x to (1 - h) x, up to a part ``off`` of the largest."""
    law = NormalTarget([0.0], [[scale**2]])
    objective = wopt.build("objective", {"name": "kl", "target": law})
    _, implicit = objective.split()
    at = wopt.Particles.start(scale * torch.linspace(-2, 2, 9).double()[:, None])
    h = scale**2 / 2  # the gradient of the explicit part is x/scale^2
    sub = Subproblem(at, at.points / 2 + off * scale, h, implicit)
    assert base_of(objective, sub, at) == base


def test_an_unknown_convexity_leaves_the_bounds_out_and_says_so():
    target = NormalTarget(mean=[0.0, 0.5], covariance=[[1.0, 0.2], [0.2, 0.8]])
    target.convexity = None
    objective = {"name": "kl", "target": target}
    made = certificate(solved(steps=1, objective=objective), objective=objective)
    assert made["lambda"] is None
    assert made["steps"][0]["bounds"] == {"gap": {}, "w2": {}}
    assert made["gap"]["upper"] is None
    assert "at most" not in made["statement"]["text"]
    assert any("convexity lambda is not known" in note for note in made["notes"])


def test_replayed_particles_stand_where_the_run_left_its_own(exact):
    nodes = gaussian_nodes(MEAN, COVARIANCE)
    passages = list(replay(problem_of(exact), list(exact.flow.blocks), exact.history, nodes))
    assert torch.equal(passages[-1].after.points, exact.state.valid.particles.points)
    assert [float(p.subproblem.step_size) for p in passages] == [0.6] * 3


def test_momentum_is_replayed_from_the_records():
    found = solved("accelerated", steps=4, h=0.2)
    nodes = gaussian_nodes(MEAN, COVARIANCE)
    passages = list(
        replay(
            problem_of(found, "accelerated", h=0.2), list(found.flow.blocks), found.history, nodes
        )
    )
    assert not torch.equal(passages[-1].subproblem.anchor, passages[-1].before.points)
    # Solved to precision from these anchors, so they are the anchors of the run.
    y, anchor = passages[-1].after, passages[-1].subproblem.anchor
    m, c = moments(y)
    s = torch.linalg.inv(TARGET.covariance)
    xi = (
        (y.points - TARGET.mean) @ s
        - (y.points - m) @ torch.linalg.inv(c)
        + (y.points - anchor) / 0.2
    )
    assert float(y.mean(xi.square().sum(1)).sqrt()) < 1e-5


def test_there_must_be_a_step(exact):
    particles, _ = start(100)
    evidence = EvaluationData(
        particles, "x", None, AffineTransform.fit(particles.points, "none"), 0.0, particles.points
    )
    with pytest.raises(wopt.UserError, match="no finished step"):
        make_certificate(problem_of(exact), [], [], evidence, Certify())


def test_a_solution_certifies_itself_by_quadrature(exact):
    """On the nodes of the start expectations are exact, so the intervals have no width."""
    made = exact.certificate(iterations=0).to_dict()
    for step, true in zip(made["steps"], true_kls(exact), strict=True):
        assert step["gap"]["value"] == pytest.approx(true, rel=1e-6)
        assert step["gap"]["error"] == 0
        assert step["residual"]["value"] < 1e-6
        assert step["transport"] is None
        values = [e["value"] for e in step["bounds"]["gap"].values() if e["value"] is not None]
        assert min(values) > true
    law = made["start"]["w2"]
    mean = (MEAN - TARGET.mean).square().sum()
    exact_w2 = math.sqrt(float(mean + torch.trace(COVARIANCE) + torch.trace(TARGET.covariance)))
    assert law == pytest.approx(exact_w2, rel=0.02)  # the target's moments are of 20,000 draws


def test_a_solution_certifies_itself_on_other_particles(exact):
    particles, _ = start(500, seed=7)
    made = exact.certificate(particles, iterations=0, transport_rows=50).to_dict()
    assert made["particles"] == 500
    assert made["origin"] == "particles that were given"
    assert made["steps"][0]["transport"] is not None
