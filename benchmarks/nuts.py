"""NUTS in the user's coordinates and in the base of ``wopt.sample``'s flow, on the known laws.

    python benchmarks/nuts.py [--budget 20] [--limit 60] [--out FILE] [LAW ...]
    python benchmarks/nuts.py --table [--out FILE]

Both chains are nutpie's (200 iterations of warm-up and 1,000 draws, or what is done after
``--limit`` seconds) with the same density in torch. *ESS* is the smallest bulk effective sample
size of a coordinate (arviz), *ESS/s* that by CPU second of sampling; training, ``--budget``
seconds, is not in it. *off* is the largest error of a mean or deviation, in deviations of the law:
it shows a mode that chains never saw. Laws: posterior_laws.py.
"""

import contextlib

import numpy as np
import torch
from lines import parser_of, read, store
from posterior_laws import LAWS

import wopt
from wopt.clock import Stopwatch

DRAWS, WARM_UP = 1000, 200


def model_of(log_prob, points, dim):
    """Return nutpie's model of a log-density of one row, whose draws are carried by ``points``."""
    from nutpie.compiled_pyfunc import from_pyfunc

    def value_and_gradient(z, **_):
        z = torch.from_numpy(np.array(z))[None].requires_grad_()
        value = log_prob(z).sum()
        return float(value.detach()), torch.autograd.grad(value, z)[0][0].numpy()

    def expanded(z, **_):
        return {"x": points(torch.from_numpy(np.array(z))[None])[0].detach().numpy()}

    shape = [np.dtype("float64")], [(dim,)], ["x"]
    return from_pyfunc(dim, lambda **_: value_and_gradient, lambda *_, **__: expanded, *shape)


def sampled(model, limit, seed, draws=DRAWS):
    """Return the draws ``(n, d)`` of one chain, its divergences, and CPU seconds."""
    import nutpie

    watch = Stopwatch()
    sampler = nutpie.sample(
        model, draws=draws, tune=WARM_UP, chains=1, cores=1, seed=seed, blocking=False,
        progress_bar=False,
    )  # fmt: skip
    trace = None
    while trace is None and watch.cpu < limit:
        with contextlib.suppress(TimeoutError):
            trace = sampler.wait(timeout=0.2)
    trace = trace or sampler.abort()
    if "posterior" not in trace.groups():
        return np.zeros((0, 1)), 0, watch.cpu
    x = np.asarray(trace.posterior["x"])[0]
    diverged = np.asarray(trace.sample_stats["diverging"])[0]
    return x[np.isfinite(x).all(1)], int(diverged.sum()), watch.cpu


def line(name, space, x, diverged, cpu, law):
    import arviz

    found = {"law": name, "d": law.dim, "space": space, "cpu": round(cpu, 1), "draws": len(x)}
    if len(x) < 10:
        return found
    ess = float(arviz.ess(arviz.convert_to_dataset({"x": x[None]}))["x"].min())
    y, (mean, sd) = law.of(torch.from_numpy(x)), law.truth()
    off = torch.maximum((y.mean(0) - mean).abs() / sd, (y.std(0) / sd - 1).abs())
    return found | {
        "divergences": diverged, "ess": round(ess, 1), "off": round(float(off.max()), 3),
    }  # fmt: skip


def measure(name, budget, limit, seed):
    """Yield a line for each of the two spaces."""
    law = LAWS[name]()
    plain = model_of(law.log_prob, lambda x: x, law.dim)
    yield line(name, "user", *sampled(plain, limit, seed), law)
    found = wopt.sample(law.log_prob, law.dim, budget=budget, seed=seed)
    base = model_of(lambda z: found.pull_back(z)[1], lambda z: found.pull_back(z)[0], law.dim)
    yield line(name, "flow", *sampled(base, limit, seed), law) | {"reliable": found.reliable}


def table(lines):
    print("| law | NUTS in | draws | divergences | ESS | ESS/s | off | draws of wopt |")
    print("|---|---|---|---|---|---|---|---|")
    for one in lines:
        own = {True: "reliable", False: "not reliable", None: ""}[one.get("reliable")]
        cells = [one["law"], one["space"], f"{one['draws']:,}"]
        if "ess" in one:
            rate = one["ess"] / one["cpu"]
            cells += [one["divergences"], f"{one['ess']:.0f}", f"{rate:.2g}", f"{one['off']:.2g}"]
        else:
            cells += ["-", f"none in {one['cpu']:.0f} s", "-", "-"]
        print("| " + " | ".join(map(str, [*cells, own])) + " |")


def main():
    torch.set_num_threads(1)
    parser = parser_of(__file__, __doc__)
    parser.add_argument("laws", nargs="*", default=list(LAWS), metavar="LAW")
    parser.add_argument("--budget", type=float, default=20.0, help="CPU seconds of wopt.sample")
    parser.add_argument("--limit", type=float, default=60.0, help="CPU seconds of each NUTS")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.table:
        table(read(given.out))
        return
    for name in given.laws:
        store(given.out, measure(name, given.budget, given.limit, given.seed))


if __name__ == "__main__":
    main()
