"""Tables on the command line: init, validate, run, sample, score, and populations."""

import json
import tomllib

import numpy as np
import pandas as pd
import pytest

import wopt

N = 400


def orders():
    """Return a table with columns of every kind."""
    draw = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "age": draw.integers(18, 90, N),
            "price": np.exp(draw.normal(size=N)),
            "city": draw.choice(["rome", "bonn", "paris"], N),
            "ok": draw.random(N) < 0.3,
            "note": [f"order {j}" for j in range(N)],
        }
    )
    data.loc[[3, 9], "price"] = np.nan
    return data


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Return the place of a table, in the current directory."""
    monkeypatch.chdir(tmp_path)
    orders().to_csv("shop.csv", index=False)
    return tmp_path / "shop.csv"


def table(path, **source):
    return {
        "source": {"name": "array", "path": str(path), **source},
        "block": "affine",
        "solver": {"iterations": 30, "batch_size": 100},
        "stop": {"steps": 1},
        "certify": {"enabled": False},
    }


def test_init_reads_data_and_never_overwrites_them(command, shop):
    before = shop.read_bytes()
    answer = command("init", shop)
    assert answer.status == 0, answer.err
    assert "note: not modelled: it has 400 distinct texts" in answer.out
    assert "price: continuous; 2 values are missing" in answer.out
    made = tomllib.loads((shop.parent / "shop.toml").read_text())
    assert made["source"]["nan"] == "model"
    assert "columns" not in made["source"]
    assert command("validate", shop.parent / "shop.toml").status == 0
    assert command("init", shop).is_mistake("shop.toml: is there already", "--force")
    assert command("init", shop, "--force").status == 0
    assert shop.read_bytes() == before
    assert command("init", "gone.csv").is_mistake("gone.csv does not exist")
    (shop.parent / "notes.md").write_text("precious")
    for words in (["notes.md"], ["notes.md", "--force"]):
        assert command("init", *words).is_mistake("notes.md")
    assert (shop.parent / "notes.md").read_text() == "precious"


def test_validate_refuses_what_run_refuses(command, config, shop):
    answer = command("validate", config(table(shop)))
    assert "column note is not modelled: it has 400 distinct texts" in answer.out
    assert "column price: continuous in [0, inf], with gaps" in answer.out
    columns = {"columns": ["age", "price", "city", "ok"]}
    path = config(table(shop, nan="refuse", **columns))
    assert command("validate", path).is_mistake("2 of 400 rows", "source.nan=drop")
    path = config(table(shop, nan="drop", **columns))
    answer = command("validate", path)
    assert answer.status == 0, answer.err
    assert "column age: integer" in answer.out
    assert "column city: 3 categories (" in answer.out
    for verb in ("validate", "run"):
        answer = command(verb, path, "--set", "model=push_forward")
        assert answer.is_mistake('model = "push_forward" needs a start')
    setting = "source.where=age == 3 or 4"
    assert command("validate", path, "--set", setting).is_mistake("cannot be read from")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a run on a table, conditional on the city."""
    folder = tmp_path_factory.mktemp("shop")
    orders().to_csv(folder / "shop.csv", index=False)
    made = table(
        folder / "shop.csv", columns=["age", "price", "city", "ok"], nan="drop", context=["city"],
        support={"age": [0, 120], "price": "positive"},
    )  # fmt: skip
    assert wopt.run(made, folder / "run").status == "done"
    return folder / "run"


def test_a_model_scores_the_table_it_was_trained_on(command, trained, shop):
    answer = command("score", trained, shop, "-o", "scores.csv")
    assert answer.status == 0, answer.err
    assert "398 rows, a lower bound of the mean log-likelihood" in answer.out
    assert "2 of 400 rows have a missing value" in answer.err
    scores = pd.read_csv("scores.csv").log_likelihood
    assert scores.notna().all()
    result = json.loads((trained / "result.json").read_text())
    # The same quantity on a part of these rows, with one draw of the noise.
    assert abs(-scores.mean() - result["nll_test"]) < 5 * result["nll_error"]
    data = pd.read_csv(shop)
    data.loc[0, "city"] = "oslo"
    data.to_csv("new.csv", index=False)
    answer = command("score", trained, "new.csv", "-o", "s.csv")
    assert answer.is_mistake("'city' has categories", "'oslo'", "known: 'bonn', 'paris', 'rome'")
    data.drop(columns="age").to_csv("new.csv", index=False)
    answer = command("score", trained, "new.csv", "-o", "s.csv")
    assert answer.is_mistake("has no column(s) age", "rename")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_samples_are_written_as_the_data_are(command, trained, shop, suffix):
    answer = command("sample", trained, "-n", "200", "-o", f"new.{suffix}")
    assert answer.status == 0, answer.err
    new = pd.read_csv("new.csv") if suffix == "csv" else pd.read_parquet("new.parquet")
    assert list(new.columns) == ["age", "price", "ok", "city", "log_density"]
    assert new.age.dtype == "int64"
    assert new.ok.dtype == "bool"
    assert new.age.between(0, 120).all()
    assert new.price.min() > 0
    assert set(new.city) == {"bonn", "paris", "rome"}
    assert new.log_density.notna().all()


def test_samples_in_an_array_have_codes(command, trained, shop):
    assert command("sample", trained, "-n", "50", "-o", "new.npy").status == 0
    new = np.load("new.npy")
    assert set(new[:, 3]) <= {0.0, 1.0, 2.0}
    assert command("score", trained, "new.npy", "-o", "s.npy").status == 0


def test_conditions_are_found_by_name(command, trained, shop):
    pd.DataFrame({"x": [1.0, 2.0], "city": ["rome", "bonn"]}).to_csv("c.csv", index=False)
    answer = command("sample", trained, "-o", "new.csv", "--conditions", "c.csv")
    assert answer.status == 0, answer.err
    assert list(pd.read_csv("new.csv").city) == ["rome", "bonn"]
    pd.DataFrame({"town": ["rome"]}).to_csv("c.csv", index=False)
    answer = command("sample", trained, "-o", "new.csv", "--conditions", "c.csv")
    assert answer.is_mistake("has no column(s) city", "its own are town")
    np.save("c.npy", np.array([[2.0], [0.0]]))
    assert command("sample", trained, "-o", "new.csv", "--conditions", "c.npy").status == 0
    assert list(pd.read_csv("new.csv").city) == ["rome", "bonn"]


@pytest.fixture
def populations(tmp_path):
    """Return a configuration from one population to another, 4 units apart."""
    draw = np.random.default_rng(0)
    day = np.repeat([0, 1], 500)
    rows = draw.normal(size=(1000, 2)) + 4.0 * day[:, None]
    path = tmp_path / "cells.csv"
    pd.DataFrame({"day": day, "a": rows[:, 0], "b": rows[:, 1]}).to_csv(path, index=False)

    def population(k):
        return {"name": "array", "path": str(path), "where": f"day == {k}", "preprocess": "none"}

    return {
        "source": population(0),
        "objective": {
            "name": "energy_distance",
            "target": {"name": "samples", "source": population(1)},
        },
        "scheme": {"name": "jko", "step_size": 50.0},
        "block": "affine",
        "solver": {"iterations": 60, "learning_rate": 0.3, "batch_size": 200},
        "stop": {"steps": 1},
        "certify": {"enabled": False},
    }


def test_one_population_is_carried_to_another(command, config, populations, tmp_path, pictures):
    path = config(populations)
    assert "the source carried to the target" in command("validate", path).out
    assert command("run", path, "--out", tmp_path / "run").status == 0
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["model"] == "push_forward"
    answer = command("sample", tmp_path / "run", "-n", "400", "-o", tmp_path / "s.csv")
    assert answer.status == 0, answer.err
    assert "no known density" in answer.err
    assert "not finite" not in answer.err
    new = pd.read_csv(tmp_path / "s.csv")
    assert new.log_density.isna().all()
    # Four standard errors of a mean of 100 held-out rows.
    assert np.abs(new[["a", "b"]].mean() - 4).max() < 0.45
    score = command("score", tmp_path / "run", tmp_path / "s.csv", "-o", tmp_path / "o.csv")
    assert score.is_mistake("density is not known")


def test_populations_in_other_units_are_refused(command, config, populations):
    populations["source"]["preprocess"] = "whiten"
    path = config(populations)
    assert command("validate", path).is_mistake("same units", 'preprocess = "none"')
    assert command("validate", path, "--set", "model=pull_back").status == 0
