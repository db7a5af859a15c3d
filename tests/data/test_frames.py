"""Frames in, frames out: pandas, polars, pyarrow, with their names and types."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow
import pytest
import torch

import wopt
from wopt.data.frames import FrameType

N = 300
QUICK = {
    "block": "affine",
    "scheme": {"name": "jko", "step_size": 100.0},
    "solver": {"iterations": 60, "learning_rate": 0.05},
    "stop": {"steps": 1},
}


def frame():
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": draw.integers(18, 90, N).astype("int16"),
            "price": np.exp(draw.normal(size=N)).astype("float32"),
            "city": draw.choice(["rome", "bonn"], N),
            "ok": draw.random(N) < 0.3,
            "grade": pd.Categorical(draw.choice(["low", "mid", "high"], N), ["low", "mid", "high"]),
        }
    )


def fit(x, **options):
    return wopt.fit(x, **QUICK, **options)


@pytest.fixture(scope="module")
def found():
    return fit(frame(), support={"age": (0, 120), "price": "positive"})


@pytest.mark.parametrize("make", [lambda x: x, pl.from_pandas, pyarrow.Table.from_pandas])
def test_samples_are_such_a_frame(found, make):
    data = make(frame())
    x = found.flow.sample((200,), generator=torch.Generator().manual_seed(0))
    new = FrameType.of(data).frame(found.flow.table(x))
    assert type(new) is type(data)
    if isinstance(data, pyarrow.Table):
        assert new.schema.equals(data.schema, check_metadata=False)
        new = new.to_pandas()
    else:
        assert dict(zip(new.columns, new.dtypes, strict=True)) == dict(
            zip(data.columns, data.dtypes, strict=True)
        )
        new = new.to_pandas() if isinstance(new, pl.DataFrame) else new
    assert new.price.min() > 0
    assert new.age.between(0, 120).all()
    assert set(new.city) == {"rome", "bonn"}
    assert set(new.grade) == {"low", "mid", "high"}
    # A share of 0.3 among 200 has a standard error of 0.032; the fit is as noisy.
    assert abs(new.ok.mean() - frame().ok.mean()) < 0.15


ODD = {
    "zoned": pd.date_range("2020-03-28", periods=N, freq="h", tz="Europe/Berlin"),
    "hours": [datetime.time(k % 24, k % 60) for k in range(N)],
    "ranges": pd.cut(frame().price, 5),
    "sparse": pd.arrays.SparseArray(frame().age // 20),
    "mixed": ["none" if k % 9 else 3 for k in range(N)],
    "lists": [[k] for k in range(N)],
    "spans": pd.arrays.IntervalArray(pd.cut(frame().price, 5)),
    "quarters": pd.Series(pd.period_range("2000Q1", periods=4, freq="Q"))
    .sample(N, replace=True, random_state=0)
    .astype("category")
    .array,
    "months": pd.period_range("2000-01", periods=N, freq="M"),
    "complex": frame().price * 1j,
}
TYPED = ("zoned", "hours", "ranges", "spans", "quarters", "months")


@pytest.mark.filterwarnings("ignore:the fit made no step")
@pytest.mark.parametrize("name", ODD)
def test_types_that_arrow_lacks_are_texts_and_times_have_their_zone(name):
    data = frame()[["price"]].assign(odd=ODD[name])
    found = fit(data, listener=False)
    new = found.sample(400, generator=torch.Generator().manual_seed(0))
    assert not new.isna().to_numpy().any()
    assert bool(found.flow.log_prob(data).isfinite().all())
    if name in TYPED:
        assert new.odd.dtype == found.sample(2).odd.dtype == data.odd.dtype
    if name in ("ranges", "spans", "quarters"):
        assert set(new.odd) <= set(data.odd)
    elif name not in (*TYPED, "sparse"):
        assert set(new.odd) <= set(data.odd.astype(str))
    kind = FrameType.of(data)
    assert FrameType.from_json(kind.to_json()) == kind
    with pytest.raises(wopt.DataError, match="several columns are named odd; rename them"):
        fit(pd.concat([data, data[["odd"]]], axis=1))


def test_scores_of_a_frame_are_those_of_its_codes(found):
    data = frame()
    codes = np.column_stack(
        [data.age, data.price, (data.city == "rome"), data.ok, data.grade.cat.codes]
    ).astype(float)
    by_frame = found.flow.log_prob(data[["grade", "ok", "city", "price", "age"]])
    torch.testing.assert_close(by_frame, found.flow.log_prob(codes))
    torch.testing.assert_close(found.flow.log_prob(pl.from_pandas(data)), by_frame)
    data.loc[4, "city"] = "oslo"
    with pytest.warns(UserWarning, match=r"'city' has categories.*'oslo'; known: 'bonn', 'rome'"):
        scores = found.flow.log_prob(data)
    assert scores[4] == -np.inf
    torch.testing.assert_close(scores[:4], by_frame[:4])
    with pytest.raises(wopt.DataError, match=r"has no column\(s\) city, grade, and the model's"):
        found.flow.log_prob(data.drop(columns=["grade", "city"]))


def test_a_model_of_an_array_takes_columns_by_position():
    x = np.random.default_rng(1).normal(size=(N, 3))
    flow = fit(x).flow
    scores = flow.log_prob(x[:5])
    rows = pd.DataFrame(x[:5], columns=["u", "v", "w"])
    for kind in (rows, pl.from_pandas(rows), pyarrow.Table.from_pandas(rows)):
        torch.testing.assert_close(flow.log_prob(kind), scores)
    swapped = pd.DataFrame(x[:5], columns=["x0", "x1", "x2"])[["x2", "x0", "x1"]]
    torch.testing.assert_close(flow.log_prob(swapped), scores)  # these names are the model's
    for names in (["u", "x0", "w"], ["u", "v", "w", "more"]):
        rows = pd.DataFrame(np.zeros((5, len(names))), columns=names)
        with pytest.raises(wopt.DataError, match=r"not clear which of them are x.*needs 3"):
            flow.log_prob(rows)
    twice = pyarrow.table(list(x[:5].T), names=["u", "u", "w"])
    with pytest.raises(wopt.DataError, match="several columns are named u; rename"):
        flow.log_prob(twice)


def test_conditions_with_names_beside_columns_without():
    draw = np.random.default_rng(2)
    given = pd.DataFrame({"time": draw.normal(size=N)})
    x = draw.normal(size=(N, 2)) + given.to_numpy()
    flow = fit(x, conditions=given).flow
    scores = flow.log_prob(x[:5], conditions=given.to_numpy()[:5])
    rows = pd.DataFrame({"u": x[:5, 0], "time": given.time[:5], "v": x[:5, 1]})
    torch.testing.assert_close(flow.log_prob(rows), scores)
    torch.testing.assert_close(flow.log_prob(rows[["u", "v"]], conditions=given[:5]), scores)
    with pytest.raises(wopt.DataError, match=r"has no column\(s\) time"):
        flow.log_prob(rows.rename(columns={"time": "when"}))


def test_conditions_that_are_categories():
    data = frame()
    data["price"] = np.where(data.city == "rome", 3.0, -3.0) + data.price
    found = fit(data[["price", "city"]], context=["city"])
    towns = pd.DataFrame({"city": ["rome", "bonn"] * 300})
    new = found.sample((), conditions=towns, generator=torch.Generator().manual_seed(0))
    assert list(new.columns) == ["price", "city"]
    assert (new.city == towns.city).all()
    # Of 300 draws with deviation 2 each: four standard errors of a difference; the fit is as noisy.
    means, truth = (x.groupby("city").price.mean() for x in (new, data))
    assert abs((means - truth).diff().iloc[1]) < 4 * 2 * (4 / 300) ** 0.5


def test_arrays_and_tensors():
    x = np.random.default_rng(0).poisson(4, size=(N, 2))
    found = fit(x)
    drawn = found.sample(50)
    assert isinstance(drawn, np.ndarray)
    assert np.array_equal(drawn, drawn.round())
    plain = fit(torch.randn(N, 2, generator=torch.Generator().manual_seed(0)))
    assert plain.flow.columns is None
    assert isinstance(plain.sample(5), torch.Tensor)
    assert plain.flow.table(plain.sample(3)).column_names == ["x0", "x1"]


def test_weights_filters_and_missing_values_of_a_frame():
    data = frame().astype({"price": "float64"})
    data.loc[[2, 8], "price"] = np.nan
    with pytest.raises(wopt.DataError, match=r'2 of 300 rows.*price.*nan = "drop"'):
        fit(data, nan="refuse")
    weights = np.where(data.city == "rome", 1.0, 0.0)
    columns = ["price", "age", "city"]
    found = fit(data, nan="drop", weights=weights, where="age > 30", columns=columns)
    rows = found.prepared.dataset.train
    assert set(found.flow.table(rows).column("city").to_pylist()) == {"rome"}
    assert float(rows[:, 1].min()) > 30
    with pytest.raises(wopt.DataError, match="weights: x has 300 rows, and these are 5"):
        fit(frame(), weights=np.ones(5))


def test_the_test_likelihood_is_in_the_units_of_the_data():
    # log-normal prices: the entropy of exp(N(m, s^2)) is m + log(2 pi e s^2)/2.
    price = np.exp(1.5 + 0.5 * np.random.default_rng(0).normal(size=4000))
    found = fit(pd.DataFrame({"price": price}), support={"price": "positive"}, dtype=torch.float64)
    entropy = 1.5 + 0.5 * np.log(2 * np.pi * np.e * 0.25)
    test = found.prepared.dataset.test
    nll = -float(found.flow.log_prob(test).mean())
    error = float(found.flow.log_prob(test).std()) / len(test) ** 0.5
    assert abs(nll - entropy) < 4 * error
    assert abs(found.history[-1].nll_valid - entropy) < 4 * error


def test_what_holds_rows_but_is_none_is_told_what_to_do():
    with pytest.raises(wopt.DataError, match=r"this str is neither: .*`wopt run wine\.csv`"):
        wopt.fit("wine.csv", block="affine")
    anndata = pytest.importorskip("anndata")
    with pytest.raises(wopt.DataError, match=r"this AnnData is neither: .*x\.obsm"):
        wopt.fit(anndata.AnnData(np.zeros((3, 2))), block="affine")
