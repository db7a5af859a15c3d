"""The scheme annealed: each step is jko's, to the tempered Gaussian, which is a Gaussian."""

import pytest
import torch

import wopt
from wopt.testing import check_scheme, run_scheme
from wopt_schemes import Annealed


def test_without_a_path_it_is_jko():
    done = check_scheme(lambda h: Annealed(step_size=h))
    assert {"energy_falls", "minimiser_stays"} <= set(done)


def test_free_steps_go_to_the_tempered_laws(problems):
    """By steps of h = 1e9 from anywhere: N(m_b, S_b), S_b^-1 = b S^-1 + (1 - b) I/s^2."""
    p = problems["rotated"]
    scheme = Annealed(step_size=1e9, path=[0.25, 0.5], scale=2.0)
    target = p.objective().target
    for steps, b in ((1, 0.25), (2, 0.5), (3, 1.0)):
        x = run_scheme(scheme, p, steps).state.train.particles
        zero = torch.zeros(1, p.dim).double()
        eye = torch.eye(p.dim).double()
        precision = torch.stack([target.score(zero) - target.score(e[None]) for e in eye])[:, 0]
        mixed = b * precision + (1 - b) * eye / 4
        mean = torch.linalg.solve(mixed, b * target.score(zero)[0])
        found = x.mean(x.points)
        away = x.points - found
        covariance = x.mean(away[:, :, None] * away[:, None])
        torch.testing.assert_close(found, mean, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(covariance, torch.linalg.inv(mixed), atol=1e-5, rtol=1e-5)


def test_an_objective_without_a_target_is_refused():
    scheme = Annealed(step_size=1.0, path=[0.5])
    with pytest.raises(wopt.CapabilityError, match="annealed tempers the target"):
        scheme.check(wopt.build("objective", "entropy"))
