"""Bounds along the run are withdrawn where the map is not optimal; the others hold for any map."""

import math

import pytest
import torch

import wopt
from wopt.data.transform import AffineTransform
from wopt.testing import AffineBlock
from wopt.train.problem import Problem
from wopt.train.record import StepRecord
from wopt_certify.bounds import chain
from wopt_certify.certificate import make_certificate
from wopt_certify.options import Certify
from wopt_certify.replay import EvaluationData

ALONG = {"theorem_s", "theorem_p", "a_priori", "convex", "paper"}


def record(h):
    return StepRecord(
        step=1, step_size=h, energy=0.0, energy_change=0.0, w2_step=0.0, decrease=0.0,
        decrease_error=0.0, residual=None, nll_valid=None, likelihood_error=None,
        inversion_error=None, retries=0, attempts=(), terms={}, loss=0.0, iterations=0,
        seconds=0.0, cpu_seconds=0.0,
    )  # fmt: skip


def certified(matrix, n=4000, score=True, objective="kl"):
    """Certify one step of h = 1 from N(0, I) by a linear map."""
    x = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    block = AffineBlock(2).double()
    block.matrix.data.copy_(torch.tensor(matrix))
    block.freeze()
    law = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    start = wopt.Particles.start(x, log_density=law.log_prob(x))
    units = AffineTransform.fit(x, "none")
    evidence = EvaluationData(start, "draws", -x if score else None, units, 0.0, x)
    problem = Problem(
        wopt.build("objective", objective),
        wopt.build("scheme", {"name": "jko", "step_size": 1.0}),
        block,
    )
    return make_certificate(
        problem, [block], [record(1.0)], evidence, Certify(iterations=0, transport_rows=0)
    )


def values(found):
    return {k: e.value for k, e in found.steps[0].bounds.gap.items() if e.value is not None}


def test_a_stationary_map_that_is_not_optimal_gives_no_tiny_bound():
    """T = -x/2 solves the first-order condition of h = 1: eps = 0, and KL(N(0, I/4) | N) = 0.64."""
    found = certified([[-0.5, 0.0], [0.0, -0.5]])
    true = 0.25 - 1 - math.log(0.25)
    assert found.steps[0].residual.value < 1e-6
    known = values(found)
    assert not ALONG & set(known)
    for name in ALONG:
        reason = found.steps[0].bounds.gap[name].reason
        assert reason.startswith("hypothesis fails at step 1")
        assert "negative eigenvalue -0.5" in reason
    assert known["theorem_q"] > true
    assert known["log_sobolev"] > true
    assert found.gap.upper > true
    assert found.gap.refuted == ()


def test_a_turned_map_is_not_optimal_either():
    found = certified([[0.9, -0.4], [0.4, 0.9]])
    assert "antisymmetric" in found.steps[0].not_optimal
    assert not ALONG & set(values(found))
    assert {"theorem_q", "log_sobolev"} <= set(values(found))


def test_an_optimal_map_keeps_all_bounds():
    found = certified([[0.9, 0.1], [0.1, 0.8]])
    assert found.steps[0].not_optimal == ""
    assert set(values(found)) >= ALONG | {"theorem_q", "log_sobolev"}


def test_a_failure_lasts_for_all_later_steps():
    rows = chain(
        [1.0] * 3, [0.1] * 3, 1.0, w0=2.0, kl0=2.0, moved=[1.0] * 3, not_optimal=["", "no", ""]
    )
    has = [row.gap["theorem_p"].value is not None for row in rows]
    assert has == [True, False, False]
    assert all(row.gap["theorem_q"].value is not None for row in rows)
    assert rows[2].gap["a_priori"].reason == "hypothesis fails at step 2: no"


def test_the_label_says_that_eps_is_what_was_seen():
    rows = chain([1.0] * 2, [0.1] * 2, 1.0, w0=2.0, moved=[1.0] * 2, fisher=[1.0] * 2, seen={1})
    seen, given = "bound given the eps seen", "bound given eps"
    assert rows[0].gap["theorem_q"].label == rows[0].gap["log_sobolev"].label == seen
    assert rows[1].gap["theorem_q"].label == given  # looks at the second step alone
    assert rows[1].gap["theorem_s"].label == seen
    found = certified([[0.9, 0.1], [0.1, 0.8]], score=False)
    assert {e.label for e in found.steps[0].bounds.gap.values() if e.value is not None} == {seen}


class Short(wopt.Objective):
    """|x|^2/2 that declares a minimum it goes below."""

    convexity = 1.0
    minimum = 5.0

    def energy(self, particles):
        return particles.mean(self.contributions(particles))

    def contributions(self, particles):
        return particles.points.square().sum(1) / 2


def test_an_energy_below_the_declared_minimum_is_told():
    found = certified([[0.5, 0.0], [0.0, 0.5]], objective=Short())
    assert found.steps[0].gap.impossible
    assert found.gap.of == "G(p_N) - min G"
    assert found.kl is None
    assert found.to_dict()["kl"] is None
    assert any("the declared minimum is false" in note for note in found.notes)
    # Whose minimum is false is not believed in lambda either.
    assert found.final.gap is None
    assert "at most" not in found.statement.text


def test_without_an_entropy_no_map_has_to_be_optimal():
    class Well(Short):
        minimum = 0.0

    found = certified([[-0.5, 0.0], [0.0, -0.5]], objective=Well())
    assert found.steps[0].not_optimal == ""
    assert found.steps[0].gap.value == pytest.approx(0.25, rel=0.1)
    assert min(values(found).values()) > 0.25
