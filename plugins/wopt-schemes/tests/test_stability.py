"""Stability is told, not hidden."""

import pytest
import torch

import wopt
from wopt.testing import AffineBlock, NormalTarget, run_scheme


class Unsmooth(NormalTarget):
    """A Gaussian that does not tell its smoothness."""

    def __init__(self, mean: list[float], covariance: list[list[float]]) -> None:
        super().__init__(mean, covariance)
        self.smoothness = None


class Bare(AffineBlock):
    """A block that provides a log-det and nothing else."""

    provides = wopt.Capability.LOG_DET


LIMITS = {"explicit": 1.0, "explicit_midpoint": 1.0, "extragradient": 0.5, "forward_backward": 2.0}


@pytest.mark.parametrize("name", LIMITS)
def test_a_step_above_the_limit_is_refused(name, problems, make):
    p = problems["rotated"]
    limit = LIMITS[name] / p.target().smoothness
    with pytest.raises(wopt.ConfigError, match=rf"unstable for h > {limit:.4g}"):
        run_scheme(make(name, 1.05 * limit), p, 1)
    make(name, limit).check(p.objective())


@pytest.mark.parametrize("name", LIMITS)
def test_a_later_step_above_the_limit_ends_the_run(name, problems, make):
    p = problems["line"]
    found = run_scheme(make(name, [0.05, 4.0]), p, 3)
    assert found.status == "failed"
    assert len(found.history) == 1
    assert "unstable for h >" in found.reason


def test_forward_backward_names_both_limits(problems, make):
    p = problems["line"]  # L = 1/1.3
    with pytest.raises(wopt.ConfigError, match=r"2/L.*L = 0\.7692.*up to 1/L = 1\.3"):
        make("forward_backward", 3.0).check(p.objective())


@pytest.mark.parametrize("name", ["explicit", "explicit_midpoint", "extragradient"])
def test_a_diverging_step_is_rejected(name, problems, make):
    """Where no limit is known, the guard rejects a step that raises the energy."""
    p = problems["line"]
    target = Unsmooth(p.n.tolist(), p.s.tolist())
    found = wopt.solve(
        p.nodes(),
        objective=wopt.build("objective", {"name": "kl", "target": target}),
        scheme=make(name, 9.0),
        block=AffineBlock(1),
        solver=wopt.InnerSolver(optimiser="lbfgs"),
    )
    assert found.status == "failed"
    assert found.history == ()
    assert "rejected 3 time(s)" in found.reason
    assert torch.equal(found.state.train.particles.points, p.nodes().points)


def test_missing_capabilities_are_found_first(problems, make):
    p = problems["line"]
    for name, need in (("explicit", "VELOCITY"), ("midpoint", "HALF_WAY")):
        with pytest.raises(wopt.CapabilityError, match=f"needs {need}"):
            wopt.solve(p.nodes(), objective=p.objective(), scheme=make(name, 0.1), block=Bare(1))
