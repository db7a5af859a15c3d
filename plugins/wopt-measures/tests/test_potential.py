"""The target of any Python function."""

import json

import pytest
import torch

import wopt
from wopt.component import options_model
from wopt_measures import PotentialTarget


def test_score_by_autograd():
    target = PotentialTarget(lambda x: x.pow(4).sum(1), convexity=0.0, dim=2)
    x = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    assert target.score(x).tolist() == [[-4.0, 32.0]]
    assert (target.convexity, target.dim) == (0.0, 2)
    assert target.provides == wopt.Capability.POTENTIAL | wopt.Capability.SCORE


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.square(), r"shape \(4, 2\) for points of shape \(4, 2\).*`.sum\(1\)`"),
        (lambda x: x.square().sum(1, keepdim=True), r"shape \(4, 1\).*squeeze"),
        (lambda x: x.square().sum(), r"shape \(\)"),
        (lambda x: x.square().sum(1).tolist(), "list, not a tensor"),
    ],
)
def test_wrong_values_are_explained(function, message):
    with pytest.raises(wopt.DataError, match=message):
        PotentialTarget(function).potential(torch.ones(4, 2))


def test_detached_potential_is_explained():
    with pytest.raises(wopt.DataError, match="differentiably"):
        PotentialTarget(lambda x: x.detach().sum(1)).score(torch.ones(4, 2))


def test_wrong_dimension_is_explained():
    with pytest.raises(wopt.DataError, match="3 dimension"):
        PotentialTarget(lambda x: x.sum(1), dim=3).potential(torch.ones(4, 2))


@pytest.mark.parametrize("value", ["potential", {"name": "potential", "function": "x**2"}])
def test_a_configuration_cannot_hold_a_function(value):
    with pytest.raises(wopt.ConfigError, match="in a target of your own, registered by a plugin"):
        wopt.build("target", value)


def test_written_configuration_names_the_function():
    table = wopt.config_of(PotentialTarget(torch.linalg.norm))
    assert json.loads(json.dumps(table))["function"].startswith("python:")
    assert "function" in options_model(PotentialTarget).model_json_schema()["properties"]


def test_a_score_alone_serves_what_needs_no_more():
    import wopt
    from wopt_functionals import KSD

    x = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    by_score = PotentialTarget(score=lambda x: -x)
    by_potential = PotentialTarget(lambda x: x.square().sum(1) / 2)
    assert by_score.provides == wopt.Capability.SCORE
    one, two = (float(KSD(q).energy(wopt.Particles(x))) for q in (by_score, by_potential))
    assert one == pytest.approx(two, rel=1e-12)
    with pytest.raises(wopt.CapabilityError, match="POTENTIAL"):
        by_score.potential(x)
    with pytest.raises(wopt.DataError, match="one vector a point"):
        PotentialTarget(score=lambda x: x.sum(1)).score(x)


def test_potential_score_and_samples_together():
    import wopt

    normal = wopt.build("target", "gaussian")
    q = PotentialTarget(lambda x: x.square().sum(1) / 2, score=lambda x: -x, samples=normal)
    assert (
        q.provides
        == wopt.Capability.POTENTIAL | wopt.Capability.SCORE | wopt.Capability.TARGET_SAMPLES
    )
    draw = [torch.Generator().manual_seed(3) for _ in range(2)]
    assert torch.equal(q.sample(5, 2, draw[0]), normal.sample(5, 2, draw[1]))
    # What only V and what only samples serve both take it.
    x = torch.ones(4, 2, dtype=torch.float64)
    for name in ("kl", "energy_distance"):
        objective = wopt.build("objective", {"name": name, "target": q})
        assert torch.isfinite(objective.energy(wopt.Particles.start(x)))
    with pytest.raises(wopt.CapabilityError, match="TARGET_SAMPLES"):
        PotentialTarget(score=lambda x: -x, samples=PotentialTarget(score=lambda x: -x))
