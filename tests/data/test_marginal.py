"""Rows with gaps: densities of what is seen and values of what is missing, by closed forms."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow
import pytest
import torch

import wopt
from wopt.data.column import Column
from wopt.data.columns import Columns
from wopt.data.description import described
from wopt.data.frames import FrameType, is_frame
from wopt.data.table_transform import fit_transform
from wopt.flow import Flow, log_marginal
from wopt.flow.marginal import _Proposal

N = 4000
QUICK = {"block": "affine", "stop": {"steps": 1}, "solver": {"iterations": 20}, "listener": False}


def gaussian(x):
    """Return the flow without blocks, which is the Gaussian of x on the line."""
    columns = Columns(tuple(described(Column(name), x[:, j]) for j, name in enumerate("abc")))
    x = columns.jitter(x, torch.Generator().manual_seed(0))
    return Flow([fit_transform(x, "whiten", columns)], wopt.build("target", "gaussian"), "abc")


@pytest.fixture(scope="module")
def rows():
    """Return normal a, log-normal b and a category c of probability 0.3 at its value 1."""
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(N, 3, generator=rng, dtype=torch.float64)
    b = (0.8 * z[:, 0] + 0.6 * z[:, 1]).exp()
    return torch.stack([z[:, 0], b, (torch.rand(N, generator=rng) < 0.3).double()], dim=1)


def test_marginals_of_a_gaussian(rows):
    flow, some = gaussian(rows), rows[:200].clone()
    some[:100, 1:] = torch.nan
    some[100:, :2] = torch.nan
    with pytest.warns(UserWarning, match=r"200 row\(s\) have gaps in a, b, c; .*standard errors"):
        value = flow.log_prob(some)
    estimate, error = log_marginal(flow, some)
    assert torch.equal(value, estimate)
    a = torch.distributions.Normal(rows[:, 0].mean(), rows[:, 0].std())
    exact = a.log_prob(some[:100, 0])
    assert float(error[:100].max()) < 0.1
    assert float(((estimate[:100] - exact) / error[:100]).square().mean()) < 2
    # A category has its probability.
    exact = torch.where(some[100:, 2] == 1, rows[:, 2].mean(), 1 - rows[:, 2].mean()).log()
    assert float((estimate[100:] - exact).abs().max()) < 0.2
    whole, none = log_marginal(flow, rows[:5])
    assert torch.equal(whole, flow.log_prob(rows[:5]))
    assert not bool(none.any())


def test_what_is_missing_has_its_law_given_the_rest(rows):
    flow, some = gaussian(rows), rows[:1000].clone()
    some[:, 1] = torch.nan
    rng = torch.Generator().manual_seed(1)
    drawn = flow.impute(some, generator=rng)
    assert torch.equal(drawn[:, [0, 2]], some[:, [0, 2]])
    # b is log-normal given a: its logarithm is N(0.8 a, 0.36).
    rest = drawn[:, 1].log() - 0.8 * some[:, 0]
    assert abs(float(rest.mean())) < 4 * 0.6 / 1000**0.5 + 0.05
    assert abs(float(rest.std()) - 0.6) < 0.06
    mean = flow.impute(some, "mean", generator=rng)[:, 1]
    exact = (0.8 * some[:, 0] + 0.18).exp()
    assert float((mean / exact - 1).abs().mean()) < 0.1


def people():
    draw = np.random.default_rng(0)
    age, city = draw.integers(18, 90, 400), draw.choice(["bonn", "rome"], 400)
    income = np.exp(0.02 * age + np.where(city == "rome", 2.0, 0.0) + 0.1 * draw.normal(size=400))
    data = pd.DataFrame(
        {"age": age, "income": income, "city": city, "double": 2 * age, "eu": "yes"}
    )
    data.loc[draw.random(400) < 0.2, "income"] = np.nan
    return data


@pytest.mark.parametrize("make", [lambda x: x, pl.from_pandas, pyarrow.Table.from_pandas])
def test_frames_in_frames_out(make, tmp_path):
    data = make(people())
    found = wopt.fit(data, **QUICK)
    again = wopt.load(found.flow.save(tmp_path / "people.wopt"))
    for new in (found.sample(50), found.flow.sample(50), again.sample(50)):
        assert type(new) is type(data)
        kept = new.to_pandas() if isinstance(new, pyarrow.Table) else new
        assert list(kept.columns) == ["age", "income", "city", "double", "eu"]
        assert list(kept["double"]) == [2 * x for x in kept["age"]]
        assert new.schema == data.schema if hasattr(new, "schema") else True
    assert found.flow.sample((2, 3)).shape == (2, 3, 3)  # a shape is one of a tensor
    holes = people()
    holes["city"] = [None, "rome"] * 200
    holes["note"] = "mine"
    filled = again.impute(make(holes))
    assert type(filled) is type(data)
    filled = filled if isinstance(filled, pd.DataFrame) else filled.to_pandas()
    assert not filled.isna().to_numpy().any()
    assert list(filled.city[1::2]) == ["rome"] * 200
    known = people().income.notna()
    assert (filled.income[known] == people().income[known]).all()
    assert (filled.note == "mine").all()


def test_a_series_is_a_frame_of_one_column():
    found = wopt.fit(people().age, **QUICK)
    assert list(found.flow.sample(3).columns) == ["age"]
    lazy = pl.from_pandas(people()).lazy()
    assert is_frame(lazy)
    assert FrameType.of(lazy).labels == tuple(people())
    assert found.flow.log_prob(lazy).shape == found.flow.log_prob(people().age).shape == (400,)


def test_columns_that_nearly_follow_from_others_are_drawn():
    rng = torch.Generator().manual_seed(1)
    z = torch.randn(300, 1, generator=rng).double()
    line, missing = z + 1e-6 * torch.randn(300, 20, generator=rng), torch.arange(20) < 2
    columns = Columns.on_the_line([f"x{j}" for j in range(20)])
    proposal = _Proposal(columns, line, torch.ones_like(line, dtype=torch.bool), missing)
    values, log_q = proposal.draw(line[:5], 4, rng)
    assert bool(log_q.isfinite().all())
    assert float((values[:, :2] - z[:5, :, None]).abs().max()) < 1e-3


def test_columns_that_are_never_known_together_are_filled():
    half, z = np.arange(400) % 2 == 0, np.random.default_rng(0).normal(size=400)
    data = pd.DataFrame({"m": np.where(half, z, np.nan), "f": np.where(half, np.nan, z - 10)})
    data["none"] = np.nan
    filled = wopt.fit(data, **QUICK).flow.impute(data)
    assert filled.isna().sum().tolist() == [0, 0, 400]
    assert filled.f.max() < filled.m.min()


@pytest.mark.filterwarnings("ignore:the fit made no step")
def test_without_a_condition_there_is_no_law():
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    flow = wopt.fit(x[:, :1], conditions=x[:, 1:], **QUICK).flow
    with pytest.warns(UserWarning, match="rows without one get NaN"):
        score = flow.log_prob(torch.tensor([[0.0, 1.0], [0.0, torch.nan], [torch.nan, 0.0]]))
    assert score.isnan().tolist() == [False, True, False]
    assert abs(float(score[2])) < 0.3  # nothing is seen, and that is certain
