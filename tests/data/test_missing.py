"""Missing values: masks of conditions, refusals that say what to do, scores of the same table."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import wopt
from wopt.data.column import Column
from wopt.data.columns import Columns
from wopt.data.rows import completed, masked
from wopt.data.table_transform import fit_transform
from wopt.particles import split_conditions

N = 400
QUICK = {
    "block": {"name": "autoregressive", "hidden": [8]},
    "scheme": {"name": "jko", "step_size": 100.0},
    "solver": {"iterations": 150, "learning_rate": 0.02},
    "stop": {"steps": 1},
    "listener": False,
}


def people(seed=0, n=N):
    """A price that depends on the age, where that is known, and is another law where it is not."""
    draw = np.random.default_rng(seed)
    age = draw.normal(40, 10, n)
    missing = draw.random(n) < 0.3
    price = np.where(missing, 5.0, (age - 40) / 10) + 0.3 * draw.normal(size=n)
    sex = draw.choice(["f", "m"], n).astype(object)
    sex[draw.random(n) < 0.1] = None
    return pd.DataFrame({"price": price, "age": np.where(missing, np.nan, age), "sex": sex})


@pytest.fixture(scope="module")
def fitted():
    return wopt.fit(people(), context=["age", "sex"], nan="mask", **QUICK)


def test_a_mask_is_one_more_condition(fitted):
    flow = fitted.flow
    assert flow.names == ("price", "age", "sex", "age_missing", "sex_missing")
    assert flow.condition == 4
    words = [column.words() for column in flow.columns.columns]
    assert words[3] == "age_missing: whether age is missing"
    data = fitted.prepared.dataset
    rows = torch.cat([data.train, data.valid, data.test])
    table = people()
    assert int(rows[:, 3].sum()) == table.age.isna().sum()
    assert int(rows[:, 4].sum()) == table.sex.isna().sum()
    filled = rows[rows[:, 3] == 1, 1].unique()
    assert len(filled) == 1
    below = float((table.age.dropna() <= float(filled)).mean())
    assert below == pytest.approx(0.5, abs=0.01)  # the median, one of the values


def test_the_model_knows_that_a_value_is_missing(fitted):
    rng = torch.Generator().manual_seed(0)
    known = fitted.flow.sample(
        (500,), generator=rng, conditions=pd.DataFrame({"age": [40.0], "sex": ["f"]})
    )
    unknown = fitted.flow.sample(
        (500,), generator=rng, conditions=pd.DataFrame({"age": [np.nan], "sex": ["f"]})
    )
    # The laws are N(0, 0.3^2) and N(5, 0.3^2); so short a fit finds the means within one.
    assert abs(float(known.mean())) < 1
    assert abs(float(unknown.mean()) - 5) < 1


def test_samples_have_gaps_where_the_data_have(fitted):
    new = fitted.sample(300, generator=torch.Generator().manual_seed(0))
    assert list(new.columns) == ["price", "age", "sex"]
    # A share of 0.3 among 300 has a standard error of 0.026.
    assert abs(new.age.isna().mean() - 0.3) < 0.09
    assert set(new.sex.dropna()) == {"f", "m"}
    assert new.price[new.age.isna()].mean() > new.price[new.age.notna()].mean() + 2


def test_scores_of_the_very_table(fitted):
    score = fitted.flow.log_prob(people())
    assert bool(torch.isfinite(score).all())
    # As numbers: with gaps, and completed by hand.
    codes = people().assign(sex=people().sex.map({"f": 0.0, "m": 1.0}))
    array = codes.to_numpy(dtype=float)
    assert torch.allclose(fitted.flow.log_prob(array), score)
    whole = completed(fitted.flow.columns, torch.as_tensor(array))
    assert whole.shape == (N, 5)
    assert torch.allclose(fitted.flow.log_prob(whole), score)


def test_arrays_and_conditions_apart():
    table = people()
    given = table[["age"]].to_numpy()
    model = wopt.fit(table[["price"]].to_numpy(), conditions=given, nan="mask", **QUICK)
    assert model.flow.names == ("x0", "c0", "c0_missing")
    score = model.flow.log_prob(table[["price"]].to_numpy(), conditions=given)
    assert bool(torch.isfinite(score).all())
    new = model.sample(50)
    assert new.shape == (50, 2)
    assert 0 < np.isnan(new[:, 1]).sum() < 50


def test_a_modelled_column_is_refused_with_what_to_do():
    with pytest.raises(wopt.DataError) as caught:
        wopt.fit(people(), nan="mask", **QUICK)
    text = str(caught.value)
    for words in ("age, sex", "atom", 'context = ["age", "sex"]', "`columns`", 'nan = "drop"'):
        assert words in text
    array = people()[["price", "age"]].to_numpy()
    with pytest.raises(wopt.DataError, match=r"x1 have missing values.*no density.*\[\"x1\"\]"):
        wopt.fit(array, nan="mask", **QUICK)


def test_the_refusal_names_the_mask():
    with pytest.raises(wopt.DataError, match=r'nan = "drop".*nan = "mask"'):
        wopt.fit(people(), context=["age", "sex"], nan="refuse", **QUICK)


def test_a_condition_without_any_value():
    columns = Columns((Column("y"), Column("age")), 1)
    x = torch.tensor([[1.0, torch.nan], [2.0, torch.nan]]).double()
    with pytest.raises(wopt.DataError, match="'age' has no value"):
        masked(columns, x, (), "x.csv")


def test_a_name_that_is_taken():
    columns = Columns((Column("y"), Column("age")), 1)
    x = torch.tensor([[1.0, torch.nan], [2.0, 1.0]]).double()
    made, rows = masked(columns, x, ("y", "age", "age_missing"), "x.csv")
    assert made.names == ("y", "age", "age_missing_")
    assert rows.tolist() == [[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]]


def test_a_value_missing_in_no_training_row_keeps_a_scale():
    columns = Columns((Column("y"), Column("age", fill=0.0), Column("m", mask="age")), 2)
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    x[:, 2] = 0
    made = fit_transform(x, "whiten", columns)
    other = x.clone()
    other[:, 2] = 1
    (_, moved), (_, still) = (made.inside(*split_conditions(rows, 2)) for rows in (other, x))
    assert torch.allclose((moved - still)[:, 1].abs(), torch.tensor(2.0).double(), atol=0.1)


@pytest.mark.parametrize("suffix", ["csv", "npy"])
def test_from_files(tmp_path, command, config, suffix, pictures):
    """run, sample and score, with nan = "mask" and with nan = "drop", refuse nothing of theirs."""
    table = people()[["price", "age"]]
    path = tmp_path / f"people.{suffix}"
    if suffix == "npy":
        np.save(path, table.to_numpy())
    else:
        table.to_csv(path, index=False)
    context = "x1" if suffix == "npy" else "age"
    about = {
        "source": {"name": "array", "path": str(path), "context": [context], "nan": "mask"},
        "block": QUICK["block"], "scheme": QUICK["scheme"], "stop": {"steps": 1},
        "solver": {"iterations": 20}, "certify": {"enabled": False},
    }  # fmt: skip
    assert command("run", config(about), "--out", tmp_path / "run").status == 0
    out = tmp_path / f"scores.{suffix}"
    answer = command("score", tmp_path / "run", path, "-o", out)
    assert (answer.status, answer.err) == (0, "")
    assert f"{N} rows" in answer.out
    new = tmp_path / f"new.{suffix}"
    assert command("sample", tmp_path / "run", "-n", 50, "-o", new).status == 0
    assert command("score", tmp_path / "run", new, "-o", out).status == 0
    given = tmp_path / f"given.{suffix}"
    if suffix == "npy":
        np.save(given, np.array([[40.0], [np.nan]]))
    else:
        pd.DataFrame({"age": [40.0, None]}).to_csv(given, index=False)
    answer = command("sample", tmp_path / "run", "--conditions", given, "-o", new)
    assert answer.status == 0, answer.err


def test_score_after_drop(tmp_path, command, config):
    path = tmp_path / "people.csv"
    people().to_csv(path, index=False)
    about = {
        "source": {"name": "array", "path": str(path), "nan": "drop"},
        "block": "affine", "stop": {"steps": 1}, "solver": {"iterations": 20},
        "certify": {"enabled": False},
    }  # fmt: skip
    assert command("run", config(about), "--out", tmp_path / "run").status == 0
    answer = command("score", tmp_path / "run", path, "-o", tmp_path / "scores.csv")
    gaps = int(people().isna().any(axis=1).sum())
    assert answer.status == 0
    assert f"{gaps} of {N} rows have a missing value where training rows had none" in answer.err
    assert pd.read_csv(tmp_path / "scores.csv").log_likelihood.notna().all()
    saved = json.loads((tmp_path / "run" / "result.json").read_text())
    assert saved["status"] == "done"
