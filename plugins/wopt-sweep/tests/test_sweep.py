"""wopt sweep: a table, the best configuration; goes on; a failed run is a row."""

import json
import tomllib

import pytest

import wopt
from wopt.cli.commands import cli
from wopt_sweep import (
    Interrupted,
    Range,
    Sweep,
    SweepDesign,
    SweepRun,
    grid_of,
    ranges_of,
    search,
    summaries,
)
from wopt_sweep import sweep as module

BASE = {
    "source": {"name": "gaussian", "mean": [2.0], "n_train": 200, "n_valid": 200, "n_test": 50},
    "objective": {"name": "kl", "target": {"name": "gaussian"}},
    "block": {"name": "affine"},
    "scheme": {"name": "jko", "step_size": 100.0},
    "solver": {"optimiser": "lbfgs"},
    "stop": {"steps": 1},
    "certify": {"enabled": False, "draws": 1000},
}
KEY = "scheme.step_size"


def test_the_grid_the_table_and_the_best(tmp_path):
    """A larger step of JKO comes nearer to the target, so the largest is best."""
    sweep = Sweep(tmp_path / "s", BASE, SweepDesign(grid_of([f"{KEY}=0.1,50"]), seeds=2))
    sweep.grid()
    found = sweep.finish()
    assert [s.setting for s in found] == [(f"{KEY}={h}",) for h in ("50", "0.1")]
    assert found[0].value < found[1].value
    assert all(s.error > 0 and [r.seed for r in s.rows] == [0, 1] for s in found)
    assert tomllib.loads(sweep.best.read_text())["scheme"]["step_size"] == 50
    assert len(sweep.table.read_text().splitlines()) == 4
    page = sweep.page.read_text()
    assert 'id="figure-step"' in page
    assert "scheme.step_size" in page


def test_a_run_that_cannot_be_made_is_a_row(tmp_path):
    sweep = Sweep(tmp_path / "s", BASE, SweepDesign({KEY: ("-1", "50")}))
    sweep.grid()
    rows = {row.setting: row for row in sweep.rows}
    assert rows[(f"{KEY}=-1",)].status == "error"
    assert "greater than 0" in rows[(f"{KEY}=-1",)].reason
    assert sweep.finish()[0].setting == (f"{KEY}=50",)


def test_after_an_interrupt_only_what_is_left_is_run(tmp_path, monkeypatch):
    begin, made = module.begin, []

    def interrupted(prepared, out, listener, **options):
        made.append(out.name)
        if len(made) == 2:
            raise KeyboardInterrupt
        return begin(prepared, out, listener, **options)

    monkeypatch.setattr(module, "begin", interrupted)
    plan = SweepDesign({KEY: ("1", "50")})
    with pytest.raises(Interrupted, match="the same command goes on"):
        Sweep(tmp_path / "s", BASE, plan).grid()
    lines = [json.loads(x) for x in (tmp_path / "s/table.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["done", "stopped"]
    again = Sweep(tmp_path / "s", BASE, plan)
    again.grid()
    assert made == ["000", "001", "001"]
    assert [row.status for row in again.rows] == ["done", "done"]


def test_a_folder_keeps_to_its_sweep(tmp_path):
    Sweep(tmp_path, BASE, SweepDesign({KEY: ("1",)}))
    with pytest.raises(wopt.ConfigError, match="holds a sweep of another configuration"):
        Sweep(tmp_path, BASE, SweepDesign({KEY: ("2",)}))


def test_a_setting_with_a_failed_seed_is_never_best():
    rows = [
        SweepRun("0", ("a",), 0, "done", "", 1.0),
        SweepRun("1", ("a",), 1, "failed", "", None),
        SweepRun("2", ("b",), 0, "done", "", 5.0),
        SweepRun("3", ("b",), 1, "done", "", 5.0),
    ]
    assert summaries(rows)[0].setting == ("b",)


def test_a_search_is_kept_and_goes_on(tmp_path):
    pytest.importorskip("optuna")
    plan = SweepDesign({}, {KEY: Range(0.1, 100.0, log=True)})
    first = Sweep(tmp_path / "s", BASE, plan)
    search(first, 3)
    assert len(first.rows) == 3
    assert (tmp_path / "s/optuna.db").exists()
    again = Sweep(tmp_path / "s", BASE, plan)
    search(again, 5)
    assert len(again.rows) == 5
    assert len({row.setting for row in again.rows}) == 5
    best = min(again.rows, key=lambda row: row.value)
    assert again.finish()[0].setting == best.setting


def test_a_search_prunes_what_is_behind(tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna")
    monkeypatch.setattr(
        optuna.pruners, "MedianPruner", lambda **_: optuna.pruners.ThresholdPruner(upper=0.5)
    )
    base = BASE | {"stop": {"steps": 3}}
    sweep = Sweep(tmp_path / "s", base, SweepDesign({KEY: ("0.01",)}))
    search(sweep, 1)
    (row,) = sweep.rows
    assert (row.status, row.steps) == ("pruned", 1)
    assert "worse than the median" in row.reason


def test_a_search_ends_where_every_setting_fails(tmp_path):
    pytest.importorskip("optuna")
    sweep = Sweep(tmp_path / "s", BASE, SweepDesign({KEY: ("-1", "-2")}))
    search(sweep, 3)
    assert {row.status for row in sweep.rows} == {"error"}
    assert sweep.finish()[0].value == float("inf")
    assert not sweep.best.exists()


def test_an_interrupted_search_goes_on_with_the_same_setting(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    begin, made = module.begin, []

    def interrupted(prepared, out, listener, **options):
        made.append((out.name, prepared.config.scheme.options["step_size"]))
        if len(made) == 2:
            raise KeyboardInterrupt
        return begin(prepared, out, listener, **options)

    monkeypatch.setattr(module, "begin", interrupted)
    plan = SweepDesign({}, {KEY: Range(0.1, 100.0, log=True)})
    with pytest.raises(Interrupted):
        search(Sweep(tmp_path / "s", BASE, plan), 3)
    again = Sweep(tmp_path / "s", BASE, plan)
    search(again, 3)
    assert [name for name, _ in made] == ["000", "001", "001", "002"]
    assert repr(made[1][1]) == repr(made[2][1])
    assert {row.status for row in again.rows} == {"done"}


@pytest.mark.parametrize(
    ("function", "text", "message"),
    [
        (grid_of, "scheme.step_size", "write KEY=VALUES"),
        (ranges_of, "a=1", "write KEY=LOW:HIGH"),
        (ranges_of, "a=2:1", "needs LOW < HIGH"),
        (ranges_of, "a=-1:1:log", "LOW > 0 with log"),
    ],
)
def test_mistakes(function, text, message):
    with pytest.raises(wopt.ConfigError, match=message):
        function([text])


def test_the_command(tmp_path, monkeypatch):
    from click.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    config = tmp_path / "a.toml"
    import tomli_w

    config.write_text(tomli_w.dumps(BASE))
    done = CliRunner().invoke(
        cli, ["sweep", "a.toml", "--grid", f"{KEY}=1,50"], standalone_mode=False
    )
    assert done.return_value == 0, done.output
    assert "best.toml" in done.output
    assert (tmp_path / "runs/a-sweep/sweep.html").exists()
