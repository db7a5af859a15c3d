"""Metropolis chains beside a sampler: against laws of known moments and masses."""

import math

import pytest
import torch

import wopt
from wopt.config.model import validate
from wopt.interfaces.block import new_block
from wopt.interfaces.listener import SILENT
from wopt.push import push_all
from wopt.runs.building import build_problem
from wopt.runs.execute import run_config
from wopt.runs.preparation import prepare
from wopt.runs.solution import advance
from wopt.store.checkpoint import load_state
from wopt.store.directory import RunDirectory
from wopt.testing import AffineBlock, NormalTarget
from wopt_posterior.chains import Forward, log_density_at, seen_by_chains
from wopt_posterior.reference import density_of, mode_of, move, reference_of
from wopt_posterior.reference.moves import height_of, trajectory
from wopt_posterior.reference.search import search_modes

MODES = torch.tensor([[6.0, 0.0], [-6.0, 0.0], [0.0, 7.0]]).double()
MASSES = torch.tensor([0.5, 0.3, 0.2]).double()


def modes(x):
    """Three normal modes of deviation 0.7, times exp(1)."""
    square = (x[:, None] - MODES).square().sum(2) / 0.49
    return 1 + (MASSES.log() - square / 2 - math.log(2 * math.pi * 0.49)).logsumexp(1)


def target_of(log_prob):
    return wopt.build("target", {"name": "potential", "function": lambda x: -log_prob(x)})


def normal_start(x):
    return -x.square().sum(1) / 2 - x.shape[1] * math.log(2 * math.pi) / 2


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def masses(x):
    near = torch.cdist(x, MODES).argmin(1)
    return torch.bincount(near, minlength=3) / len(x)


def test_moves_leave_a_law_as_it_is():
    law = NormalTarget([1.0, -2.0], [[1.0, 0.9], [0.9, 2.0]])
    x = law.sample(20_000, 2, chance())
    after = move(density_of(law), x, x[:500], chance(1), steps=5)
    assert (after != x).any(1).double().mean() > 0.9
    error = 1 / math.sqrt(len(x))
    assert torch.allclose(after.mean(0), torch.tensor([1.0, -2.0]).double(), atol=6 * error)
    expected = torch.tensor([[1.0, 0.9], [0.9, 2.0]]).double()
    assert torch.allclose(torch.cov(after.T), expected, atol=12 * error)


def test_moves_refuse_what_is_not_finite():
    def half(x):
        return torch.where(x[:, 0] > 0, -x[:, 0], torch.nan), -torch.ones_like(x)

    x = -torch.rand(400, 1, generator=chance(), dtype=torch.float64).log()
    for after in (
        move(half, x, x[:100], chance(1), steps=20),
        trajectory(half, x, x[:100], 0.2, chance(1))[0],
    ):
        assert bool((after > 0).all())
        assert abs(float(after.mean()) - 1) < 6 / math.sqrt(400)


def test_trajectories_reach_the_ends_of_arms():
    """From the bend of a banana, y = 2 (x^2 - 1) + N(0, 1/4): E y^2 = 8.25."""

    def banana(x):
        across = x[:, 1] - 2 * (x[:, 0].square() - 1)
        slope = torch.stack([16 * across * x[:, 0] - x[:, 0], -4 * across], 1)
        return -x[:, 0].square() / 2 - 2 * across.square(), slope

    x, rng = 2 * torch.rand(1000, 2, generator=chance(), dtype=torch.float64) - 1, chance(1)
    x[:, 1] = 2 * (x[:, 0].square() - 1)
    for _ in range(60):
        x, taken = trajectory(banana, x, x.flip(0)[:500], 0.15, rng)
    assert abs(float(x[:, 0].square().mean()) - 1) < 4 * math.sqrt(2 / 1000)
    assert abs(float(x[:, 1].square().mean()) - 8.25) < 4 * 0.95  # y^2 deviates by 30
    assert 0.5 < taken < 0.8


def test_a_reference_sample_has_modes_and_their_masses():
    found = reference_of(target_of(modes), 2, 0, wopt.Budget(), passes=2)
    assert len(found.points) == 1000
    near = torch.nn.functional.one_hot(torch.cdist(found.points, MODES).argmin(1), 3)
    mass, error = found.mean(near)
    assert bool(((mass - MASSES).abs() < 4 * error).all())
    assert float(error.max()) < 0.1
    assert abs(found.log_z - 1) < 4 * found.log_z_error


def test_a_reference_sample_of_narrow_modes_loses_none():
    four = wopt.build("target", {"name": "random_mixture", "dim": 8, "components": 4})
    x = reference_of(target_of(lambda x: -four.potential(x)), 8, 0, wopt.Budget(), passes=1)
    shares, error = x.mean(four.components(x.points)[1])
    assert bool(((shares - 1 / 4).abs() < 4 * error).all())


def test_a_narrower_mode_far_off_the_axes_is_found():
    """One of N(0, I) and N(m, 0.09 I) in d = 8, |m| = 10: one direction in 20,000 leads to it."""
    far = torch.randn(8, dtype=torch.float64, generator=chance(5))
    far = 10 * far / far.norm()

    def log_prob(x):
        parts = (x.square().sum(1), ((x - far) / 0.3).square().sum(1) + 16 * math.log(0.3))
        return torch.logaddexp(-parts[0] / 2, -parts[1] / 2)

    target = target_of(log_prob)
    rounds = search_modes(density_of(target), 8, chance(6), height=height_of(target))
    assert any(
        bool(((g.means - far).norm(dim=1) < 0.1).any())
        for _, g in zip(wopt.Budget(20.0).clock(), rounds, strict=False)
    )


def test_points_are_found_where_a_density_is_not_zero():
    """A strip without mass: half of the points around the origin are in it."""

    def log_prob(x):
        value = -(x[:, 0].abs() - 1) * 10 - x[:, 1].square() / 2
        return torch.where(x[:, 0].abs() > 1, value, -torch.inf)

    found = reference_of(target_of(log_prob), 2, 0, wopt.Budget(), passes=1)
    assert abs(found.log_z - math.log(0.2 * math.sqrt(2 * math.pi))) < 4 * found.log_z_error
    with pytest.raises(wopt.DataError, match="finite at none of 64"):
        reference_of(target_of(lambda x: x[:, 0] - torch.inf), 2, 0, wopt.Budget())


def test_the_density_by_inverses_is_that_of_the_draws():
    blocks = []
    for k in range(2):
        block = AffineBlock(2).double()
        with torch.no_grad():
            block.matrix += 0.3 * torch.randn(2, 2, generator=chance(k)).double()
            block.shift += k
        blocks.append(block)
    x = torch.randn(50, 2, generator=chance(), dtype=torch.float64)
    particles = wopt.Particles.start(x, log_density=normal_start(x))
    moved = push_all(blocks, particles)
    found = log_density_at(normal_start, blocks, moved.points)
    assert torch.allclose(found, moved.log_density)


def test_chains_see_what_draws_do_not():
    """Weights of one of two modes are even; the other has a half of the mass."""
    even = torch.zeros(500).double()
    other = torch.cat([torch.zeros(500), 40 * torch.ones(500)]).double()
    assert seen_by_chains(even, even) == 1
    assert seen_by_chains(other, even) < 1e-6
    assert seen_by_chains(torch.full((9,), torch.inf), even) == 0


def test_training_towards_chains_follows_the_likelihood():
    """The loss and its gradient are those of the mean of -log q at the chains."""
    law = NormalTarget([2.0], [[1.0]])
    forward = Forward(law, normal_start, law.sample(500, 1, chance()), chance(1), needed=True)
    block = AffineBlock(1).double()
    start = torch.randn(500, 1, generator=chance(2), dtype=torch.float64)
    loss = forward.loss(block, wopt.Particles.start(start))
    loss.backward()
    # -log q = (x - b)^2 / 2 + ..., whose derivative by b is minus the mean of x, here about 2.
    assert float(block.shift.grad) == pytest.approx(-2, abs=4 / math.sqrt(500))


def test_chains_jump_to_draws_and_their_masses_become_right():
    law = target_of(modes)
    wrong = MODES[torch.arange(600) % 3]
    wrong = wrong + 0.7 * torch.randn(600, 2, generator=chance(), dtype=torch.float64)
    forward = Forward(law, lambda x: modes(x) - 1, wrong, chance(1))
    exact = MODES[torch.multinomial(MASSES, 4000, replacement=True, generator=chance(2))]
    exact = exact + 0.7 * torch.randn(4000, 2, generator=chance(3), dtype=torch.float64)
    for _ in range(3):
        seen = forward.renew(AffineBlock(2).double(), wopt.Particles.start(exact), 1.0)
    assert seen == pytest.approx(1.0, abs=1e-9)
    assert torch.allclose(masses(forward.points), MASSES.float(), atol=4 * math.sqrt(0.25 / 600))


def test_training_towards_chains_alone_matches_moments():
    """Of all Gaussians the one with the target's moments has the least KL(p | q)."""
    means = [[-3.0, 0.0], [3.0, 0.0]]
    config = {
        "source": {"name": "gaussian", "dim": 2, "n_train": 500, "n_valid": 500, "n_test": 10},
        "target": {"name": "mixture", "means": means, "scale": 1.0},
        "scheme": {"name": "jko", "step_size": 1e12},
        "block": {"name": "affine", "symmetric": True},
        "solver": {
            "iterations": 120, "learning_rate": 0.05, "fresh": True, "direction": "forward",
            "chains": 2000, "weights": 0.99, "rounds": 1,
        },
        "stop": {"steps": 1},
        "dtype": "float64",
    }  # fmt: skip
    prepared = build_problem(config)
    state = prepared.problem.begin(prepared.train, prepared.valid)
    flow = advance(prepared, state, SILENT).flow
    x = flow.sample(20_000).double()
    # Of the squares of 2,000 chains in the first coordinate: (2 + 4 * 9)/2000.
    assert abs(float(x[:, 0].square().mean()) - 10) < 5 * math.sqrt(38 / 2000)
    assert abs(float(x[:, 1].square().mean()) - 1) < 5 * math.sqrt(2 / 2000)


def apart(target, x, seed):
    return float((mode_of(density_of(target), x, chance(seed)) > 0).double().mean())


def test_lines_join_arms_and_rings_and_no_modes():
    x = MODES[torch.multinomial(MASSES, 300, replacement=True, generator=chance())]
    x = x + 0.7 * torch.randn(300, 2, generator=chance(1), dtype=torch.float64)
    largest = float(masses(x).max())
    assert apart(target_of(modes), x, 2) == pytest.approx(1 - largest, abs=1e-6)
    wells = wopt.build("target", {"name": "many_wells", "dim": 4})
    x = wells.sample(200, 4, chance())
    largest = wells.components(x)[1].mean(0).max()
    assert apart(wells, x, 2) == pytest.approx(1 - float(largest), abs=0.02)
    angle = 2 * math.pi * torch.rand(300, generator=chance(3), dtype=torch.float64)
    ring = 5 * torch.stack([angle.cos(), angle.sin()], 1)
    assert apart(target_of(lambda x: -50 * (x.norm(dim=1) - 5) ** 2), ring, 4) == 0


@pytest.mark.parametrize(("log_prob", "sees"), [(modes, "images"), (normal_start, "particles")])
def test_a_plan_for_modes_apart_trains_by_chains(log_prob, sees):
    table = {
        "source": {"name": "gaussian", "dim": 2},
        "target": {"name": "potential", "function": lambda x: -log_prob(x)},
        "solver": {"iterations": 10},
    }
    problem = build_problem(table).problem
    assert problem.block_of(1).options.sees == sees
    assert problem.solver.of_step(1).direction == ("forward" if sees == "images" else "reverse")


def test_a_sampler_without_options_finds_modes_far_apart():
    """None is lost after a short training; how much each weighs is right, or it is said."""
    found = wopt.sample(modes, 2, n=2000, iterations=60)
    near = torch.cdist(found.draws, MODES).argmin(1)
    fractions = near.bincount(minlength=3).double() / len(near)
    assert bool((fractions > 0.01).all())
    assert not found.reliable or torch.allclose(fractions, MASSES.double(), atol=0.1)
    assert abs(found.log_z - 1) < 5 * found.log_z_error + 0.02


def test_a_resumed_sampler_is_the_same(tmp_path):
    """Chains that were trained towards in a step are where they were."""

    def table(steps):
        return {
            "objective": {"name": "kl", "target": {"name": "mixture", "means": MODES.tolist()}},
            "source": {"name": "gaussian", "dim": 2, "n_train": 500, "n_valid": 500},
            "scheme": {"name": "jko", "step_size": 1e6},
            "blocks": [{"name": "affine", "symmetric": True}, {"name": "affine"}],
            "solver": {"iterations": 6, "chains": 100, "fresh": True, "weights": 0.9, "rounds": 1},
            "guard": {"standard_errors": 1e6},
            "stop": {"steps": steps},
            "dtype": "float64",
        }

    config = validate(table(2))
    prepared = prepare(config)
    unbroken = advance(prepared, prepared.problem.begin(prepared.train, prepared.valid)).state
    run_config(validate(table(1)), tmp_path / "run", report=False)
    begun = prepared.train, prepared.valid
    stored = load_state(RunDirectory(tmp_path / "run"), config, 2, start=begun)
    resumed = advance(prepared, stored).state
    assert resumed.step == unbroken.step == 2
    assert torch.equal(resumed.valid.particles.points, unbroken.valid.particles.points)
    assert torch.equal(resumed.chains, unbroken.chains)


def test_chains_need_a_density():
    with pytest.raises(wopt.CapabilityError, match=r"solver\.chains needs"):
        wopt.fit(torch.randn(300, 2), solver={"chains": 10, "iterations": 2}, block="affine")


def test_an_autoregressive_block_spreads_particles_over_points_far_off():
    block = new_block(wopt.build("block", {"name": "autoregressive", "whiten": True}), 2).double()
    x = torch.randn(500, 2, generator=chance(), dtype=torch.float64)
    y = MODES[torch.arange(900) % 3] + torch.randn(900, 2, generator=chance(1)).double()
    block.initialise(x)
    assert torch.allclose(block(x)[0], x, atol=1e-9)
    block.initialise_images(y)
    image, log_det = block(x)
    assert torch.allclose(image.std(0), y.std(0), rtol=0.3)
    jacobian = torch.autograd.functional.jacobian(lambda z: block(z[None])[0][0], x[0])
    assert float(log_det[0].detach()) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]))
    back, log_back = block.inverse(image)
    assert torch.allclose(back, x)
    assert torch.allclose(log_back, -log_det)
