"""The laws of blocks and objectives: breaches are caught (tests/test_components.py: all obey)."""

import pytest
import torch

import wopt
from wopt import Capability
from wopt.testing import AffineBlock, check_block, check_objective, gaussian_nodes
from wopt_testing.checks import LawError


def test_the_exact_block_obeys_them_all():
    done = check_block(AffineBlock(3), 3, tolerance=1e-12)
    assert {"identity_when_new", "log_det_is_exact", "inverse_returns", "inverse_log_det"} <= set(
        done
    )


# Breaches.


class NotIdentity(AffineBlock):
    def forward(self, x):
        y, log_det = super().forward(x)
        return y + 1e-3, log_det


class WrongLogDet(AffineBlock):
    def forward(self, x):
        y, log_det = super().forward(x)
        return y, 1.001 * log_det


class WrongInverse(AffineBlock):
    def inverse(self, y):
        x, log_det = super().inverse(y)
        return x + 1e-3 * (x - y), log_det


class WrongInverseLogDet(AffineBlock):
    def inverse(self, y):
        x, log_det = super().inverse(y)
        return x, -log_det


class Unused(AffineBlock):
    def __init__(self, dim: int):
        super().__init__(dim)
        self.idle = torch.nn.Parameter(torch.ones(2))


class Dead(AffineBlock):
    def forward(self, x):
        log_det = torch.linalg.slogdet(self.matrix)[1]
        return x @ self.matrix.T + self.shift.detach(), log_det.expand(len(x))


class Noisy(AffineBlock):
    def forward(self, x):
        y, log_det = super().forward(x)
        return y + 1e-12 * torch.rand_like(y), log_det


class Mixes(AffineBlock):
    def forward(self, x):
        y, log_det = super().forward(x)
        return y + (y - y.mean(0)) * self.shift.sum(), log_det


class OtherMove(AffineBlock):
    def move(self, x):
        return super().move(x) + 1e-6 * self.shift


class OtherAudit(AffineBlock):
    def audit(self, x):
        y, log_det = self(x)
        return y, log_det + 0.1


class Forgets(AffineBlock):
    def state(self):
        return {k: torch.zeros_like(v) for k, v in super().state().items()}


class ShortAction(AffineBlock):
    provides = AffineBlock.provides | Capability.ACTION

    def forward_with_action(self, x):
        y, log_det = self(x)
        return y, log_det, 0.5 * (y - x).square().sum(1)


class Flat(AffineBlock):
    def forward(self, x):
        y, log_det = super().forward(x)
        return y, log_det[:, None]


@pytest.mark.parametrize(
    ("block", "law"),
    [
        (NotIdentity, "identity_when_new"),
        (WrongLogDet, "log_det_is_exact"),
        (WrongInverse, "inverse_returns"),
        (WrongInverseLogDet, "inverse_log_det"),
        (Unused, "gradients_reach_every_parameter"),
        (Dead, "gradients_reach_every_parameter"),
        (Noisy, "deterministic"),
        (Mixes, "rows_are_independent"),
        (OtherMove, "move_equals_forward"),
        (OtherAudit, "audit_agrees"),
        (Forgets, "saves_and_loads"),
        (ShortAction, "action_bounds_displacement"),
        (Flat, "shapes"),
    ],
)
def test_a_block_that_breaks_a_law_is_caught(block, law):
    with pytest.raises(LawError, match=f"{block.__name__} breaks {law}"):
        check_block(block(2), 2)


class Half(wopt.Objective):
    """E|x|^2/2 - E log det, correct."""

    needs = Capability.LOG_DET

    def contributions(self, particles):
        return particles.points.square().sum(1) / 2 - particles.log_det

    def energy(self, particles):
        return particles.mean(self.contributions(particles))


class Detached(Half):
    def energy(self, particles):
        return particles.mean(particles.points.square().sum(1) / 2 - particles.log_det.detach())


class WrongTerms(Half):
    def terms(self, particles):
        return {"half": self.energy(particles) / 2}


class WrongContributions(Half):
    def energy(self, particles):
        return particles.mean(self.contributions(particles)) + 1


class Random(Half):
    def energy(self, particles):
        return super().energy(particles) + 1e-9 * torch.rand(()).double()


class NoScalar(Half):
    def energy(self, particles):
        return self.contributions(particles)


@pytest.fixture
def nodes():
    return gaussian_nodes(torch.ones(2).double(), torch.eye(2).double())


def test_a_correct_objective_passes(nodes):
    assert "contributions_average" in check_objective(Half(), nodes)


@pytest.mark.parametrize(
    ("objective", "law"),
    [
        (Detached, "derivative_matches_differences"),
        (WrongTerms, "terms_add_up"),
        (WrongContributions, "contributions_average"),
        (Random, "energy_is_deterministic"),
        (NoScalar, "shapes"),
    ],
)
def test_an_objective_that_breaks_a_law_is_caught(nodes, objective, law):
    with pytest.raises(LawError, match=f"{objective.__name__} breaks {law}"):
        check_objective(objective(), nodes)


def test_sums_and_multiples_obey_the_laws(nodes):
    total = 2 * Half() + wopt.build("objective", "kl")
    check_objective(total, nodes)
    expected = 2 * Half().energy(nodes) + wopt.build("objective", "kl").energy(nodes)
    assert float(total.energy(nodes)) == pytest.approx(float(expected), rel=1e-12)
    assert total.needs == Capability.LOG_DET | Capability.POTENTIAL
    assert total.target is not None
