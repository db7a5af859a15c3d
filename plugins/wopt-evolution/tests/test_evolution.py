"""Time, snapshots and exact solutions: runs against closed forms."""

import dataclasses
import json
import math
import tomllib
from pathlib import Path

import pytest
import torch
from zoo import EVOLUTION

import wopt
from wopt.config.model import validate
from wopt.config.read import override
from wopt.parallel import Team
from wopt.runs.examine import examine
from wopt.runs.execute import resume, run_config
from wopt.runs.preparation import prepare
from wopt.runtime import Runtime
from wopt.store import RunResult
from wopt.store.directory import RunDirectory
from wopt.tensors import read_tensors
from wopt.train.stop import landed
from wopt_certify.compare.page import compare, rows
from wopt_evolution import Distances
from wopt_evolution.exact import Evolution

HEAT = EVOLUTION


def made(path, **changes):
    return run_config(validate({**HEAT, **changes}), path, report=False)


def jko_deviation(steps, sigma=2.0):
    """Return the standard deviation after exact steps to N(0, 1): docs/theory 3.2."""
    for h in steps:
        sigma = (sigma + math.sqrt(sigma**2 + 4 * (1 + h) * h)) / (2 * (1 + h))
    return sigma


def test_a_run_ends_at_a_time_and_says_how_far_it_is_from_exact(zoo):
    written = json.loads((zoo("evolution") / "result.json").read_text())
    result = RunResult.from_dict(written)
    records = RunDirectory(zoo("evolution")).read_steps()
    assert [r.step_size for r in records] == pytest.approx([0.25, 0.15, 0.25, 0.25])
    assert [r.time for r in records] == pytest.approx([0.25, 0.4, 0.65, 0.9])
    assert result.reason == "the time 0.9 is reached"
    assert [d.time for d in result.exact_by_time] == pytest.approx([0.0, 0.4, 0.9])
    first, last = result.exact_by_time[0], result.exact
    assert first.sym_kl == pytest.approx(0, abs=1e-12)
    sigma, exact = jko_deviation([0.25, 0.15, 0.25, 0.25]), math.sqrt(1 + 3 * math.exp(-1.8))
    assert last.w2_at_most == pytest.approx(abs(sigma - exact), rel=1e-6)  # W2 of Gaussians
    ratio = (sigma / exact) ** 2
    assert last.kl == pytest.approx((ratio - 1 - math.log(ratio)) / 2, rel=1e-6)
    assert last.sym_kl == pytest.approx((ratio + 1 / ratio - 2) / 2, rel=1e-6)
    assert last.second_moment_error == pytest.approx(abs(ratio - 1), rel=1e-6)
    assert written["exact"]["sym_kl"] == last.sym_kl


def test_snapshots_hold_particles_with_densities(tmp_path):
    made(tmp_path, snapshots={"times": [0.4], "particles": 3})
    assert [p.stem for p in RunDirectory(tmp_path).snapshots()] == ["002", "004"]
    kept, about = read_tensors(RunDirectory(tmp_path).snapshot(2))
    assert float(about["time"]) == pytest.approx(0.4)
    assert kept["points"].shape == (3, 1)
    assert float(kept["weights"].sum()) == pytest.approx(1)
    sigma = jko_deviation([0.25, 0.15])
    law = torch.distributions.Normal(torch.tensor(0.0).double(), sigma)
    assert torch.allclose(kept["log_density"], law.log_prob(kept["points"][:, 0]), atol=1e-6)
    snapshots = RunDirectory(tmp_path).snapshot(2).parent
    (snapshots / ".003.safetensors.x1y2z3_w.safetensors").write_text("half")
    assert len(RunDirectory(tmp_path).snapshots()) == 2
    (snapshots / "002.safetensors").write_text("nothing")
    found = examine(tmp_path)
    assert [path.name for path in found.damaged] == ["002.safetensors"]
    assert (found.sampled, found.resumed) == (True, False)
    assert "delete the damaged snapshots" in found.advice[0]


def test_the_first_process_of_several_looks_by_itself(tmp_path):
    """The others are at the next step by then, so nothing may be shared with them."""
    drawn = {**HEAT["source"], "rule": "random", "n_train": 40, "n_valid": 40}
    config = validate({**HEAT, "source": drawn, "snapshots": {"times": [0.0]}})
    prepared, directory = prepare(config), RunDirectory(tmp_path)
    two = dataclasses.replace(prepared, runtime=Runtime(Team(size=2)))
    Evolution(directory, two).see(two.begin(prepared.train, prepared.valid))
    assert directory.snapshot(0).exists()


def test_resumed_runs_keep_their_snapshots(zoo, tmp_path):
    whole = RunResult.from_dict(json.loads((zoo("evolution") / "result.json").read_text()))
    made(tmp_path / "part", snapshots={"times": [0.0, 0.4]}, stop={"steps": 1})
    config = tmp_path / "part" / "config.toml"
    config.write_text(config.read_text().replace("[stop]\nsteps = 1", "[stop]\ntime = 0.9"))
    again = resume(tmp_path / "part", report=False)
    times = [d.time for d in again.exact_by_time]
    assert times == [d.time for d in whole.exact_by_time]
    # No step was shortened but to end at 0.4, and the end after one step is none: the same bits.
    assert again.exact_by_time == whole.exact_by_time


def test_draws_of_a_mixture_are_compared_by_draws(tmp_path):
    """Without a map the way back is by draws of the exact law, and has an error of its own."""
    source = {"name": "mixture", "means": [[-1.0], [1.0]], "preprocess": "none", "n_train": 300,
              "n_valid": 300, "n_test": 100}  # fmt: skip
    start = {"source": source, "model": "push_forward", "snapshots": {"times": [0.0]}}
    found = made(tmp_path, **start, stop={"steps": 1})
    start = found.exact_by_time[0]
    assert start.w2_at_most is None
    assert abs(start.sym_kl) < 1e-9  # one density, known twice
    assert found.exact.kl_back_error > 0


def test_steps_that_must_be_equal_are_not_shortened(session, tmp_path):
    jko = session.load("scheme", "jko")

    class Marching(jko):
        equal_steps = True

    session.add("scheme", "marching", Marching, summary="equal steps")
    scheme = {"name": "marching", "step_size": 0.25}
    with pytest.raises(wopt.ConfigError, match=r"0\.9 is not a multiple of h = 0\.25") as error:
        made(tmp_path, scheme=scheme)
    assert "scheme.step_size = 0.225" in str(error.value)
    assert made(tmp_path, scheme={**scheme, "step_size": 0.225}).steps == 4


def test_no_step_is_made_of_rounding():
    assert landed(0.1, 0.8, [0.9]) == 0.9 - 0.8
    assert landed(0.1, 0.9, [0.9]) == 0.1  # there already
    assert landed(0.1, 0.8 - 1e-9, [0.9]) == pytest.approx(0.1 + 1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": {"name": "toy"}, "exact": "equilibrium"}, "is for a start that is pushed"),
        (
            {"source": {"name": "mixture", "means": [[0.0], [1.0]]}, "model": "push_forward"},
            'preprocess = "none"',
        ),
        ({"exact": "barenblatt"}, "starts from Barenblatt's law"),
    ],
)
def test_exact_solutions_of_other_flows_are_refused(tmp_path, changes, words):
    with pytest.raises(wopt.UserError, match=words):
        made(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("exact", ["ornstein_uhlenbeck", None])
def test_evolutions_are_compared_with_a_reference(tmp_path, exact):
    """The exact solution where it is named, else the run with the most steps."""
    table = {k: v for k, v in HEAT.items() if k != "exact"} | ({"exact": exact} if exact else {})
    steps = {"coarse": [0.4, 0.4], "fine": [0.2] * 4}
    for name, sizes in steps.items():
        scheme = {"name": "jko", "step_size": sizes}
        changes = {"scheme": scheme, "stop": {"time": 0.8}, "snapshots": {"times": [0.8]}}
        run_config(validate({**table, **changes}), tmp_path / name, report=False)
    compared = rows([tmp_path / name for name in steps])
    coarse, fine = (row.values["distance"] for row in compared)
    sigma = {name: jko_deviation(sizes) for name, sizes in steps.items()}
    if exact:
        target = 1 + 3 * math.exp(-1.6)
        ratios = [sigma[name] ** 2 / target for name in steps]
        assert [coarse, fine] == pytest.approx([(r + 1 / r - 2) / 2 for r in ratios], rel=1e-5)
        assert compared[0].reference.startswith("KL both ways from the exact solution")
    else:
        assert coarse == pytest.approx(abs(sigma["coarse"] - sigma["fine"]), rel=1e-5)
        assert fine is None
        assert "from fine, the run with the most steps (4), at t = 0.8" in compared[0].reference
    assert compared[0].reference in compare(compared, tmp_path / "page.html").read_text()


EVIDENCE = Path(__file__).parents[3] / "examples" / "evidence"
CATALOGUE = tomllib.loads((EVIDENCE / "evolution.catalogue.toml").read_text())["row"]


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row["problem"])
def test_rows_of_evidence_name_what_a_run_writes(row):
    """Each configuration with its settings is one, and each measure a number of its results."""
    settings = [one.replace("{seed}", "0") for one in row.get("set", [])]
    table = override(tomllib.loads((EVIDENCE / row["config"]).read_text()), settings)
    validate(table, row["config"])
    for measure in row["measure"]:
        file, path = measure["value"].split(":")
        assert file == "result.json"
        known = {f.name for f in dataclasses.fields(RunResult)}
        first, *rest = path.split(".")
        assert first in known
        assert set(rest) <= {f.name for f in dataclasses.fields(Distances)}
