"""The guard: steps that do not hold on held-out particles are refined, retried, rejected."""

import json
import math

import pytest
import torch

import wopt
from wopt import Guard, InnerSolver, Particles, Stop
from wopt.testing import AffineBlock, gaussian_nodes


def samples(n=400, dim=2, seed=0, spread=3.0):
    rng = torch.Generator().manual_seed(seed)
    return Particles.start(spread * torch.randn(n, dim, dtype=torch.float64, generator=rng) + 1)


class Runaway(AffineBlock):
    """Good when new, but a map that is warm-started moves the particles far away."""

    def __init__(self, dim: int):
        super().__init__(dim)
        self.register_buffer("drift", torch.zeros(()))

    def forward(self, x):
        y, log_det = super().forward(x)
        return y + self.drift, log_det

    def warm_start(self, previous):
        super().warm_start(previous)
        self.drift += 100


class Fixed(wopt.FlowBlock):
    """x + b for a b that no training changes."""

    provides = wopt.Capability.LOG_DET

    def __init__(self, dim: int, b: float):
        super().__init__()
        self.b = b
        self.idle = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x):
        y = x + self.b + 0 * self.idle
        return y, torch.zeros_like(x[:, 0])

    def inverse(self, y):
        return y - self.b, torch.zeros_like(y[:, 0])


class Moment(wopt.Objective):
    """E|x|^2/2, with or without contributions of the particles."""

    def __init__(self, reported: bool = True):
        self.told = reported

    def energy(self, particles):
        return particles.mean(particles.points.square().sum(1)) / 2

    def contributions(self, particles):
        return particles.points.square().sum(1) / 2 if self.told else None


class Faulty(wopt.Objective):
    """E|x|^2/2, but not a number at its first calls with a gradient."""

    def __init__(self, times: int):
        self.left = times

    def energy(self, particles):
        value = particles.mean(particles.points.square().sum(1)) / 2
        if particles.points.requires_grad and self.left > 0:
            self.left -= 1
            return value * math.nan
        return value


def one_step(block, objective, train=None, **options):
    options = {"solver": InnerSolver(iterations=1), "stop": Stop(steps=1)} | options
    return wopt.solve(
        samples() if train is None else train,
        objective=objective,
        scheme={"name": "jko", "step_size": 2.0},
        block=block,
        **options,
    )


# The formula.


@pytest.mark.parametrize("told", [True, False])
def test_the_decrease_by_hand(told):
    x, h, b = samples(600), 2.0, -0.5
    found = one_step(Fixed(2, b), Moment(told), x)
    y = x.points + b
    change = (y.square().sum(1) - x.points.square().sum(1)) / 2
    each = change + (y - x.points).square().sum(1) / (2 * h)
    record = found.history[0]
    assert record.decrease == pytest.approx(float(each.mean()), rel=1e-12)
    assert record.energy_change == pytest.approx(float(change.mean()), rel=1e-12)
    assert record.w2_step == pytest.approx(math.sqrt(2) * 0.5, rel=1e-12)
    means = each if told else torch.stack([each[k::20].mean() for k in range(20)])  # of groups
    exact = float(means.std()) / math.sqrt(len(means))
    assert record.decrease_error == pytest.approx(exact, rel=1e-12 if told else 1e-9)


def test_the_decrease_of_weighted_particles():
    nodes = gaussian_nodes(torch.ones(2).double(), 4 * torch.eye(2).double())
    record = one_step(Fixed(2, -0.5), Moment(), nodes).history[0]
    # E (|x + b|^2 - |x|^2)/2 = b.m + |b|^2/2 = -1 + 0.25, and |b|^2/2h = 0.125
    assert record.decrease == pytest.approx(-0.75 + 0.125, rel=1e-12)


def test_quadrature_has_no_standard_error():
    nodes = gaussian_nodes(torch.ones(2).double(), torch.eye(2).double(), order=10)
    output, untold = (one_step(Fixed(2, -0.5), Moment(t), nodes).history[0] for t in (True, False))
    assert untold.decrease == pytest.approx(output.decrease, rel=1e-12)
    # Nodes are not drawn, so their sums have no sampling error.
    assert output.decrease_error == untold.decrease_error == 0


def test_noise_within_standard_errors_is_no_reason():
    """A step that changes nothing on average is accepted, unless no noise is allowed for."""
    x = samples(1000)
    y = x.points + 0.0
    shift = -2 * float(y.sum(1).mean()) / 2 / (1 + 1 / 2)  # where the change is nearly zero
    block = Fixed(2, shift + 1e-3 * math.copysign(1, shift))
    strict = one_step(block, Moment(), x, guard=Guard(standard_errors=0, retries=0))
    loose = one_step(block, Moment(), x, guard=Guard(standard_errors=2, retries=0))
    assert strict.status == "failed"
    assert loose.status == "done"
    record = loose.history[0]
    assert 0 < record.decrease < 2 * record.decrease_error


# Rejection.


def test_a_step_that_rises_is_rejected_and_the_last_good_state_stands():
    found = wopt.solve(
        samples(),
        valid=samples(seed=1),
        block=Runaway(2),
        solver=InnerSolver(iterations=20, batch_size=100),
        guard=Guard(retries=1),
    )
    assert found.status == "failed"
    assert (found.state.step, len(found.history), len(found.flow.blocks)) == (1, 1, 1)
    for word in ("step 2 was rejected 2 time(s)", "held-out", "rose by", "1 step(s) before it"):
        assert word in found.reason
    moved = samples(seed=1).moved(*found.flow.blocks[0](samples(seed=1).points))
    assert torch.equal(found.state.valid.particles.points, moved.points)


def test_steps_before_a_rejected_one_may_be_the_end():
    """With guard.keep the run is done with them, also with none."""
    options = {"solver": InnerSolver(iterations=20, batch_size=100)}
    kept = wopt.solve(
        samples(), valid=samples(seed=1), block=Runaway(2), guard=Guard(keep=True), **options
    )
    assert (kept.status, len(kept.history)) == ("done", 1)
    assert "no step 2 was found" in kept.reason
    assert "guard.keep" in kept.reason
    near, far = samples(spread=0.1), Particles.start(-samples(spread=0.1).points)
    guard = Guard(retries=0, keep=True)
    without = one_step(Fixed(2, -0.5), Moment(), near, valid=far, guard=guard)
    assert (without.status, len(without.history)) == ("done", 0)


def test_only_held_out_particles_count():
    """A step that suits the training particles is rejected where others disagree."""
    near, far = samples(spread=0.1), Particles.start(-samples(spread=0.1).points)
    guard = Guard(retries=0)
    assert one_step(Fixed(2, -0.5), Moment(), near, guard=guard).status == "done"
    rejected = one_step(Fixed(2, -0.5), Moment(), near, valid=far, guard=guard)
    assert rejected.status == "failed"


class Calibrated(AffineBlock):
    """A map that held-out particles move by a shift."""

    def __init__(self, dim, by):
        super().__init__(dim)
        self.by = by

    def calibrate(self, points, c=None):
        self.shift.data.add_(self.by)
        return True


@pytest.mark.parametrize(("by", "kept"), [(-0.5, -0.5), (9.0, 0.0)])
def test_a_block_is_calibrated_where_held_out_particles_gain(by, kept):
    options = {"solver": InnerSolver(iterations=1, learning_rate=1e-12), "guard": Guard(retries=0)}
    found = one_step(Calibrated(2, by), Moment(), samples(spread=0.1), **options)
    assert found.state.block.shift.tolist() == pytest.approx([kept, kept], abs=1e-9)


@pytest.mark.parametrize(("rate", "retries"), [(1e3, 0), (1e30, 1)])
def test_an_absurd_learning_rate_fails(rate, retries):
    found = wopt.solve(
        samples(80),
        block={"name": "ode", "width": 8, "sharpness": 2.0, "steps": 2},
        solver=InnerSolver(iterations=10, learning_rate=rate, clip=0),
        guard=Guard(retries=retries, refinements=1),
    )
    assert found.status == "failed"
    assert f"step 1 was rejected {retries + 1} time(s)" in found.reason
    assert found.history == ()
    assert torch.equal(found.state.train.particles.points, samples(80).points)


def test_a_failed_run_says_so(command, config, tiny, tmp_path, session):
    wopt.register("block", "runaway", Runaway)
    tiny |= {"block": "runaway", "stop": {"steps": 3}, "guard": {"retries": 1}}
    out = tmp_path / "out"
    answer = command("run", config(tiny), "--out", out)
    assert answer.status == 1
    assert "Traceback" not in answer.err
    result = json.loads((out / "result.json").read_text())
    assert (result["status"], result["steps"]) == ("failed", 1)
    assert "step 2 was rejected 2 time(s)" in result["reason"]
    assert "rose by" in result["reason"]
    assert result["nll_test"] is not None
    assert [p.name for p in (out / "blocks").iterdir()] == ["001.safetensors"]
    for name in ("samples.npy", "report.html", "state.safetensors"):
        assert (out / name).exists()
    # Going on meets the same rejection.
    assert command("resume", out).status == 1
    assert json.loads((out / "result.json").read_text())["reason"] == result["reason"]


# Retries.


def test_a_loss_that_is_not_finite_is_retried():
    found = one_step(AffineBlock(2), Faulty(1), solver=InnerSolver(iterations=20))
    record = found.history[0]
    assert (found.status, record.retries) == ("done", 1)
    (retry,) = record.attempts
    assert (retry.attempt, retry.reason) == (1, "the loss became nan")
    assert retry.action == "trained again at half the rate"
    assert retry.next_step_size == retry.step_size == 2.0


def steep_ode(steps):
    """An ode block set by hand: v = -a tanh(b x) pulls towards zero, fast where x is small."""
    block = wopt.build(
        "block",
        {"name": "ode", "width": 1, "activation": "tanh", "sharpness": 1.0, "steps": steps},
    ).build(dim=1)
    matrices = [p for _, p in block.named_parameters() if p.ndim == 2]
    assert [tuple(p.shape) for p in matrices] == [(1, 1)] * 3
    with torch.no_grad():
        for p in block.parameters():
            p.zero_()
        for p, value in zip(matrices, (1.0, 1.0, -4.0), strict=True):
            p.fill_(value)
    return block


def judged(**options):
    """Judge the steep block as a step of JKO, training nothing."""
    return wopt.solve(
        samples(dim=1, spread=2.0),
        objective={"name": "kl", "target": {"name": "gaussian", "scale": 0.1}},
        scheme={"name": "jko", "step_size": 100.0},
        block=steep_ode(1),
        solver=InnerSolver(iterations=1, learning_rate=1e-12),
        stop=Stop(steps=1),
        **options,
    )


def test_a_coarse_grid_is_made_finer():
    found = judged(guard=Guard(likelihood_tolerance=0.02, refinements=6))
    record = found.history[0]
    assert found.status == "done", found.reason
    assert record.retries == len(record.attempts) >= 2
    assert all((r.attempt, r.action) == (1, "grid made finer") for r in record.attempts)
    assert "nats (tolerance 0.02)" in record.attempts[0].reason
    assert wopt.StepRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert int(found.flow.blocks[0].steps) == 2**record.retries
    assert record.likelihood_error <= 0.02
    # What one step of the grid would have reported is far off.
    x = samples(dim=1, spread=2.0).points
    block = steep_ode(1).double()
    off = (block(x)[1] - block.audit(x)[1]).abs().mean()
    assert float(off.detach()) > 0.5


def test_a_grid_that_may_not_be_refined_fails():
    found = judged(guard=Guard(refinements=0, retries=0))
    assert found.status == "failed"
    assert "the likelihood by the training grid is off by" in found.reason


def test_a_retry_begins_with_a_finer_grid():
    found = judged(guard=Guard(refinements=0, retries=6, likelihood_tolerance=0.02))
    record = found.history[0]
    assert found.status == "done"
    assert all("trained again, finer" in retry.action for retry in record.attempts)
    assert [retry.attempt for retry in record.attempts] == list(range(1, record.retries + 1))
    assert int(found.flow.blocks[0].steps) == 2**record.retries


def test_a_refined_grid_is_saved(command, config, tiny, tmp_path):
    tiny["guard"] = {"likelihood_tolerance": 1e-6, "refinements": 9}
    tiny["solver"] = {"iterations": 40, "learning_rate": 0.1}
    tiny["block"]["steps"] = 1
    tiny["dtype"] = "float64"
    out = tmp_path / "out"
    assert command("run", config(tiny), "--out", out).status == 0
    lines = (out / "steps.jsonl").read_text().splitlines()
    retries = [json.loads(line)["retries"] for line in lines]
    assert retries[0] > 0
    steps = [int(block.steps) for block in wopt.load(out).blocks]
    assert steps[0] == 2 ** retries[0]
    assert steps[1] == 2 ** retries[1]


def test_a_warm_start_begins_from_the_block_before():
    begun = []

    class Listens(AffineBlock):
        """Remembers from which block it was started."""

        def warm_start(self, previous):
            super().warm_start(previous)
            begun.append((previous, self.shift.detach().clone()))

    found = wopt.solve(
        samples(), block=Listens(2), solver=InnerSolver(iterations=5), stop=Stop(steps=3)
    )
    assert [previous for previous, _ in begun] == list(found.flow.blocks)[:2]
    for previous, shift in begun:
        assert torch.equal(shift, previous.shift)


def test_without_a_warm_start_a_block_is_new():
    class Refuses(AffineBlock):
        """Must not be warm-started."""

        def warm_start(self, previous):
            raise AssertionError

    found = wopt.solve(
        samples(),
        block=Refuses(2),
        solver=InnerSolver(iterations=5, warm_start=False),
        stop=Stop(steps=2),
    )
    assert found.status == "done"
