"""The same measurements by pytest-benchmark, to keep and compare: `make benchmark`.

Times are CPU times on one thread. Nothing is asserted of them.
"""

import time

import pytest
import torch
from bench import keep_memory
from matmul_share import products
from training_step import CLOSED, EACH, HUTCHINSON, autograd_field, backward, jko_loss, make

import wopt
from wopt.data.transform import AffineTransform
from wopt.push import push
from wopt_jko.ode.integrate import RK4, integrate, uniform_grid

pytestmark = pytest.mark.benchmark(timer=time.process_time, warmup=True, min_rounds=5)
STEPS = 4


@pytest.fixture(autouse=True, scope="module")
def memory():
    keep_memory()


@pytest.mark.parametrize("dim", [2, 10, 63])
@pytest.mark.parametrize("kind", [CLOSED, HUTCHINSON, EACH])
def test_training_step(benchmark, kind, dim):
    benchmark.group = f"training step, d = {dim}, width 128, batch 1000"
    block, x = make(dim, 128, STEPS), torch.randn(1000, dim)
    probe = torch.randn(1000, dim).sign()

    def loss():
        if kind == CLOSED:
            return jko_loss(x, *block(x))
        field = autograd_field(block, "hutchinson" if kind == HUTCHINSON else "each", probe)
        return jko_loss(x, *integrate(field, x, uniform_grid(STEPS), RK4)[:2])

    benchmark(backward(loss, block))
    assert all(torch.isfinite(p.grad).all() for p in block.parameters())


@pytest.mark.parametrize("what", ["products alone", "step"])
def test_matmul_share(benchmark, what):
    benchmark.group = "products of a step, d = 63, width 256, batch 4096"
    block, x = make(63, 256, STEPS), torch.randn(4096, 63)
    work, _ = products(63, 256, 4096, STEPS)
    step = backward(lambda: jko_loss(x, *block(x)), block)
    benchmark.pedantic(work if what == "products alone" else step, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("n", [10**3, 10**4, 10**5])
def test_carrying(benchmark, n):
    benchmark.group = "carrying particles, d = 10, width 64"
    block, particles = make(10, 64, STEPS).freeze(), wopt.Particles.start(torch.randn(n, 10))
    moved = benchmark(push, block, particles)
    assert len(moved) == n


@pytest.mark.parametrize("what", ["sample", "score"])
@pytest.mark.parametrize("name", ["ode", "coupling", "spline", "autoregressive"])
def test_throughput(benchmark, name, what):
    benchmark.group = f"{what} 1024 rows, d = 10, 3 blocks"
    blocks = [wopt.build("block", name).build(dim=10).freeze() for _ in range(3)]
    rows = torch.randn(1024, 10)
    units = AffineTransform.fit(rows, "none")
    flow = wopt.Flow([units, *blocks], wopt.build("target", "gaussian"))
    if what == "score":
        found = benchmark(flow.log_prob, rows)
    else:
        found = benchmark(flow.sample_and_log_prob, 1024)[1]
    assert torch.isfinite(found).all()
