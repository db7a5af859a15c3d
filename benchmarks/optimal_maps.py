"""Maps learnt from samples against the known optimal maps of Wasserstein2Benchmark.

    python benchmarks/optimal_maps.py [--budget 60] [--seeds 0] [--out FILE] [DIM ...]
    python benchmarks/optimal_maps.py --table [--out FILE]

The pairs (Korotin et al., *Do neural optimal transport solvers work?*, 2021) are a mixture of three
Gaussians and its image by the gradient of a known convex potential, in 2 to 64 dimensions. The map
is one JKO step, so large that its proximal term does not count, of an objective that compares with
samples; its block ``icnn`` is the gradient of a convex potential, so it is optimal for its image.
The error is L2-UVP = 100 E|T - T*|^2 / Var T*, in percent, on 4,096 fresh rows. *Linear* is
the optimal map between Gaussians with the moments of the same 20,000 rows. The weights of the
potentials are files of ``../shared/data/w2benchmark`` (MIT licence, commit 647a1ac of
iamalexkorotin/Wasserstein2Benchmark).
"""

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from lines import parser_of, read, store
from torch.nn.functional import celu

import wopt
from wopt.clock import Stopwatch

DATA = Path(os.environ.get("WOPT_DATA", "../shared/data")) / "w2benchmark"
DIMS, ROWS, TESTS = (2, 4, 8, 16, 32, 64), 20_000, 4_096
BATCH = 250
PUBLISHED = {2: 5.3, 8: 19.7, 16: 37.0, 32: 51.0}
"""L2-UVP of a plain minimax of two ICNN on a CPU, as reported for these pairs."""


def mixture(dim):
    """Return centres ``(3, d)`` and factors ``(3, d, d)`` of the benchmark's first measure."""
    random = np.random.RandomState(0)
    choices = [random.choice(3, 3, replace=False) for _ in range(dim)]
    centres = np.stack(choices, 1) - 1.0
    factors = random.normal(size=(3, dim, dim))
    factors /= np.linalg.norm(factors, axis=2, keepdims=True)
    scale = np.sqrt((centres**2).sum(1).mean() + 0.16 * dim) / np.sqrt(dim)
    return torch.from_numpy(centres / scale), torch.from_numpy(0.4 * factors / scale)


def potential(path):
    """Return a convex potential of the benchmark, ``(n, d)`` to ``(n,)``."""
    weights = {k: v.double() for k, v in torch.load(path, weights_only=True).items()}

    def quadratic(k, x):
        of = f"quadratic_layers.{k}."
        squares = torch.einsum("nd,dro->nro", x, weights[of + "quadratic_decomposed"]).square()
        return squares.sum(1) + x @ weights[of + "weight"].T + weights[of + "bias"]

    def value(x):
        y = quadratic(0, x)
        for k in (1, 2):
            y = celu(y @ weights[f"convex_layers.{k - 1}.weight"].T + quadratic(k, x))
        return (y @ weights["final_layer.weight"].T)[:, 0] + x.square().sum(1) / 200

    return value


class Pair:
    """Rows x of the mixture, shape ``(n, d)``, and the optimal map to the other measure."""

    def __init__(self, dim):
        self.centres, self.factors = mixture(dim)
        self.potentials = [potential(DATA / f"{dim}_v{k}.pt") for k in (1, 2)]
        y = self.gradient(self.sample(2**14, 0))
        self.mean, self.scale = y.mean(0), y.var(0, correction=0).mean().sqrt()

    def sample(self, n, seed):
        rng = torch.Generator().manual_seed(seed)
        k = torch.randint(3, (n,), generator=rng)
        z = torch.randn(n, self.centres.shape[1], generator=rng, dtype=torch.float64)
        return torch.einsum("nij,nj->ni", self.factors[k], z) + self.centres[k]

    def gradient(self, x):
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(sum(each(x).sum() for each in self.potentials), x)[0]

    def map(self, x):
        return (self.gradient(x) - self.mean) / self.scale

    def error(self, learnt):
        x = self.sample(TESTS, 99)
        y = self.map(x)
        return 100 * float((y - learnt(x)).square().sum(1).mean() / y.var(0).sum())


def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def linear(x, y):
    """Return the optimal map between the Gaussians with the moments of two samples."""
    a, b = root(torch.cov(x.T)), torch.cov(y.T)
    back = torch.linalg.inv(a)
    matrix = back @ root(a @ b @ a) @ back
    return lambda z: (z - x.mean(0)) @ matrix + y.mean(0)


def learnt(x, y, budget, seed):
    """Return the map that one step of wopt makes of samples of both measures."""
    dim = x.shape[1]
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("x", x), ("y", y)):
            np.save(f"{folder}/{name}.npy", rows.numpy())
        array = {"name": "array", "path": f"{folder}/y.npy", "preprocess": "none"}
        target = {"name": "samples", "source": array}
        solution = wopt.solve(
            array | {"path": f"{folder}/x.npy"},
            objective={"name": "wasserstein", "samples": BATCH, "target": target},
            scheme={"name": "jko", "step_size": 1e4},
            block={"name": "icnn", "width": max(2 * dim, 64)},
            solver={"optimiser": "adam", "learning_rate": 3e-3, "seconds": budget, "ema": 0.99,
                    "batch_size": BATCH, "warm_start": False},
            guard={"retries": 0, "keep": True}, stop={"steps": 1}, dtype="float64", seed=seed,
        )  # fmt: skip
    return lambda z: solution.flow.trajectory(z)[-1]


def measure(dim, budget, seed):
    pair = Pair(dim)
    x, y = pair.sample(ROWS, 2 * seed + 1), pair.map(pair.sample(ROWS, 2 * seed + 2))
    watch = Stopwatch()
    error = pair.error(learnt(x, y, budget, seed))
    line = {"dim": dim, "seed": seed, "budget": budget}
    return line | {"uvp": error, "linear": pair.error(linear(x, y)), "cpu": round(watch.cpu, 1)}


def table(lines):
    seeds, cpu = {line["seed"] for line in lines}, [line["cpu"] for line in lines]
    print(f"L2-UVP in percent; {len(seeds)} seed(s), {min(cpu):.0f} to {max(cpu):.0f} CPU s each\n")
    print("| d | wopt | linear | minimax of two ICNN, published |")
    print("|---|---|---|---|")
    for dim in sorted({line["dim"] for line in lines}):
        own = [line for line in lines if line["dim"] == dim]
        found = ", ".join(f"{line['uvp']:.3g}" for line in own)
        base = sum(line["linear"] for line in own) / len(own)
        print(f"| {dim} | {found} | {base:.1f} | {PUBLISHED.get(dim, '-')} |")


def main():
    parser = parser_of(__file__, __doc__)
    parser.add_argument("dims", nargs="*", type=int, default=DIMS, metavar="DIM")
    parser.add_argument("--budget", type=float, default=60.0, help="CPU seconds of training")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    given = parser.parse_args()
    if given.table:
        table(read(given.out))
        return
    jobs = itertools.product(given.seeds, given.dims)
    store(given.out, (measure(dim, given.budget, seed) for seed, dim in jobs))


if __name__ == "__main__":
    main()
