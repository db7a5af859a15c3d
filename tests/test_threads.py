"""How many threads train: the user's number, else the one with the least wall x CPU seconds."""

import dataclasses
import itertools

import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.interfaces.listener import Listener
from wopt.interfaces.solver import SolveReport
from wopt.plan import Outcome
from wopt.runs import threads
from wopt.runs.building import build_problem
from wopt.runs.execute import resume, run_config
from wopt.runs.preparation import prepare
from wopt.runs.threads import Lap, best_of, laps_of, with_threads
from wopt.store.directory import RunDirectory
from wopt.testing import AffineBlock

LITTLE = {1: Lap(7.2, 7.2), 2: Lap(6.5, 12.9)}
LARGE = {1: Lap(195.0, 186.0), 2: Lap(100.0, 199.0)}


class Watch(Listener):
    """Keeps the number of threads at every iteration."""

    def __init__(self, interrupt=False):
        self.numbers, self.interrupt = set(), interrupt

    def progress(self, step, what, done, total, loss):
        self.numbers.add(torch.get_num_threads())
        if self.interrupt and step == 2:
            raise KeyboardInterrupt


@pytest.fixture
def default(monkeypatch):
    """Let two threads be torch's own number, which nobody has set."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def measured(monkeypatch, laps):
    """Give the measured seconds."""
    monkeypatch.setattr(threads, "laps_of", lambda prepared, most: laps)


def unmeasured(monkeypatch):
    def fails(prepared, most):
        pytest.fail("iterations are measured")

    monkeypatch.setattr(threads, "laps_of", fails)


def solve(tiny, **options):
    keys = ("source", "scheme", "block", "solver", "stop", "seed")
    return wopt.solve(**{**{key: tiny[key] for key in keys}, **options})


def parameters(blocks):
    return [value for block in blocks for value in block.state_dict().values()]


def same(ours, theirs):
    pairs = itertools.zip_longest(parameters(ours), parameters(theirs))
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_least_product_of_wall_and_cpu_seconds_is_chosen():
    assert best_of(LITTLE) == 1
    assert best_of(LARGE) == 2
    # A loaded machine: two threads burn twice the CPU seconds and are no quicker.
    assert best_of({1: Lap(1.0, 0.5), 2: Lap(1.0, 1.0)}) == 1


@pytest.mark.parametrize(("laps", "number"), [(LITTLE, 1), (LARGE, 2)])
def test_training_uses_what_pays(tiny, monkeypatch, default, laps, number):
    measured(monkeypatch, laps)
    watch = Watch()
    solution = solve(tiny, listener=watch)
    assert watch.numbers == {number}
    assert torch.get_num_threads() == 2, "it was not put back"
    assert solution.prepared.config.run.threads == number


def test_one_thread_of_torch_is_not_measured(tiny, monkeypatch, default):
    unmeasured(monkeypatch)
    torch.set_num_threads(1)
    assert solve(tiny).prepared.config.run.threads == 1


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_a_number_in_the_environment_is_obeyed(tiny, monkeypatch, default, name):
    monkeypatch.setenv(name, "2")
    unmeasured(monkeypatch)
    watch = Watch()
    assert solve(tiny, listener=watch).prepared.config.run.threads == 2
    assert watch.numbers == {2}


def test_a_number_in_the_configuration_is_obeyed(tiny, monkeypatch, default, tmp_path):
    unmeasured(monkeypatch)
    watch = Watch()
    run_config(validate({**tiny, "run": {"threads": 1}}), tmp_path / "run", watch, report=False)
    assert watch.numbers == {1}


def test_several_processes_keep_their_threads(tiny, monkeypatch, default):
    unmeasured(monkeypatch)
    prepared = prepare(validate(tiny))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert with_threads(prepared) is prepared


@pytest.mark.parametrize("block", [{"name": "ode", "width": 8}, AffineBlock(2)])
def test_measuring_changes_no_bit(tiny, monkeypatch, default, block):
    """At one number of threads, runs with and without a real measurement are the same."""
    laps = []

    def really(prepared, most):
        before = torch.get_rng_state()
        laps.append(laps_of(prepared, most))
        assert torch.equal(before, torch.get_rng_state())
        return LITTLE

    monkeypatch.setattr(threads, "laps_of", really)
    with_it = solve(tiny, block=block)
    assert sorted(laps[0]) == [1, 2]
    assert all(lap.wall > 0 and lap.cpu > 0 for lap in laps[0].values())
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)  # the user's
    without = solve(tiny, block=block)
    assert len(laps) == 1
    assert same(with_it.state.blocks, without.state.blocks)
    assert with_it.state.energy == without.state.energy


def test_an_error_while_measuring_is_left_to_the_run(tiny, default):
    prepared = prepare(validate(tiny))

    class Broken(AffineBlock):
        def initialise(self, points):
            raise ValueError("broken")

    broken = dataclasses.replace(prepared, block=Broken(2))
    assert laps_of(broken, 2) == {}
    assert torch.get_num_threads() == 2
    assert with_threads(broken).config.run.threads == 2


def test_a_resumed_run_uses_the_recorded_number(tiny, monkeypatch, default, tmp_path):
    measured(monkeypatch, LITTLE)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_config(validate(tiny), whole, report=False)
    assert (
        run_config(validate(tiny), broken, Watch(interrupt=True), report=False).status == "stopped"
    )
    directory = RunDirectory(broken)
    assert directory.read_config()["run"]["threads"] == 1
    unmeasured(monkeypatch)
    watch = Watch()
    assert resume(broken, watch, report=False).status == "done"
    assert watch.numbers == {1}
    names = [path.name for path in (whole / "blocks").iterdir()]
    assert len(names) == tiny["stop"]["steps"]
    for name in names:
        assert (whole / "blocks" / name).read_bytes() == (broken / "blocks" / name).read_bytes()


def test_plans_are_timed_with_the_number(tiny, monkeypatch, default):
    measured(monkeypatch, LITTLE)
    seen = []
    monkeypatch.setattr(
        "wopt.runs.building.race",
        lambda plans, *_: seen.append(torch.get_num_threads()) or Outcome(plans[0], (5.0,)),
    )
    planned = {"source": tiny["source"], "plan": {"budget": 5}}
    prepared = build_problem(planned)
    assert seen == [1]
    assert prepared.config.run.threads == 1


@pytest.mark.parametrize(
    ("seconds", "tried"),
    [
        ({1: 4.0, 2: 2.1, 4: 2.0, 8: 2.0}, [1, 2, 4]),
        ({1: 4.0, 2: 4.0, 4: 0.1, 8: 0.1}, [1, 2]),
        ({1: 8.0, 2: 4.0, 4: 2.0, 6: 1.5}, [1, 2, 4, 6]),
    ],
)
def test_more_threads_are_tried_while_the_cost_falls(tiny, monkeypatch, default, seconds, tried):
    number = {"of": 1}
    monkeypatch.setattr(torch, "set_num_threads", lambda n: number.update(of=n))

    class Watch:
        @property
        def wall(self):
            return 3 * seconds[number["of"]]

        @property
        def cpu(self):
            return 3 * (8.0 if number["of"] < 4 else 10.0)

    def three(stage, block, number):
        return block, SolveReport(3, 0.0, diverged=False)

    monkeypatch.setattr(threads, "Stopwatch", Watch)
    monkeypatch.setattr(threads.Stage, "go_on", three)
    laps = laps_of(prepare(validate(tiny)), max(seconds))
    assert sorted(laps) == tried
    assert laps[1] == Lap(seconds[1], 8.0)
