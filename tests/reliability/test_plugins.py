"""Hostile plugins: the host survives, one message names the component and the method."""

import types
import warnings

import hostile
import numpy as np
import pytest
import tomli_w
import torch

import wopt
from wopt.origin import culprit, in_words

TINY = {
    "seed": 0,
    "source": {"name": "toy", "shape": "moons", "n_train": 60, "n_valid": 40, "n_test": 40},
    "block": "affine",
    "scheme": {"name": "jko", "step_size": 1.0},
    "solver": {"iterations": 3},
    "stop": {"steps": 1},
    "guard": {"retries": 0},
}

ALL = [
    (kind, method, how)
    for kind, methods in hostile.METHODS.items()
    for method in methods
    for how in hostile.WAYS
    if (method, how) != ("contributions", "none")  # which says that there are none
]
"""What each method of each kind may do."""

QUICK = [case for i, case in enumerate(ALL) if case[2] == "list" or i % 11 == 0]

HARMLESS = ("__init__", "initialise", "start", "step", "end")
"""Methods whose value nobody looks at."""


def table_with(kind, cls):
    """Return a configuration that uses a class under the name ``bad``."""
    wopt.register(kind, "bad", cls)
    table = dict(TINY)
    if kind == "step_size":
        return table | {"scheme": {"name": "jko", "step_size": {"name": "bad"}}}
    if kind == "target":
        return table | {"objective": {"name": "kl", "target": {"name": "bad"}}}
    return table | {kind: {"name": "bad"}}


def told(kind, method, how):
    """Solve with a hostile component; return what is said of it, or "" if it went well."""
    table = table_with(kind, hostile.hostile(kind, method, how))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            solution = wopt.solve(table.pop("source"), listener=False, **table)
            if kind in ("block", "target"):
                solution.flow.sample_and_log_prob(20, audit=True)
                [block.state() for block in solution.flow.blocks]  # as saving does
        except wopt.WoptError as error:
            return str(error)
        except (Exception, SystemExit) as error:  # the command line says this of it
            return f"{culprit(error)}: {in_words(error)}"
    if solution.status == "failed":
        return f"bad {solution.reason}"
    return " ".join(str(one.message) for one in warned)


def judge(kind, method, how):
    text = told(kind, method, how)
    if how not in ("raise", "exit") and method in HARMLESS:
        return
    if kind == "tracker":
        assert f"the tracker failed at {method}" in text
        assert "tracker 'bad' of this session" in text
        return
    assert "bad" in text, text
    assert f"{kind} 'bad'" in text, text
    where = "load" if kind == "source" else method
    assert f"method {where}" in text, text
    assert ("I fail" in text) == (how == "raise"), text


@pytest.mark.parametrize(("kind", "method", "how"), QUICK)
def test_what_a_component_does_wrong_is_told_with_its_name(session, kind, method, how):
    judge(kind, method, how)


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "method", "how"), sorted({*ALL} - {*QUICK}))
def test_everything_else_that_it_may_do(session, kind, method, how):
    judge(kind, method, how)


@pytest.mark.parametrize("how", ["raise", "exit", "list"])
def test_the_command_line_shows_no_traceback(how, session, command, config, tmp_path, monkeypatch):
    path = config(table_with("block", hostile.hostile("block", "forward", how)))
    answer = command("run", path, "--out", tmp_path / "out")
    assert answer.is_mistake("block 'bad'", "method forward", status=2 if how == "list" else 1)
    monkeypatch.setenv("WOPT_TRACEBACK", "1")
    again = command("run", path, "--out", tmp_path / "again")
    assert ("Traceback" in again.err) == (how != "list")


def test_check_goes_on_after_an_exception(session, command, monkeypatch):
    from wopt.host import PluginInfo, host

    wopt.register("step_size", "bad", hostile.hostile("step_size", "__call__", "raise"))
    wopt.register("step_size", "worse", hostile.hostile("step_size", "__call__", "none"))
    entries = [e for e in session.entries("step_size") if e.plugin == "session"]
    info = PluginInfo("session", "wopt-hostile", "1.0", components=entries)
    monkeypatch.setattr(host(), "plugins", [*host().plugins, info])
    answer = command("check", "session")
    assert answer.status == 1
    assert "Traceback" not in answer.out + answer.err
    assert "broken: method __call__: KeyError: 'I fail'" in answer.out
    assert "method __call__: returned None" in answer.out


def test_a_component_that_exits_when_imported_is_told_with_its_distribution(session, module):
    name = module("hostile_part", "import sys\nsys.exit(5)\n")
    session.add("block", "leaver", f"{name}:Block")
    session.distributions["session"] = "'wopt-hostile' 1.0"
    try:
        with pytest.raises(wopt.ConfigError, match=r"wopt-hostile.*cannot be imported.*SystemExit"):
            wopt.build("block", "leaver")
    finally:
        del session.distributions["session"]


def test_a_slow_import_is_told(command, config, monkeypatch, tmp_path):
    from wopt.cli import common
    from wopt.host import PluginInfo

    slow = PluginInfo("slow", "wopt-slow", "1.0", seconds=common._SLOW + 1)
    monkeypatch.setattr(common, "host", lambda: types.SimpleNamespace(plugins=[slow]))
    answer = command("run", config({"source": {"name": "no"}}), "--out", tmp_path / "out")
    assert "plugin 'slow' took 4.0 s to import (distribution 'wopt-slow' 1.0)" in answer.err


def test_samples_of_a_wrong_inverse_are_mended(session, command, config, tmp_path):
    """A block whose inverse is another map: samples are where the map itself wants them."""

    class Wrong(hostile.hostile("block", "nothing", "raise")):
        """x + b with an inverse that is off by 0.3."""

        def inverse(self, y):
            return y - self.b + 0.3, y[:, 0] * 0

    out = tmp_path / "out"
    table = table_with("block", Wrong)
    (tmp_path / "c.toml").write_text(tomli_w.dumps(table | {"certify": {"enabled": False}}))
    assert command("run", tmp_path / "c.toml", "--out", out, "-q").status == 0
    answer = command("sample", out, "-n", 50, "-o", tmp_path / "s.npy")
    assert (answer.status, "warning" in answer.err) == (0, False)
    flow = wopt.load(out).double()
    rows = torch.as_tensor(np.load(tmp_path / "s.npy")[:, :2])
    draws = flow.base.sample(50, flow.dim, torch.Generator().manual_seed(0))
    assert float((flow(rows)[0] - draws).abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("kind", "method", "how", "said"),
    [
        ("source", "names", "list", "names are a tuple of texts"),
        ("source", "train", "width", "as many columns as names"),
        ("target", "potential", "width", "a value a row"),
        ("block", "forward", "width", "to points of the same shape"),
        ("step_size", "__call__", "integers", "a positive finite number"),
    ],
)
def test_what_would_be_nonsense_is_told_without_strict_checks(
    session, monkeypatch, kind, method, how, said
):
    monkeypatch.setenv("WOPT_STRICT", "0")
    assert not hasattr(hostile.hostile("block", "forward", "list").forward, "__wrapped__")
    assert said in told(kind, method, how)
