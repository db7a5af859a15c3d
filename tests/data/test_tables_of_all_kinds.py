"""Tables as people have them: kinds, supports, filters, weights, missing values, and messages."""

import numpy as np
import pyarrow
import pytest
import torch

import wopt
from wopt.data.choices import Choices
from wopt.data.columns import Columns
from wopt.data.frames import arrow_table
from wopt.data.load import chosen_rows, from_table, resampled, thinned_rows
from wopt.data.rows import matched
from wopt.data.tables import read_frame, write_frame

N = 400
SPLIT = (0.8, 0.1, 0.1)


def people(**more):
    """Return a table with columns of every kind."""
    draw = np.random.default_rng(0)
    held = {
        "age": draw.integers(0, 121, N),
        "price": np.exp(draw.normal(size=N)),
        "share": draw.random(N),
        "city": draw.choice(["rome", "bonn", "paris"], N),
        "ok": draw.random(N) < 0.3,
        "day": np.repeat([0.0, 1.0], N // 2),
        "w": draw.random(N),
    }
    return pyarrow.table(held | more)


def choose(table=None, **options):
    return chosen_rows(people() if table is None else table, Choices(**options), "people.csv")


def load(table=None, **options):
    table = people() if table is None else table
    return from_table(table, Choices(**options), SPLIT, "standardise", 0, "people.csv")


def test_kinds_are_found_from_types():
    kinds = {c.name: c.kind for c in choose().columns.columns}
    assert kinds == {
        "age": "integer", "price": "continuous", "share": "continuous", "city": "categorical",
        "ok": "categorical", "day": "integer", "w": "continuous",
    }  # fmt: skip
    found = choose(columns=["city", "ok"])
    towns, truth = (column.categories for column in found.columns.columns)
    assert (sorted(towns), truth) == (["bonn", "paris", "rome"], (False, True))
    assert [towns[int(k)] for k in found.x[:, 0]] == people().column("city").to_pylist()


def test_categories_are_ordered_so_that_neighbours_are_alike():
    draw = np.random.default_rng(0)
    place = draw.integers(0, 5, N)
    words = np.array(["e", "b", "d", "a", "c"])[place]
    found = choose(pyarrow.table({"x": place + 0.3 * draw.normal(size=N), "word": words}))
    order = "".join(found.columns.columns[1].categories)
    assert order in ("ebdac", "cadbe")


def test_kinds_as_wished():
    found = choose(columns=["age", "day"], kinds={"age": "continuous", "day": "categorical"})
    assert [c.kind for c in found.columns.columns] == ["continuous", "categorical"]
    assert found.columns.columns[1].categories == (0.0, 1.0)
    data = load(columns=["age"], kinds={"age": "continuous"})
    assert torch.equal(data.train, data.train.round())
    data = load(columns=["age"])
    assert len(data.train.unique()) == len(data.train)


def test_a_dictionary_keeps_the_order_of_its_categories():
    grades = pyarrow.array(["high", "low", "mid"] * (N // 3) + ["low"]).dictionary_encode()
    order = pyarrow.DictionaryArray.from_arrays(
        grades.cast(pyarrow.string()).dictionary_encode().indices.take(list(range(N))),
        ["high", "low", "mid"],
    )
    found = choose(pyarrow.table({"grade": order, "x": np.arange(N) / 7}))
    assert found.columns.columns[0].categories == ("high", "low", "mid")


LEFT_OUT = {
    "names": ([f"name {i}" for i in range(N)], "has 400 distinct texts in 400 rows"),
    "one": (["a"] * N, "does not vary"),
    "same": (np.full(N, 2, np.int8), "does not vary"),
    "empty": ([None] * N, "has no value"),
    "row": (np.arange(1, N + 1), "counts the rows"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_columns_of_no_use_are_left_out_and_put_back(name):
    values, why = LEFT_OUT[name]
    table = people(**{name: pyarrow.array(values)})
    found = choose(table)
    assert name not in found.columns.names
    assert any(f"{name} is not modelled: it {why}" in line for line in found.facts.lines())
    back = arrow_table(found.x[:5], found.columns)
    assert back.column_names == table.column_names
    old, new = table.column(name).to_pylist(), back.column(name).to_pylist()
    assert new == (list(range(N + 1, N + 6)) if name == "row" else old[:5])
    assert back.column(name).type == table.column(name).type
    assert Columns.from_json(found.columns.to_json()) == found.columns


FOLLOWS = {
    "total": ("total", "equals men + women"),  # though it comes first
    "half": ("half", "equals 0.5 age + 3"),
    "code": ("code", "names the categories of city"),
    "other": ("other", "equals - ok2 + 1"),
}


@pytest.mark.parametrize("name", FOLLOWS)
def test_columns_that_follow_from_others(name):
    draw = np.random.default_rng(1)
    base = people().to_pandas()
    men, women = draw.integers(0, 90, N), draw.integers(0, 90, N)
    ok2 = draw.integers(0, 2, N)
    more = {
        "total": {"total": men + women, "men": men, "women": women},
        "half": {"half": base.age / 2 + 3},
        "code": {"code": base.city.map({"rome": 4, "bonn": 7, "paris": 1})},
        "other": {"ok2": ok2, "other": 1 - ok2},
    }[name]
    table = people(**{key: np.asarray(value) for key, value in more.items()})
    found = choose(table)
    gone, why = FOLLOWS[name]
    assert [one.column.name for one in found.columns.derived] == [gone]
    assert found.facts.lines() == [f"column {gone} is not modelled: it {why}"]
    assert Columns.from_json(found.columns.to_json()) == found.columns
    spread = found.columns.jitter(found.x, torch.Generator().manual_seed(0))
    back = arrow_table(spread, found.columns)
    assert back.column_names == table.column_names
    assert back.column(gone).to_pylist() == pytest.approx(table.column(gone).to_pylist())
    assert back.column(gone).type == table.column(gone).type


def test_nearly_and_by_chance_is_not_dependent():
    draw = np.random.default_rng(0)
    begin = 1_600_000_000 + draw.integers(0, 10**7, N)  # seconds of visits, and half an hour each
    visits = pyarrow.table({"begin": begin, "end": begin + draw.integers(0, 1800, N)})
    assert choose(visits).columns.derived == ()
    x = draw.normal(size=(N, 2))
    rare = (np.arange(N) == 7).astype(int)  # a constant but for one row
    near = pyarrow.table({"x": x[:, 0], "y": x[:, 0] + 1e-3 * x[:, 1], "rare": rare})
    assert choose(near).columns.derived == ()
    few = pyarrow.table({f"x{j}": draw.normal(size=12) for j in range(10)})
    assert choose(few).columns.derived == ()


def test_a_type_that_cannot_be_used_is_refused_by_name():
    with pytest.raises(wopt.DataError, match=r"people.csv: column 'odd' holds values of type list"):
        choose(people(odd=[[1]] * N))
    assert "odd" not in choose(people(odd=[[1]] * N), columns=["age"]).columns.names


TYPES = {
    "dates": (np.arange(N).astype("datetime64[D]"), "integer"),
    "days": (np.arange(N).astype("datetime64[D]").astype("datetime64[ns]"), "integer"),
    "seconds": (np.arange(N).astype("datetime64[s]").astype("datetime64[ns]"), "integer"),
    "texts": ([f"{i % 50 / 2:g}" for i in range(N - 1)] + ["?"], "integer"),
    "zips": ([f"{i % 50:03}" for i in range(N)], "categorical"),
    "iso": ([str(day) for day in np.arange(N).astype("datetime64[D]")], "integer"),
    "us": ([f"{i % 12 + 1}/{i % 28 + 1}/{2000 + i % 25}" for i in range(N)], "integer"),
    "clock": ([f"2024-01-{i % 28 + 1:02}T10:{i % 60:02}" for i in range(N)], "integer"),
    "codes": (["01234", "98765"] * (N // 2), "categorical"),
    "tenths": ((3 + np.arange(N)) / 10, "integer"),
    "tenths32": (((3 + np.arange(N)) / 10).astype(np.float32), "integer"),
    "ages": (np.arange(N) % 50 + 0.0, "integer"),
    "bytes": ((np.arange(N) % 200).astype(np.uint8), "integer"),
    "small": ((np.arange(N) % 100 - 50).astype(np.int8), "integer"),
}


@pytest.mark.parametrize("name", TYPES)
def test_values_come_back_in_their_type(name):
    values, kind = TYPES[name]
    table = people(**{name: pyarrow.array(values)})
    found = choose(table, columns=[name], nan="model")
    assert found.columns.columns[0].kind == kind
    spread = found.columns.jitter(found.x, torch.Generator().manual_seed(0))
    back = arrow_table(spread, found.columns).column(name)
    assert back.type == table.column(name).type
    assert back.to_pylist() == table.column(name).to_pylist()
    # No point of the line is outside of the type.
    line = torch.linspace(-900, 900, 2001, dtype=torch.float64)[:, None]
    wild = arrow_table(found.columns.inverse(line)[0], found.columns).column(name)
    assert not wild.null_count
    if name.startswith("tenths"):  # a grid from zero on, though the least value is 0.3
        assert min(wild.to_pylist()) == 0
        assert found.columns.columns[0].words() == f"{name}: integer in [0, inf]"


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("days", "days"),
        ("seconds", "seconds"),
        ("iso", "days"),
        ("us", "days"),
        ("clock", "seconds"),
    ],
)
def test_times_say_what_they_count(name, counted):
    found = choose(people(**{name: pyarrow.array(TYPES[name][0])}))
    assert found.facts.converted == ((name, counted),)


def test_a_csv_file_keeps_codes_and_forms_of_times(tmp_path):
    names = ("zips", "iso", "us", "clock", "codes")
    table = pyarrow.table({name: TYPES[name][0] for name in names} | {"n": np.arange(N) % 7})
    write_frame(tmp_path / "x.csv", table)
    found = choose(read_frame(tmp_path / "x.csv"))
    assert set(found.columns.names) | {c.column.name for c in found.columns.derived} == {
        *names,
        "n",
    }
    write_frame(tmp_path / "y.csv", arrow_table(found.x, found.columns))
    assert (tmp_path / "y.csv").read_text() == (tmp_path / "x.csv").read_text()
    # A code is known where a file holds none with a zero in front.
    found, ints = choose(table, columns=["codes"]), pyarrow.table({"codes": [98765]})
    assert matched(ints, found.columns, named=True, origin="z.csv").tolist() == [[1.0]]


def test_missing_values():
    price = people().column("price").to_pylist()
    city = people().column("city").to_pylist()
    price[3], city[7], city[9] = None, None, None
    table = people(price=price, city=city)
    with pytest.raises(wopt.DataError, match=r"3 of 400 rows.*row\(s\) 3, 7, 9.*price, city.*drop"):
        choose(table)
    dropped = choose(table, nan="drop")
    assert len(dropped.x) == N - 3
    assert dropped.facts.lines()[0] == "3 of 400 rows have a missing value and are left out"
    assert "without `city` 100 % of the rows are complete, with it 99 %" in dropped.facts.lines()
    kept = choose(table, nan="model")
    back = arrow_table(kept.columns.jitter(kept.x, torch.Generator().manual_seed(0)), kept.columns)
    assert back.column("city").to_pylist() == city
    assert back.column("price").is_null().to_pylist() == [value is None for value in price]


def test_supports():
    found = choose(support={"age": (0, 120), "price": "positive", "share": (0, 1)})
    ends = {c.name: c.bounds for c in found.columns.columns}
    assert ends["age"] == (-0.5, 120.5)
    assert ends["price"] == (0.0, np.inf)
    assert ends["share"] == (0.0, 1.0)
    inferred = {c.name: c.bounds for c in choose(support={"*": "infer"}).columns.columns}
    assert inferred["price"] == (0.0, np.inf)
    assert inferred["share"] == (0.0, 1.0)
    assert inferred["age"] == (-0.5, np.inf)
    assert inferred["day"] == (-np.inf, np.inf)  # zeros lie on an end
    data = load(columns=["age", "price"], support={"age": (0, 120), "price": "positive"})
    assert float(data.train[:, 1].min()) > 0


@pytest.mark.parametrize(
    ("support", "message"),
    [
        ({"age": (18, 120)}, r"value\(s\) of column 'age' lie outside of its support \[18, 120\]"),
        ({"day": "positive"}, "200 value.*'day' lie on an end.*kinds"),
        ({"city": (0, 1)}, "'city' is categorical and has none"),
        ({"prize": "positive"}, "no column 'prize'.*did you mean 'price'"),
    ],
)
def test_supports_that_do_not_fit(support, message):
    with pytest.raises(wopt.DataError, match=message):
        choose(support=support)


def test_row_filters():
    assert len(choose(where="day == 1").x) == N // 2
    assert "day" not in choose(where="day == 1").columns.names
    assert "age" in choose(where="age >= 18").columns.names
    table = people().to_pandas()
    wanted = table[(table.city != "rome") & (table.age < 60) & (table.ok == True)]  # noqa: E712
    assert len(choose(where="city != rome and age < 60 and ok == true").x) == len(wanted)
    assert len(choose(where="`city` != 'rome' and age<60 and ok == True").x) == len(wanted)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("age", "cannot be read"),
        ("age = 3", "cannot be read"),
        ("age == 3 or day == 1", "cannot be read from 'or day == 1' on"),
        ("__import__('os').system('x') == 1", "cannot be read"),
        ("aeg == 3", "no column 'aeg'.*did you mean 'age'"),
        ("age == 999", "no row of 400 satisfies"),
        ("age == old", "'age' holds int64, which is not compared with 'old'"),
    ],
)
def test_row_filters_that_cannot_be_used(where, message):
    with pytest.raises(wopt.DataError, match=message):
        choose(where=where)


def test_times():
    given = choose(columns=["price"], time="day")
    assert given.columns.names == ("price", "day")
    assert given.columns.condition == 1
    at = choose(time="day", at=1.0)
    assert len(at.x) == N // 2
    assert "day" not in at.columns.names
    with pytest.raises(wopt.ConfigError, match="`at` says which rows"):
        Choices(at=1.0)


def test_conditions_by_name_go_last_without_noise():
    data = load(columns=["price", "age"], context=["age", "city"])
    assert data.names == ("price", "age", "city")
    assert data.condition == 2
    assert torch.equal(data.train[:, 1:], data.train[:, 1:].round())


def test_resampling_keeps_every_count_within_one():
    w = torch.rand(300, generator=torch.Generator().manual_seed(0)).double() ** 3
    chosen = resampled(w, torch.Generator().manual_seed(1))
    counts = torch.bincount(chosen, minlength=300)
    assert float((counts - 300 * w / w.sum()).abs().max()) < 1
    w[5:] = 0
    assert set(resampled(w, torch.Generator().manual_seed(1)).tolist()) <= set(range(5))


def test_thinning_draws_the_weighted_law_without_repeats():
    x = torch.linspace(0, 1, 40_000, dtype=torch.float64)
    kept = thinned_rows(x, torch.Generator().manual_seed(0), "test")
    assert len(kept.unique()) == len(kept)
    # Weights x on [0, 1]: the mean is 2/3, its deviation 1/sqrt(18).
    assert abs(float(x[kept].mean()) - 2 / 3) < 4 * (1 / 18) ** 0.5 / len(kept) ** 0.5
    with pytest.raises(wopt.DataError, match="1 of 40 rows of the test split are left"):
        thinned_rows(torch.tensor([1.0] + 39 * [1e-9]), torch.Generator().manual_seed(0), "test")


def test_weights_change_the_law_of_every_split():
    draw = np.random.default_rng(0)
    x = draw.normal(size=20_000)
    table = pyarrow.table({"x": x, "w": np.exp(0.7 * x)})
    data = load(table, weights="w")
    assert data.names == ("x",)
    # Weights exp(a x) shift N(0, 1) to N(a, 1).
    for part in (data.train, data.valid, data.test):
        assert abs(float(part.mean()) - 0.7) < 5 / len(part) ** 0.5
    assert len(data.test.unique()) == len(data.test)
    for bad, message in [(-1.0, "negative, missing"), (np.nan, "negative, missing")]:
        with pytest.raises(wopt.DataError, match=f"weights 'w': 1 of 20000 are {message}"):
            load(
                table.set_column(1, "w", [np.where(np.arange(20_000) == 3, bad, 1.0)]), weights="w"
            )
    with pytest.raises(wopt.DataError, match="all are zero"):
        load(table.set_column(1, "w", [np.zeros(20_000)]), weights="w")


def test_a_grid_is_rounded_back_and_other_numbers_are_not():
    x = np.round(np.random.default_rng(0).normal(size=N), 1)
    data = load(pyarrow.table({"x": x}), dequantise=0.1)
    column = data.transform.columns.columns[0]
    assert column.kind == "integer"
    back = data.transform.columns.round(data.train)
    assert float((back * 10 - (back * 10).round()).abs().max()) < 1e-9
    smooth = load(pyarrow.table({"x": np.random.default_rng(0).normal(size=N)}), dequantise=0.1)
    assert smooth.transform.columns.columns[0].kind == "continuous"
