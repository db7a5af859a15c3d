"""The memory that `sinkhorn` refuses is what it would have taken."""

import subprocess
import sys
import textwrap

import pytest

CODE = """
    import sys, torch, wopt
    from wopt.testing import NormalTarget
    from wopt_geomloss import Sinkhorn

    def peak():  # not ru_maxrss, which a child inherits from its parent
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

    torch.set_num_threads(1)
    n, m = int(sys.argv[1]), int(sys.argv[2])
    target = NormalTarget([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    x = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    Sinkhorn(target, samples=50).energy(wopt.Particles(x[:50]))  # what the libraries take
    before = peak()
    Sinkhorn(target, epsilon=2.0, samples=m, tolerance=0.1).energy(wopt.Particles(x))
    print((peak() - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("n", "m"), [(900, 900), (1500, 150)])
@pytest.mark.slow
def test_the_stated_need_covers_the_peak(n, m):
    words = [sys.executable, "-c", textwrap.dedent(CODE), str(n), str(m)]
    grown = float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    stated = 72 * n * m + 16 * n * n
    assert 0.3 * stated < grown < 1.1 * stated
