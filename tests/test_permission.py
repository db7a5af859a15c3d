"""Code that a configuration names: run only where it is allowed, and only if it is unchanged."""

import copy
import hashlib
import json
import pickle
import tomllib

import pytest
import torch

import wopt
from wopt.permission import check_code

MODEL = """
import math
import torch

SCALE = torch.tensor([1.0, 2.0])

def log_prob(x):
    return -(x / SCALE.to(x)).square().sum(1) / 2 - math.log(2)

def reference(x):
    return x.sum(1).tolist()
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(MODEL)
    return path


@pytest.fixture
def table(model):
    return {
        "source": {"name": "gaussian", "dim": 2, "n_train": 300, "n_valid": 100, "n_test": 100},
        "objective": {
            "name": "kl",
            "target": {"name": "python", "log_prob": f"{model}:log_prob", "dim": 2},
        },
        "scheme": {"name": "jko", "step_size": 1.0},
        "block": "affine",
        "solver": {"iterations": 20, "batch_size": 100},
        "stop": {"steps": 1},
        "certify": {"enabled": False},
    }


def target(model, **options):
    return wopt.build(
        "target", {"name": "python", "log_prob": f"{model}:log_prob", "dim": 2, **options}
    )


def test_nothing_runs_without_permission(model, tmp_path):
    model.write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n" + MODEL)
    with pytest.raises(wopt.ConfigError, match=r"my_model.py \(sha256 .*--allow-code"):
        target(model)
    assert not (tmp_path / "ran").exists()
    with wopt.allow_code():
        target(model)
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").rmdir()
    with pytest.raises(wopt.ConfigError, match="allow_code"):  # the permission has ended
        target(model)


def test_the_function_is_the_log_density(model):
    with wopt.allow_code():
        made = target(model, convexity=0.25)
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert float(made.potential(x)) == pytest.approx(1 + 0.6931471805599453)
    assert made.score(x).tolist() == [[-1.0, -0.5]]
    assert (made.dim, made.convexity) == (2, 0.25)
    assert made.provides == wopt.Capability.POTENTIAL | wopt.Capability.SCORE
    with wopt.allow_code():
        known = target(model, normalised=True, samples={"name": "gaussian"})
    assert wopt.Capability.NORMALISED | wopt.Capability.TARGET_SAMPLES in known.provides
    assert known.sample(3, 2, torch.Generator().manual_seed(0)).shape == (3, 2)


def test_the_hash_is_recorded_and_a_changed_file_refused(model):
    with wopt.allow_code():
        made = target(model)
        options = wopt.config_of(made)
        assert options["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
        assert wopt.config_of(wopt.build("target", options)) == options
    model.write_text(MODEL.replace("2.0", "3.0"))
    with wopt.allow_code(), pytest.raises(wopt.ConfigError, match=r"changed.*--allow-changed-code"):
        wopt.build("target", options)
    with wopt.allow_code(changed=True):
        again = wopt.build("target", options)
    assert wopt.config_of(again)["sha256"] != options["sha256"]


@pytest.mark.parametrize(
    ("text", "function", "message"),
    [
        (MODEL, "log_prop", "no function 'log_prop'; its functions: log_prob, reference.*log_prob"),
        (MODEL, "SCALE", "no function 'SCALE'"),
        (MODEL, "reference", "returned list, not a tensor"),
        ("def f(:", "f", "failed when run: SyntaxError"),
        ("import not_there", "f", "failed when run: ModuleNotFoundError"),
        ("def f(x): return x.square()", "f", r"returned shape \(2, 2\).*sum\(1\)"),
        ("def f(x): return x.detach().sum(1)", "f", "differentiably"),
        (
            "import torch\nA = torch.eye(2, dtype=torch.float64)\ndef f(x): return (x @ A).sum(1)",
            "f",
            r"float32.*convert constants with `.to\(x\)`",
        ),
    ],
)
def test_mistakes_in_the_file_are_explained(model, text, function, message):
    model.write_text(text)
    with wopt.allow_code(), pytest.raises(wopt.ConfigError, match=message):
        target(model, log_prob=f"{model}:{function}")


@pytest.mark.parametrize("place", ["my_model.py", "my_model:log_prob", "my_model.py:log prob"])
def test_the_place_has_one_form(model, place):
    with pytest.raises(wopt.ConfigError, match=r"FILE.py:FUNCTION"):
        target(model, log_prob=place)


def test_a_missing_file_is_named(model):
    with pytest.raises(wopt.ConfigError, match=r"does not exist.*my_model.py"):
        target(model, log_prob=f"{model.parent}/my_modell.py:log_prob")


def test_it_copies_and_pickles_and_unpickling_asks_again(model):
    with wopt.allow_code():
        made = target(model)
    assert copy.deepcopy(made) is made
    content = pickle.dumps(made)
    with pytest.raises(wopt.ConfigError, match="--allow-code"):
        pickle.loads(content)
    with wopt.allow_code():
        again = pickle.loads(content)
    x = torch.ones(3, 2)
    assert torch.equal(again.potential(x), made.potential(x))


def test_permissions_nest():
    with wopt.allow_code(changed=True), wopt.allow_code():
        check_code("a.py", "new", "old")
    with wopt.allow_code():
        with wopt.allow_code(changed=True):
            pass
        with pytest.raises(wopt.ConfigError, match="has changed"):
            check_code("a.py", "new", "old")


def test_the_command_line_asks_each_time(command, config, table, model, tmp_path):
    path, out = config(table), tmp_path / "run"
    assert command("validate", path).is_mistake("objective.target", "--allow-code", str(model))
    assert command("validate", path, "--allow-code").status == 0
    assert command("run", path, "--out", out).is_mistake("--allow-code")
    assert not out.exists()
    answer = command("run", path, "--out", out, "--allow-code")
    assert answer.status == 0, answer.err
    held = tomllib.loads((out / "config.toml").read_text())["objective"]["target"]
    assert held["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert held["log_prob"] == f"{model}:log_prob"
    assert json.loads((out / "result.json").read_text())["model"] == "push_forward"
    sample = ("sample", out, "-n", "10", "-o", tmp_path / "s.csv")
    assert command(*sample).is_mistake("--allow-code")
    assert command(*sample, "--allow-code").status == 0
    with pytest.raises(wopt.ConfigError, match="allow-code"):
        wopt.load(out)
    with wopt.allow_code():
        assert wopt.load(out).dim == 2
    model.write_text(MODEL + "\n# another file\n")
    assert command(*sample, "--allow-code").is_mistake("has changed", "--allow-changed-code")
    assert command(*sample, "--allow-changed-code").status == 0
