"""Solvers, measurements and candidates are kinds of plugin; commands and sections are hooks."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.errors import DamagedError
from wopt.plan import Facts, portfolio
from wopt.registry import Registry
from wopt.report import read_run, verdict_of


class Descent(wopt.Solver):
    """Gradient descent on all particles."""

    cites = ()

    def __init__(self, iterations: int = 10, rate: float = 0.05) -> None:
        self.iterations, self.rate = iterations, rate

    def solve(self, training):
        descent = torch.optim.SGD(training.block.parameters(), lr=self.rate)
        for _ in training.clock:
            descent.zero_grad()
            loss = training.loss(training.block, None)
            loss.backward()
            descent.step()
        return wopt.SolveReport(training.clock.count, loss.item(), diverged=False)


@dataclasses.dataclass(frozen=True)
class Moved(wopt.Typed):
    """A distance."""

    distance: float

    @property
    def summary(self):
        return f"they moved by {self.distance:.3g}"


class HowFar(wopt.Measurement):
    """How far the held-out particles have moved."""

    cites = ()
    document = Moved

    def measure(self, run, budget=None, recorded=None):
        start, end = run.prepared.valid.points, run.state.valid.particles.points
        return Moved(float((end - start).square().sum(1).mean().sqrt()))


class Broken(HowFar):
    """A measurement with a mistake."""

    def measure(self, run, budget=None, recorded=None):
        raise ZeroDivisionError("nothing to divide by")


class Shallow(wopt.Candidate):
    """One small net."""

    cites = ()

    def fits(self, facts):
        return facts.columns < 9

    def tables(self, facts):
        return {"block": {"name": "autoregressive", "hidden": [5]}}


@pytest.fixture
def strangers(session):
    made = {
        ("solver", "descent"): Descent,
        ("measurement", "how_far"): HowFar,
        ("measurement", "broken"): Broken,
        ("candidate", "shallow"): Shallow,
    }
    for (kind, name), cls in made.items():
        wopt.register(kind, name, cls)


def test_a_solver_is_chosen_by_name_with_its_options(strangers):
    from wopt.testing import AffineBlock, gaussian_nodes, jko_step, moments

    m, c = torch.ones(1).double(), 4 * torch.eye(1).double()
    solution = wopt.solve(
        gaussian_nodes(m, c), scheme={"name": "jko", "step_size": 0.5}, block=AffineBlock(1),
        solver={"optimiser": {"name": "descent", "rate": 0.1}, "iterations": 400},
        stop={"steps": 1}, listener=False,
    )  # fmt: skip
    exact = jko_step(m, c, 0 * m, torch.eye(1).double(), 0.5)
    mean, covariance = moments(solution.state.train.particles)
    assert torch.allclose(mean, exact[0], atol=1e-5)
    assert torch.allclose(covariance, exact[1], atol=1e-5)


@pytest.mark.parametrize(
    ("optimiser", "words"),
    [("desent", "no solver named 'desent'"), ({"name": "descent", "speed": 1}, "unknown option")],
)
def test_a_solver_that_cannot_be_made_is_refused(strangers, optimiser, words):
    with pytest.raises(wopt.ConfigError, match=words):
        wopt.InnerSolver(optimiser=optimiser)


def test_measurements_are_kept_with_the_run(strangers, tiny, tmp_path):
    tiny["measurements"] = ["how_far", "broken"]
    result = wopt.run(tiny, tmp_path / "run")
    assert result.status == "done"
    made = json.loads((tmp_path / "run" / "measurements.json").read_text())
    assert set(made) == {"how_far"}
    lines = (tmp_path / "run" / "steps.jsonl").read_text().splitlines()
    # The particles cannot be farther away than the sum of the ways that the steps carry them.
    assert (
        0 < made["how_far"]["distance"] <= sum(json.loads(one)["w2_step"] for one in lines) + 1e-6
    )
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "ZeroDivisionError: nothing to divide by" in log
    run = read_run(tmp_path / "run")
    words = f"they moved by {made['how_far']['distance']:.3g}"
    assert run.said == (f"how_far: {words}",)
    assert verdict_of(run)[-1] == f"How_far: {words}."
    (tmp_path / "run" / "measurements.json").write_text('{"how_far": {"distance": "x"}}')
    with pytest.raises(DamagedError, match=r"measurements\.json.*distance"):
        read_run(tmp_path / "run")


def test_an_automatic_measurement_is_made_of_every_run(strangers, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(HowFar, "automatic", True)
    wopt.run(tiny, tmp_path / "run")
    made = json.loads((tmp_path / "run" / "measurements.json").read_text())
    assert made["how_far"]["distance"] > 0


def test_what_makes_no_certificate_is_refused(strangers, tiny):
    tiny["certify"] = {"name": "how_far"}
    with pytest.raises(wopt.ConfigError, match="makes no certificate"):
        validate(tiny)


def test_a_candidate_is_tried_beside_those_of_wopt(strangers):
    few = Facts(rows=300, held_out=30, columns=5)
    nets = [plan.table["block"].get("hidden") for plan in portfolio(few)]
    assert [5] in nets
    wide = portfolio(dataclasses.replace(few, columns=12))
    assert [5] not in [plan.table["block"].get("hidden") for plan in wide]


def test_functions_come_in_the_order_of_their_ranks():
    registry = Registry()
    for plugin, rank in (("a", 2), ("b", -1), ("c", 1)):
        with registry.registering(plugin):
            registry.add_function(
                "advice", f"operator:{'add' if plugin == 'b' else 'sub'}", rank=rank
            )
    assert [f.__name__ for f in registry.functions("advice")] == ["add", "sub", "sub"]
    assert [f.__name__ for f in registry.functions("advice", first=True)] == ["add"]


def test_what_a_failing_plugin_brought_is_taken_back():
    registry = Registry()

    def fails():
        with registry.registering("bad"):
            registry.add_command("mine", "a.b:c", summary="")
            registry.add_function("advice", "a.b:c")
            registry.add_name("mine", "a.b:c")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert not registry.commands
    assert not registry.functions("advice")
    assert registry.public("mine") is None


def test_two_commands_of_one_name_are_refused():
    registry = Registry()
    registry.add_command("mine", "a.b:c", summary="")
    with pytest.raises(wopt.PluginError, match="brings `wopt mine` too"):
        registry.add_command("mine", "a.b:d", summary="")


SEVERAL = """
import json, sys
from wopt.cli.main import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["wopt", *words]
    try:
        main()
    except SystemExit as ended:
        print("status", ended.code)
"""


def test_without_certify_and_report_a_run_trains_samples_and_scores(tiny, config, tmp_path):
    tiny.pop("certify", None)
    tiny |= {"stop": {"steps": 1}, "solver": {"iterations": 3}}
    path, run = str(config(tiny)), str(tmp_path / "run")
    sampled = ["sample", run, "-n", "20", "-o", str(tmp_path / "new.csv")]
    commands = [["run", path, "--out", run], sampled, ["certify", run], ["report", run]]
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)], capture_output=True, text=True,
        check=True, env={**os.environ, "WOPT_PLUGINS": "blocks,functionals,jko,measures,schemes"},
    )  # fmt: skip
    assert re.findall(r"status (\d)", done.stdout) == ["0", "0", "2", "2"], done.stderr
    assert "Not certified" in done.stdout
    assert "no page: it comes with wopt-report" in done.stdout
    assert "wopt-certify" in done.stderr
    assert "wopt-report" in done.stderr
    assert not (tmp_path / "run" / "certificate.json").exists()
    assert not (tmp_path / "run" / "report.html").exists()
