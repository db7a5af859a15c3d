"""The block ``particles``: training particles move freely, other points as the nearest of them."""

import json

import numpy as np
import pytest
import torch

import wopt
from wopt import Capability, Particles
from wopt.testing import NormalTarget

H = 0.5


@pytest.fixture
def seen(new):
    """Return a function that makes a block which saw these points and moves them randomly."""

    def make(points, *c, seed=0):
        sizes = {"condition": c[0].shape[1]} if c else {}
        block = new({"name": "particles"}, points.shape[1], **sizes)
        block.initialise(points, *c)
        rng = torch.Generator().manual_seed(seed)
        u = torch.randn(block.displacement.shape, dtype=torch.float64, generator=rng)
        block.displacement.data += u
        return block.requires_grad_(False).eval()

    return make


def test_showing_the_particles_leaves_the_identity(new, x):
    block = new({"name": "particles"})
    assert block.displacement.shape == (1, 3)
    block.initialise(x)
    assert block.displacement.shape == x.shape
    assert block.displacement.requires_grad
    assert torch.equal(block.move(x), x)


def test_before_it_has_seen_any_it_translates(shaken, x):
    block = shaken({"name": "particles"})
    assert torch.equal(block.move(x), x + block.displacement)


def test_training_particles_move_by_their_own_displacement(seen, x):
    block = seen(x)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    assert torch.equal(block.move(x[order]), (x + block.displacement)[order])


def test_other_points_move_as_the_nearest_training_particle(seen, x):
    block = seen(x)
    z = torch.randn(300, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    nearest = torch.cdist(z, x).argmin(1)
    assert torch.equal(block.move(z), z + block.displacement[nearest])
    # Piecewise a translation: a small move within a cell is carried along unchanged.
    small = 1e-9 * torch.ones(3).double()
    moved = block.move(x + small) - block.move(x)
    torch.testing.assert_close(moved, small.expand_as(x), rtol=1e-6, atol=1e-15)


def test_conditions_help_to_find_the_nearest(seen, x):
    block = seen(x[:, :2], x[:, 2:])
    z = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    nearest = torch.cdist(z, x).argmin(1)
    y = block.move(z[:, :2], z[:, 2:])
    assert torch.equal(y, z[:, :2] + block.displacement[nearest])


@pytest.mark.parametrize("saved", [1, 5, 40])
def test_it_is_loaded_with_as_many_particles_as_were_saved(saved, seen, new, x):
    block = seen(x[:saved])
    for fresh in (new({"name": "particles"}), seen(x)):
        fresh.load_state_dict(block.state())
        assert torch.equal(fresh.move(x), block.move(x))
    with pytest.raises(RuntimeError, match="size mismatch"):
        new({"name": "particles"}, dim=2).load_state_dict(block.state())


def test_a_warm_start_repeats_the_displacements(seen, new, x):
    before = seen(x)
    y = before.move(x)
    warm = new({"name": "particles"})
    warm.initialise(y)
    warm.warm_start(before)
    assert torch.equal(warm.move(y), y + before.displacement)
    other = new({"name": "particles"})
    other.initialise(x[:7])
    other.warm_start(before)  # other particles than before: nothing to repeat
    assert torch.equal(other.move(x), x)


def test_float32_stays_float32(seen, x):
    block = seen(x).float()
    y = block.move(x.float())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), x + block.displacement.double(), rtol=0, atol=1e-6)


def test_there_is_no_log_det_and_no_inverse(seen, x):
    block = seen(x)
    assert block.provides == Capability.CONDITION
    y, log_det = block(x)
    assert torch.equal(y, block.move(x))
    assert log_det.isnan().all()
    with pytest.raises(wopt.CapabilityError, match=r"no inverse.*nearest.*INVERSE.*icnn"):
        block.inverse(y)
    with pytest.raises(wopt.CapabilityError, match=r"no log-det.*LOG_DET.*icnn"):
        block.audit(x)


def test_points_that_are_not_finite_are_refused(seen, new, x):
    bad = x.clone()
    bad[0, 0] = torch.inf
    with pytest.raises(wopt.DataError, match="move points that are not finite"):
        seen(x).move(bad)
    with pytest.raises(wopt.DataError, match="shown particles that are not finite"):
        new({"name": "particles"}).initialise(bad)


def test_kl_is_refused_before_any_work(x):
    with pytest.raises(wopt.CapabilityError) as caught:
        wopt.solve(Particles.start(x), objective="kl", block="particles")
    for word in ("KL", "LOG_DET", "FreeParticles", "objectives that fit", "mmd"):
        assert word in str(caught.value)


def solved(x, objective, valid=None, steps=1, **solver):
    found = wopt.solve(
        Particles.start(x),
        valid=None if valid is None else Particles.start(valid),
        objective=objective,
        scheme={"name": "jko", "step_size": H},
        block="particles",
        solver=wopt.InnerSolver(**({"optimiser": "lbfgs"} | solver)),
        stop=wopt.Stop(steps=steps),
    )
    assert found.status == "done", found.reason
    return found


def test_a_step_of_a_potential_is_every_particles_proximal_map(x):
    """V = x^T P x / 2: y = (I + h P)^-1 x, to 1e-9; two steps, the second warm."""
    precision = torch.diag(torch.tensor([0.5, 1.0, 2.0])).double()
    target = NormalTarget([0.0] * 3, torch.linalg.inv(precision).tolist())
    found = solved(x, {"name": "potential", "target": target}, steps=2)
    expected = x / (1 + H * precision.diagonal()) ** 2
    torch.testing.assert_close(found.state.train.particles.points, expected, rtol=0, atol=1e-9)


def test_held_out_particles_follow_the_training_particles():
    """On mini-batches; what was not seen lands near the exact step, within the particles' gaps."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 2, dtype=torch.float64, generator=rng)
    objective = {"name": "potential", "target": NormalTarget([3.0, 0.0], [[1.0, 0], [0, 1.0]])}
    found = solved(
        x[:1500],
        objective,
        x[1500:],
        optimiser="adam",
        iterations=300,
        batch_size=300,
        learning_rate=0.1,
    )

    def off(particles, before):
        exact = (before + H * torch.tensor([3.0, 0.0])) / (1 + H)
        return float((particles.points - exact).square().sum(1).mean().sqrt())

    assert found.history[0].w2_step > 1.0
    assert off(found.state.train.particles, x[:1500]) < 0.02
    assert off(found.state.valid.particles, x[1500:]) < 0.1


def test_the_model_is_the_start_pushed_forward(seen, x):
    blocks = [seen(x), seen(x + 1)]
    law = torch.distributions.MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    identity = wopt.AffineTransform.fit(x, "none")
    flow = wopt.Flow(wopt.Inverse(wopt.Chain(blocks, identity)), law)
    rng = torch.Generator().manual_seed(1)
    z = flow.base.sample(20, flow.dim, rng)
    y, log_density = flow.sample_and_log_prob(20, generator=rng.manual_seed(1))
    assert torch.equal(y, blocks[1].move(blocks[0].move(z)))
    assert log_density.isnan().all()
    with pytest.raises(wopt.CapabilityError, match="no inverse"):
        flow.log_prob(x)


RUN = {
    "seed": 1,
    "source": {"name": "gaussian", "dim": 2, "n_train": 300, "n_valid": 150, "n_test": 150},
    "objective": {
        "name": "mmd", "samples": 200, "target": {"name": "gaussian", "mean": [1.5, -1.0]},
    },
    "scheme": {"name": "jko", "step_size": 1.0},
    "block": "particles",
    "solver": {"iterations": 60, "batch_size": 150, "learning_rate": 5e-2},
    "stop": {"steps": 2},
    "certify": {"enabled": False},
}  # fmt: skip


def test_a_run_is_sampled_and_has_no_density(command, config, tmp_path):
    out = tmp_path / "run"
    answer = command("run", config(RUN), "--out", out)
    assert answer.status == 0, answer.err
    result = json.loads((out / "result.json").read_text())
    assert (result["status"], result["steps"], result["model"]) == ("done", 2, "push_forward")
    assert result["inversion_error"] is None
    steps = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
    assert all(step["energy_change"] < 0 for step in steps)
    assert command("sample", out, "-n", 400, "-o", tmp_path / "s.npy").status == 0
    drawn = np.load(tmp_path / "s.npy")
    assert np.isfinite(drawn[:, :2]).all()
    assert np.isnan(drawn[:, 2]).all()  # samples, but no density
    assert np.linalg.norm(drawn[:, :2].mean(0)) > 0.15  # on its way to (1.5, -1)
    answer = command("score", out, tmp_path / "s.npy", "-o", tmp_path / "l.npy")
    assert answer.is_mistake("block particles has no inverse")
