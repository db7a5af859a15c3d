"""The table at the end of a run: what a run that is done must not be silent about."""

import dataclasses
import io

from rich.console import Console

from wopt.cli.console import RunTerminal
from wopt.store import RunResult
from wopt_evolution import Distances, LeftOut, PopulationsReport
from wopt_posterior.diagnostics import SamplerReport

GOOD = SamplerReport(
    -0.5, None, 0.0, 0.02, 900.0, 0.2, 0.7, True, (), (0.0,), (0.1,), (1.0,), (0.1,), None, (), 1000
)  # fmt: skip


def shown(**given):
    terminal = RunTerminal(verbose=True)
    terminal.console = Console(file=io.StringIO(), width=200)
    terminal.end(RunResult("done", "2 steps were asked for", 2, **given))
    return terminal.console.file.getvalue()


def test_a_sampler_says_whether_its_draws_can_be_relied_on():
    assert "nothing speaks against them" in shown(sampler=GOOD)
    warnings = ("k-hat 1.2 is above 0.7", "1 mode(s) of the target", "chains see more")
    output = shown(sampler=dataclasses.replace(GOOD, reliable=False, warnings=warnings))
    assert "not reliable: k-hat 1.2 is above 0.7 (and 2 more)" in output
    assert "draws" not in shown()


def test_an_evolution_says_how_far_it_is_from_the_exact_solution():
    output = shown(exact=Distances(step=3, time=0.9, l1=0.1, sym_kl=0.0123, sym_kl_error=0.001))
    assert "KL both ways from the exact solution, nats" in output
    assert "0.0123 +- 0.001" in output
    # With nodes nothing was drawn, and of laws with an edge there is no KL.
    output = shown(exact=Distances(step=3, time=0.9, l1=0.02, l1_error=0.0, kl=float("nan")))
    assert "L1 from the exact solution" in output
    assert "+-" not in output


def test_a_flow_through_populations_says_how_near_its_guesses_are():
    left = LeftOut(1.5, 150, 0.52, 0.54, 0.53, 0.55, 2.1, 2.2, 2.5, 2.6, 0.2, 0.3)
    output = shown(populations=PopulationsReport((0.0, 2.0), (0.1,), (left,)))
    assert "W1 from the left-out population at t = 1.5" in output
    assert "0.52 (displacement interpolation 0.53)" in output
