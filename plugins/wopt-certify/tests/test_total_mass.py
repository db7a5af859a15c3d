"""The integral of a model's density: one for honest models, and told first where it is not."""

import copy
import math

import pytest
import torch

from wopt.config.model import validate
from wopt.interfaces import FinishedRun
from wopt.interfaces.listener import Listener
from wopt.runs.preparation import prepare
from wopt.runs.solution import advance
from wopt.testing import AffineBlock
from wopt_certify.mass import TotalMass, mass_of, total_mass
from wopt_certify.results import Certificate
from wopt_certify.run import certify
from wopt_measures.laws.known import known_laws


class TooGood(AffineBlock):
    """Claims half a nat of log-det too much, in its audit too."""

    def forward(self, x):
        y, log_det = super().forward(x)
        return y, log_det + 0.5


@pytest.mark.parametrize("name", ["ring-2", "rose-2", "funnel-5", "student-2", "mixture-5"])
def test_laws_of_known_density_have_mass_one(name):
    law = known_laws()[name]
    units = 10.0 ** (30 * torch.linspace(-1, 1, law.dim).double())  # their product is one
    for seed in range(4):
        x = law.sample(1000, law.dim, torch.Generator().manual_seed(seed))
        mass = total_mass(law.log_prob, x, seed)
        assert abs(mass.value - 1) < 4 * mass.error  # 1 in 16,000
        assert mass.is_one
        e = math.exp(0.3)
        more = total_mass(lambda p: law.log_prob(p) + 0.3, x, seed)
        assert more.value == pytest.approx(e * mass.value, rel=1e-9)
        assert more.is_one == (more.k_hat > more.threshold)
        same = total_mass(lambda p: law.log_prob(p / units), x * units, seed)
        assert same.value == pytest.approx(mass.value, rel=1e-6)


def test_a_tail_that_is_too_heavy_tells_nothing_but_by_markov():
    assert TotalMass(3.0, 0.1, 1.2, 0.7).is_one
    assert not TotalMass(101.0, 90.0, 1.2, 0.7).is_one
    assert not TotalMass(0.5, 0.05, 0.1, 0.7).is_one
    assert TotalMass(1.1, 0.05, 0.1, 0.7).is_one


def ready(tiny):
    tiny["source"] |= {"n_train": 400, "n_valid": 300, "n_test": 300}
    tiny["stop"] = {"steps": 1}
    tiny["certify"] = {"particles": 200, "iterations": 5, "transport_rows": 0, "challenge": False}
    tiny["certify"]["budget"] = 0
    prepared = prepare(validate(copy.deepcopy(tiny)), validate(tiny).source.load(0))
    solution = advance(prepared, prepared.problem.begin(prepared.train, prepared.valid), False)
    return prepared, solution, solution.flow.blocks


def test_a_block_that_claims_too_much_is_told_of_first(tiny):
    prepared, solution, blocks = ready(tiny)
    honest = certify(prepared.config.certify, FinishedRun(prepared, solution.state))
    assert honest.mass.is_one
    assert "integrates" not in honest.statement.text
    false = TooGood(2).to(blocks[0].move(prepared.train.points[:1]).dtype).freeze()
    assert mass_of(prepared, [*blocks, false]).value == pytest.approx(
        math.exp(0.5) * honest.mass.value, rel=0.15
    )


def test_the_certificate_of_a_false_log_det(tiny, monkeypatch):
    prepared, solution, blocks = ready(tiny)
    true = type(blocks[0]).audit
    monkeypatch.setattr(
        type(blocks[0]), "audit", lambda block, x: (true(block, x)[0], true(block, x)[1] + 0.5)
    )
    warned = []

    class Told(Listener):
        def warn(self, text):
            warned.append(text)

    certificate = certify(prepared.config.certify, FinishedRun(prepared, solution.state, Told()))
    assert not certificate.mass.is_one
    assert certificate.statement.text.startswith("The model's density integrates to 1.")
    assert "too high" in certificate.notes[0]
    assert certificate.notes[0] in warned
    again = Certificate.from_dict(certificate.to_dict())
    assert again.mass == certificate.mass
