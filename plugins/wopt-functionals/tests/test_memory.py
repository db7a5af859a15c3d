"""Memory stays flat: quadratic sums never hold all pairs, in neither pass."""

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CODE = """
    import sys, torch
    from wopt import Particles
    from wopt.testing import NormalTarget
    from wopt_functionals import KSD, MMD, Interaction

    def peak():  # not ru_maxrss, which a child inherits from its parent
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

    torch.set_num_threads(1)
    n, dim = int(sys.argv[1]), 10
    target = NormalTarget([0.0] * dim, torch.eye(dim).tolist())
    made = {
        "mmd": MMD(target, kernel="gaussian", samples=n),
        "interaction": Interaction(kernel="log"),
        "ksd": KSD(target),
    }
    chosen = [made[name] for name in sys.argv[2:]]
    x = torch.randn(n, dim, dtype=torch.float64, requires_grad=True)
    for objective in (MMD(target, samples=50), made["ksd"]):  # what torch itself takes
        objective.energy(Particles(x[:50])).backward()
    before = peak()
    for objective in chosen:
        objective.energy(Particles(x)).backward()
    assert torch.isfinite(x.grad).all()
    print((peak() - before) / 1024)
"""


def growth(n, *names):
    """Return by how many MB the peak grows in energies with gradients, in a new process."""
    words = [sys.executable, "-c", textwrap.dedent(CODE), str(n), *names]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_4000_particles_take_less_than_one_matrix_of_pairs():
    """4000 x 4000 numbers are 128 MB, and autograd would keep several of them."""
    assert growth(4000, "mmd", "interaction", "ksd") < 120


@pytest.mark.slow
def test_mmd_of_20000_particles_and_20000_samples_takes_less_than_1_gb():
    assert growth(20_000, "mmd") < 1000
