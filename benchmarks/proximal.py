"""The scheme ``kl_proximal`` against one fit of the ELBO and ``wopt.sample``, at equal CPU seconds.

    python benchmarks/proximal.py [--steps 25] [--iterations 60] [--out FILE] [CASE ...]
    python benchmarks/proximal.py --table [--out FILE]

Cases: ``gmm40`` (40 Gaussians N(m, I) in d = 50, m uniform on [-40, 40]^d), ``wells8``, ``wells32``
and ``wells128`` (many wells) and ``students`` (10 products of Student laws of 2 degrees of freedom
in d = 50, centres uniform on [-10, 10]^d). All begin at one wide Gaussian and have one map; the
rivals get the CPU seconds that ``kl_proximal`` took. A mode is found if it has a tenth of its share
of the draws; of many wells the modes are the wells' right sides, and the largest error of a share
is printed. *Cost* is the optimal transport cost |x - y|^2 between 2,000 draws and 2,000 exact ones
(the limit of Sinkhorn's as its entropy vanishes), with that of exact draws beside it. See
docs/posteriors.md.
"""

import math
import time

import ot
import torch
from lines import parser_of, read, store

import wopt

ROWS = 2000


def uniform(count, dim, end):
    draw = torch.rand(count, dim, generator=torch.Generator().manual_seed(0)).double()
    return (2 * draw - 1) * end


def students(dim=50, count=10):
    """Return log p, exact draws, and the component of each point, of the mixture of Students."""
    means = uniform(count, dim, 10.0)
    log_mass = -1.5 * math.log(2.0)  # t_2(u) = (2 + u^2)^(-3/2)

    def parts(x):
        away = (x[:, None] - means).square()
        return (-1.5 * torch.log1p(away / 2) + log_mass).sum(2) - math.log(count)

    def draws(n, rng):
        k = torch.randint(count, (n,), generator=rng)
        z = torch.randn(n, dim, generator=rng).double()
        u = torch.rand(n, dim, generator=rng).double()
        return means[k] + z / (-u.log()).sqrt()  # chi^2_2/2 is exponential

    return parts, draws


def case(name):
    """Return log p, dim, the start's scale, log Z, exact draws, and shares of modes at points."""
    if name == "students":
        parts, draws = students()
        share = lambda x: (torch.full((10,), 0.1).double(), parts(x).softmax(1))  # noqa: E731
        return in_units(8.0, 50, lambda x: parts(x).logsumexp(1), draws, share)
    if name == "gmm40":
        table, dim = {"name": "mixture", "means": uniform(40, 50, 40.0).tolist()}, 50
    else:
        dim = int(name.removeprefix("wells"))
        table = {"name": "many_wells", "dim": dim}
    target = wopt.build("target", table)
    log_prob = lambda x: -target.potential(x)  # noqa: E731
    draws = lambda n, rng: target.sample(n, dim, rng)  # noqa: E731
    if name == "gmm40":
        return in_units(25.0, dim, log_prob, draws, target.components)
    return log_prob, dim, 2.0, target.log_z, draws, target.components


def in_units(unit, dim, log_prob, draws, share):
    """Return a normalised case whose start has deviation 1, as nets want it."""
    return (
        lambda y: log_prob(unit * y) + dim * math.log(unit),
        dim, 1.0, 0.0,
        lambda n, rng: draws(n, rng) / unit,
        lambda y: share(unit * y),
    )  # fmt: skip


def solved(log_prob, dim, scale, scheme, block, solver, stop):
    """Return the solution, from one wide Gaussian by one kind of map."""
    function = lambda x: -log_prob(x)  # noqa: E731
    target = {"name": "potential", "function": function, "dim": dim}
    map_ = {"name": "autoregressive", "transforms": 1, "bins": 16, "hidden": [64, 64]}
    return wopt.solve(
        {"name": "gaussian", "dim": dim, "scale": scale, "n_train": 4000, "n_valid": 4000},
        objective={"name": "kl", "target": target},
        scheme=scheme,
        block={**map_, **block},
        solver={"name": "muon", "batch_size": 500, "fresh": True, "check_every": 10**6, **solver},
        stop=stop,
        guard={"retries": 0, "keep": True},
        dtype="float64",
    )


def proximal(about, given):
    scheme, stop = {"name": "kl_proximal"}, {"steps": given.steps, "weights": 0.9}
    return solved(*about, scheme, {"sees": "images"}, {"iterations": given.iterations}, stop)


def one_fit(about, seconds):
    parts = [round(seconds * 2**k / 7, 2) for k in range(3)]
    free = {"name": "jko", "step_size": 1e12}
    return solved(*about, free, {}, {"seconds": parts}, {"steps": 1})


def line(name, method, found, seconds, x, log_w):
    """Return what is stored of a result: draws ``(n, d)`` and their log weights."""
    _, _, _, log_z, draws, share = found
    rng = torch.Generator().manual_seed(1)
    exact, other = draws(ROWS, rng), draws(ROWS, rng)
    true, inside = share(x)
    mean = inside.double().mean(0)
    cost = lambda a: float(ot.emd2([], [], ot.dist(a.numpy(), exact.numpy()), numItermax=10**7))  # noqa: E731
    return {
        "case": name,
        "method": method,
        "cpu": round(seconds, 1),
        "modes": f"{int((mean > true / 10).sum())} of {len(true)}",
        "mode_error": round(float((mean - true).abs().max()), 4),
        "elbo_error": round(float(log_w.mean()) - log_z, 3),
        "log_z_error": round(float(log_w.logsumexp(0)) - math.log(len(log_w)) - log_z, 3),
        "ess": round(float((2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()) / len(x), 4),
        "cost": round(cost(x[:ROWS]), 2),
        "cost_exact": round(cost(other), 2),
    }


def of_solution(name, method, found, seconds, solution):
    rng = torch.Generator().manual_seed(2)
    x, log_q = solution.flow.sample_and_log_prob(4000, generator=rng)
    return line(name, method, found, seconds, x, found[0](x) - log_q)


def lines(name, given):
    """Yield the line of each method."""
    found = case(name)
    about = found[:3]
    began = time.process_time()
    solution = proximal(about, given)
    seconds = time.process_time() - began
    reached = [round(record.plan["reached"], 3) for record in solution.history]
    made = of_solution(name, "kl_proximal", found, seconds, solution)
    yield made | {"steps": len(reached), "reached": reached[-1], "why": solution.reason[:60]}
    began = time.process_time()
    solution = one_fit(about, seconds)
    yield of_solution(name, "elbo", found, time.process_time() - began, solution)
    drawn = wopt.sample(found[0], found[1], budget=seconds)
    y, log_q = drawn.flow.sample_and_log_prob(4000, generator=torch.Generator().manual_seed(2))
    log_w = found[0](y) - log_q
    made = line(name, "wopt.sample", found, drawn.cpu_seconds, drawn.draws, log_w)
    yield made | {"reliable": drawn.reliable}


def table(measured):
    print("| law | by | CPU s | modes | share off | log Z off | ESS/S | cost | of exact draws |")
    print("|---|---|---|---|---|---|---|---|---|")
    for one in measured:
        said = {True: " (reliable)", False: " (not reliable)"}.get(one.get("reliable"), "")
        cells = [one["case"], one["method"] + said, f"{one['cpu']:.0f}", one["modes"]]
        cells += [f"{one[key]:.2g}" for key in ("mode_error", "log_z_error", "ess")]
        cells += [f"{one[key]:.3g}" for key in ("cost", "cost_exact")]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = parser_of(__file__, __doc__)
    cases = ["wells32", "wells128", "students", "gmm40"]
    parser.add_argument("cases", nargs="*", default=cases, metavar="CASE")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--iterations", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.table:
        table(read(given.out))
        return
    for name in given.cases:
        store(given.out, lines(name, given))


if __name__ == "__main__":
    main()
