"""Targets with an exact truth: constants, samples, modes, regressions and reference draws."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import wopt
from wopt import Capability
from wopt_measures import (
    CircleTarget,
    FunnelTarget,
    LogisticTarget,
    ManyWellsTarget,
    MustacheTarget,
    PosteriordbTarget,
    RandomMixtureTarget,
)
from wopt_testing.target_claims import check_target_claims

DATA = Path(os.environ.get("WOPT_DATA", Path(wopt.__file__).parent.parent / "../shared/data"))
needs_data = pytest.mark.skipif(not (DATA / "posteriors").is_dir(), reason="no real data here")
PLANAR = {
    "circle": CircleTarget(),
    "peaky": CircleTarget(variance=0.005),
    "random_mixture": RandomMixtureTarget(dim=2),
    "mustache": MustacheTarget(),
    "wells": ManyWellsTarget(dim=2),
}
ALL = {**PLANAR, "funnel": FunnelTarget(dim=4), "six wells": ManyWellsTarget(dim=6)}


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", PLANAR)
def test_log_z_is_the_integral(name):
    target = PLANAR[name]
    t = torch.linspace(-6, 6, 601, dtype=torch.float64)
    x = torch.cartesian_prod(t, t)
    if name == "mustache":  # follow its bend, which keeps areas
        x = torch.stack([x[:, 0], x[:, 1] + (x[:, 0].square() - 1).square()], 1)
    total = float((-target.potential(x)).exp().sum()) * float(t[1] - t[0]) ** 2
    known = 0.0 if Capability.NORMALISED in target.provides else target.log_z
    assert math.log(total) == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_samples_are_of_the_density(name):
    """Stein's identity, E[score f + grad f] = 0, for f = tanh of every coordinate."""
    target, n = ALL[name], 40_000
    x = target.sample(n, target.dim, chance())
    f = x.tanh()
    stein = target.score(x) * f + 1 - f.square()
    assert ((stein.mean(0) / stein.std(0)) * n**0.5).abs().max() < 4.5


@pytest.mark.parametrize("name", ["circle", "wells", "six wells"])
def test_modes_have_their_weights(name):
    target, n = ALL[name], 20_000
    weights, inside = target.components(target.sample(n, target.dim, chance(1)))
    assert float(weights.sum()) == pytest.approx(1)
    torch.testing.assert_close(inside.sum(1), torch.ones(n).double())
    error = (weights * (1 - weights) / n).sqrt()
    assert ((inside.mean(0) - weights) / error).abs().max() < 4.5


def test_constants_of_many_wells():
    assert ManyWellsTarget(dim=6).log_z == pytest.approx(30.8804, abs=5e-5)
    assert ManyWellsTarget(dim=32).log_z == pytest.approx(164.6957, abs=5e-5)
    weights, inside = ManyWellsTarget(dim=32).components(torch.ones(2, 32).double())
    assert weights.tolist() == [ManyWellsTarget(dim=2).right] * 16
    assert inside.tolist() == [[1.0] * 16] * 2
    with pytest.raises(wopt.ConfigError, match="even"):
        ManyWellsTarget(dim=3)


def test_a_funnel_tells_of_its_neck():
    target = FunnelTarget(dim=3)
    x = target.sample(20_000, 3, chance())
    even = torch.full((20_000,), 1 / 20_000, dtype=torch.float64)
    assert target.figures(x, even)["sd_of_v_error"] < 4 / math.sqrt(2 * 20_000)
    assert target.figures(x / 2, even)["sd_of_v_error"] == pytest.approx(0.5, abs=0.02)


def test_normalised_claims_hold():
    assert "normalised" in check_target_claims(PLANAR["circle"], 2)


def table(path, rows=400):
    g = np.random.default_rng(0)
    x = g.normal(size=(rows, 2))
    y = (x @ [2.0, -1.0] + g.logistic(size=rows) > 0).astype(int)
    np.savetxt(path, np.column_stack([3 * x + 5, y]), delimiter=",")
    return x, y


def test_logistic_finds_what_made_the_labels(tmp_path):
    table(tmp_path / "rows.csv")
    target = LogisticTarget(tmp_path / "rows.csv", precision=0.1)
    assert (target.dim, target.names, target.convexity) == (3, ("w1", "w2", "intercept"), 0.1)
    w = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=50, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = target.potential(w).sum()
        value.backward()
        return value

    optimiser.step(loss)
    # 320 rows: an error of a weight is about 0.25
    torch.testing.assert_close(
        w.detach()[0], torch.tensor([2.0, -1.0, 0.0]).double(), atol=1, rtol=0
    )
    found = target.figures(w.detach(), torch.ones(1).double())
    wrong = target.figures(-w.detach(), torch.ones(1).double())
    assert found["accuracy"] == pytest.approx(1 - wrong["accuracy"])
    assert found["accuracy"] > 0.7
    assert -0.6 < found["test_log_likelihood"] < -0.2
    check_target_claims(target, 3)


def test_precision_of_its_own_law(tmp_path):
    """The part of V that depends on log a is that of Gamma(1 + d/2, 0.01 + |w|^2/2)."""
    table(tmp_path / "rows.csv")
    target = LogisticTarget(tmp_path / "rows.csv")
    assert target.names[-1] == "log precision"
    w = torch.tensor([0.5, -0.2, 0.1]).double()
    log_a = torch.linspace(-6, 6, 2001).double()
    x = torch.cat([w.expand(2001, 3), log_a[:, None]], 1)
    law = torch.distributions.Gamma(1 + 3 / 2, 0.01 + w.square().sum() / 2)
    there = -law.log_prob(log_a.exp()) - log_a
    gap = target.potential(x) - there
    assert float(gap.max() - gap.min()) < 1e-9


def test_labels_that_are_not_two_classes_are_told(tmp_path):
    (tmp_path / "a.csv").write_text("1,0\n2,1\n3,2\n")
    with pytest.raises(wopt.DataError, match="positive"):
        LogisticTarget(tmp_path / "a.csv")
    assert LogisticTarget(tmp_path / "a.csv", positive=2, held_out=0.3).dim == 3
    with pytest.raises(wopt.DataError, match="none to train on"):
        LogisticTarget(tmp_path / "a.csv", positive=2, held_out=0.9)
    (tmp_path / "b.csv").write_text("1\n2\n")
    with pytest.raises(wopt.DataError, match="one column"):
        LogisticTarget(tmp_path / "b.csv")


def test_damaged_files_are_told(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file" + bytes(105) + b"\x00\x02IM")
    with pytest.raises(wopt.DataError, match="not a Matlab file"):
        LogisticTarget(tmp_path / "a.mat")
    (tmp_path / "data__arK.json.zip").write_text("nothing")
    with pytest.raises(wopt.DataError, match="is damaged"):
        PosteriordbTarget("arK", tmp_path)


@needs_data
@pytest.mark.parametrize(("file", "dim"), [("banana", 4), ("ringnorm", 22), ("covertype_5000", 12)])
def test_files_of_matlab_are_read(file, dim):
    positive = 2 if file.startswith("cover") else None
    target = LogisticTarget(DATA / "logistic" / f"{file}.mat", positive=positive)
    assert target.dim == dim
    assert torch.isfinite(target.score(torch.zeros(2, dim))).all()


@needs_data
@pytest.mark.parametrize(
    "name", ["eight_schools_centered", "eight_schools_noncentered", "arK", "kidscore_momiq"]
)
def test_reference_draws_are_of_the_density(name):
    """Stein's identity at the reference draws; its errors are of independent draws, nearly."""
    target = PosteriordbTarget(name, DATA / "posteriors")
    draws = target.reference()
    assert draws.shape == (10_000, target.dim)
    x = target.support.inverse(draws)[0]
    z = (x - x.mean(0)) / x.std(0)
    f = z.tanh()
    stein = target.score(x) * x.std(0) * f + 1 - f.square()
    assert ((stein.mean(0) / stein.std(0)) * 100).abs().max() < 4.5
    found = target.figures(draws, torch.full((10_000,), 1e-4, dtype=torch.float64))
    assert found["mean_error"] < 1e-9
    assert found["sd_error"] < 1e-3
    assert found["sliced_w2"] < 0.06  # drawn again with replacement
